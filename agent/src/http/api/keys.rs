//! API keys: list, make, revoke.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};

use super::body;
use super::refusal::{Refusal, chain};
use crate::agent::Agent;
use crate::http::Caller;
use crate::keys::{KeyView, KeysError};
use crate::wire;

pub(super) async fn list(
    State(agent): State<Arc<Agent>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<wire::Keys>, Refusal> {
    if caller == Caller::Anonymous {
        return Err(Refusal::unknown_caller());
    }
    let keys = agent.keys.list().into_iter().map(view).collect();
    Ok(Json(wire::Keys { keys }))
}

pub(super) async fn make(
    State(agent): State<Arc<Agent>>,
    body: Body,
) -> Result<Json<wire::MadeKey>, Refusal> {
    let wish: wire::NewKey = body::read(body).await?;
    let (key, secret) = tokio::task::spawn_blocking(move || agent.keys.create(&wish.name))
        .await
        .map_err(Refusal::lost)??;
    tracing::info!(name = %key.name, id = key.id, "API key made");
    Ok(Json(wire::MadeKey {
        key: view(key),
        secret: secret.reveal().to_owned(),
    }))
}

pub(super) async fn revoke(
    State(agent): State<Arc<Agent>>,
    Path(key): Path<String>,
) -> Result<Json<wire::Key>, Refusal> {
    let key = tokio::task::spawn_blocking(move || agent.keys.revoke(&key))
        .await
        .map_err(Refusal::lost)??;
    tracing::info!(name = %key.name, id = key.id, "API key revoked");
    Ok(Json(view(key)))
}

fn view(key: KeyView) -> wire::Key {
    wire::Key {
        id: key.id,
        name: key.name,
        prefix: key.prefix,
        created_unix_s: key.created_unix_s,
        last_used_unix_s: key.last_used_unix_s,
    }
}

impl From<KeysError> for Refusal {
    fn from(error: KeysError) -> Self {
        let (status, code, hint) = match &error {
            KeysError::Name(_) => (StatusCode::BAD_REQUEST, "invalid_name", None),
            KeysError::Taken(_) => (StatusCode::CONFLICT, "name_taken", None),
            KeysError::Full => (
                StatusCode::CONFLICT,
                "too_many_keys",
                Some("`skep keys rm` revokes old ones"),
            ),
            KeysError::Unknown(_) => (
                StatusCode::NOT_FOUND,
                "key_not_found",
                Some("`skep keys ls` lists them"),
            ),
            _ => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "storage_failed",
                Some("`skep doctor` checks the state folder"),
            ),
        };
        let refusal = Self::new(status, code, chain(&error));
        match hint {
            Some(hint) => refusal.with_hint(hint),
            None => refusal,
        }
    }
}
