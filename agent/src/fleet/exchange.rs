//! One request under way: events in from the replica's task, out to whoever waits.
//!
//! Decides how far a reader may fall behind: past the limit the request is cut, so that a slow client holds up nobody
//! else. Refuses to know sockets, and whether the replica is a worker here or somewhere else.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::limits::EXCHANGE_BYTES_MAX;
use crate::protocol::{Error, Event};

/// A request that a replica serves. Dropping it cancels the request before the next step.
///
/// Its last event is `Done` or `Failed`; `Failed` with [`Error::Lost`] says that the replica is gone, and that what
/// was not said yet can be had from another one.
#[derive(Debug)]
pub struct Exchange {
    slot: Arc<Slot>,
    replica: Arc<dyn Cancel>,
    request: u64,
    over: bool,
}

/// Whoever runs requests, as far as an exchange has to know it.
pub(crate) trait Cancel: std::fmt::Debug + Send + Sync {
    /// Ends a request that nobody reads any more. Unknown ones are ignored.
    fn cancel(&self, request: u64);
}

impl Exchange {
    /// The reading end of `slot`, whose events `replica` yields for `request`.
    pub(crate) fn new(slot: Arc<Slot>, replica: Arc<dyn Cancel>, request: u64) -> Self {
        Self {
            slot,
            replica,
            request,
            over: false,
        }
    }

    /// The next event; `None` after `Done` or `Failed`.
    pub async fn recv(&mut self) -> Option<Event> {
        std::future::poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// The next event, without waiting.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        if self.over {
            return Poll::Ready(None);
        }
        let event = match self.slot.poll(cx) {
            Poll::Ready(event) => event,
            Poll::Pending => return Poll::Pending,
        };
        self.over = event.is_last();
        Poll::Ready(Some(event))
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.over {
            self.replica.cancel(self.request);
        }
    }
}

/// Where the events of one request wait.
#[derive(Debug, Default)]
pub(crate) struct Slot(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<Event>,
    bytes: usize,
    reader: Option<Waker>,
    /// Nothing is added any more.
    closed: bool,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    Kept,
    /// The reader is too slow; its request is over and must be cancelled.
    Overflow,
}

impl Slot {
    /// Adds an event. The returned waker is to be woken once no lock is held.
    pub(crate) fn push(&self, event: Event) -> (Pushed, Option<Waker>) {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.closed {
            return (Pushed::Kept, None);
        }
        let bytes = event.size_bytes();
        let overflow = queue.bytes + bytes > EXCHANGE_BYTES_MAX && !queue.events.is_empty();
        let event = if overflow {
            queue.events.clear();
            queue.bytes = 0;
            let why = "the answer was not read fast enough and more than 1 MiB of it waited";
            Event::Failed(Error::Exhausted(why.to_owned()))
        } else {
            queue.bytes += bytes;
            event
        };
        queue.closed = event.is_last();
        queue.events.push_back(event);
        let pushed = if overflow {
            Pushed::Overflow
        } else {
            Pushed::Kept
        };
        (pushed, queue.reader.take())
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<Event> {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(event) = queue.events.pop_front() {
            queue.bytes = queue.bytes.saturating_sub(event.size_bytes());
            return Poll::Ready(event);
        }
        match &mut queue.reader {
            Some(reader) => reader.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Gain, Usage};

    fn gain(bytes: usize) -> Event {
        let text = "x".repeat(bytes);
        Event::Gained(Gain {
            choice: 0,
            text,
            tokens: vec![1],
            logprobs: Vec::new(),
            finish: None,
        })
    }

    fn read(slot: &Slot) -> Option<Event> {
        match slot.poll(&Context::from_waker(Waker::noop())) {
            Poll::Ready(event) => Some(event),
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_reader_that_keeps_up_loses_nothing() {
        let slot = Slot::default();
        for _ in 0..10_000 {
            assert_eq!(slot.push(gain(1_000)).0, Pushed::Kept);
            assert_eq!(read(&slot), Some(gain(1_000)));
        }
        slot.push(Event::Done(Usage::default()));
        assert_eq!(read(&slot), Some(Event::Done(Usage::default())));
        assert_eq!(read(&slot), None);
    }

    #[test]
    fn a_slow_reader_is_cut_at_the_limit_and_told_so() {
        let slot = Slot::default();
        let mut kept = 0;
        while slot.push(gain(1_000)).0 == Pushed::Kept {
            kept += 1;
        }
        assert!((500..=EXCHANGE_BYTES_MAX / 1_000).contains(&kept), "{kept}");
        slot.push(gain(1_000));
        assert!(matches!(
            read(&slot),
            Some(Event::Failed(Error::Exhausted(_)))
        ));
        assert_eq!(read(&slot), None);
    }

    #[test]
    fn one_large_event_alone_is_never_cut() {
        let slot = Slot::default();
        assert_eq!(slot.push(gain(EXCHANGE_BYTES_MAX * 2)).0, Pushed::Kept);
    }
}
