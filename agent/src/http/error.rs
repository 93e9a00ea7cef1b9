//! What a client is told when it does not get what it asked for, in OpenAI's shape.
//!
//! ```json
//! {"error": {"message": "…", "type": "invalid_request_error", "param": "temperature", "code": null}}
//! ```

use std::borrow::Cow;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use serde::Serialize;

use crate::protocol;

/// A refusal. Nothing of the request is left.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    pub status: StatusCode,
    pub kind: Kind,
    /// One sentence for people.
    pub message: Cow<'static, str>,
    /// The field that is wrong, as the client wrote it.
    pub param: Option<String>,
    /// For programs.
    pub code: Option<&'static str>,
    /// When to try again.
    pub retry: Option<Duration>,
}

/// OpenAI's classes of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    InvalidRequestError,
    AuthenticationError,
    PermissionError,
    NotFoundError,
    RateLimitError,
    ServerError,
}

impl ApiError {
    /// 400: a field is wrong.
    pub fn invalid(param: impl Into<String>, message: impl Into<Cow<'static, str>>) -> Self {
        let mut error = Self::bad_request(message);
        error.param = Some(param.into());
        error
    }

    /// 400: the request as a whole is wrong.
    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Kind::InvalidRequestError, message)
    }

    /// 400: right by OpenAI's page, but not done here.
    pub fn unsupported(param: impl Into<String>, message: impl Into<Cow<'static, str>>) -> Self {
        Self::invalid(param, message).with_code("unsupported")
    }

    fn refused(invalid: protocol::Invalid) -> Self {
        let mut error = Self::bad_request(invalid.to_string());
        error.param = invalid.field;
        error
    }

    /// 404.
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, Kind::InvalidRequestError, message)
    }

    /// 503: later may help.
    pub fn unavailable(message: impl Into<Cow<'static, str>>, retry: Duration) -> Self {
        let mut error = Self::new(StatusCode::SERVICE_UNAVAILABLE, Kind::ServerError, message);
        error.retry = Some(retry);
        error
    }

    /// 500.
    pub fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            Kind::ServerError,
            message,
        )
    }

    pub fn new(status: StatusCode, kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            kind,
            message: message.into(),
            param: None,
            code: None,
            retry: None,
        }
    }

    #[must_use]
    pub fn with_code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// The body alone, as it also stands in a stream's error event.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Shape<'a> {
            error: Inner<'a>,
        }
        #[derive(Serialize)]
        struct Inner<'a> {
            message: &'a str,
            r#type: Kind,
            param: Option<&'a str>,
            code: Option<&'a str>,
        }
        let shape = Shape {
            error: Inner {
                message: &self.message,
                r#type: self.kind,
                param: self.param.as_deref(),
                code: self.code,
            },
        };
        // Strings and enums always serialise.
        serde_json::to_vec(&shape).unwrap_or_default()
    }
}

/// What a plugin's refusal means to a client.
impl From<protocol::Error> for ApiError {
    fn from(error: protocol::Error) -> Self {
        use protocol::Error;
        match error {
            Error::Invalid(invalid) => Self::refused(invalid),
            Error::TooLong(invalid) => Self::refused(invalid).with_code("context_length_exceeded"),
            Error::Unsupported(message) => Self::bad_request(message).with_code("unsupported"),
            Error::Exhausted(message) => {
                Self::unavailable(message, Duration::from_secs(1)).with_code("overloaded")
            }
            Error::Denied(message) => {
                Self::new(StatusCode::FORBIDDEN, Kind::PermissionError, message).with_code("denied")
            }
            Error::Malformed(message) => Self::internal(message).with_code("malformed_model"),
            Error::Lost(message) => {
                Self::unavailable(message, Duration::from_secs(1)).with_code("worker_died")
            }
            Error::Other(message) => Self::internal(message).with_code("model_failed"),
            Error::Upstream(message) => {
                Self::new(StatusCode::BAD_GATEWAY, Kind::ServerError, message)
                    .with_code("upstream_failed")
            }
            Error::TimedOut(message) => {
                Self::new(StatusCode::GATEWAY_TIMEOUT, Kind::ServerError, message)
                    .with_code("upstream_timeout")
            }
            Error::Limited {
                message,
                retry_after_s,
            } => {
                let mut error =
                    Self::new(StatusCode::TOO_MANY_REQUESTS, Kind::RateLimitError, message);
                error.retry = Some(Duration::from_secs(retry_after_s.unwrap_or(1).into()));
                error.with_code("rate_limit_exceeded")
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.to_json()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, JSON);
        if let Some(retry) = self.retry {
            // Whole seconds, rounded up: zero would mean at once.
            let seconds = retry.as_secs() + u64::from(retry.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");
