//! A request that runs: the events of all its work, in one stream. Work whose replica is lost goes on elsewhere unseen.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use skep_core::Outcome;

use super::task::Task;
use super::{ModelFacts, Shape, Slot};
use crate::protocol::{Event, Usage};

/// A running request. Dropping it cancels its work and settles it as cut.
#[derive(Debug)]
pub struct Job {
    /// None once settled.
    slot: Option<Slot>,
    tasks: Vec<Task>,
    /// Whose turn it is, so that no task starves another.
    turn: usize,
    shape: Shape,
    facts: Arc<ModelFacts>,
    usage: Usage,
    first: Option<Duration>,
    failed: bool,
    arrived: Instant,
}

/// What a job yields.
#[derive(Debug)]
pub enum Step {
    /// Something happened to the work of that index.
    Event(usize, Event),
    /// Its time was up; nothing follows.
    Expired,
}

impl Job {
    pub(super) fn new(slot: Slot, tasks: Vec<Task>, shape: Shape, facts: Arc<ModelFacts>) -> Self {
        Self {
            arrived: slot.arrived(),
            slot: Some(slot),
            tasks,
            turn: 0,
            shape,
            facts,
            usage: Usage::default(),
            first: None,
            failed: false,
        }
    }

    /// What is known of the model.
    #[must_use]
    pub fn facts(&self) -> &Arc<ModelFacts> {
        &self.facts
    }

    /// What was used so far; whole once the stream has ended.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// How long until the first token, once there was one.
    #[must_use]
    pub fn first_token_after(&self) -> Option<Duration> {
        self.first
    }

    /// When the request arrived.
    #[must_use]
    pub fn arrived(&self) -> Instant {
        self.arrived
    }

    /// The next event; none when all work is over and settled.
    pub async fn next(&mut self) -> Option<Step> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    /// Whether part of it waits for a replica, because its own was lost.
    #[must_use]
    pub fn is_moving(&self) -> bool {
        self.tasks.iter().any(Task::is_moving)
    }

    /// The next event; none when all work is over and settled.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Step>> {
        let Some(slot) = &mut self.slot else {
            return Poll::Ready(None);
        };
        if slot.poll_expired(context).is_ready() {
            self.tasks.clear();
            self.settle(Outcome::Cut);
            return Poll::Ready(Some(Step::Expired));
        }
        let count = self.tasks.len();
        let mut open = false;
        for offset in 0..count {
            let index = (self.turn + offset) % count;
            let Some(task) = self.tasks.get_mut(index).filter(|task| !task.is_over()) else {
                continue;
            };
            open = true;
            if let Poll::Ready(event) = task.poll(context, slot, self.shape) {
                self.turn = index + 1;
                self.take_in(&event);
                return Poll::Ready(Some(Step::Event(index, event)));
            }
        }
        if open {
            return Poll::Pending;
        }
        let outcome = if self.failed {
            Outcome::Failed
        } else {
            Outcome::Answered
        };
        self.settle(outcome);
        Poll::Ready(None)
    }

    fn take_in(&mut self, event: &Event) {
        match event {
            Event::Gained(gain) if !gain.tokens.is_empty() && self.first.is_none() => {
                self.first = Some(self.arrived.elapsed());
                if let Some(slot) = &mut self.slot {
                    slot.first_token();
                }
            }
            Event::Done(usage) => {
                self.usage.prompt_tokens =
                    self.usage.prompt_tokens.saturating_add(usage.prompt_tokens);
                self.usage.cached_tokens =
                    self.usage.cached_tokens.saturating_add(usage.cached_tokens);
                self.usage.completion_tokens = self
                    .usage
                    .completion_tokens
                    .saturating_add(usage.completion_tokens);
            }
            Event::Failed(_) => self.failed = true,
            Event::Gained(_) | Event::Started(_) | Event::Embedded(_) => {}
        }
    }

    fn settle(&mut self, outcome: Outcome) {
        if let Some(slot) = self.slot.take() {
            slot.settle(
                outcome,
                skep_core::Usage {
                    prompt_tokens: self.usage.prompt_tokens.into(),
                    cached_tokens: self.usage.cached_tokens.into(),
                    completion_tokens: self.usage.completion_tokens.into(),
                },
            );
        }
    }
}
