//! The limits of backups, each with its reason.
//!
//! Decides numbers and nothing else.

use std::time::Duration;

use super::KIB;

/// A piece of a backup's file, which is read, checked and opened as a whole.
pub const BACKUP_PIECE_BYTES: usize = 64 * KIB;

/// What a backup has unpacked at most: a cluster's state of 16 MiB, and the components of some hundred plugins.
pub const BACKUP_BYTES_MAX: u64 = 8 << 30;

/// Files in one.
pub const BACKUP_FILES_MAX: usize = 20_000;

/// What a backup says of itself before its first piece.
pub const BACKUP_HEAD_BYTES: usize = 16 * KIB;

/// One file of this node's state: the largest are components and the cluster's state.
pub const BACKUP_FILE_BYTES_MAX: u64 = 1 << 30;

/// A passphrase's file.
pub const BACKUP_PASSPHRASE_BYTES: u64 = 4 << 10;

/// How often a passphrase is worked through (PBKDF2, SHA-256): a third of a second, for each guess, too.
pub const BACKUP_ROUNDS: u32 = 600_000;

/// A file that says more would keep this machine busy for minutes.
pub const BACKUP_ROUNDS_MAX: u32 = 10_000_000;

/// Backups in one folder that are looked at.
pub const BACKUPS_LISTED_MAX: usize = 10_000;

/// After a backup that failed; twice as long after each further one, up to the time between two.
pub const BACKUP_PAUSE: Duration = Duration::from_mins(5);

/// One that was due while the agent was away is made so long after its start, which has enough to do.
pub const BACKUP_AFTER_START: Duration = Duration::from_secs(5);

/// However far off the next one is, the clock is looked at so often: it may have been set, or the machine slept.
pub const BACKUP_LOOK: Duration = Duration::from_mins(10);
