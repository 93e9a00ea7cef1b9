//! Backups that the agent makes by itself.

use std::path::PathBuf;
use std::time::Duration;

use super::ranged;
use crate::config::{BackupConfig, ConfigError};

/// Where to, how often, and how many stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupSettings {
    pub folder: PathBuf,
    pub every: Duration,
    pub keep: usize,
    /// None: whoever has the file has every secret in it.
    pub passphrase_file: Option<PathBuf>,
}

/// None: no folder, no backups.
pub(super) fn settings(config: BackupConfig) -> Result<Option<BackupSettings>, ConfigError> {
    // A day is what people lose at most without noticing.
    let every = ranged("backup.every_s", config.every_s, 86_400, 1, 31_536_000)?;
    // Two weeks of days.
    let keep = ranged("backup.keep", config.keep, 14, 1, 10_000)?;
    let Some(folder) = config.folder else {
        return Ok(None);
    };
    if !folder.is_absolute() {
        return Err(ConfigError::Value {
            key: "backup.folder",
            found: format!("`{}`", folder.display()),
            expect: "give an absolute path, as `/srv/skep-backups`".into(),
        });
    }
    Ok(Some(BackupSettings {
        folder,
        every: Duration::from_secs(u64::from(every)),
        keep: keep as usize,
        passphrase_file: config.passphrase_file,
    }))
}
