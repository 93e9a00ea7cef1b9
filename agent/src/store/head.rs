//! Where a log begins and ends, and the small values beside it: rewritten with every commit, in the
//! engine and in the witness.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::record::{Digest, Slot};

/// The head of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    /// How many commits there were.
    pub(super) commits: u64,
    /// The oldest record that is kept; one more than `last` when none is.
    pub(super) first: u64,
    /// The newest record; 0 when there never was one.
    pub(super) last: u64,
    /// Of the newest record.
    pub(super) digest: Digest,
    pub(super) snapshot: Option<SnapshotHead>,
    /// Small values by their number.
    pub(super) values: BTreeMap<u8, Vec<u8>>,
}

/// The snapshot of a log: what all records up to one came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SnapshotHead {
    /// The newest record that is in it.
    pub(super) index: u64,
    /// Of that record.
    pub(super) digest: Digest,
    pub(super) bytes: u64,
    /// Of the snapshot's bytes.
    pub(super) content: Digest,
    pub(super) slot: Slot,
}

impl Head {
    /// Of a log without records.
    pub(super) fn empty() -> Self {
        Self {
            commits: 0,
            first: 1,
            last: 0,
            digest: Digest::ORIGIN,
            snapshot: None,
            values: BTreeMap::new(),
        }
    }

    /// The head as bytes: version, digest, the rest.
    pub(super) fn seal(&self) -> Vec<u8> {
        // Numbers, digests and short byte strings always have a form.
        let body = postcard::to_stdvec(self).unwrap_or_default();
        let mut sealed = vec![HEAD_FORMAT];
        sealed.extend_from_slice(Digest::of(&body).as_bytes());
        sealed.extend_from_slice(&body);
        sealed
    }

    /// A head from bytes; none when they are none.
    pub(super) fn unseal(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (digest, body) = rest.split_first_chunk::<32>()?;
        if *version != HEAD_FORMAT || Digest::of(body).as_bytes() != digest {
            return None;
        }
        let (head, left): (Self, _) = postcard::take_from_bytes(body).ok()?;
        left.is_empty().then_some(head)
    }
}

const HEAD_FORMAT: u8 = 1;
