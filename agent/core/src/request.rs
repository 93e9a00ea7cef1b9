//! Requests from arrival to settlement: who has a slot, who waits, and what they used.
//!
//! Decides order and counts. Refuses to know what a request asks for.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::ids::{KeyId, ReplicaId, RequestId};
use crate::input::{Arrival, Outcome, Usage};
use crate::limits::KEYS_COUNTED_MAX;

/// Where a living request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Its model is not ready.
    Cold,
    /// Its model is ready, but every slot is taken.
    Queued,
    /// It has a slot; the scheduler is being asked.
    Admitted,
    /// It runs there.
    Running(ReplicaId),
}

/// What was counted since the start. Only grows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests that arrived.
    pub arrived: u64,
    /// Of these, refused at admission.
    pub refused: u64,
    /// Ended with an answer.
    pub answered: u64,
    /// Ended with an error.
    pub failed: u64,
    /// Ended by the client or by time.
    pub cut: u64,
    /// Tokens of all of them.
    pub usage: Usage,
}

#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) key: KeyId,
    pub(crate) model: Arc<str>,
    pub(crate) phase: Phase,
}

/// Every living request.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    living: BTreeMap<RequestId, Request>,
    /// Those in [`Phase::Queued`], in order of arrival; entries of requests that left are skipped.
    queue: VecDeque<RequestId>,
    /// Those with a slot.
    running: u32,
    /// Those without one.
    waiting: u32,
    per_key: BTreeMap<KeyId, u32>,
    by_key: BTreeMap<KeyId, Usage>,
    counters: Counters,
}

impl Requests {
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(crate) fn counters_mut(&mut self) -> &mut Counters {
        &mut self.counters
    }

    pub(crate) fn used_by(&self, key: KeyId) -> Usage {
        self.by_key.get(&key).copied().unwrap_or_default()
    }

    pub(crate) fn running(&self) -> u32 {
        self.running
    }

    pub(crate) fn waiting(&self) -> u32 {
        self.waiting
    }

    pub(crate) fn of_key(&self, key: KeyId) -> u32 {
        self.per_key.get(&key).copied().unwrap_or(0)
    }

    pub(crate) fn phase(&self, request: RequestId) -> Option<Phase> {
        self.living.get(&request).map(|request| request.phase)
    }

    pub(crate) fn model(&self, request: RequestId) -> Option<Arc<str>> {
        self.living
            .get(&request)
            .map(|request| request.model.clone())
    }

    pub(crate) fn insert(&mut self, arrival: Arrival, phase: Phase) {
        let Arrival {
            request,
            key,
            model,
        } = arrival;
        *self.per_key.entry(key).or_insert(0) += 1;
        self.count(phase, 1);
        if phase == Phase::Queued {
            self.queue.push_back(request);
        }
        self.living.insert(request, Request { key, model, phase });
    }

    pub(crate) fn set_phase(&mut self, request: RequestId, phase: Phase) {
        let Some(living) = self.living.get_mut(&request) else {
            return;
        };
        let before = std::mem::replace(&mut living.phase, phase);
        self.count(before, -1);
        self.count(phase, 1);
        if phase == Phase::Queued {
            self.queue.push_back(request);
        }
    }

    /// The next request in line, while fewer than `slots` run.
    pub(crate) fn next_for_slot(&mut self, slots: u32) -> Option<RequestId> {
        while self.running < slots {
            let request = self.queue.pop_front()?;
            if self.phase(request) == Some(Phase::Queued) {
                return Some(request);
            }
        }
        None
    }

    /// The requests that wait for a model, in order of arrival.
    pub(crate) fn cold(&self, model: &str) -> Vec<RequestId> {
        self.living
            .iter()
            .filter(|(_, request)| request.phase == Phase::Cold && &*request.model == model)
            .map(|(id, _)| *id)
            .collect()
    }

    pub(crate) fn remove(&mut self, request: RequestId) -> Option<Request> {
        let gone = self.living.remove(&request)?;
        self.count(gone.phase, -1);
        if let Some(count) = self.per_key.get_mut(&gone.key) {
            *count -= 1;
            if *count == 0 {
                self.per_key.remove(&gone.key);
            }
        }
        // Requests that left the queue early must not pile up in it.
        if self.queue.len() > 2 * (self.waiting as usize + 16) {
            let living = &self.living;
            self.queue
                .retain(|id| living.get(id).is_some_and(|r| r.phase == Phase::Queued));
        }
        Some(gone)
    }

    pub(crate) fn settle(&mut self, key: KeyId, outcome: Outcome, usage: Usage) {
        match outcome {
            Outcome::Answered => self.counters.answered += 1,
            Outcome::Failed => self.counters.failed += 1,
            Outcome::Cut => self.counters.cut += 1,
        }
        self.counters.usage += usage;
        if self.by_key.contains_key(&key) || self.by_key.len() < KEYS_COUNTED_MAX {
            *self.by_key.entry(key).or_default() += usage;
        }
    }

    fn count(&mut self, phase: Phase, by: i32) {
        let counter = match phase {
            Phase::Cold | Phase::Queued => &mut self.waiting,
            Phase::Admitted | Phase::Running(_) => &mut self.running,
        };
        *counter = counter.saturating_add_signed(by);
    }
}
