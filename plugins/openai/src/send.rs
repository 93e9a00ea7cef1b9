//! Sending, with what a service refuses put into the contract's words.

use skep_sdk::http::{Request, Response};
use skep_sdk::upstream::Error;

use crate::limits::REFUSAL_BYTES;
use crate::refusal::{Asked, Refusal};

/// Sends, again where that is safe; an answer is one of success.
pub(crate) fn send(request: Request, asked: Asked<'_>) -> Result<Response, Error> {
    let response = request.send_patiently()?;
    if response.is_success() {
        return Ok(response);
    }
    let status = response.status();
    let retry_after_s = response.retry_after_s();
    let location = response.header("location").map(str::to_owned);
    let body = response.read_some(REFUSAL_BYTES);
    Err(Refusal::read(status, &body)
        .after(retry_after_s)
        .at(location)
        .into_error(asked))
}
