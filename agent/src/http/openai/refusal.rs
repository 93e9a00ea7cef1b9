//! What the core's, the scheduler's and the fleet's refusals are called over HTTP.

use std::time::Duration;

use axum::http::StatusCode;
use skep_core::Refusal;

use crate::agent::Agent;
use crate::fleet::SubmitError;
use crate::http::error::{ApiError, Kind};
use crate::models::nearest;
use crate::router::RouteError;

/// Why a request was not admitted.
pub(super) fn refused(agent: &Agent, model: &str, refusal: Refusal) -> ApiError {
    match refusal {
        Refusal::UnknownModel => unknown_model(agent, model),
        Refusal::KeyBusy { limit, retry } => {
            let mut error = ApiError::new(
                StatusCode::TOO_MANY_REQUESTS,
                Kind::RateLimitError,
                format!("this key has {limit} requests under way, which is as many as it may"),
            )
            .with_code("too_many_requests");
            error.retry = Some(retry);
            error
        }
        Refusal::Busy { retry } => {
            ApiError::unavailable("every slot and the queue are full", retry)
                .with_code("overloaded")
        }
        Refusal::Loading { elapsed, retry } => ApiError::unavailable(
            format!(
                "the model `{model}` has been loading for {} s and is not ready yet",
                elapsed.as_secs()
            ),
            retry,
        )
        .with_code("model_loading"),
        Refusal::LoadFailed { why, retry } => {
            ApiError::unavailable(format!("the model `{model}` is not loaded: {why}"), retry)
                .with_code("model_load_failed")
        }
        Refusal::NoRoom { limit, retry } => ApiError::unavailable(
            format!("{limit} models are loaded, which is as many as may be, and all are in use"),
            retry,
        )
        .with_code("no_room"),
        Refusal::TimedOut => super::whole::expired(),
        Refusal::Draining => ApiError::unavailable("the agent is stopping", Duration::from_secs(1))
            .with_code("draining"),
    }
}

/// Why an admitted request did not start.
pub(super) fn not_started(error: RouteError) -> ApiError {
    let soon = Duration::from_secs(1);
    match error {
        RouteError::NoPlace(refusal) => {
            ApiError::unavailable(refusal.to_string(), soon).with_code("no_place")
        }
        RouteError::Submit(SubmitError::Refused(error)) => error.into(),
        RouteError::Submit(SubmitError::TooLong(bytes)) => ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            Kind::InvalidRequestError,
            SubmitError::TooLong(bytes).to_string(),
        ),
        RouteError::Submit(error) => {
            ApiError::unavailable(error.to_string(), soon).with_code("overloaded")
        }
    }
}

/// 404 with the names that exist.
pub(super) fn unknown_model(agent: &Agent, model: &str) -> ApiError {
    let models = agent.router.models();
    let names = || models.iter().map(|model| &*model.name);
    let hint = match nearest(model, names()) {
        Some(near) => format!("; did you mean `{near}`?"),
        None if models.is_empty() => "; there are none, and `skep pull` brings one".to_owned(),
        None => {
            let shown: Vec<_> = names().take(10).map(|name| format!("`{name}`")).collect();
            format!("; there are {}", shown.join(", "))
        }
    };
    let mut error = ApiError::not_found(format!(
        "there is no model named `{}`{hint}",
        model.escape_debug()
    ))
    .with_code("model_not_found");
    error.param = Some("model".into());
    error
}
