//! What a server means when it refuses: `{"error": "…"}` with a status, or in the middle of an answer.

use serde::Deserialize;
use skep_sdk::http::{Request, Response, quoted};
use skep_sdk::upstream::{Error, Invalid};

use crate::limits::REFUSAL_BYTES;

/// Some forks say it as OpenAI does, with a `message` inside.
#[derive(Deserialize)]
#[serde(untagged)]
enum Shape {
    Text { error: String },
    Object { error: Inner },
}

#[derive(Deserialize)]
struct Inner {
    message: String,
}

/// Sends, again where that is safe; an answer is one of success.
pub(crate) fn send(request: Request, key: Option<&str>) -> Result<Response, Error> {
    let response = request.send_patiently()?;
    if response.is_success() {
        return Ok(response);
    }
    let status = response.status();
    let retry_after_s = response.retry_after_s();
    Err(refusal(
        status,
        retry_after_s,
        &response.read_some(REFUSAL_BYTES),
        key,
    ))
}

/// A refusal in the contract's words.
pub(crate) fn refusal(
    status: u16,
    retry_after_s: Option<u64>,
    body: &[u8],
    key: Option<&str>,
) -> Error {
    let shape = serde_json::from_slice::<Shape>(body);
    let is_shaped = shape.is_ok();
    let said = shape.map_or_else(
        |_| quoted(&String::from_utf8_lossy(body)),
        |shape| match shape {
            Shape::Text { error } => quoted(&error),
            Shape::Object { error } => quoted(&error.message),
        },
    );
    match status {
        300..=399 => Error::invalid(
            "base-url",
            "the server points elsewhere: set `base-url` to where it answers itself",
        ),
        413 => too_long(&said),
        400 if said.contains("context length") => too_long(&said),
        400 if said.contains("does not support") => {
            Error::Unsupported(format!("the server says: {said}"))
        }
        400 | 422 => Error::Invalid(Invalid {
            field: None,
            message: format!("the server says: {said}"),
        }),
        401 | 403 => Error::Denied(match key {
            Some(key) => format!("the server refused the secret `{key}`: {said}"),
            None => format!("the server wants a key (set `key` to the name of a secret): {said}"),
        }),
        404 if is_shaped => Error::invalid("model", format!("the server says: {said}")),
        501 => Error::Unsupported(format!("the server does not do this: {said}")),
        404 | 405 => Error::Unsupported(format!(
            "the server knows no such request (is `base-url` right, and is it an Ollama?): {said}"
        )),
        // A full queue is a 503 here, not a failure.
        408 | 409 | 429 | 503 => Error::Exhausted(match retry_after_s {
            Some(seconds) => format!("the server asks to come back in {seconds} s: {said}"),
            None => format!("the server asks to come back later: {said}"),
        }),
        status => Error::Other(format!("the server failed (status {status}): {said}")),
    }
}

/// An error where a piece of an answer should be.
pub(crate) fn inside(said: &str) -> Error {
    Error::Other(format!("the server failed in the middle: {}", quoted(said)))
}

fn too_long(said: &str) -> Error {
    Error::TooLong(Invalid {
        field: None,
        message: format!("the server says: {said}"),
    })
}
