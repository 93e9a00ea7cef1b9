//! Reading a request's body: whole, bounded, and not for ever.

use axum::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Duration, Instant, timeout_at};

use super::error::{ApiError, Kind};
use super::limits::{BODY_BYTES_PER_S_MIN, BODY_GRACE};

/// Reads a body that should be JSON.
pub(super) async fn read_json(
    headers: &HeaderMap,
    body: Incoming,
    limit: usize,
) -> Result<Bytes, ApiError> {
    check_type(headers)?;
    read(headers, body, limit).await
}

/// Reads a body. A body that says at once that it is too long is not read at all.
pub(super) async fn read(
    headers: &HeaderMap,
    mut body: Incoming,
    limit: usize,
) -> Result<Bytes, ApiError> {
    let declared = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|declared| declared > limit as u64) {
        return Err(too_large(limit));
    }
    let started = Instant::now();
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    loop {
        let read = first.len() + rest.len();
        let patience =
            BODY_GRACE + Duration::from_millis(read as u64 * 1_000 / BODY_BYTES_PER_S_MIN);
        let frame = timeout_at(started + patience, body.frame())
            .await
            .map_err(|_| too_slow())?;
        let data = match frame {
            None => break,
            Some(Err(error)) => {
                return Err(ApiError::bad_request(format!(
                    "the body could not be read: {error}"
                )));
            }
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => data,
                // Trailers mean nothing here.
                Err(_) => continue,
            },
        };
        if read + data.len() > limit {
            return Err(too_large(limit));
        }
        // Most bodies come in one piece, which is then not copied.
        if first.is_empty() && rest.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&first);
                first = Bytes::new();
            }
            rest.extend_from_slice(&data);
        }
    }
    Ok(if rest.is_empty() {
        first
    } else {
        rest.freeze()
    })
}

fn check_type(headers: &HeaderMap) -> Result<(), ApiError> {
    if let Some(encoding) = headers.get(header::CONTENT_ENCODING)
        && encoding.as_bytes() != b"identity"
    {
        return Err(unsupported_type(
            "a compressed body is not accepted; send it without `content-encoding`",
        ));
    }
    let Some(kind) = headers.get(header::CONTENT_TYPE) else {
        return Ok(());
    };
    let kind = kind.to_str().unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    // `curl -d` says that it sends a form when it is told nothing. Forms of foreign pages are kept out
    // by their origin.
    let accepted = ["application/json", "application/x-www-form-urlencoded"];
    if accepted
        .iter()
        .any(|kind| essence.eq_ignore_ascii_case(kind))
        || essence.ends_with("+json")
    {
        return Ok(());
    }
    Err(unsupported_type(format!(
        "the body must be JSON: send `content-type: application/json` instead of `{}`",
        essence.chars().take(80).collect::<String>().escape_debug()
    )))
}

fn unsupported_type(message: impl Into<std::borrow::Cow<'static, str>>) -> ApiError {
    ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Kind::InvalidRequestError,
        message,
    )
}

fn too_large(limit: usize) -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        Kind::InvalidRequestError,
        format!(
            "the body is larger than {limit} bytes, which is the limit (`http.body_max_bytes`)"
        ),
    )
    .with_code("body_too_large")
}

fn too_slow() -> ApiError {
    ApiError::new(
        StatusCode::REQUEST_TIMEOUT,
        Kind::InvalidRequestError,
        "the body came too slowly",
    )
}
