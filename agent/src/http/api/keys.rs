//! API keys: list, make, revoke.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use skep_core::state::UserRole;

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
    let state = agent.cluster.view();
    let keys = agent.keys.list().into_iter();
    let own = keys.filter(|key| owner(caller).is_none_or(|own| key.owner == Some(own)));
    let keys = own.map(|key| view(&state, key)).collect();
    Ok(Json(wire::Keys { keys }))
}

pub(super) async fn make(
    State(agent): State<Arc<Agent>>,
    Extension(caller): Extension<Caller>,
    body: Body,
) -> Result<Json<wire::MadeKey>, Refusal> {
    let wish: wire::NewKey = body::read(body).await?;
    let state = agent.cluster.view();
    let owner = caller.person().map(|person| person.number);
    let made = tokio::task::spawn_blocking(move || agent.keys.create(&wish.name, owner));
    let (key, secret) = made.await.map_err(Refusal::lost)??;
    tracing::info!(name = %key.name, id = key.id, "API key made");
    Ok(Json(wire::MadeKey {
        key: view(&state, key),
        secret: secret.reveal().to_owned(),
    }))
}

pub(super) async fn revoke(
    State(agent): State<Arc<Agent>>,
    Extension(caller): Extension<Caller>,
    Path(key): Path<String>,
) -> Result<Json<wire::Key>, Refusal> {
    let state = agent.cluster.view();
    let revoked = tokio::task::spawn_blocking(move || agent.keys.revoke_of(&key, owner(caller)));
    let key = revoked.await.map_err(Refusal::lost)??;
    tracing::info!(name = %key.name, id = key.id, "API key revoked");
    Ok(Json(view(&state, key)))
}

/// The user whose keys alone may be seen and ended; none: all.
fn owner(caller: Caller) -> Option<u64> {
    let person = caller.person()?;
    (person.role != UserRole::Admin).then_some(person.number)
}

fn view(state: &skep_core::state::State, key: KeyView) -> wire::Key {
    let owner = key.owner.map(|number| {
        let found = state.users().numbered(number);
        found.map_or_else(
            || "a user who is gone".to_owned(),
            |(name, _)| name.to_owned(),
        )
    });
    wire::Key {
        owner,
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
