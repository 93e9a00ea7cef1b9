//! The small JSON bodies of `/api/v1`: whole, bounded, and not for ever.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::refusal::Refusal;
use crate::json;

/// Reads a body and parses it.
pub(super) async fn read<T: DeserializeOwned>(body: Body) -> Result<T, Refusal> {
    let bytes = timeout(BODY_TIMEOUT, to_bytes(body, BODY_BYTES_MAX))
        .await
        .map_err(|_| {
            let message = "the body came too slowly";
            Refusal::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", message)
        })?
        .map_err(|error| {
            let message = format!("the body could not be read: {error}");
            Refusal::invalid("invalid_request", message)
        })?;
    json::read(&bytes)
        .map_err(|error| Refusal::invalid("invalid_request", format!("the body: {error}")))
}

/// Longest body of a request here: an address of a model file and some.
const BODY_BYTES_MAX: usize = 64 << 10;

/// So few bytes are there at once, or nobody means to send them.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
