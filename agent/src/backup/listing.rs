//! The backups in a folder.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::file;
use super::restore::verify;
use super::{BackupError, Head};
use crate::limits::BACKUPS_LISTED_MAX;

/// A file that has a backup's name.
#[derive(Debug)]
pub struct Listed {
    pub path: PathBuf,
    pub bytes: u64,
    pub whole: Whole,
}

/// Whether it is one.
#[derive(Debug)]
pub enum Whole {
    Yes(Head),
    /// Why not.
    No(BackupError),
}

/// Reads all of them, the newest first.
///
/// # Errors
/// When the folder cannot be read.
pub fn list(folder: &Path) -> Result<Vec<Listed>, BackupError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(file("read", folder))? {
        let entry = entry.map_err(file("read", folder))?;
        let path = entry.path();
        let named = path.extension().is_some_and(|ending| ending == ENDING);
        if !named || found.len() >= BACKUPS_LISTED_MAX {
            continue;
        }
        let bytes = entry.metadata().map_or(0, |known| known.len());
        let whole = match verify(&path) {
            Ok(head) => Whole::Yes(head),
            Err(error) => Whole::No(error),
        };
        found.push(Listed { path, bytes, whole });
    }
    found.sort_by(|one, other| made(other).cmp(&made(one)).then(one.path.cmp(&other.path)));
    Ok(found)
}

fn made(one: &Listed) -> u64 {
    match &one.whole {
        Whole::Yes(head) => head.made_unix_s,
        Whole::No(_) => 0,
    }
}

/// What the names of backups end in.
pub(super) const ENDING: &str = "skep-backup";
