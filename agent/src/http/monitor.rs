//! For monitors: alive, ready, and in figures.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Response, header};

use super::error::ApiError;
use crate::agent::Agent;
use crate::router::ModelStanding;

/// `/healthz`, `/readyz` or `/metrics`.
pub(super) fn answer(agent: &Agent, path: &str) -> Result<Response<Body>, ApiError> {
    match path {
        "/healthz" => Ok(text("ok\n", TEXT)),
        "/readyz" => readiness(agent).map(|()| text("ready\n", TEXT)),
        _ => crate::metrics::render(agent)
            .map(|figures| text(figures, OPEN_METRICS))
            .map_err(|_| ApiError::internal("the figures could not be written")),
    }
}

/// Whether new requests are served: not before the default model is there, not once stopping.
fn readiness(agent: &Agent) -> Result<(), ApiError> {
    let soon = Duration::from_secs(1);
    if agent.router.is_draining() {
        return Err(ApiError::unavailable("the agent is stopping", soon).with_code("draining"));
    }
    let Some(default) = &agent.settings.models.default else {
        return Ok(());
    };
    let status = agent.router.model(default);
    match status.as_ref().map(|status| status.standing) {
        Some(ModelStanding::Ready) => Ok(()),
        Some(ModelStanding::Failed) => {
            let why = status.and_then(|status| status.why).unwrap_or_default();
            Err(ApiError::unavailable(
                format!("the default model `{default}` could not be loaded: {why}"),
                Duration::from_secs(10),
            )
            .with_code("model_load_failed"))
        }
        Some(_) => Err(ApiError::unavailable(
            format!("the default model `{default}` is loading"),
            soon,
        )
        .with_code("model_loading")),
        None => Err(ApiError::unavailable(
            format!(
                "there is no model named `{default}`, which `models.default` asks for; \
                 `skep pull` brings one"
            ),
            Duration::from_secs(60),
        )
        .with_code("model_not_found")),
    }
}

fn text(text: impl Into<Body>, kind: HeaderValue) -> Response<Body> {
    let mut response = Response::new(text.into());
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
