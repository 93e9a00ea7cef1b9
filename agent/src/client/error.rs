//! Why an agent could not be asked or refused; decides the words and the hints.

use std::io::ErrorKind;

use super::endpoint::{Endpoint, EndpointError};
use crate::wire::{ErrorAnswer, ErrorBody};

/// What a command tells when it does not get its answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// Nobody answers there.
    #[error("no skep agent answers at {url}: {reason}")]
    Unreachable {
        url: String,
        reason: String,
        /// Whether it should be on this machine.
        local: bool,
    },
    /// The connection ended in the middle.
    #[error("the connection to {url} broke off: {reason}")]
    Broken { url: String, reason: String },
    /// The agent said no.
    #[error("{}", body.message)]
    Refused { status: u16, body: ErrorBody },
    /// What answers is not an agent, or of another age.
    #[error("{url} gave an answer that this skep does not understand: {reason}")]
    Unreadable { url: String, reason: String },
}

impl ClientError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Endpoint(e) => Some(e.hint().to_owned()),
            Self::Unreachable { local: true, .. } => {
                Some("start it with `skep up` in another terminal".to_owned())
            }
            Self::Unreachable { local: false, .. } => {
                Some("is `SKEP_URL` right, and the agent up there?".to_owned())
            }
            Self::Broken { .. } => {
                Some("`skep logs` may tell why, `skep doctor` looks around".into())
            }
            Self::Refused { status: 401, .. } => Some(
                "give a key with `SKEP_API_KEY=...`; `skep keys new NAME` makes one".to_owned(),
            ),
            Self::Refused { body, .. } => body.hint.clone(),
            Self::Unreadable { .. } => Some(
                "is the agent of the same version? compare `skep version` there and here".into(),
            ),
        }
    }
}

pub(super) fn sending(endpoint: &Endpoint, error: ureq::Error) -> ClientError {
    let url = endpoint.url().to_owned();
    let local = endpoint.is_loopback();
    let unreachable = |reason: &str| ClientError::Unreachable {
        url: url.clone(),
        reason: reason.to_owned(),
        local,
    };
    match error {
        ureq::Error::Io(e) if e.kind() == ErrorKind::ConnectionRefused => {
            unreachable("the connection is refused")
        }
        ureq::Error::HostNotFound => unreachable("the host's name cannot be resolved"),
        ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
            unreachable("it does not answer in time")
        }
        ureq::Error::ConnectionFailed => unreachable("the connection failed"),
        ureq::Error::Io(e)
            if matches!(
                e.kind(),
                ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable
            ) =>
        {
            unreachable(&e.to_string())
        }
        other => ClientError::Broken {
            url,
            reason: other.to_string(),
        },
    }
}

pub(super) fn refusal(endpoint: &Endpoint, status: u16, text: &[u8]) -> ClientError {
    match serde_json::from_slice::<ErrorAnswer>(text) {
        Ok(answer) => ClientError::Refused {
            status,
            body: answer.error,
        },
        Err(_) => ClientError::Unreadable {
            url: endpoint.url().to_owned(),
            reason: format!("status {status}"),
        },
    }
}
