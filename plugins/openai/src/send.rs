//! Sending, and when it is safe to send again: while nothing of an answer has come and the service is known not to have
//! begun one. What is refused for another reason is the caller's to know.

use std::time::Duration;

use skep_sdk::http::{HttpError, Request, Response, wait};
use skep_sdk::upstream::Error;

use crate::limits::{REFUSAL_BYTES, RETRY_AFTER, RETRY_PAUSE, TRIES};
use crate::refusal::{Asked, Refusal};

/// Sends until there is an answer or no sense in trying again; an answer is one of success.
pub(crate) fn send(make: impl Fn() -> Request, asked: Asked<'_>) -> Result<Response, Error> {
    let mut tried = 0;
    loop {
        let outcome = make().send();
        tried += 1;
        match (pause(tried, &heard(&outcome)), outcome) {
            (Some(time), _) => wait(time),
            (None, Err(error)) => return Err(error.into()),
            (None, Ok(response)) if response.is_success() => return Ok(response),
            (None, Ok(response)) => {
                let status = response.status();
                let retry_after_s = response.retry_after_s();
                let location = response.header("location").map(str::to_owned);
                let body = response.read_some(REFUSAL_BYTES);
                return Err(Refusal::read(status, &body)
                    .after(retry_after_s)
                    .at(location)
                    .into_error(asked));
            }
        }
    }
}

/// What came of one try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// No connection came about.
    Nothing,
    /// Headers with this status, and for how many seconds the service asks to be left alone.
    Status(u16, Option<u64>),
    /// Something that makes a second try unsafe or senseless.
    Other,
}

fn heard(outcome: &Result<Response, HttpError>) -> Heard {
    match outcome {
        Ok(response) => Heard::Status(response.status(), response.retry_after_s()),
        Err(HttpError::Unreachable(_)) => Heard::Nothing,
        Err(_) => Heard::Other,
    }
}

/// How long to wait before the next try; none: there is none.
pub(crate) fn pause(tried: u32, heard: &Heard) -> Option<Duration> {
    if tried >= TRIES {
        return None;
    }
    let usual = RETRY_PAUSE * 2_u32.pow(tried - 1);
    match *heard {
        // 429 and 503 say that the request was not begun; 502, that a proxy reached nobody.
        Heard::Nothing | Heard::Status(429 | 502 | 503, None) => Some(usual),
        Heard::Status(429 | 502 | 503, Some(seconds)) => {
            Some(Duration::from_secs(seconds)).filter(|time| *time <= RETRY_AFTER)
        }
        Heard::Status(..) | Heard::Other => None,
    }
}
