//! An admitted request's work, on its way to a replica.
//!
//! Decides what is offered to whom, in the order in which the scheduler ranked them, and when there is no sense in
//! offering it further. Refuses to know how a replica is reached.

use std::sync::Arc;

use skep_core::{Input, Outcome, ReplicaId};

use super::task::Task;
use super::{Job, Router, Slot};
use crate::fleet::SubmitError;
use crate::host::scheduler::{self, Refusal as ScheduleRefusal};
use crate::protocol::Work;
use crate::scheduling::Chosen;

/// What the scheduler is told of a request.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub prompt_bytes: usize,
    pub max_tokens: Option<u32>,
    /// A hash of the conversation's beginning; 0: none.
    pub affinity: u64,
}

impl Shape {
    pub(super) fn asked_of(&self, model: &str) -> scheduler::Request {
        scheduler::Request {
            model: model.to_owned(),
            prompt_bytes: u32::try_from(self.prompt_bytes).unwrap_or(u32::MAX),
            max_tokens: self.max_tokens.unwrap_or(u32::MAX),
            affinity: self.affinity,
            priority: 0,
        }
    }
}

/// Why an admitted request did not start. It is settled.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// The scheduler found no place.
    #[error(transparent)]
    NoPlace(#[from] NoPlace),
    /// The place did not take it.
    #[error(transparent)]
    Submit(#[from] SubmitError),
}

/// The scheduler's refusal, in its own words.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", self.why())]
pub struct NoPlace(pub ScheduleRefusal);

impl Router {
    /// Sends an admitted request's work where the scheduler says. If that replica has just been lost, the job waits for
    /// the next one.
    ///
    /// # Errors
    /// When there is no place, or the place does not take it; the slot is given back.
    pub fn start_work(
        &self,
        mut slot: Slot,
        works: Vec<Work>,
        shape: Shape,
    ) -> Result<Job, RouteError> {
        let works: Vec<Arc<Work>> = works.into_iter().map(Arc::new).collect();
        let facts = self.shared.facts.of(slot.model());
        match self.send(&mut slot, &works, shape) {
            Ok(tasks) => Ok(Job::new(slot, tasks, shape, facts)),
            Err(error) if self.is_passing(slot.model(), &error) => {
                let wait = |work| Task::waiting(work, &slot, shape, &error);
                let tasks = works.into_iter().map(wait).collect();
                Ok(Job::new(slot, tasks, shape, facts))
            }
            Err(error) => {
                slot.settle(Outcome::Failed, skep_core::Usage::default());
                Err(error)
            }
        }
    }

    fn send(
        &self,
        slot: &mut Slot,
        works: &[Arc<Work>],
        shape: Shape,
    ) -> Result<Vec<Task>, RouteError> {
        let policies = &self.shared.policies;
        let decision = policies.route(&shape.asked_of(slot.model()));
        slot.decided(&decision, policies);
        let choice = decision.answer.map_err(NoPlace)?;
        let mut rest = choice.ranked.iter().peekable();
        while let Some(candidate) = rest.next() {
            match self.submit_all(candidate.replica, works) {
                Ok(tasks) => {
                    tracing::debug!(request = %slot.id(), replica = candidate.replica, policy = %decision.by, why = %choice.why, "routed");
                    slot.routed(candidate.replica);
                    self.tell(Input::Started {
                        request: slot.id(),
                        replica: ReplicaId(candidate.replica),
                    });
                    return Ok(tasks);
                }
                Err(error) => {
                    slot.refused(candidate.replica, &error);
                    // What no replica would take is not offered to all of them.
                    let hopeless =
                        matches!(error, SubmitError::TooLong(_) | SubmitError::Refused(_));
                    if rest.peek().is_none() || hopeless {
                        return Err(error.into());
                    }
                }
            }
        }
        // A ranking that was checked is not empty.
        Err(NoPlace(ScheduleRefusal::Busy("no replica was ranked".into())).into())
    }

    /// Hands all of a request's work to a replica. What was handed over before one that is not is cancelled as it is
    /// dropped.
    fn submit_all(&self, replica: u64, works: &[Arc<Work>]) -> Result<Vec<Task>, SubmitError> {
        let one = |work: &Arc<Work>| {
            let exchange = self.submit(replica, work.clone())?;
            Ok(Task::running(work.clone(), exchange, replica))
        };
        works.iter().map(one).collect()
    }
}

impl NoPlace {
    fn why(&self) -> &str {
        Chosen::words(&self.0)
    }
}
