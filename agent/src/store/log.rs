//! The log itself, on one thread: what follows what, and what is accepted.

use serde::{Deserialize, Serialize};

use super::engine::{Batch, EngineError, Guarded};
use super::error::StoreError;
use super::head::{Head, SnapshotHead};
use super::record::{self, Digest, Slot, Table};
use super::verify;
use super::witness::Witness;
use crate::limits::{
    STORE_GROUP_BYTES, STORE_RECORD_BYTES_MAX, STORE_SNAPSHOT_BYTES_MAX, STORE_VALUE_BYTES_MAX,
    STORE_VALUES_MAX,
};

/// Records in a row, as they were read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Records {
    /// The number of the first.
    pub first: u64,
    /// Of the record before the first.
    pub previous: Digest,
    /// What they say.
    pub payloads: Vec<Vec<u8>>,
}

/// What all records up to one came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// The newest record that is in it.
    pub index: u64,
    /// Of that record.
    pub digest: Digest,
    /// What it came to.
    #[serde(with = "serde_bytes")]
    pub content: Vec<u8>,
}

/// An open log.
pub(super) struct Log {
    engine: Guarded,
    witness: Witness,
    head: Head,
    /// Why nothing more is accepted.
    failed: Option<StoreError>,
}

/// Changes that are to be committed together.
#[derive(Debug)]
pub(super) struct Draft {
    batch: Batch,
    head: Head,
}

impl Draft {
    /// Adds records at the end.
    pub(super) fn append(&mut self, first: u64, payloads: &[Vec<u8>]) -> Result<(), StoreError> {
        if first != self.head.last + 1 {
            return Err(StoreError::Order {
                found: first,
                last: self.head.last,
            });
        }
        for payload in payloads {
            bounded("a record", payload.len(), STORE_RECORD_BYTES_MAX)?;
        }
        for payload in payloads {
            let index = self.head.last + 1;
            let digest = self.head.digest.following(index, payload);
            let cell = record::seal(self.head.digest, digest, payload);
            record::put(&mut self.batch, Table::Records, index, &cell);
            self.head.last = index;
            self.head.digest = digest;
        }
        Ok(())
    }

    /// Sets a small value, or removes it when it is empty.
    pub(super) fn set(&mut self, number: u8, value: Vec<u8>) -> Result<(), StoreError> {
        bounded("a value", value.len(), STORE_VALUE_BYTES_MAX)?;
        let values = &mut self.head.values;
        if value.is_empty() {
            values.remove(&number);
            return Ok(());
        }
        let others = values.len() - usize::from(values.contains_key(&number));
        bounded("a set of values", others + 1, STORE_VALUES_MAX)?;
        values.insert(number, value);
        Ok(())
    }

    pub(super) fn bytes(&self) -> usize {
        self.batch.bytes()
    }
}

impl Log {
    /// Makes a log in an empty place.
    pub(super) fn create(engine: Guarded, witness: &std::path::Path) -> Result<Self, EngineError> {
        let head = Head::empty();
        let mut engine = engine;
        let mut batch = Batch::default();
        record::put(&mut batch, Table::Head, 0, &head.seal());
        engine.commit(&batch)?;
        Ok(Self {
            engine,
            witness: Witness::create(witness, &head)?,
            head,
            failed: None,
        })
    }

    /// A log whose parts were checked.
    pub(super) fn checked(engine: Guarded, witness: Witness, head: Head) -> Self {
        Self {
            engine,
            witness,
            head,
            failed: None,
        }
    }

    pub(super) fn first(&self) -> u64 {
        self.head.first
    }

    pub(super) fn last(&self) -> u64 {
        self.head.last
    }

    pub(super) fn snapshot_index(&self) -> Option<u64> {
        self.head.snapshot.map(|snapshot| snapshot.index)
    }

    pub(super) fn value(&self, number: u8) -> Option<Vec<u8>> {
        self.head.values.get(&number).cloned()
    }

    pub(super) fn draft(&self) -> Draft {
        Draft {
            batch: Batch::default(),
            head: self.head.clone(),
        }
    }

    /// Makes the changes; they are durable once this returns. After an error nothing more is accepted.
    pub(super) fn commit(&mut self, mut draft: Draft) -> Result<(), StoreError> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        draft.head.commits += 1;
        record::put(&mut draft.batch, Table::Head, 0, &draft.head.seal());
        self.engine
            .commit(&draft.batch)
            .and_then(|()| Ok(self.witness.write(&draft.head)?))
            .map_err(|error| self.fail(&error))?;
        self.head = draft.head;
        Ok(())
    }

    /// Removes every record after this one.
    pub(super) fn truncate_after(&mut self, index: u64) -> Result<(), StoreError> {
        if index >= self.head.last {
            return Ok(());
        }
        let digest = self.digest(index)?;
        let mut draft = self.draft();
        draft
            .batch
            .remove(Table::Records.key(index + 1), Table::Records.end());
        draft.head.last = index;
        draft.head.digest = digest;
        draft.head.first = draft.head.first.min(index + 1);
        self.commit(draft)
    }

    /// Removes the records up to this one; the snapshot must have them.
    pub(super) fn purge_up_to(&mut self, index: u64) -> Result<(), StoreError> {
        if index < self.head.first {
            return Ok(());
        }
        if self.snapshot_index().is_none_or(|in_it| in_it < index) {
            return Err(self.out_of_range(index));
        }
        let mut draft = self.draft();
        draft
            .batch
            .remove(Table::Records.key(0), Table::Records.key(index + 1));
        draft.head.first = index + 1;
        self.commit(draft)
    }

    /// Keeps what all records up to this one came to.
    pub(super) fn save(&mut self, index: u64, content: &[u8]) -> Result<(), StoreError> {
        let digest = self.digest(index)?;
        self.keep(index, digest, content, |_| {})
    }

    /// Begins anew from somebody else's snapshot: every record goes.
    pub(super) fn install(&mut self, base: &Base) -> Result<(), StoreError> {
        self.keep(base.index, base.digest, &base.content, |draft| {
            draft
                .batch
                .remove(Table::Records.key(0), Table::Records.end());
            draft.head.first = base.index + 1;
            draft.head.last = base.index;
            draft.head.digest = base.digest;
        })
    }

    fn keep(
        &mut self,
        index: u64,
        digest: Digest,
        content: &[u8],
        finish: impl FnOnce(&mut Draft),
    ) -> Result<(), StoreError> {
        bounded("a snapshot", content.len(), STORE_SNAPSHOT_BYTES_MAX)?;
        let slot = self
            .head
            .snapshot
            .map_or(Slot::A, |snapshot| snapshot.slot.other());
        let table = Table::Snapshot(slot);
        // First the content, where nothing refers to yet; a crash leaves it to be overwritten.
        let mut draft = self.draft();
        draft.batch.remove(table.key(0), table.end());
        self.commit(draft)?;
        for (number, piece) in (0..).zip(content.chunks(STORE_GROUP_BYTES)) {
            let mut draft = self.draft();
            record::put(&mut draft.batch, table, number, piece);
            self.commit(draft)?;
        }
        let mut draft = self.draft();
        let old = Table::Snapshot(slot.other());
        draft.batch.remove(old.key(0), old.end());
        draft.head.snapshot = Some(SnapshotHead {
            index,
            digest,
            bytes: content.len() as u64,
            content: Digest::of(content),
            slot,
        });
        finish(&mut draft);
        self.commit(draft)
    }

    /// The newest snapshot.
    pub(super) fn snapshot(&mut self) -> Result<Option<Base>, StoreError> {
        let Some(head) = self.head.snapshot else {
            return Ok(None);
        };
        match verify::snapshot(&self.engine, &head) {
            Ok(base) => Ok(Some(base)),
            Err(why) => Err(self.damaged(why)),
        }
    }

    /// Records from this one on: at least one when there is any, then as many as the bytes allow.
    pub(super) fn read(&mut self, from: u64, bytes_max: usize) -> Result<Records, StoreError> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        if from < self.head.first || from > self.head.last + 1 {
            return Err(self.out_of_range(from));
        }
        let mut records = Records {
            first: from,
            previous: self.head.digest,
            payloads: Vec::new(),
        };
        let mut left = bytes_max;
        let read = verify::records(&self.engine, from, &mut |_, record| {
            if records.payloads.is_empty() {
                records.previous = record.previous;
            } else if left < record.payload.len() {
                return false;
            }
            left = left.saturating_sub(record.payload.len());
            records.payloads.push(record.payload.to_vec());
            true
        });
        match read {
            Ok(()) if records.payloads.is_empty() && from <= self.head.last => {
                Err(self.damaged(format!("record {from} is not there")))
            }
            Ok(()) => Ok(records),
            Err(why) => Err(self.damaged(why)),
        }
    }

    /// The digest of a record that is kept, or of the snapshot.
    pub(super) fn digest(&mut self, index: u64) -> Result<Digest, StoreError> {
        if index == self.head.last {
            return Ok(self.head.digest);
        }
        if let Some(snapshot) = self
            .head
            .snapshot
            .filter(|snapshot| snapshot.index == index)
        {
            return Ok(snapshot.digest);
        }
        if index == 0 && self.head.first == 1 {
            return Ok(Digest::ORIGIN);
        }
        // What the next one follows.
        Ok(self.read(index.saturating_add(1), 0)?.previous)
    }

    fn out_of_range(&self, index: u64) -> StoreError {
        StoreError::OutOfRange {
            index,
            first: self.head.first,
            last: self.head.last,
        }
    }

    fn fail(&mut self, error: &EngineError) -> StoreError {
        let failed = match error {
            EngineError::System(error) => StoreError::Failed(error.to_string()),
            EngineError::Damaged(why) => StoreError::Damaged(why.clone()),
        };
        self.close_gate(failed)
    }

    fn damaged(&mut self, why: String) -> StoreError {
        self.close_gate(StoreError::Damaged(why))
    }

    fn close_gate(&mut self, failed: StoreError) -> StoreError {
        tracing::error!(error = %failed, "the log takes nothing more");
        self.engine.give_up();
        self.failed = Some(failed.clone());
        failed
    }
}

fn bounded(what: &'static str, bytes: usize, limit: usize) -> Result<(), StoreError> {
    if bytes > limit {
        return Err(StoreError::Large { what, bytes, limit });
    }
    Ok(())
}
