//! Secrets: list, set, remove. Their texts come in and never go out.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use skep_core::capability::SecretName;
use zeroize::Zeroizing;

use super::body;
use super::refusal::Refusal;
use crate::agent::Agent;
use crate::http::Caller;
use crate::services::ServiceError;
use crate::wire;

pub(super) async fn list(
    State(agent): State<Arc<Agent>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<wire::Secrets>, Refusal> {
    if caller == Caller::Anonymous {
        return Err(Refusal::unknown_caller());
    }
    let listed = tokio::task::spawn_blocking(move || {
        let services = &agent.services;
        let secrets = services.secrets().list()?.into_iter();
        let secrets = secrets.map(|secret| wire::Secret {
            used_by: services.users_of(&secret.name),
            name: secret.name.into(),
            set_unix_s: secret.set_unix_s,
        });
        Ok::<_, ServiceError>(wire::Secrets {
            secrets: secrets.collect(),
        })
    });
    Ok(Json(listed.await.map_err(Refusal::lost)??))
}

pub(super) async fn set(
    State(agent): State<Arc<Agent>>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Json<serde_json::Value>, Refusal> {
    let name = parse(&name)?;
    let wish: wire::NewSecret = body::read(body).await?;
    let text = Zeroizing::new(wish.text);
    let kept = name.clone();
    tokio::task::spawn_blocking(move || agent.services.secrets().set(&kept, &text))
        .await
        .map_err(Refusal::lost)??;
    tracing::info!(name = name.as_str(), "secret set");
    Ok(Json(serde_json::json!({ "name": name })))
}

pub(super) async fn remove(
    State(agent): State<Arc<Agent>>,
    Path(name): Path<String>,
) -> Result<Json<serde_json::Value>, Refusal> {
    let name = parse(&name)?;
    let gone = name.clone();
    let removed = tokio::task::spawn_blocking(move || {
        let users = agent.services.users_of(&gone);
        if !users.is_empty() {
            return Err(ServiceError::SecretInUse { name: gone, users });
        }
        agent.services.secrets().remove(&gone)
    });
    removed.await.map_err(Refusal::lost)??;
    tracing::info!(name = name.as_str(), "secret removed");
    Ok(Json(serde_json::json!({ "name": name })))
}

fn parse(name: &str) -> Result<SecretName, Refusal> {
    name.parse()
        .map_err(|error: skep_core::capability::CapabilityError| {
            Refusal::new(StatusCode::BAD_REQUEST, "invalid_name", error.to_string())
        })
}
