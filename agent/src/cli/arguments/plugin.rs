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
}

/// What is asked of an agent.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum OperatorCommand {
    /// List the plugins: what each is for, what it asks for, where it runs
    Ls(Listed),
    /// Show what a plugin may touch, and everything else that is known of it, as JSON
    Show { name: String },
    /// Add a plugin, once you agree to what it may touch
    Add(Taken),
    /// Let another version of a plugin run; what touches more is asked about
    Update {
        name: String,
        #[command(flatten)]
        taken: Taken,
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
    Rollback { name: String },
    /// Forget a plugin with its versions and rights
    Remove {
        name: String,
        /// Although something uses it
        #[arg(long)]
        force: bool,
    },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Taken {
    /// The component; its signature is read from `FILE.minisig` where there is one
    pub(in crate::cli) file: PathBuf,
    /// Ask nothing; everything that it needs has to be named by `--grant`
    #[arg(long)]
    pub(in crate::cli) yes: bool,
    /// Agree to this, as `http:api.example.org`; may be repeated
    #[arg(long = "grant", value_name = "CAPABILITY")]
    pub(in crate::cli) grants: Vec<String>,
}
