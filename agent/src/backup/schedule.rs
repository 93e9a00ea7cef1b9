//! Backups that the agent makes by itself.
//!
//! Decides when one is due, also over restarts, and which older ones go: never one of another node, and never any before the
//! newest was read back and found whole.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::collect::{Source, pack};
use super::error::file;
use super::listing::ENDING;
use super::restore::verify;
use super::{BackupError, of_agent, passphrase};
use crate::agent::Agent;
use crate::config::BackupSettings;
use crate::keys::unix_now_s;
use crate::limits::{BACKUP_AFTER_START, BACKUP_LOOK, BACKUP_PAUSE};
use crate::paths::replace_durably;

/// The door to them; copies share it.
#[derive(Clone, Debug)]
pub struct Backups(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: BackupSettings,
    path: PathBuf,
    standing: Mutex<Standing>,
}

/// How they stand; kept over restarts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Standing {
    /// When the last good one was made.
    pub last_unix_s: Option<u64>,
    pub last: Option<PathBuf>,
    pub bytes: Option<u64>,
    /// Attempts in a row that failed.
    pub failures: u32,
    pub tried_unix_s: Option<u64>,
    pub why: Option<String>,
}

impl Backups {
    /// What was known when the agent last ran.
    #[must_use]
    pub fn open(settings: BackupSettings, path: PathBuf) -> Self {
        let text = fs::read(&path).unwrap_or_default();
        Self(Arc::new(Inner {
            settings,
            path,
            // It is for timing only: what cannot be read counts as never.
            standing: Mutex::new(serde_json::from_slice(&text).unwrap_or_default()),
        }))
    }

    /// Makes them for as long as the agent lives. Must be called within the runtime that is to drive it.
    pub fn start(&self, agent: Weak<Agent>) {
        tokio::spawn(self.clone().run(agent));
    }

    #[must_use]
    pub fn settings(&self) -> &BackupSettings {
        &self.0.settings
    }

    /// How they stand.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.lock().clone()
    }

    async fn run(self, agent: Weak<Agent>) {
        tokio::time::sleep(BACKUP_AFTER_START).await;
        let chance = getrandom::u32().unwrap_or(0);
        loop {
            let due = due(&self.standing(), self.0.settings.every, chance);
            let left = due.saturating_sub(unix_now_s());
            if left > 0 {
                tokio::time::sleep(Duration::from_secs(left).min(BACKUP_LOOK)).await;
                continue;
            }
            let Some(here) = agent.upgrade() else {
                return;
            };
            let made = self.make(&here).await;
            drop(here);
            self.settle(made);
        }
    }

    async fn make(&self, agent: &Agent) -> Result<(PathBuf, u64), BackupError> {
        let source = of_agent(agent).await?;
        let settings = self.0.settings.clone();
        let made = tokio::task::spawn_blocking(move || {
            let made = write(&source, &settings)?;
            thin(&settings.folder, &source.node, settings.keep, &made.0)?;
            Ok(made)
        });
        made.await
            .unwrap_or_else(|error| Err(BackupError::Own(error.to_string())))
    }

    fn settle(&self, made: Result<(PathBuf, u64), BackupError>) {
        let now = unix_now_s();
        let standing = {
            let mut standing = self.lock();
            standing.tried_unix_s = Some(now);
            match made {
                Ok((path, bytes)) => {
                    tracing::info!(path = %path.display(), bytes, "made a backup");
                    *standing = Standing {
                        last_unix_s: Some(now),
                        last: Some(path),
                        bytes: Some(bytes),
                        failures: 0,
                        tried_unix_s: Some(now),
                        why: None,
                    };
                }
                Err(error) => {
                    let why = crate::acme::chain(&error);
                    tracing::error!(why, "no backup was made");
                    standing.failures = standing.failures.saturating_add(1);
                    standing.why = Some(why);
                }
            }
            standing.clone()
        };
        let text = serde_json::to_vec_pretty(&standing).unwrap_or_default();
        if let Err(error) = replace_durably(&self.0.path, &text) {
            tracing::error!(%error, "how the backups stand is not kept");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.0
            .standing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// When the next one is to be made.
fn due(standing: &Standing, every: Duration, chance: u32) -> u64 {
    let every = every.as_secs();
    if standing.failures > 0 {
        let doubled = 1_u64.checked_shl(standing.failures - 1).unwrap_or(u64::MAX);
        let pause = BACKUP_PAUSE
            .as_secs()
            .saturating_mul(doubled.max(1))
            .min(every);
        return standing.tried_unix_s.unwrap_or(0) + pause;
    }
    // Nodes that share a folder's disk do not write together for ever.
    let later = u64::from(chance) % (every / SPREAD).max(1);
    standing.last_unix_s.map_or(0, |last| last + every + later)
}

/// Writes one, reads it back, and gives it its name.
pub(super) fn write(
    source: &Source,
    settings: &BackupSettings,
) -> Result<(PathBuf, u64), BackupError> {
    let folder = &settings.folder;
    let secret = settings
        .passphrase_file
        .as_deref()
        .map(passphrase)
        .transpose()?;
    let secret = secret.as_ref().map(|secret| secret.as_str());
    let name = format!("{}-{}.{ENDING}", source.node, source.now_unix_s);
    let path = folder.join(name);
    let temporary = tempfile::Builder::new()
        .prefix(".new-")
        .tempfile_in(folder)
        .map_err(file("write into", folder))?;
    let packed = pack(source, std::io::BufWriter::new(temporary.as_file()), secret)?;
    packed
        .into_inner()
        .map_err(|error| BackupError::Write(error.into_error()))?
        .flush()
        .map_err(BackupError::Write)?;
    temporary.as_file().sync_all().map_err(BackupError::Write)?;
    verify(temporary.path())?;
    let bytes = temporary
        .as_file()
        .metadata()
        .map_or(0, |known| known.len());
    temporary
        .persist(&path)
        .map_err(|failed| file("write", &path)(failed.error))?;
    fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(file("write into", folder))?;
    Ok((path, bytes))
}

/// Removes this node's oldest beyond what is kept; `newest` was found whole just now, and stays.
fn thin(folder: &Path, node: &str, keep: usize, newest: &Path) -> Result<(), BackupError> {
    let mut own = Vec::new();
    for entry in fs::read_dir(folder).map_err(file("read", folder))? {
        let entry = entry.map_err(file("read", folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let made = name
            .strip_prefix(node)
            .and_then(|rest| rest.strip_prefix('-'))
            .and_then(|rest| rest.strip_suffix(ENDING))
            .and_then(|rest| rest.strip_suffix('.'))
            .and_then(|seconds| seconds.parse::<u64>().ok());
        if let Some(made) = made.filter(|_| entry.path() != newest) {
            own.push((made, entry.path()));
        }
    }
    own.sort();
    let over = (own.len() + 1).saturating_sub(keep.max(1));
    for (_, path) in own.into_iter().take(over) {
        fs::remove_file(&path).map_err(file("remove", &path))?;
        tracing::info!(path = %path.display(), "removed an old backup");
    }
    Ok(())
}

/// By one part in so many they differ.
const SPREAD: u64 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_missed_is_made_up_and_failures_are_tried_again() {
        let hour = Duration::from_hours(1);
        let mut standing = Standing::default();
        assert_eq!(due(&standing, hour, 7), 0);
        standing.last_unix_s = Some(1_000);
        let next = due(&standing, hour, u32::MAX);
        assert!((4_600..4_780).contains(&next), "{next}");
        standing.tried_unix_s = Some(5_000);
        for (failures, pause) in [(1, 300), (2, 600), (4, 2_400), (5, 3_600), (99, 3_600)] {
            standing.failures = failures;
            assert_eq!(due(&standing, hour, 0), 5_000 + pause, "{failures}");
        }
    }

    #[test]
    fn only_this_nodes_oldest_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let own = |made: u64| path(&format!("abc-{made}.{ENDING}"));
        for made in [9, 10, 100, 1_000] {
            fs::write(own(made), "").unwrap();
        }
        let others = [
            "abcd-1.skep-backup",
            "abc-x.skep-backup",
            "abc-1.tar",
            "other-5.skep-backup",
        ];
        for name in others {
            fs::write(path(name), "").unwrap();
        }
        thin(folder.path(), "abc", 2, &own(1_000)).unwrap();
        assert!(own(1_000).exists() && own(100).exists());
        assert!(!own(10).exists() && !own(9).exists());
        // The newest stays, also where the clock was set back, and however few are kept.
        thin(folder.path(), "abc", 0, &own(100)).unwrap();
        assert!(own(100).exists() && !own(1_000).exists());
        assert!(others.iter().all(|name| path(name).exists()));
    }
}
