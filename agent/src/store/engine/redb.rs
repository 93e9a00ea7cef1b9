//! redb: one file, copy on write.
//!
//! Commits are immediate and in two phases: a crash, and a second one during recovery, then leaves the
//! last commit whole without relying on checksums alone. Each open checks every page, those that redb
//! keeps for itself included: a damaged one of these would let everything be read and nothing be written.

use std::fs::File;
use std::ops::ControlFlow;
use std::path::Path;

use ::redb::{Builder, Database, Durability, ReadableDatabase, TableDefinition};

use super::{Batch, Engine, EngineError, Key, Visit};
use crate::limits::STORE_CACHE_BYTES;

const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("log");

pub(super) struct Redb {
    database: Database,
}

impl Redb {
    pub(super) fn open(place: &Path) -> Result<Self, EngineError> {
        let database = builder()
            .set_check_integrity_on_open(true)
            .create(place)
            .map_err(error)?;
        let opened = Self { database };
        // Without the table there would be nothing to read from.
        opened.write(&Batch::default())?;
        if let Some(folder) = place.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(opened)
    }

    /// Trusts the file as it is, for what can still be read.
    pub(super) fn open_damaged(place: &Path) -> Result<Self, EngineError> {
        let database = builder().open(place).map_err(error)?;
        Ok(Self { database })
    }

    fn write(&self, batch: &Batch) -> Result<(), EngineError> {
        let mut transaction = self.database.begin_write().map_err(error)?;
        transaction
            .set_durability(Durability::Immediate)
            .map_err(error)?;
        transaction.set_two_phase_commit(true);
        {
            let mut table = transaction.open_table(TABLE).map_err(error)?;
            for (from, until) in &batch.removals {
                table
                    .retain_in(from.as_slice()..until.as_slice(), |_, _| false)
                    .map_err(error)?;
            }
            for (key, value) in &batch.puts {
                table
                    .insert(key.as_slice(), value.as_slice())
                    .map_err(error)?;
            }
        }
        transaction.commit().map_err(error)
    }
}

fn builder() -> Builder {
    let cache = usize::try_from(STORE_CACHE_BYTES).unwrap_or(usize::MAX);
    let mut builder = Database::builder();
    builder.set_cache_size(cache);
    builder
}

impl Engine for Redb {
    fn commit(&mut self, batch: &Batch) -> Result<(), EngineError> {
        self.write(batch)
    }

    fn scan(&self, from: Key, until: Key, visit: &mut Visit<'_>) -> Result<(), EngineError> {
        let transaction = self.database.begin_read().map_err(error)?;
        let table = transaction.open_table(TABLE).map_err(error)?;
        let range = table
            .range(from.as_slice()..until.as_slice())
            .map_err(error)?;
        for entry in range {
            let (key, value) = entry.map_err(error)?;
            let key = Key::try_from(key.value()).map_err(|_| {
                EngineError::Damaged(format!("a key of {} bytes", key.value().len()))
            })?;
            if let ControlFlow::Break(()) = visit(&key, value.value()) {
                break;
            }
        }
        Ok(())
    }
}

fn error(error: impl Into<::redb::Error>) -> EngineError {
    match error.into() {
        ::redb::Error::Io(error) => error.into(),
        ::redb::Error::DatabaseAlreadyOpen => {
            EngineError::System(std::io::ErrorKind::ResourceBusy.into())
        }
        other => EngineError::Damaged(other.to_string()),
    }
}
