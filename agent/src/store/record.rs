//! Records and other cells as bytes, and the keys under which an engine keeps them.
//!
//! Decides what ties a record to its number and to the one before it.

use std::fmt;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::engine::{Batch, Key};
use crate::limits::STORE_PART_BYTES;

/// The SHA-256 of a record together with everything before it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Digest([u8; 32]);

impl Digest {
    /// What the first record follows.
    pub const ORIGIN: Self = Self([0; 32]);

    /// The digest of a record, by its number, the digest before it, and what it says.
    #[must_use]
    pub fn following(self, index: u64, payload: &[u8]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(b"skep record 1");
        hasher.update(index.to_be_bytes());
        hasher.update(self.0);
        hasher.update(payload);
        Self(hasher.finalize().into())
    }

    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The plain digest of some bytes.
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .take(6)
            .try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_char('…')
    }
}

/// What kind of thing a key leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    Head,
    Records,
    /// Two places for a snapshot, so that a new one is whole before the old one goes.
    Snapshot(Slot),
}

/// One of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Slot {
    A,
    B,
}

impl Slot {
    pub(super) fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

impl Table {
    fn byte(self) -> u8 {
        match self {
            Self::Head => 1,
            Self::Records => 2,
            Self::Snapshot(Slot::A) => 3,
            Self::Snapshot(Slot::B) => 4,
        }
    }

    /// The first key of a cell; every key of the cell before it is smaller.
    pub(super) fn key(self, index: u64) -> Key {
        self.part(index, 0)
    }

    /// The first key after the table.
    pub(super) fn end(self) -> Key {
        let mut key = [0; 11];
        key[0] = self.byte() + 1;
        key
    }

    fn part(self, index: u64, part: u16) -> Key {
        let mut key = [0; 11];
        let (table, rest) = key.split_at_mut(1);
        let (number, place) = rest.split_at_mut(8);
        table.copy_from_slice(&[self.byte()]);
        number.copy_from_slice(&index.to_be_bytes());
        place.copy_from_slice(&part.to_be_bytes());
        key
    }
}

/// The number of a cell and of its part, as a key has them.
pub(super) fn parts_of(key: &Key) -> (u64, u16) {
    let [_, index @ .., part_high, part_low] = key;
    (
        u64::from_be_bytes(*index),
        u16::from_be_bytes([*part_high, *part_low]),
    )
}

/// Writes a cell: in parts, so that no value is ever large.
pub(super) fn put(batch: &mut Batch, table: Table, index: u64, cell: &[u8]) {
    for (part, piece) in (0..).zip(cell.chunks(STORE_PART_BYTES)) {
        batch.put(table.part(index, part), piece.to_vec());
    }
}

/// A record as it is kept: version, digest of the one before, own digest, payload.
pub(super) fn seal(previous: Digest, digest: Digest, payload: &[u8]) -> Vec<u8> {
    let mut cell = Vec::with_capacity(RECORD_HEADER_BYTES + payload.len());
    cell.push(RECORD_FORMAT);
    cell.extend_from_slice(&previous.0);
    cell.extend_from_slice(&digest.0);
    cell.extend_from_slice(payload);
    cell
}

/// A record that is what it says.
#[derive(Debug)]
pub(super) struct Record<'a> {
    pub(super) previous: Digest,
    pub(super) digest: Digest,
    pub(super) payload: &'a [u8],
}

/// Checks a record against its number and itself; what is wrong otherwise.
pub(super) fn unseal(index: u64, cell: &[u8]) -> Result<Record<'_>, String> {
    let (version, rest) = cell.split_first().ok_or("is empty")?;
    if *version != RECORD_FORMAT {
        return Err(format!("is of the unknown version {version}"));
    }
    let (previous, rest) = rest.split_first_chunk().ok_or("is cut short")?;
    let (digest, payload) = rest.split_first_chunk().ok_or("is cut short")?;
    let (previous, digest) = (Digest(*previous), Digest(*digest));
    if previous.following(index, payload) != digest {
        return Err("is not what was written".into());
    }
    Ok(Record {
        previous,
        digest,
        payload,
    })
}

const RECORD_FORMAT: u8 = 1;
const RECORD_HEADER_BYTES: usize = 65;
