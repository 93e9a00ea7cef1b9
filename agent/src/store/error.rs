//! Why the log does not do what it was asked.

use std::io;
use std::path::PathBuf;

use super::engine::EngineKind;

/// Why the log does not do what it was asked. What was acknowledged before stays.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Something around the log; nothing was changed.
    #[error("could not open the log in `{path}`: {why}; mend that and start again")]
    Open {
        /// Where.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// Another process has it.
    #[error("the log in `{0}` is in use by another process; stop that one first")]
    Busy(PathBuf),
    /// Written by the other engine.
    #[error("the log in `{path}` was written by {found}; set `state.engine` to `{found}`")]
    OtherEngine {
        /// Where.
        path: PathBuf,
        /// By whom.
        found: EngineKind,
    },
    /// So many damaged logs have a cause that somebody has to look at.
    #[error(
        "the log in `{path}` is damaged ({why}), and {count} damaged ones lie beside it already; \
         look at the disk, then move or delete the folders `{path}.damaged-*`"
    )]
    TooMuchDamage {
        /// Where.
        path: PathBuf,
        /// This time.
        why: String,
        /// Before.
        count: usize,
    },
    /// A write failed. Nothing more is accepted until the log is opened anew.
    #[error("the log could not be written ({0}) and takes nothing more; mend the disk and restart")]
    Failed(String),
    /// What was read is not what was written.
    #[error("the log is damaged ({0}); restart, and what is whole of it is carried over")]
    Damaged(String),
    /// Records have numbers without gaps.
    #[error("record {found} does not follow record {last}")]
    Order {
        /// What was given.
        found: u64,
        /// The newest.
        last: u64,
    },
    /// Before the oldest or after the newest.
    #[error("record {index} is not kept; {first} to {last} are")]
    OutOfRange {
        /// What was asked.
        index: u64,
        /// The oldest.
        first: u64,
        /// The newest.
        last: u64,
    },
    /// Larger than it may be.
    #[error("{what} of {bytes} bytes is larger than {limit}")]
    Large {
        /// Of what kind.
        what: &'static str,
        /// So large.
        bytes: usize,
        /// At most so large.
        limit: usize,
    },
    /// It was closed.
    #[error("the log is closed")]
    Closed,
}

impl StoreError {
    pub(super) fn open(path: &std::path::Path, error: &io::Error) -> Self {
        Self::Open {
            path: path.to_owned(),
            why: error.to_string(),
        }
    }
}
