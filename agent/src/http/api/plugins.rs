//! Plugins: what there is, what could be, and what somebody agrees to.
//!
//! Consent takes two steps: `inspect` takes the bytes and says what they want; `install` names their digest and everything that is agreed to.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use skep_core::capability::Capability;
use skep_core::state::PluginDigest;

use super::body;
use super::refusal::{Refusal, chain};
use crate::agent::Agent;
use crate::http::Caller;
use crate::limits::{COMPONENT_BYTES, SIGNATURE_BYTES};
use crate::plugins::{Agreement, Doubt, ShelfError};
use crate::wire;

mod usage;
mod view;

pub(super) async fn list(
    State(agent): State<Arc<Agent>>,
) -> Result<Json<wire::PluginStates>, Refusal> {
    let plugins = tokio::task::spawn_blocking(move || view::list(&agent)).await;
    let plugins = plugins.map_err(Refusal::lost)?;
    Ok(Json(wire::PluginStates { plugins }))
}

pub(super) async fn show(
    State(agent): State<Arc<Agent>>,
    Path(name): Path<String>,
) -> Result<Json<wire::PluginDetails>, Refusal> {
    let found = tokio::task::spawn_blocking(move || {
        view::details(&agent, &name).ok_or_else(|| ShelfError::Unknown(shown(&name)))
    });
    Ok(Json(found.await.map_err(Refusal::lost)??))
}

/// The bytes of a component are the body; the header `skep-signature` has its signature's file in Base64.
pub(super) async fn inspect(
    State(agent): State<Arc<Agent>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<wire::PluginOffer>, Refusal> {
    let signature = signature(&headers)?;
    let reading = to_bytes(body, COMPONENT_BYTES);
    let component = tokio::time::timeout(UPLOAD_TIMEOUT, reading)
        .await
        .map_err(|_| {
            let message = "the component came too slowly";
            Refusal::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", message)
        })?
        .map_err(|error| {
            let message = format!(
                "the component could not be read: {error}; it may have {COMPONENT_BYTES} bytes"
            );
            Refusal::invalid("invalid_component", message)
        })?;
    let shelf = agent.shelf.clone();
    let offered = tokio::task::spawn_blocking(move || shelf.offer(&component, signature));
    let offer = offered.await.map_err(Refusal::lost)??;
    Ok(Json(view::offer(&offer)))
}

pub(super) async fn install(
    State(agent): State<Arc<Agent>>,
    Extension(caller): Extension<Caller>,
    body: Body,
) -> Result<Json<wire::AddedPlugin>, Refusal> {
    let wish: wire::Install = body::read(body).await?;
    let by = person(&agent, caller, wish.by);
    let agreement = Agreement {
        digest: digest(&wish.digest)?,
        grants: capabilities(&wish.grants)?,
        accepts: doubts(&wish.accepts)?,
        updates: wish.updates,
        source: wish.source,
        by: by.clone(),
    };
    let offer = agent.shelf.agree(agreement).await?;
    let name = offer.manifest.name.clone();
    tracing::info!(plugin = %name, version = %offer.manifest.version, digest = %offer.digest, %by, "somebody agreed to a plugin");
    let view = agent.cluster.view();
    let grants = view.plugins().grants(&name);
    Ok(Json(wire::AddedPlugin {
        grants: grants.map(|(what, _)| what.to_string()).collect(),
        name,
        version: offer.manifest.version.to_string(),
        world: offer.world.name().to_owned(),
        digest: format!("sha256:{}", offer.digest),
    }))
}

pub(super) async fn change(
    State(agent): State<Arc<Agent>>,
    Extension(caller): Extension<Caller>,
    Path((name, verb)): Path<(String, String)>,
    body: Body,
) -> Result<Json<serde_json::Value>, Refusal> {
    match verb.as_str() {
        "grant" | "revoke" => {
            let wish: wire::GrantsWish = body::read(body).await?;
            let grants = capabilities(&wish.grants)?;
            let by = person(&agent, caller, wish.by);
            if verb == "grant" {
                agent.shelf.grant(&name, &grants, &by).await?;
            } else {
                agent.shelf.revoke(&name, grants, &by).await?;
            }
            tracing::info!(plugin = %shown(&name), %verb, grants = ?wish.grants, %by, "what a plugin may touch was changed");
            let view = agent.cluster.view();
            let held = view.plugins().grants(&name);
            let held = held.map(|(what, _)| what.to_string());
            let grants = held.collect();
            Ok(Json(serde_json::json!(wire::PluginGrants { name, grants })))
        }
        "rollback" => {
            let wish: wire::RollBackWish = body::read(body).await?;
            let by = person(&agent, caller, wish.by);
            let going = agent
                .shelf
                .roll_back(&name, wish.to.as_deref(), &by)
                .await?;
            let answer = wire::RolledBackPlugin {
                name,
                from: going.from,
                to: going.to,
            };
            Ok(Json(serde_json::json!(answer)))
        }
        _ => {
            let message = format!("a plugin cannot be told to `{}`", shown(&verb));
            let refusal = Refusal::new(StatusCode::NOT_FOUND, "unknown_verb", message);
            Err(refusal.with_hint("grant, revoke, rollback"))
        }
    }
}

pub(super) async fn remove(
    State(agent): State<Arc<Agent>>,
    Path(name): Path<String>,
    wish: Result<Query<wire::Removal>, QueryRejection>,
) -> Result<Json<serde_json::Value>, Refusal> {
    let Query(wish) = wish?;
    agent.shelf.remove(&name, wish.force).await?;
    Ok(Json(serde_json::json!({ "name": name })))
}

pub(super) async fn signers(State(agent): State<Arc<Agent>>) -> Json<wire::Signers> {
    let view = agent.cluster.view();
    let signers = view.plugins().signers().map(view::signer).collect();
    Json(wire::Signers { signers })
}

pub(super) async fn trust(
    State(agent): State<Arc<Agent>>,
    Extension(caller): Extension<Caller>,
    body: Body,
) -> Result<Json<wire::SignerView>, Refusal> {
    let wish: wire::SignerWish = body::read(body).await?;
    let by = person(&agent, caller, wish.by);
    agent.shelf.trust(&wish.name, &wish.key, &by).await?;
    tracing::info!(signer = %wish.name, %by, "a signer is trusted");
    signer(&agent, &wish.name)
}

pub(super) async fn distrust(
    State(agent): State<Arc<Agent>>,
    Path(name): Path<String>,
) -> Result<Json<serde_json::Value>, Refusal> {
    agent.shelf.distrust(&name).await?;
    tracing::info!(signer = %name, "a signer is trusted no more");
    Ok(Json(serde_json::json!({ "name": name })))
}

fn signer(agent: &Agent, name: &str) -> Result<Json<wire::SignerView>, Refusal> {
    let view = agent.cluster.view();
    let mut signers = view.plugins().signers();
    let found = signers.find(|(known, _)| *known == name);
    let found = found.ok_or_else(|| ShelfError::Unknown(shown(name)))?;
    Ok(Json(view::signer(found)))
}

/// Who agrees, as it is kept: the name of the key that was shown, or the user of this machine.
pub(super) fn person(agent: &Agent, caller: Caller, said: Option<String>) -> String {
    let said: Option<String> = said.map(|said| {
        let plain = crate::host::printable(&said);
        plain.chars().take(NAME_LETTERS).collect()
    });
    match caller {
        Caller::Key(id) => {
            let keys = agent.keys.list();
            let key = keys.iter().find(|key| key.id == id.0);
            key.map_or_else(
                || format!("key {}", id.0),
                |key| format!("key {}", crate::host::printable(&key.name)),
            )
        }
        Caller::User(person) => {
            let view = agent.cluster.view();
            let found = view.users().numbered(person.number);
            found.map_or_else(
                || format!("user number {}", person.number),
                |(name, _)| format!("{name} (signed in)"),
            )
        }
        Caller::Session => "a browser that set this machine up".to_owned(),
        Caller::Local | Caller::Anonymous => {
            format!("user {}", said.as_deref().unwrap_or("of this machine"))
        }
    }
}

fn signature(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let Some(value) = headers.get("skep-signature") else {
        return Ok(None);
    };
    let wrong = || {
        let message = "the header `skep-signature` is not a signature's file in Base64";
        Refusal::invalid("signature_invalid", message)
    };
    // Base64 makes four letters of three bytes.
    if value.len() > SIGNATURE_BYTES * 4 / 3 + 4 {
        return Err(wrong());
    }
    let bytes = STANDARD.decode(value.as_bytes()).map_err(|_| wrong())?;
    String::from_utf8(bytes).map(Some).map_err(|_| wrong())
}

fn digest(text: &str) -> Result<PluginDigest, Refusal> {
    text.parse().map_err(|_| {
        let message = format!("`{}` is no digest", shown(text));
        Refusal::invalid("invalid_digest", message)
            .with_hint("64 hexadecimal digits, as `inspect` gave it")
    })
}

fn capabilities(grants: &[String]) -> Result<Vec<Capability>, Refusal> {
    let parse = |grant: &String| {
        grant.parse().map_err(|error| {
            Refusal::invalid("invalid_capability", format!("`{}`: {error}", shown(grant)))
        })
    };
    grants.iter().map(parse).collect()
}

fn doubts(accepts: &[String]) -> Result<Vec<Doubt>, Refusal> {
    let parse = |accepted: &String| {
        accepted.parse().map_err(|error| {
            let message = format!("`{}` cannot be accepted: {error}", shown(accepted));
            Refusal::invalid("invalid_request", message)
        })
    };
    accepts.iter().map(parse).collect()
}

fn shown(text: &str) -> String {
    text.chars()
        .take(100)
        .collect::<String>()
        .escape_debug()
        .to_string()
}

impl From<ShelfError> for Refusal {
    fn from(error: ShelfError) -> Self {
        let status = match &error {
            ShelfError::Cluster(_) => {
                let ShelfError::Cluster(error) = error else {
                    return Self::invalid("refused", "");
                };
                return error.into();
            }
            ShelfError::Unknown(_) | ShelfError::NoVersion { .. } | ShelfError::NotOffered(_) => {
                StatusCode::NOT_FOUND
            }
            ShelfError::Carried(_) | ShelfError::InUse { .. } | ShelfError::OtherName { .. } => {
                StatusCode::CONFLICT
            }
            ShelfError::NotAgreed { .. }
            | ShelfError::Doubtful { .. }
            | ShelfError::NotAsked { .. } => StatusCode::FORBIDDEN,
            ShelfError::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
            ShelfError::Component(_)
            | ShelfError::NoWorld
            | ShelfError::Ungranted { .. }
            | ShelfError::Manifest(_)
            | ShelfError::OtherWorld { .. }
            | ShelfError::Signature(_)
            | ShelfError::Unhealthy(_) => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let refusal = Self::new(status, error.code(), chain(&error));
        match error.hint() {
            Some(hint) => refusal.with_hint(hint),
            None => refusal,
        }
    }
}

/// As many letters of a user's name as are kept.
const NAME_LETTERS: usize = 30;

/// The largest component, over a slow line.
const UPLOAD_TIMEOUT: Duration = Duration::from_mins(5);
