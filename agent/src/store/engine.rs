//! What keeps keys and values on the disk, and the guard around it.
//!
//! Decides what an engine must do, and that an engine that panics harms nobody. Refuses to know what
//! the keys mean.

mod redb;
mod sled;

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Which engine keeps the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineKind {
    /// sled 0.34: a log-structured tree. Costs an idle agent 22 MiB (of histograms that it zeroes and never uses) and seven
    /// threads.
    Sled,
    /// redb: a copy-on-write tree in one file. Costs less than one.
    #[default]
    Redb,
}

impl EngineKind {
    /// Every engine.
    pub const ALL: [Self; 2] = [Self::Sled, Self::Redb];

    /// The name in `state.engine`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sled => "sled",
            Self::Redb => "redb",
        }
    }

    /// The engine of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The engine to use in a log's folder: the one that is wanted, else the one that is there, else the usual one.
    #[must_use]
    pub fn choose(wanted: Option<Self>, folder: &Path) -> Self {
        let there = || {
            Self::ALL
                .into_iter()
                .find(|kind| kind.place(folder).exists())
        };
        wanted.or_else(there).unwrap_or_default()
    }

    /// Where in the log's folder it keeps its own.
    pub(super) fn place(self, folder: &Path) -> PathBuf {
        folder.join(self.name())
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A key: see `record.rs`. Keys are ordered by their bytes.
pub(super) type Key = [u8; 11];

/// What is to change, all of it or nothing.
#[derive(Debug, Default)]
pub(super) struct Batch {
    removals: Vec<(Key, Key)>,
    puts: Vec<(Key, Vec<u8>)>,
    bytes: usize,
}

impl Batch {
    pub(super) fn put(&mut self, key: Key, value: Vec<u8>) {
        self.bytes += value.len();
        self.puts.push((key, value));
    }

    /// Removes what is there before the batch, from the first key on and before the second.
    pub(super) fn remove(&mut self, from: Key, until: Key) {
        self.removals.push((from, until));
    }

    /// Of all values.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Why an engine did not do what it was asked.
#[derive(Debug)]
pub(super) enum EngineError {
    /// The system said no: nothing speaks against what is on the disk.
    System(io::Error),
    /// What is on the disk makes no sense to the engine.
    Damaged(String),
}

impl From<io::Error> for EngineError {
    fn from(error: io::Error) -> Self {
        // What the system itself said has a number. The others an engine made up of what it read,
        // except that both engines say so when somebody else has the file.
        let of_system = error
            .raw_os_error()
            .is_some_and(|number| number != rustix::io::Errno::INVAL.raw_os_error());
        let text = error.to_string();
        if of_system || text.contains("lock") {
            Self::System(error)
        } else {
            Self::Damaged(text)
        }
    }
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System(error) => error.fmt(f),
            Self::Damaged(why) => f.write_str(why),
        }
    }
}

/// Keys and values on the disk.
pub(super) trait Engine: Send {
    /// Makes the changes; once this returns they are durable, all of them, or it failed.
    fn commit(&mut self, batch: &Batch) -> Result<(), EngineError>;

    /// Shows keys in order, from the first and before the second, until told to stop.
    fn scan(&self, from: Key, until: Key, visit: &mut Visit<'_>) -> Result<(), EngineError>;
}

/// Is shown a key and its value.
pub(super) type Visit<'a> = dyn FnMut(&Key, &[u8]) -> ControlFlow<()> + 'a;

/// An engine whose panics are errors. One that panicked or failed is left as it is, with its memory and
/// its threads, until the process ends: what a broken engine does when it closes is not known.
pub(super) struct Guarded {
    /// None only once it is being dropped.
    engine: Option<Box<dyn Engine>>,
    broken: Cell<bool>,
}

impl Guarded {
    /// Opens what is there, or makes it. The engine has checked what it keeps for itself, as far as it can.
    pub(super) fn open(kind: EngineKind, place: &Path) -> Result<Self, EngineError> {
        let engine: Box<dyn Engine> = match kind {
            EngineKind::Sled => guard(|| Ok(Box::new(sled::Sled::open(place)?)))?,
            EngineKind::Redb => guard(|| Ok(Box::new(redb::Redb::open(place)?)))?,
        };
        Ok(Self {
            engine: Some(engine),
            broken: Cell::new(false),
        })
    }

    /// What can still be read where `open` found damage; only to be scanned. None when nothing can.
    pub(super) fn open_damaged(kind: EngineKind, place: &Path) -> Option<Self> {
        let engine: Box<dyn Engine> = match kind {
            // It has no looser way to open.
            EngineKind::Sled => return None,
            EngineKind::Redb => guard(|| Ok(Box::new(redb::Redb::open_damaged(place)?))).ok()?,
        };
        Some(Self {
            engine: Some(engine),
            broken: Cell::new(true),
        })
    }

    pub(super) fn commit(&mut self, batch: &Batch) -> Result<(), EngineError> {
        let engine = self.engine.as_mut().ok_or_else(closed)?;
        let done = guard(|| engine.commit(batch));
        if done.is_err() {
            self.give_up();
        }
        done
    }

    pub(super) fn scan(
        &self,
        from: Key,
        until: Key,
        visit: &mut Visit<'_>,
    ) -> Result<(), EngineError> {
        let engine = self.engine.as_ref().ok_or_else(closed)?;
        let done = guard(|| engine.scan(from, until, visit));
        if done.is_err() {
            self.give_up();
        }
        done
    }

    /// From now on it counts as broken.
    pub(super) fn give_up(&self) {
        self.broken.set(true);
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let engine = self.engine.take();
        if self.broken.get() {
            std::mem::forget(engine);
            return;
        }
        let closed = guard(|| {
            drop(engine);
            Ok(())
        });
        if let Err(error) = closed {
            tracing::warn!(%error, "the log's engine did not close cleanly");
        }
    }
}

fn closed() -> EngineError {
    EngineError::Damaged("the engine is closed".into())
}

fn guard<T>(work: impl FnOnce() -> Result<T, EngineError>) -> Result<T, EngineError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        Err(EngineError::Damaged(format!(
            "the engine panicked: {}",
            said(&*panic)
        )))
    })
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a word");
    text.chars().take(PANIC_TEXT_CHARACTERS).collect()
}

/// A sentence; sled's panics can carry a page of bytes.
const PANIC_TEXT_CHARACTERS: usize = 200;
