//! What can be typed about the certificate that callers are shown.

use clap::{Args, Subcommand};

use super::Listed;

#[derive(Debug, Args)]
pub(in crate::cli) struct Certificate {
    #[command(subcommand)]
    pub(in crate::cli) command: Option<CertificateCommand>,
    /// Print JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum CertificateCommand {
    /// Show which certificate it is, how long it holds, and why the last attempt to renew it failed
    Show(Listed),
    /// Ask the authority for a new one now
    Renew {
        /// Also where the one that is shown holds for long
        #[arg(long)]
        force: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) const CERTIFICATE_HELP: &str = "\
Certificates by ACME (Let's Encrypt and others) are had and renewed by the agent, once these are set:
  [http]
  listen = \"0.0.0.0:7420\"
  acme_names = [\"hive.example.org\"]     port 443 of it must lead to port 7420 here
  acme_contact = \"admin@example.org\"    may be left out
  acme_terms_agreed = true              `skep certificate` shows where the terms are

`skep setup --part security` asks for them.";
