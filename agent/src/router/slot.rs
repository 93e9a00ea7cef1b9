//! A request's place in the core: waited for, held, given back.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use skep_core::{Input, KeyId, Outcome, Refusal, RequestId, Usage};

use super::Router;
use super::trace::{Move, Trace};
use crate::fleet::SubmitError;
use crate::host::scheduler::Choice;
use crate::keys::unix_now_s;
use crate::limits::MOVES_TRACED;
use crate::scheduling::{Decision, Policies};

/// What the core said of one request. Written by whoever drives the core, read by the request.
#[derive(Debug, Default)]
pub(super) struct Ticket {
    inner: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    decision: Option<Result<(), Refusal>>,
    expired: bool,
    waker: Option<Waker>,
}

impl Ticket {
    pub(super) fn decide(&self, decision: Result<(), Refusal>) {
        self.change(|told| told.decision = Some(decision));
    }

    pub(super) fn expire(&self) {
        self.change(|told| told.expired = true);
    }

    fn change(&self, change: impl FnOnce(&mut Told)) {
        let mut told = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut told);
        let waker = told.waker.take();
        drop(told);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn poll<R>(&self, context: &Context<'_>, read: impl FnOnce(&mut Told) -> Option<R>) -> Poll<R> {
        let mut told = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        match read(&mut told) {
            Some(read) => Poll::Ready(read),
            None => {
                match &mut told.waker {
                    Some(waker) => waker.clone_from(context.waker()),
                    empty => *empty = Some(context.waker().clone()),
                }
                Poll::Pending
            }
        }
    }
}

/// A request's place. Dropping it gives it back as cut.
pub struct Slot {
    router: Router,
    ticket: Arc<Ticket>,
    arrived: Instant,
    admitted_after_us: u64,
    /// What its client calls it.
    name: Option<Arc<str>>,
    trace: Option<Trace>,
    key: KeyId,
    model: Arc<str>,
    id: RequestId,
}

impl Slot {
    pub(super) fn new(
        router: Router,
        id: RequestId,
        key: KeyId,
        model: Arc<str>,
        ticket: Arc<Ticket>,
    ) -> Self {
        Self {
            router,
            ticket,
            arrived: Instant::now(),
            admitted_after_us: 0,
            name: None,
            trace: None,
            key,
            model,
            id,
        }
    }

    /// The request's number.
    #[must_use]
    pub fn id(&self) -> RequestId {
        self.id
    }

    /// The model that it named.
    #[must_use]
    pub fn model(&self) -> &Arc<str> {
        &self.model
    }

    /// When it arrived.
    #[must_use]
    pub fn arrived(&self) -> Instant {
        self.arrived
    }

    /// Remembers what its client calls it.
    pub fn name(&mut self, name: &str) {
        self.name = Some(name.into());
    }

    /// It has waited for its place and its model.
    pub(super) fn admitted(&mut self) {
        self.admitted_after_us = micros(self.arrived);
    }

    /// Whether its time is up; wakes the task when it is.
    pub(super) fn poll_expired(&self, context: &Context<'_>) -> Poll<()> {
        self.ticket.poll(context, |told| told.expired.then_some(()))
    }

    pub(super) async fn decision(&self) -> Result<(), Refusal> {
        std::future::poll_fn(|context| self.ticket.poll(context, |told| told.decision.take())).await
    }

    /// It was decided where it goes, or that it goes nowhere.
    pub(super) fn decided(&mut self, decision: &Decision<Choice>, policies: &Policies) {
        let mut trace = Trace::new(decision, |replica| policies.home(replica));
        trace.request = self.id.0;
        trace.id.clone_from(&self.name);
        trace.at_unix_s = unix_now_s();
        trace.key = self.key.0;
        trace.model = self.model.clone();
        trace.admitted_after_us = self.admitted_after_us;
        trace.routed_after_us = micros(self.arrived);
        self.trace = Some(trace);
    }

    /// A replica has taken it.
    pub(super) fn routed(&mut self, replica: u64) {
        if let Some(trace) = &mut self.trace {
            trace.taken_by(replica);
        }
    }

    /// A replica has not.
    pub(super) fn refused(&mut self, replica: u64, error: &SubmitError) {
        if let Some(trace) = &mut self.trace {
            trace.refused_by(replica, error.to_string());
        }
    }

    pub(super) fn router(&self) -> &Router {
        &self.router
    }

    /// Part of the request goes on elsewhere.
    pub(super) fn moved(&mut self, from: u64, to: u64, why: String) {
        let after_us = micros(self.arrived);
        let Some(trace) = &mut self.trace else {
            return;
        };
        trace.taken_on_by(to, self.router.policies().home(to));
        if trace.moves.len() < MOVES_TRACED {
            trace.moves.push(Move {
                after_us,
                from,
                to,
                why,
            });
        }
    }

    pub(super) fn first_token(&mut self) {
        let after = micros(self.arrived);
        if let Some(trace) = &mut self.trace {
            trace.first_after_us.get_or_insert(after);
        }
    }

    /// Gives the place back and says what was used.
    pub(super) fn settle(mut self, outcome: Outcome, usage: Usage) {
        self.finish(outcome, usage);
    }

    fn finish(&mut self, outcome: Outcome, usage: Usage) {
        if let Some(mut trace) = self.trace.take() {
            trace.took_us = micros(self.arrived);
            trace.prompt_tokens = usage.prompt_tokens;
            trace.cached_tokens = usage.cached_tokens;
            trace.completion_tokens = usage.completion_tokens;
            trace.outcome = outcome.into();
            if let Some((first_us, token_us)) = trace.latency() {
                let latencies = &self.router.shared.latencies;
                latencies.note(trace.replica, first_us, token_us);
            }
            self.router.shared.traces.add(trace);
        }
        self.router.tell(Input::Settled {
            request: self.id,
            outcome,
            usage,
        });
        self.id = SETTLED;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.id != SETTLED {
            self.finish(Outcome::Cut, Usage::default());
        }
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("id", &self.id)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

/// No request has this number: they count from 1.
const SETTLED: RequestId = RequestId(0);

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}
