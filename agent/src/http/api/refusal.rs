//! How `/api/v1` says no: OpenAI's fields, and what to do next.

use std::error::Error;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::http::error::ApiError;
use crate::models::{CatalogueError, PullError};
use crate::wire::{ErrorAnswer, ErrorBody};

/// A refusal with a hint.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    body: ErrorBody,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            body: ErrorBody {
                message: message.into(),
                code: Some(code.to_owned()),
                hint: None,
            },
        }
    }

    /// 400.
    pub(super) fn invalid(code: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 500: the task that was to do it has ended.
    pub(super) fn lost(_: tokio::task::JoinError) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "what was asked for broke off inside the agent",
        )
        .with_hint("`skep logs` tells more")
    }

    /// 401: what tells of others is for those who are known.
    pub(super) fn unknown_caller() -> Self {
        let message = "this needs an API key, or the `skep` command of the user who runs the agent";
        Self::new(StatusCode::UNAUTHORIZED, "key_required", message)
    }

    pub(super) fn message(&self) -> String {
        self.body.message.clone()
    }

    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.body.hint = Some(hint.into());
        self
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(ErrorAnswer { error: self.body })).into_response()
    }
}

/// What stands after `?` cannot be read.
impl From<QueryRejection> for Refusal {
    fn from(error: QueryRejection) -> Self {
        Self::invalid("invalid_request", chain(&error))
    }
}

/// Refusals that all endpoints share keep their status and code.
impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self::new(
            error.status,
            error.code.unwrap_or("invalid_request"),
            error.message,
        )
    }
}

impl From<CatalogueError> for Refusal {
    fn from(error: CatalogueError) -> Self {
        let status = match &error {
            CatalogueError::Unknown { .. } => StatusCode::NOT_FOUND,
            CatalogueError::Io { .. } | CatalogueError::Embedded { .. } => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        let refusal = Self::new(status, error.code(), chain(&error));
        match error.hint() {
            Some(hint) => refusal.with_hint(hint),
            None => refusal,
        }
    }
}

impl From<&PullError> for ErrorBody {
    fn from(error: &PullError) -> Self {
        Self {
            message: chain(error),
            code: Some(error.code().to_owned()),
            hint: error.hint(),
        }
    }
}

/// What can be said before a pull begins.
impl From<PullError> for Refusal {
    fn from(error: PullError) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            body: ErrorBody::from(&error),
        }
    }
}

/// An error's text and its causes'.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = cause.source();
    }
    text
}
