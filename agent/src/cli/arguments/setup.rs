//! What can be typed about setting a machine up.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Listed;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(in crate::cli) struct Setup {
    #[command(subcommand)]
    pub(in crate::cli) command: Option<SetupCommand>,
    /// Take the answers from this file instead of asking
    #[arg(long, value_name = "FILE", conflicts_with = "example")]
    pub(in crate::cli) from: Option<PathBuf>,
    /// Print such a file, with every question and what would be taken without an answer
    #[arg(long)]
    pub(in crate::cli) example: bool,
    /// Show what would be done, and do nothing
    #[arg(long, conflicts_with = "example")]
    pub(in crate::cli) dry_run: bool,
    /// Agree to everything that is shown; needed where there is no terminal to ask on
    #[arg(short, long, conflicts_with_all = ["example", "dry_run"])]
    pub(in crate::cli) yes: bool,
    /// Print JSON
    #[arg(long, conflicts_with = "example")]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum SetupCommand {
    /// Show how far the setup has come
    Status(Listed),
    /// Make a link that opens the setup in a browser, once
    Link(Listed),
    /// Undo what a run has done; without its name, the newest one
    Undo {
        /// As `skep setup status` lists it
        run: Option<String>,
        /// Undo without asking
        #[arg(short, long)]
        yes: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List what was changed since it was set up
    Drift(Listed),
}

pub(super) const SETUP_HELP: &str = "\
Examples:
  skep setup                          ask on this terminal
  skep setup link                     set up in a browser instead
  skep setup --example > answers.toml write down what would be asked
  skep setup --from answers.toml --dry-run
  skep setup --from answers.toml --yes

Exit status: 1 when a step failed, a test did not pass, or something has drifted.";
