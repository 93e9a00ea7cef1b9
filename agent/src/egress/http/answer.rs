//! The body of an answer as it comes in. Decides how long it may be silent and how long it may become.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep};

use super::EgressError;
use crate::limits::IN_BODY_BYTES;

/// The body of an answer. Dropping it closes the connection.
#[derive(Debug)]
pub struct AnswerBody {
    incoming: Incoming,
    between: Duration,
    silence: Pin<Box<Sleep>>,
    left: u64,
    /// Its places among the requests under way, and what drives its connection.
    _held: (OwnedSemaphorePermit, OwnedSemaphorePermit, JoinSet<()>),
}

impl AnswerBody {
    pub(super) fn new(
        incoming: Incoming,
        between: Duration,
        held: (OwnedSemaphorePermit, OwnedSemaphorePermit, JoinSet<()>),
    ) -> Self {
        Self {
            incoming,
            between,
            silence: Box::pin(sleep(between)),
            left: IN_BODY_BYTES,
            _held: held,
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = EgressError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, EgressError>>> {
        let this = &mut *self;
        let Poll::Ready(frame) = Pin::new(&mut this.incoming).poll_frame(cx) else {
            ready!(this.silence.as_mut().poll(cx));
            return Poll::Ready(Some(Err(EgressError::Silence)));
        };
        // `checked_add` fails for waits without an end.
        if let Some(until) = Instant::now().checked_add(this.between) {
            this.silence.as_mut().reset(until);
        }
        Poll::Ready(match frame {
            None => None,
            Some(Err(error)) => Some(Err(super::failed(error))),
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, Bytes::len) as u64;
                match this.left.checked_sub(length) {
                    Some(left) => {
                        this.left = left;
                        Some(Ok(frame))
                    }
                    None => Some(Err(EgressError::AnswerBody(IN_BODY_BYTES))),
                }
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
