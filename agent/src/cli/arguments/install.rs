//! What can be typed to make the agent a service, and to undo it.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(in super::super) struct Install {
    /// A service of the user who types this, without root
    #[arg(long)]
    pub(in super::super) user: bool,
    /// Show what would be done, and change nothing
    #[arg(long)]
    pub(in super::super) dry_run: bool,
    /// Agree without being asked
    #[arg(short, long)]
    pub(in super::super) yes: bool,
    /// Change the system in this folder instead of this one
    #[arg(
        long,
        value_name = "DIR",
        default_value = "/",
        hide_default_value = true
    )]
    pub(in super::super) root: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub(in super::super) json: bool,
}

#[derive(Debug, Args)]
pub(in super::super) struct Uninstall {
    /// Remove also what the agent kept, the journals, and the service's user
    #[arg(long)]
    pub(in super::super) purge: bool,
    /// What was installed with `--user`
    #[arg(long)]
    pub(in super::super) user: bool,
    /// Agree without being asked
    #[arg(short, long)]
    pub(in super::super) yes: bool,
    /// Change the system in this folder instead of this one
    #[arg(
        long,
        value_name = "DIR",
        default_value = "/",
        hide_default_value = true
    )]
    pub(in super::super) root: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub(in super::super) json: bool,
}

#[derive(Debug, Args)]
pub(in super::super) struct Hands {
    /// For whose setup [default: who used sudo]
    #[arg(long = "for", value_name = "USER")]
    pub(in super::super) whose: Option<String>,
    /// Agree without being asked to all that its policy permits
    #[arg(short, long)]
    pub(in super::super) yes: bool,
    /// Change the system in this folder instead of this one
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    pub(in super::super) root: PathBuf,
}

pub(super) const INSTALL_HELP: &str = "Examples:
  sudo skep install              a service of the machine, with a user of its own
  skep install --user            one of yours
  sudo skep install --dry-run    what would be done

Each thing that is done is written to a journal before and after. Typed again, it goes on after a crash, and changes
nothing where all is as it should be.";

pub(super) const UNINSTALL_HELP: &str = "Examples:
  sudo skep uninstall            the service goes; models and settings stay
  sudo skep uninstall --purge    nothing stays

What somebody else changed since is left as it is, and said.";

pub(super) const HELPER_HELP: &str = "Examples:
  sudo skep helper               for the setup of whoever types it

It shows each plan here and asks. It ends with the setup, or when nobody wanted anything for half an hour.";
