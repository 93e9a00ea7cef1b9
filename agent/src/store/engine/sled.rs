//! sled 0.34, made durable.
//!
//! Its `flush` writes and calls `sync_file_range`, which promises nothing about metadata or the disk's
//! own cache; so each commit ends with an `fsync` of the file `db`, and of the folder when sled changed
//! files in it. Values are kept small: a page of many large ones would go to a file of its own, which
//! sled never syncs at all.

use std::fs::File;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::{Batch, Engine, EngineError, Key, Visit};
use crate::limits::{STORE_CACHE_BYTES, STORE_SLED_LOCK_WAIT, STORE_SLED_TEND};

pub(super) struct Sled {
    db: ::sled::Db,
    file: File,
    folder: PathBuf,
    /// When files were last made or removed in the folder, and since then synced.
    settled: SystemTime,
}

impl Sled {
    pub(super) fn open(folder: &Path) -> Result<Self, EngineError> {
        let tend = u64::try_from(STORE_SLED_TEND.as_millis()).unwrap_or(u64::MAX);
        let deadline = Instant::now() + STORE_SLED_LOCK_WAIT;
        let mut anew = false;
        let db = loop {
            let opened = ::sled::Config::new()
                .path(folder)
                .cache_capacity(STORE_CACHE_BYTES)
                .flush_every_ms(Some(tend))
                .open();
            match opened {
                Err(busy) if is_locked(&busy) && Instant::now() < deadline => {
                    std::thread::park_timeout(LOCK_LOOK);
                }
                Err(::sled::Error::Corruption { .. }) if !anew && set_index_aside(folder)? => {
                    anew = true;
                }
                opened => break opened.map_err(error)?,
            }
        };
        let mut opened = Self {
            file: File::open(folder.join("db"))?,
            db,
            folder: folder.to_owned(),
            settled: SystemTime::UNIX_EPOCH,
        };
        opened.file.sync_all()?;
        opened.settle()?;
        Ok(opened)
    }

    /// Syncs the folder and what lies in it, when anything was made or removed there.
    fn settle(&mut self) -> Result<(), EngineError> {
        let changed = std::fs::metadata(&self.folder)?.modified()?;
        if changed == self.settled {
            return Ok(());
        }
        for entry in std::fs::read_dir(&self.folder)? {
            match File::open(entry?.path()) {
                Ok(file) => file.sync_all()?,
                // sled removes old snapshots on its own.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        File::open(&self.folder)?.sync_all()?;
        self.settled = changed;
        Ok(())
    }
}

impl Engine for Sled {
    fn commit(&mut self, batch: &Batch) -> Result<(), EngineError> {
        let mut changes = ::sled::Batch::default();
        for (from, until) in &batch.removals {
            for key in self.db.range(from.as_slice()..until.as_slice()).keys() {
                changes.remove(key.map_err(error)?);
            }
        }
        for (key, value) in &batch.puts {
            changes.insert(key.as_slice(), value.as_slice());
        }
        self.db.apply_batch(changes).map_err(error)?;
        self.db.flush().map_err(error)?;
        self.file.sync_all()?;
        self.settle()
    }

    fn scan(&self, from: Key, until: Key, visit: &mut Visit<'_>) -> Result<(), EngineError> {
        for entry in self.db.range(from.as_slice()..until.as_slice()) {
            let (key, value) = entry.map_err(error)?;
            let key = Key::try_from(key.as_ref())
                .map_err(|_| EngineError::Damaged(format!("a key of {} bytes", key.len())))?;
            if let ControlFlow::Break(()) = visit(&key, &value) {
                break;
            }
        }
        Ok(())
    }
}

/// What sled calls a snapshot is an index of its log, from which it makes another where there is none. One that
/// cannot be used would make it call the log damaged. Tells whether there was any.
fn set_index_aside(folder: &Path) -> Result<bool, EngineError> {
    let mut any = false;
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") {
            std::fs::rename(folder.join(&*name), folder.join(format!("aside.{name}")))?;
            any = true;
        }
    }
    if any {
        tracing::warn!(folder = %folder.display(), "sled does not open with its index; it is made anew from the log");
    }
    Ok(any)
}

/// Whether somebody holds sled's own lock. We hold the folder's, so it can only be what this process had open before:
/// sled lets go on a thread of its own, and a child that is just being started holds it until it runs.
fn is_locked(error: &::sled::Error) -> bool {
    let ::sled::Error::Io(error) = error else {
        return false;
    };
    error.to_string().contains("could not acquire lock")
}

/// How often the lock is tried again; sled tells nobody when it is free.
const LOCK_LOOK: Duration = Duration::from_millis(5);

fn error(error: ::sled::Error) -> EngineError {
    match error {
        ::sled::Error::Io(error) => error.into(),
        ::sled::Error::CollectionNotFound(_)
        | ::sled::Error::Unsupported(_)
        | ::sled::Error::ReportableBug(_)
        | ::sled::Error::Corruption { .. } => EngineError::Damaged(error.to_string()),
    }
}
