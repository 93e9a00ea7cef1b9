//! Why an exchange by HTTP did not come about, by what a plugin can do about it.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};

use crate::shared::bindings::skep::plugin::types::{Error, Invalid};
use crate::shared::bindings::wasi::http::types::ErrorCode;

/// Why there is no answer, or not the rest of it.
///
/// It becomes an [`Error`] of the contract by `?`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpError {
    /// The URL or a header is none. Nothing was sent.
    Request(String),
    /// The operator did not grant it. Nothing was sent.
    Denied(String),
    /// No connection came about. Nothing was sent, so that trying again is safe.
    Unreachable(String),
    /// The service was silent for too long. It may have acted on the request.
    Timeout(String),
    /// The connection broke, or what came is no HTTP. The service may have acted on the request.
    Lost(String),
    /// What came is longer than the limit that the caller set, in bytes.
    TooLong(usize),
}

impl HttpError {
    /// Whether it is certain that the service has seen nothing of the request.
    #[must_use]
    pub const fn is_unsent(&self) -> bool {
        matches!(
            self,
            Self::Request(_) | Self::Denied(_) | Self::Unreachable(_)
        )
    }

    pub(super) fn of(code: &ErrorCode, host: &str) -> Self {
        use ErrorCode as C;

        match code {
            C::HttpRequestDenied => Self::Denied(format!(
                "requests to `{host}` are not granted, or would carry a secret that is not, or without TLS"
            )),
            C::DestinationIpProhibited => Self::Denied(format!(
                "`{host}` has an address that is not granted: grant it as `http-local:` if it is in your own network"
            )),
            C::HttpRequestUriInvalid
            | C::HttpRequestUriTooLong
            | C::HttpRequestMethodInvalid
            | C::HttpRequestHeaderSize(_)
            | C::HttpRequestHeaderSectionSize(_)
            | C::HttpRequestBodySize(_)
            | C::HttpRequestLengthRequired => {
                Self::Request(format!("the request to `{host}` is not allowed: {code}"))
            }
            C::DnsTimeout | C::DnsError(_) | C::DestinationNotFound => Self::Unreachable(format!(
                "there is no host `{host}` (no answer for its name)"
            )),
            C::DestinationUnavailable | C::DestinationIpUnroutable => {
                Self::Unreachable(format!("`{host}` cannot be reached"))
            }
            C::ConnectionRefused => Self::Unreachable(format!(
                "`{host}` refuses connections: is the service running?"
            )),
            C::ConnectionTimeout => {
                Self::Unreachable(format!("`{host}` did not take a connection in time"))
            }
            C::TlsCertificateError => {
                Self::Unreachable(format!("the certificate of `{host}` is not trusted"))
            }
            C::TlsProtocolError | C::TlsAlertReceived(_) => {
                Self::Unreachable(format!("`{host}` does not speak TLS as it should"))
            }
            C::ConnectionReadTimeout | C::ConnectionWriteTimeout | C::HttpResponseTimeout => {
                Self::Timeout(format!("`{host}` was silent for too long"))
            }
            C::InternalError(Some(text)) => {
                Self::Lost(format!("the connection to `{host}` failed: {text}"))
            }
            C::ConnectionTerminated | C::HttpResponseIncomplete | C::InternalError(None) => {
                Self::Lost(format!("`{host}` closed the connection in the middle"))
            }
            other => Self::Lost(format!(
                "`{host}` does not speak HTTP as it should: {other}"
            )),
        }
    }
}

impl core::fmt::Display for HttpError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Request(text)
            | Self::Denied(text)
            | Self::Unreachable(text)
            | Self::Timeout(text)
            | Self::Lost(text) => f.write_str(text),
            Self::TooLong(limit) => write!(f, "what the service sent is longer than {limit} bytes"),
        }
    }
}

impl core::error::Error for HttpError {}

impl From<HttpError> for Error {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::Request(message) => Self::Invalid(Invalid {
                field: None,
                message,
            }),
            HttpError::Denied(text) => Self::Denied(text),
            HttpError::TooLong(_) => Self::Malformed(error.to_string()),
            HttpError::Unreachable(text) | HttpError::Timeout(text) | HttpError::Lost(text) => {
                Self::Other(text)
            }
        }
    }
}

impl Error {
    /// A wrong request, blamed on one of its fields.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(Invalid {
            field: Some(field.into()),
            message: message.into(),
        })
    }

    /// The sentence for people, whatever the case.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Invalid(invalid) | Self::TooLong(invalid) => &invalid.message,
            Self::Malformed(text)
            | Self::Unsupported(text)
            | Self::Exhausted(text)
            | Self::Denied(text)
            | Self::Other(text) => text,
        }
    }
}

/// What a service sent, fit for a sentence: one line, no control characters, at most 300 characters.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut shown = String::new();
    for (count, character) in text.trim().chars().enumerate() {
        if count == QUOTED_CHARS_MAX {
            shown.push('…');
            break;
        }
        shown.push(if character.is_control() {
            ' '
        } else {
            character
        });
    }
    if shown.is_empty() {
        shown = "nothing".to_owned();
    }
    shown
}

/// A sentence for people has no use for more, and services send whole pages.
const QUOTED_CHARS_MAX: usize = 300;
