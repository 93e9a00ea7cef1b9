//! What became of the latest requests: where each ran, why there and not elsewhere, and how long it took.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::host::scheduler::{Candidate, Choice};
use crate::scheduling::{Chosen, Decision};

/// One request, in short. Neither prompt nor answer is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    pub request: u64,
    /// What its client calls it, as the header `x-request-id` says; answers' ids end with it.
    pub id: Option<Arc<str>>,
    pub at_unix_s: u64,
    /// 0: nobody's.
    pub key: u64,
    pub model: Arc<str>,
    /// 0: none took it.
    pub replica: u64,
    /// What its node is called.
    pub node: Option<String>,
    /// Who decided.
    pub policy: Arc<str>,
    /// What the policy in use did wrong, where the built-in rule decided in its stead.
    pub fault: Option<String>,
    /// The scheduler's own words, also where it refused.
    pub why: String,
    /// Best first.
    pub ranked: Vec<Considered>,
    /// Those that could not serve it.
    pub passed_over: Vec<Considered>,
    /// How long it waited for its place and its model.
    pub admitted_after_us: u64,
    /// How long the scheduler took.
    pub decided_in_us: u64,
    pub routed_after_us: u64,
    pub first_after_us: Option<u64>,
    pub took_us: u64,
    pub prompt_tokens: u64,
    pub cached_tokens: u64,
    pub completion_tokens: u64,
    /// Where it went when its replica was lost: the first of them, part by part.
    pub moves: Vec<Move>,
    pub outcome: Outcome,
}

/// A part of a request went on elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    pub after_us: u64,
    pub from: u64,
    /// The same replica when its worker was started again.
    pub to: u64,
    /// What became of the worker.
    pub why: String,
}

/// A replica that was considered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Considered {
    pub replica: u64,
    /// What its node is called.
    pub node: Option<String>,
    pub why: String,
    /// Why it did not take the request when it was offered.
    pub refused: Option<String>,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Answered,
    Failed,
    Cut,
}

impl Trace {
    /// What a decision tells; the rest is still to come.
    pub(super) fn new(decision: &Decision<Choice>, home: impl Fn(u64) -> Option<String>) -> Self {
        let considered = |candidates: &[Candidate]| {
            let considered = candidates.iter().map(|candidate| Considered {
                replica: candidate.replica,
                node: home(candidate.replica),
                why: candidate.why.clone(),
                refused: None,
            });
            considered.collect()
        };
        let (ranked, passed_over) = match &decision.answer {
            Ok(choice) => (considered(&choice.ranked), considered(&choice.passed_over)),
            Err(_) => (Vec::new(), Vec::new()),
        };
        Self {
            request: 0,
            id: None,
            at_unix_s: 0,
            key: 0,
            model: Arc::default(),
            replica: 0,
            node: None,
            policy: decision.by.clone(),
            fault: decision.fault.clone(),
            why: match &decision.answer {
                Ok(choice) => choice.why.clone(),
                Err(refusal) => Chosen::words(refusal).to_owned(),
            },
            ranked,
            passed_over,
            admitted_after_us: 0,
            decided_in_us: u64::try_from(decision.took.as_micros()).unwrap_or(u64::MAX),
            routed_after_us: 0,
            first_after_us: None,
            took_us: 0,
            prompt_tokens: 0,
            cached_tokens: 0,
            completion_tokens: 0,
            moves: Vec::new(),
            outcome: Outcome::Cut,
        }
    }

    pub(super) fn taken_by(&mut self, replica: u64) {
        self.replica = replica;
        let taken = self.ranked.iter().find(|one| one.replica == replica);
        self.node = taken.and_then(|one| one.node.clone());
    }

    /// Another replica goes on with it.
    pub(super) fn taken_on_by(&mut self, replica: u64, node: Option<String>) {
        self.replica = replica;
        self.node = node;
    }

    pub(super) fn refused_by(&mut self, replica: u64, why: String) {
        let found = self.ranked.iter_mut().find(|one| one.replica == replica);
        if let Some(considered) = found {
            considered.refused = Some(why);
        }
    }

    /// How fast its replica answered: the first token after the request was sent, and the mean time between tokens where
    /// there were several. None when nothing was measured, or when it moved and is no one replica's.
    pub(super) fn latency(&self) -> Option<(u64, Option<u64>)> {
        let first = self.first_after_us?;
        if !self.moves.is_empty() {
            return None;
        }
        let gaps = self.completion_tokens.saturating_sub(1);
        let rest = self.took_us.saturating_sub(first);
        let per_token = match self.outcome {
            Outcome::Answered => rest.checked_div(gaps),
            Outcome::Failed | Outcome::Cut => None,
        };
        Some((first.saturating_sub(self.routed_after_us), per_token))
    }

    /// Whether somebody means this one by a number, or by the id of the request or of its answer.
    fn is_meant_by(&self, name: &str) -> bool {
        if name.parse() == Ok(self.request) {
            return true;
        }
        let bare = |id: &str| {
            let prefixes = ["chatcmpl-", "cmpl-", "req_"];
            let rest = prefixes.iter().find_map(|prefix| id.strip_prefix(prefix));
            rest.unwrap_or(id).to_owned()
        };
        self.id
            .as_deref()
            .is_some_and(|id| id == name || bare(id) == bare(name))
    }
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

    /// The newest that is meant by a number, an id, or `last`.
    pub(super) fn find(&self, name: &str) -> Option<Trace> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if name == "last" {
            return kept.back().cloned();
        }
        let mut newest_first = kept.iter().rev();
        newest_first.find(|trace| trace.is_meant_by(name)).cloned()
    }
}

/// What one looks back over by eye; some 200 KiB, and 700 where a scheduler says all that it may.
const TRACES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::scheduler::Refusal;
    use std::time::Duration;

    fn trace(request: u64, id: &str) -> Trace {
        let decision = Decision {
            answer: Err(Refusal::Busy("later".to_owned())),
            by: "spread".into(),
            fault: None,
            took: Duration::from_micros(7),
        };
        let mut trace = Trace::new(&decision, |_| None);
        trace.request = request;
        trace.id = Some(id.into());
        trace
    }

    #[test]
    fn a_request_is_found_by_every_name_that_it_has() {
        let traces = Traces::default();
        assert_eq!(traces.find("last"), None);
        traces.add(trace(1, "req_00ff000000000001"));
        traces.add(trace(2, "my-own-id"));
        traces.add(trace(3, "my-own-id"));
        for (name, expect) in [
            ("1", Some(1)),
            ("req_00ff000000000001", Some(1)),
            ("chatcmpl-00ff000000000001", Some(1)),
            ("cmpl-00ff000000000001", Some(1)),
            ("my-own-id", Some(3)),
            ("chatcmpl-my-own-id", Some(3)),
            ("last", Some(3)),
            ("4", None),
            ("", None),
            ("chatcmpl-", None),
        ] {
            let found = traces.find(name).map(|trace| trace.request);
            assert_eq!(found, expect, "{name}");
        }
        assert_eq!(traces.find("1").unwrap().why, "later");
    }

    #[test]
    fn latency_is_what_the_replica_took() {
        let mut trace = trace(1, "x");
        assert_eq!(trace.latency(), None);
        (trace.routed_after_us, trace.first_after_us, trace.took_us) = (100, Some(1_100), 3_100);
        (trace.completion_tokens, trace.outcome) = (5, Outcome::Answered);
        assert_eq!(trace.latency(), Some((1_000, Some(500))));
        trace.completion_tokens = 1;
        assert_eq!(trace.latency(), Some((1_000, None)));
        trace.moves.push(Move {
            after_us: 1_500,
            from: 1,
            to: 2,
            why: "its worker ended".to_owned(),
        });
        assert_eq!(trace.latency(), None);
    }
}
