//! What plugins of this node were granted: list, grant, revoke. A revoked right ends what uses it at once.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::{Extension, Json};
use skep_core::capability::Capability;

use super::body;
use super::refusal::Refusal;
use crate::agent::Agent;
use crate::http::Caller;
use crate::services::ServiceError;
use crate::wire;

pub(super) async fn list(
    State(agent): State<Arc<Agent>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<wire::Grants>, Refusal> {
    if caller == Caller::Anonymous {
        return Err(Refusal::unknown_caller());
    }
    let all = agent.services.grants().all().into_iter();
    let all = all.flat_map(|(plugin, granted)| {
        granted.into_iter().map(move |capability| wire::Grant {
            plugin: plugin.clone(),
            capability: capability.to_string(),
        })
    });
    Ok(Json(wire::Grants {
        grants: all.collect(),
    }))
}

pub(super) async fn grant(
    State(agent): State<Arc<Agent>>,
    body: Body,
) -> Result<Json<wire::Grant>, Refusal> {
    let (wish, capability) = read(body).await?;
    agent.services.check_plugin(&wish.plugin)?;
    let plugin = wish.plugin.clone();
    let granted = capability.clone();
    tokio::task::spawn_blocking(move || agent.services.grants().grant(&plugin, &[granted]))
        .await
        .map_err(Refusal::lost)??;
    tracing::info!(plugin = %wish.plugin, %capability, "granted");
    Ok(Json(wish))
}

pub(super) async fn revoke(
    State(agent): State<Arc<Agent>>,
    body: Body,
) -> Result<Json<wire::Grant>, Refusal> {
    let (wish, capability) = read(body).await?;
    let plugin = wish.plugin.clone();
    let revoked = capability.clone();
    let known = tokio::task::spawn_blocking(move || {
        let grants = agent.services.grants();
        let known = grants.granted(&plugin).contains(&revoked);
        grants.revoke(&plugin, &revoked).map(|()| known)
    })
    .await
    .map_err(Refusal::lost)?;
    if !known? {
        let plugin = &wish.plugin;
        return Err(ServiceError::NotHeld {
            plugin: plugin.clone(),
            capability,
        }
        .into());
    }
    tracing::info!(plugin = %wish.plugin, %capability, "revoked");
    Ok(Json(wish))
}

async fn read(body: Body) -> Result<(wire::Grant, Capability), Refusal> {
    let wish: wire::Grant = body::read(body).await?;
    let capability =
        wish.capability
            .parse()
            .map_err(|error: skep_core::capability::CapabilityError| {
                let message = format!("`{}`: {error}", wish.capability.escape_debug());
                Refusal::invalid("invalid_grant", message)
            })?;
    Ok((wish, capability))
}
