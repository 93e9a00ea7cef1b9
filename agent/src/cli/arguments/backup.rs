//! What can be typed about backups.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(in crate::cli) struct Backup {
    #[command(subcommand)]
    pub(in crate::cli) command: BackupCommand,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum BackupCommand {
    /// Make a backup of this node: its identity, keys, secrets, settings, plugins, and the cluster's state
    Create(CreateBackup),
    /// List the backups in a folder, and whether each is whole
    Ls {
        /// Where they are [default: `backup.folder`]
        folder: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Put a backup back in place of what is there, which is kept
    Restore(RestoreBackup),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct CreateBackup {
    /// A new file, a folder, or `-` for standard output
    #[arg(value_name = "FILE|FOLDER")]
    pub(in crate::cli) place: PathBuf,
    /// Seal it with the first line of this file
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) passphrase_file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RestoreBackup {
    /// The backup
    pub(in crate::cli) file: PathBuf,
    /// Open it with the first line of this file
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) passphrase_file: Option<PathBuf>,
    /// Look through all of it, and change nothing
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    /// Print JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

pub(super) const BACKUP_HELP: &str = "\
Examples:
  skep backup create /srv/skep-backups --passphrase-file /root/backup.pass
  skep backup create - | age -r age1... > node.age
  skep backup restore node.skep-backup --dry-run

A backup has every key and secret of the node. Models are not in it; their list is.
The agent makes them by itself:
  [backup]
  folder = \"/srv/skep-backups\"
  every_s = 86400
  keep = 14
  passphrase_file = \"/etc/skep/backup.pass\"   may be left out";
