//! What a service's answer to an alert means: whether it is delivered, and whether it is worth trying again.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Error;
use crate::http::{Response, quoted};

/// The body of an answer that says that the alert was taken.
///
/// `service` is how it is called in the sentence that people read, `place` the setting that is to blame when there is nothing
/// where it points to.
///
/// # Errors
/// See [`refusal`].
pub fn accepted(response: Response, service: &str, place: &str) -> Result<Vec<u8>, Error> {
    if response.is_success() {
        return Ok(response.read_to_limit(ANSWER_BYTES_MAX)?);
    }
    let status = response.status();
    let retry_after_s = response.retry_after_s();
    let said = response.read_some(REFUSAL_BYTES_MAX);
    Err(refusal(
        status,
        retry_after_s,
        &String::from_utf8_lossy(&said),
        service,
        place,
    ))
}

/// A refusal in the contract's words: [`Error::Exhausted`] and [`Error::Other`] where later may be better, others where the
/// same alert would be refused again.
#[must_use]
pub fn refusal(
    status: u16,
    retry_after_s: Option<u64>,
    said: &str,
    service: &str,
    place: &str,
) -> Error {
    let said = quoted(said);
    match status {
        300..=399 => Error::invalid(
            place,
            format!("{service} is elsewhere: set `{place}` to where it answers itself"),
        ),
        401 | 403 => Error::Denied(format!(
            "{service} refused the secret, or what it may do: {said}"
        )),
        404 | 410 => Error::invalid(
            place,
            format!("{service} has nothing where `{place}` points: {said}"),
        ),
        408 | 425 | 429 | 503 => Error::Exhausted(match retry_after_s {
            Some(seconds) => format!("{service} asks to come back in {seconds} s: {said}"),
            None => format!("{service} asks to come back later: {said}"),
        }),
        400..=499 => Error::Unsupported(format!("{service} refused it (status {status}): {said}")),
        _ => Error::Other(format!("{service} failed (status {status}): {said}")),
    }
}

/// An answer to an alert is a few fields.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// What is read of a refusal.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_tried_again_only_where_later_may_be_better() {
        let again = |status| {
            let error = refusal(status, Some(7), "no", "the bell", "url");
            matches!(error, Error::Exhausted(_) | Error::Other(_))
        };
        for status in [408, 429, 500, 502, 503, 504] {
            assert!(again(status), "{status}");
        }
        for status in [301, 400, 401, 403, 404, 410, 413, 422] {
            assert!(!again(status), "{status}");
        }
        let limited = refusal(429, Some(7), "no", "the bell", "url");
        assert_eq!(limited.text(), "the bell asks to come back in 7 s: no");
    }
}
