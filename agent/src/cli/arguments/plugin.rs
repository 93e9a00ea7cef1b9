//! What can be typed after `skep plugin` by whoever operates a cluster.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{AuthorCommand, Listed};

#[derive(Debug, Args)]
pub(in crate::cli) struct Plugin {
    #[command(subcommand)]
    pub(in crate::cli) command: PluginCommand,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum PluginCommand {
    #[command(flatten)]
    Operator(OperatorCommand),
    #[command(flatten)]
    Author(AuthorCommand),
    #[command(flatten)]
    Signing(SigningCommand),
}

/// What is asked of an agent.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum OperatorCommand {
    /// List the plugins: version, world, whose signature, what each may touch
    Ls(Listed),
    /// Show what a plugin may touch and who said so, its versions, limits and use
    Show {
        name: String,
        #[command(flatten)]
        listed: Listed,
    },
    /// Add a plugin, once you agree to what it may touch
    #[command(after_help = ADD_HELP)]
    Add {
        /// A file, an https:// address, or oci://HOST/NAME:TAG
        source: String,
        #[command(flatten)]
        terms: Terms,
    },
    /// Let another version of a plugin run; what touches more is asked about
    Update {
        name: String,
        /// A file, an https:// address, or oci://HOST/NAME:TAG [default: where the version that runs came from]
        source: Option<String>,
        #[command(flatten)]
        terms: Terms,
    },
    /// Let a plugin touch more
    Grant {
        name: String,
        #[arg(required = true)]
        capabilities: Vec<String>,
    },
    /// Let a plugin touch less, from now on
    Revoke {
        name: String,
        #[arg(required = true)]
        capabilities: Vec<String>,
    },
    /// Go back to the version before
    Rollback {
        name: String,
        /// To this version, or to the one whose digest begins so
        #[arg(long, value_name = "VERSION")]
        to: Option<String>,
    },
    /// Forget a plugin with its versions and rights
    Remove {
        name: String,
        /// Although something uses it
        #[arg(long)]
        force: bool,
    },
    /// Trust whoever signs with a key; `ls` and `remove` for those that are trusted
    #[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
    Trust {
        /// A public key of minisign's, or the file that has it
        key: Option<String>,
        /// What to call whoever has it [default: the file's name]
        #[arg(long)]
        name: Option<String>,
        #[command(subcommand)]
        command: Option<TrustCommand>,
    },
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum TrustCommand {
    /// List who is trusted
    Ls(Listed),
    /// Trust somebody no more; what was added stays
    Remove { name: String },
}

/// What needs no agent.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum SigningCommand {
    /// Make a pair of keys to sign plugins with, as minisign's
    Keygen {
        /// Write the secret key to PATH.key and the public one to PATH.pub
        path: PathBuf,
        /// Keep the secret key readable to whoever has the file; for machines that sign by themselves
        #[arg(long)]
        no_password: bool,
    },
    /// Sign a component; the signature goes to FILE.minisig
    Sign {
        file: PathBuf,
        /// The secret key's file
        #[arg(short, long, value_name = "FILE")]
        key: PathBuf,
    },
}

/// What somebody agrees to.
#[derive(Debug, Args)]
pub(in crate::cli) struct Terms {
    /// Ask nothing; everything that it needs has to be named by `--grant`
    #[arg(long)]
    pub(in crate::cli) yes: bool,
    /// Agree to this, as `http:api.example.org`; may be repeated
    #[arg(long = "grant", value_name = "CAPABILITY")]
    pub(in crate::cli) grants: Vec<String>,
    /// Take it although this speaks against it, as `unsigned`; may be repeated
    #[arg(long = "accept", value_name = "DOUBT")]
    pub(in crate::cli) accepts: Vec<String>,
    /// Its signature's file [default: what lies beside it as `….minisig`]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) signature: Option<PathBuf>,
    /// Refuse it unless this is its digest
    #[arg(long, value_name = "DIGEST")]
    pub(in crate::cli) sha256: Option<String>,
}

const ADD_HELP: &str = "\
Examples:
  skep plugin add calm.wasm
  skep plugin add https://example.org/lab.wasm --yes --grant http:api.example.org --grant secret:lab
  skep plugin add oci://ghcr.io/example/calm:1.0";
