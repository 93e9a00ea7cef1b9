//! Sending once more, and when that is safe: while nothing of an answer has come and the service is known not to have begun
//! one. Decides nothing about what a refusal means.

use core::time::Duration;

use super::{HttpError, Request, Response, wait};

impl Request {
    /// Sends it as [`Request::send`] does, and again, at most twice, when no connection came about or the service was too busy to
    /// begin: status 429, 502 and 503, after the seconds that it asks for (`retry-after`) where those are few.
    /// Whatever else it answers is returned at once.
    ///
    /// # Errors
    /// See [`HttpError`]; of the last try.
    pub fn send_patiently(self) -> Result<Response, HttpError> {
        let mut tried = 0;
        loop {
            let outcome = self.clone().send();
            tried += 1;
            let heard = match &outcome {
                Ok(response) => Heard::Status(response.status(), response.retry_after_s()),
                Err(HttpError::Unreachable(_)) => Heard::Nothing,
                Err(_) => return outcome,
            };
            match pause(tried, heard) {
                Some(time) => {
                    // Gives the connection back before the wait.
                    drop(outcome);
                    wait(time);
                }
                None => return outcome,
            }
        }
    }
}

/// What came of one try.
#[derive(Clone, Copy, Debug)]
enum Heard {
    /// No connection came about.
    Nothing,
    /// Headers with this status, and for how many seconds the service asks to be left alone.
    Status(u16, Option<u64>),
}

/// How long to wait before the next try; none: there is none.
fn pause(tried: u32, heard: Heard) -> Option<Duration> {
    if tried >= TRIES_MAX {
        return None;
    }
    let usual = PAUSE * 2_u32.pow(tried.saturating_sub(1));
    match heard {
        // 429 and 503 say that the request was not begun; 502, that a proxy reached nobody.
        Heard::Nothing | Heard::Status(429 | 502 | 503, None) => Some(usual),
        Heard::Status(429 | 502 | 503, Some(seconds)) => {
            Some(Duration::from_secs(seconds)).filter(|time| *time <= RETRY_AFTER_MAX)
        }
        Heard::Status(..) => None,
    }
}

/// How often a request is sent at most.
const TRIES_MAX: u32 = 3;
/// The longest wait that a service may ask for and get; the caller decides about longer ones.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(5);
/// The first wait where a service asks for none; it doubles.
const PAUSE: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_again_only_where_it_is_safe_and_soon() {
        let ms = |tried, heard| pause(tried, heard).map(|time| time.as_millis());
        assert_eq!(ms(1, Heard::Nothing), Some(250));
        assert_eq!(ms(2, Heard::Nothing), Some(500));
        assert_eq!(ms(3, Heard::Nothing), None);
        assert_eq!(ms(1, Heard::Status(429, Some(2))), Some(2000));
        assert_eq!(ms(1, Heard::Status(502, Some(5))), Some(5000));
        assert_eq!(ms(1, Heard::Status(429, Some(6))), None);
        assert_eq!(ms(1, Heard::Status(429, Some(u64::MAX))), None);
        assert_eq!(ms(1, Heard::Status(503, None)), Some(250));
        for other in [200, 400, 401, 404, 408, 500, 504] {
            assert_eq!(ms(1, Heard::Status(other, Some(1))), None, "{other}");
        }
    }
}
