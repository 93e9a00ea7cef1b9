//! What a leader sends to those that follow it.

use serde::{Deserialize, Serialize};
use skep_core::ClusterId;
use skep_core::state::State;

use super::error::FollowError;
use crate::store::{Base, Records, Store, StoreError};

/// What brings a follower further.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Feed {
    /// The next entries; none when the follower has them all.
    Entries(Entries),
    /// Everything at once.
    Snapshot(Snapshot),
}

/// Entries of the log, in a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entries {
    /// Of which cluster.
    pub cluster: ClusterId,
    /// The entries, each an encoded command.
    pub records: Records,
}

/// What all entries up to one came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Of which cluster.
    pub cluster: ClusterId,
    /// The encoded state.
    pub base: Base,
}

pub(super) async fn after(
    store: &Store,
    state: &State,
    index: u64,
    bytes_max: usize,
) -> Result<Feed, FollowError> {
    let cluster = state.cluster().ok_or(FollowError::Empty)?.id;
    match store.read(index.saturating_add(1), bytes_max).await {
        Ok(records) => Ok(Feed::Entries(Entries { cluster, records })),
        Err(StoreError::OutOfRange { last, .. }) if index > last => {
            Err(FollowError::Ahead { asked: index, last })
        }
        Err(out_of_range @ StoreError::OutOfRange { .. }) => {
            let base = store.snapshot().await?.ok_or(out_of_range)?;
            Ok(Feed::Snapshot(Snapshot { cluster, base }))
        }
        Err(error) => Err(error.into()),
    }
}
