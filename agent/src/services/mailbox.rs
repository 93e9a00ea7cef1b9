//! What is asked of one service, and who waits for it. It outlives the service's processes: what is asked while none runs
//! waits for the next.
//!
//! Decides who gets which answer, how much may wait, and when silence is too long. One lock, held for as long as it takes
//! to append a frame or to hand out the events of one.

mod calling;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc, oneshot};
use zeroize::Zeroize as _;

pub(super) use self::calling::Calling;

use super::blame::Blame;
use crate::fleet::{Cancel, Exchange, Pushed, Slot, SubmitError};
use crate::limits::{OUTBOX_BYTES_MAX, SERVICE_REQUESTS_MAX};
use crate::protocol::{
    Error, Event, FrameError, FromService, Offer, PullProgress, Tagged, ToService, Work, encode,
};

/// The requests and calls of one service.
#[derive(Debug)]
pub(super) struct Mailbox {
    state: Mutex<State>,
    /// There is something to write.
    pub(super) written: Notify,
    /// Rung when an upstream fails.
    troubled: Arc<Notify>,
    blame: Blame,
}

#[derive(Debug, Default)]
struct State {
    outbox: Vec<u8>,
    living: HashMap<u64, Living>,
    calls: HashMap<u64, Call>,
    next: u64,
    /// Why nothing is taken now.
    refuses: Option<String>,
    /// Since when a process runs that takes what is asked.
    served: Option<Instant>,
}

#[derive(Debug)]
struct Living {
    slot: Arc<Slot>,
    model: Arc<str>,
    heard: Instant,
    /// Whether the client has anything of the answer.
    said: bool,
}

#[derive(Debug)]
enum Call {
    Models(oneshot::Sender<Result<Vec<Offer>, Error>>),
    Done {
        done: oneshot::Sender<Result<(), Error>>,
        news: Option<mpsc::Sender<PullProgress>>,
    },
}

impl Mailbox {
    pub(super) fn new(blame: Blame, troubled: Arc<Notify>) -> Self {
        Self {
            state: Mutex::default(),
            written: Notify::new(),
            troubled,
            blame,
        }
    }

    /// Hands over a request.
    pub(super) fn submit(
        self: &Arc<Self>,
        model: &Arc<str>,
        work: Arc<Work>,
    ) -> Result<Exchange, SubmitError> {
        let mut state = self.state();
        state.check()?;
        let request = state.take_id();
        let there = model.to_string();
        state.write(&ToService::Submit {
            request,
            model: there,
            work,
        })?;
        let slot = Arc::new(Slot::default());
        state.living.insert(
            request,
            Living {
                slot: slot.clone(),
                model: model.clone(),
                heard: Instant::now(),
                said: false,
            },
        );
        drop(state);
        self.written.notify_one();
        Ok(Exchange::new(slot, self.clone(), request))
    }

    /// Asks for the models.
    pub(super) fn models(self: &Arc<Self>) -> Result<Calling<Vec<Offer>>, SubmitError> {
        self.call(|call, answer| (ToService::Models { call }, Call::Models(answer)))
    }

    /// Asks for something that is done or not; `message` makes it of the call's number.
    pub(super) fn act(
        self: &Arc<Self>,
        news: Option<mpsc::Sender<PullProgress>>,
        message: impl FnOnce(u64) -> ToService,
    ) -> Result<Calling<()>, SubmitError> {
        self.call(|call, done| (message(call), Call::Done { done, news }))
    }

    fn call<T>(
        self: &Arc<Self>,
        make: impl FnOnce(u64, oneshot::Sender<Result<T, Error>>) -> (ToService, Call),
    ) -> Result<Calling<T>, SubmitError> {
        let mut state = self.state();
        state.check()?;
        let call = state.take_id();
        let (tell, answer) = oneshot::channel();
        let (message, waiting) = make(call, tell);
        state.write(&message)?;
        state.calls.insert(call, waiting);
        drop(state);
        self.written.notify_one();
        Ok(Calling {
            mailbox: self.clone(),
            call,
            answer,
        })
    }

    /// Queues a message of the supervisor's own.
    pub(super) fn send(&self, message: &ToService) -> Result<(), SubmitError> {
        self.state().write(message)?;
        self.written.notify_one();
        Ok(())
    }

    /// Moves what is to be written into `writing`, which is empty.
    pub(super) fn take_outbox(&self, writing: &mut Vec<u8>) {
        std::mem::swap(&mut self.state().outbox, writing);
    }

    /// Waits until somebody wants something.
    pub(super) async fn demanded(&self) {
        while !self.is_busy() {
            self.written.notified().await;
        }
    }

    /// Takes in what the service says of requests and calls.
    pub(super) fn take_in(&self, message: FromService, wakers: &mut Vec<Waker>) {
        match message {
            FromService::Events(events) => self.deliver(events, wakers),
            FromService::Models { call, result } => {
                if let Some(Call::Models(answer)) = self.state().calls.remove(&call) {
                    // Whoever asked may have gone.
                    let _ = answer.send(result.map_err(|error| self.blame.of(error)));
                }
            }
            FromService::Done { call, result } => {
                if let Some(Call::Done { done, .. }) = self.state().calls.remove(&call) {
                    let _ = done.send(result);
                }
            }
            FromService::Progress { call, progress } => {
                if let Some(Call::Done {
                    news: Some(news), ..
                }) = self.state().calls.get(&call)
                {
                    // What does not fit is told by the next.
                    let _ = news.try_send(progress);
                }
            }
            _ => {}
        }
    }

    fn deliver(&self, events: Vec<Tagged>, wakers: &mut Vec<Waker>) {
        let mut cut = false;
        {
            let mut state = self.state();
            for Tagged { request, event } in events {
                let Some(living) = state.living.get_mut(&request) else {
                    continue;
                };
                living.heard = Instant::now();
                living.said |= matches!(event, Event::Gained(_) | Event::Embedded(_));
                let event = match event {
                    Event::Failed(error) => {
                        let error = self.blame.of(error);
                        if matches!(error, Error::Upstream(_) | Error::TimedOut(_)) {
                            self.troubled.notify_one();
                        }
                        Event::Failed(error)
                    }
                    event => event,
                };
                let last = event.is_last();
                let (pushed, waker) = living.slot.push(event);
                wakers.extend(waker);
                if pushed == Pushed::Overflow {
                    // A full outbox means a service that is stuck.
                    let _ = state.write(&ToService::Cancel { request });
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

    /// Ends the requests of which nothing was heard for so long.
    pub(super) fn end_silent(&self, now: Instant, limit: Duration) {
        let silent: Vec<(u64, Living)> = {
            let mut state = self.state();
            let is_silent =
                |_: &u64, living: &mut Living| now.saturating_duration_since(living.heard) >= limit;
            let silent: Vec<_> = state.living.extract_if(is_silent).collect();
            for (request, _) in &silent {
                let _ = state.write(&ToService::Cancel { request: *request });
            }
            silent
        };
        if silent.is_empty() {
            return;
        }
        self.written.notify_one();
        self.troubled.notify_one();
        for (_, living) in silent {
            fail(&living, self.blame.silent(limit.as_secs()));
        }
    }

    /// Ends everything that lives or waits, each with the error that it makes of whether anything was said.
    pub(super) fn lose(&self, error: impl Fn(bool) -> Error) {
        let (living, calls) = {
            let mut state = self.state();
            // What was not sent may hold a secret.
            state.outbox.zeroize();
            state.outbox = Vec::new();
            (
                std::mem::take(&mut state.living),
                std::mem::take(&mut state.calls),
            )
        };
        for living in living.into_values() {
            fail(&living, error(living.said));
        }
        for call in calls.into_values() {
            match call {
                Call::Models(answer) => drop(answer.send(Err(error(false)))),
                Call::Done { done, .. } => drop(done.send(Err(error(false)))),
            }
        }
    }

    /// A process runs from now on that takes what is asked, or does no more. Its start is nobody's silence.
    pub(super) fn set_served(&self, is_served: bool) {
        let now = Instant::now();
        let mut state = self.state();
        state.served = is_served.then_some(now);
        for living in state.living.values_mut() {
            living.heard = now;
        }
    }

    /// Takes nothing from now on, for this reason, or takes everything again.
    pub(super) fn refuse(&self, why: Option<String>) {
        self.state().refuses = why;
    }

    /// Whether anything lives or waits.
    pub(super) fn is_busy(&self) -> bool {
        let state = self.state();
        !state.living.is_empty() || !state.calls.is_empty()
    }

    /// Requests under way, by what the upstream calls their model.
    pub(super) fn running(&self) -> BTreeMap<Arc<str>, u32> {
        let mut running = BTreeMap::new();
        for living in self.state().living.values() {
            *running.entry(living.model.clone()).or_default() += 1;
        }
        running
    }

    pub(super) fn blame(&self) -> &Blame {
        &self.blame
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cancel for Mailbox {
    fn cancel(&self, request: u64) {
        let mut state = self.state();
        let known =
            state.living.remove(&request).is_some() || state.calls.remove(&request).is_some();
        if known && state.write(&ToService::Cancel { request }).is_ok() {
            drop(state);
            self.written.notify_one();
        }
    }
}

impl State {
    fn check(&self) -> Result<(), SubmitError> {
        if let Some(why) = &self.refuses {
            return Err(SubmitError::NotReady(why.clone()));
        }
        if self.living.len() + self.calls.len() >= SERVICE_REQUESTS_MAX {
            return Err(SubmitError::Full(SERVICE_REQUESTS_MAX));
        }
        Ok(())
    }

    fn take_id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn write(&mut self, message: &ToService) -> Result<(), SubmitError> {
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

fn fail(living: &Living, error: Error) {
    if let (_, Some(waker)) = living.slot.push(Event::Failed(error)) {
        waker.wake();
    }
}

#[cfg(test)]
mod tests;
