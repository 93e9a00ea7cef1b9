//! What became of the latest requests: where each ran, why there, and how long it took.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// One request, in short. Neither prompt nor answer is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Trace {
    pub request: u64,
    pub at_unix_s: u64,
    /// 0: nobody's.
    pub key: u64,
    pub model: Arc<str>,
    pub replica: u64,
    /// The scheduler's own words.
    pub why: String,
    pub routed_after_us: u64,
    pub first_after_us: Option<u64>,
    pub took_us: u64,
    pub prompt_tokens: u64,
    pub cached_tokens: u64,
    pub completion_tokens: u64,
    pub outcome: Outcome,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Answered,
    Failed,
    Cut,
}

impl From<skep_core::Outcome> for Outcome {
    fn from(outcome: skep_core::Outcome) -> Self {
        match outcome {
            skep_core::Outcome::Answered => Self::Answered,
            skep_core::Outcome::Failed => Self::Failed,
            skep_core::Outcome::Cut => Self::Cut,
        }
    }
}

/// The latest traces; older ones make room.
#[derive(Debug, Default)]
pub struct Traces {
    kept: Mutex<VecDeque<Trace>>,
}

impl Traces {
    pub(super) fn add(&self, trace: Trace) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= TRACES_MAX {
            kept.pop_front();
        }
        kept.push_back(trace);
    }

    /// Newest first.
    #[must_use]
    pub(super) fn latest(&self) -> Vec<Trace> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().rev().cloned().collect()
    }
}

/// What one looks back over by eye; some 60 KiB.
const TRACES_MAX: usize = 256;
