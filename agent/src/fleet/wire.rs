//! One worker's requests and what is to be written to it: shared between those who ask and the task that
//! owns the socket (`link`).
//!
//! Decides who gets which answer and how much may wait. One lock, held for as long as it takes to append a frame or to
//! hand out the events of one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use tokio::sync::{Notify, oneshot};

use super::error::SubmitError;
use super::exchange::{Cancel, Exchange, Pushed, Slot};
use crate::limits::{OUTBOX_BYTES_MAX, REQUESTS_MAX};
use crate::protocol::{
    Error, Event, FrameError, Load, Tagged, ToWorker, Work, WorkerStats, encode,
};

/// The requests of one worker process. A new process has a new one.
#[derive(Debug, Default)]
pub(super) struct Wire {
    state: Mutex<State>,
    /// There is something to write.
    pub(super) written: Notify,
}

#[derive(Debug, Default)]
struct State {
    outbox: Vec<u8>,
    living: HashMap<u64, Arc<Slot>>,
    calls: HashMap<u64, oneshot::Sender<Answer>>,
    next: u64,
    load: Load,
    /// Why nothing is taken any more.
    closed: Option<String>,
}

/// What answers a call that is not a request.
#[derive(Debug)]
pub(super) enum Answer {
    Tokens(Result<Vec<u32>, Error>),
    Text(Result<String, Error>),
    Stats(WorkerStats),
    Closed(String),
}

impl Wire {
    /// Hands a request to the worker.
    pub(super) fn submit(self: &Arc<Self>, work: Arc<Work>) -> Result<Exchange, SubmitError> {
        let mut state = self.state();
        state.check_open()?;
        if state.living.len() >= REQUESTS_MAX {
            return Err(SubmitError::Full(REQUESTS_MAX));
        }
        let request = state.take_id();
        state.write(&ToWorker::Submit { request, work })?;
        let slot = Arc::new(Slot::default());
        state.living.insert(request, Arc::clone(&slot));
        drop(state);
        self.written.notify_one();
        let replica: Arc<Self> = Arc::clone(self);
        Ok(Exchange::new(slot, replica, request))
    }

    /// Asks something that is not a request and waits for the answer.
    pub(super) async fn ask<R>(
        &self,
        message: impl FnOnce(u64) -> ToWorker,
        read: impl FnOnce(Answer) -> Option<Result<R, SubmitError>>,
    ) -> Result<R, SubmitError> {
        let answered = {
            let mut state = self.state();
            state.check_open()?;
            if state.calls.len() >= REQUESTS_MAX {
                return Err(SubmitError::Full(REQUESTS_MAX));
            }
            let call = state.take_id();
            state.write(&message(call))?;
            let (answer, answered) = oneshot::channel();
            state.calls.insert(call, answer);
            answered
        };
        self.written.notify_one();
        let not_ready = || SubmitError::NotReady("the worker gave no answer".to_owned());
        read(answered.await.map_err(|_| not_ready())?).unwrap_or_else(|| Err(not_ready()))
    }

    /// Queues a message of the fleet's own.
    pub(super) fn send(&self, message: &ToWorker) -> Result<(), SubmitError> {
        self.state().write(message)?;
        self.written.notify_one();
        Ok(())
    }

    /// Moves what is to be written into `writing`, which is empty.
    pub(super) fn take_outbox(&self, writing: &mut Vec<u8>) {
        std::mem::swap(&mut self.state().outbox, writing);
    }

    /// Hands out what one step yielded. `wakers` is scratch space.
    pub(super) fn deliver(&self, events: Vec<Tagged>, load: Load, wakers: &mut Vec<Waker>) {
        let mut cut = false;
        {
            let mut state = self.state();
            state.load = load;
            for Tagged { request, event } in events {
                let last = event.is_last();
                let Some(slot) = state.living.get(&request) else {
                    continue;
                };
                let (pushed, waker) = slot.push(event);
                wakers.extend(waker);
                if pushed == Pushed::Overflow {
                    // A full outbox means a worker that is stuck; it is ended for that soon.
                    let _ = state.write(&ToWorker::Cancel { request });
                    cut = true;
                }
                if last || pushed == Pushed::Overflow {
                    state.living.remove(&request);
                }
            }
        }
        wakers.drain(..).for_each(Waker::wake);
        if cut {
            self.written.notify_one();
        }
    }

    /// Answers a call.
    pub(super) fn answer(&self, call: u64, answer: Answer) {
        let waiting = self.state().calls.remove(&call);
        if let Some(waiting) = waiting {
            // Whoever asked may have gone.
            let _ = waiting.send(answer);
        }
    }

    /// Takes nothing more; what lives goes on.
    pub(super) fn close(&self, why: &str) {
        self.state().closed.get_or_insert_with(|| why.to_owned());
    }

    /// Takes nothing more and ends everything that lives, because the model was unloaded.
    pub(super) fn unload(&self, why: &str) {
        self.end(why, Error::Other);
    }

    /// Takes nothing more and ends everything that lives, because the worker is gone.
    pub(super) fn lose(&self, why: &str) {
        self.end(why, Error::Lost);
    }

    fn end(&self, why: &str, error: fn(String) -> Error) {
        let (living, calls) = {
            let mut state = self.state();
            state.closed = Some(why.to_owned());
            state.outbox = Vec::new();
            (
                std::mem::take(&mut state.living),
                std::mem::take(&mut state.calls),
            )
        };
        for slot in living.into_values() {
            if let (_, Some(waker)) = slot.push(Event::Failed(error(why.to_owned()))) {
                waker.wake();
            }
        }
        for call in calls.into_values() {
            let _ = call.send(Answer::Closed(why.to_owned()));
        }
    }

    /// How many requests live, calls included, and how full the model was at its last step.
    pub(super) fn fill(&self) -> (usize, Load) {
        let state = self.state();
        (state.living.len() + state.calls.len(), state.load)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cancel for Wire {
    fn cancel(&self, request: u64) {
        let mut state = self.state();
        if state.living.remove(&request).is_some()
            && state.write(&ToWorker::Cancel { request }).is_ok()
        {
            drop(state);
            self.written.notify_one();
        }
    }
}

impl State {
    fn check_open(&self) -> Result<(), SubmitError> {
        match &self.closed {
            Some(why) => Err(SubmitError::NotReady(why.clone())),
            None => Ok(()),
        }
    }

    fn take_id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn write(&mut self, message: &ToWorker) -> Result<(), SubmitError> {
        if self.outbox.len() > OUTBOX_BYTES_MAX {
            return Err(SubmitError::Busy);
        }
        encode(message, &mut self.outbox).map_err(|error| match error {
            FrameError::TooLong(bytes) => SubmitError::TooLong(bytes),
            FrameError::Encode(_) | FrameError::Decode(_) => {
                SubmitError::NotReady(error.to_string())
            }
        })
    }
}

impl Answer {
    pub(super) fn tokens(self) -> Option<Result<Vec<u32>, SubmitError>> {
        match self {
            Self::Tokens(result) => Some(result.map_err(SubmitError::Refused)),
            Self::Closed(why) => Some(Err(SubmitError::NotReady(why))),
            Self::Text(_) | Self::Stats(_) => None,
        }
    }

    pub(super) fn text(self) -> Option<Result<String, SubmitError>> {
        match self {
            Self::Text(result) => Some(result.map_err(SubmitError::Refused)),
            Self::Closed(why) => Some(Err(SubmitError::NotReady(why))),
            Self::Tokens(_) | Self::Stats(_) => None,
        }
    }

    pub(super) fn stats(self) -> Option<Result<WorkerStats, SubmitError>> {
        match self {
            Self::Stats(stats) => Some(Ok(stats)),
            Self::Closed(why) => Some(Err(SubmitError::NotReady(why))),
            Self::Tokens(_) | Self::Text(_) => None,
        }
    }
}
