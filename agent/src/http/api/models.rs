//! The models on the disk, and moving them into memory and out of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;

use super::refusal::Refusal;
use super::{replicas, upstreams};
use crate::agent::Agent;
use crate::models::{CatalogueError, Model, ModelName};
use crate::wire;

pub(super) async fn list(State(agent): State<Arc<Agent>>) -> Result<Json<wire::Models>, Refusal> {
    let catalogue = Arc::clone(&agent.catalogue);
    let listing = tokio::task::spawn_blocking(move || catalogue.list())
        .await
        .map_err(Refusal::lost)??;
    let states: HashMap<String, String> = replicas::all(&agent)
        .into_iter()
        .map(|replica| (replica.model, replica.state))
        .collect();
    let models = listing.models.iter().map(|model| {
        let state = states.get(model.name().as_str()).cloned();
        describe(&agent, model, state)
    });
    let damaged = listing.damaged.into_iter().map(|damaged| wire::Damaged {
        path: damaged.path.display().to_string(),
        reason: damaged.reason,
    });
    Ok(Json(wire::Models {
        models: models.collect(),
        damaged: damaged.collect(),
        offered: upstreams::offered(&agent),
    }))
}

/// Further words of a removal.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Removal {
    /// Unload it first.
    force: bool,
}

pub(super) async fn remove(
    State(agent): State<Arc<Agent>>,
    Path(name): Path<String>,
    removal: Result<Query<Removal>, QueryRejection>,
) -> Result<Json<wire::Removed>, Refusal> {
    let Query(removal) = removal?;
    let name = find(&agent, &name)?.name().clone();
    if replicas::of(&agent, name.as_str()).is_some() {
        if !removal.force {
            let message = format!("`{name}` is loaded");
            return Err(Refusal::new(StatusCode::CONFLICT, "model_loaded", message)
                .with_hint(format!("`skep rm --force {name}` unloads it first")));
        }
        end(&agent, name.as_str()).await?;
    }
    let (catalogue, gone) = (Arc::clone(&agent.catalogue), name.clone());
    let removed = tokio::task::spawn_blocking(move || catalogue.remove(&gone))
        .await
        .map_err(Refusal::lost)??;
    agent.router.catalogue_changed();
    tracing::info!(model = %name, freed_bytes = removed.freed_bytes, "model removed");
    Ok(Json(wire::Removed {
        name: name.to_string(),
        freed_bytes: removed.freed_bytes,
    }))
}

pub(super) async fn load(
    State(agent): State<Arc<Agent>>,
    Path(name): Path<String>,
) -> Result<Json<wire::Replica>, Refusal> {
    let model = find(&agent, &name)?;
    let name = model.name().as_str();
    agent
        .router
        .load_here(name, LOAD_PATIENCE)
        .await
        .map_err(|why| {
            let message = format!("`{name}` could not be loaded: {why}");
            Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "model_load_failed",
                message,
            )
            .with_hint("`skep logs` tells more, `skep ps` whether it is still being tried")
        })?;
    replicas::of(&agent, name).map(Json).ok_or_else(|| {
        let message = format!("`{name}` was unloaded again at once");
        Refusal::new(StatusCode::CONFLICT, "model_unloaded", message)
    })
}

pub(super) async fn unload(
    State(agent): State<Arc<Agent>>,
    Path(name): Path<String>,
) -> Result<Json<serde_json::Value>, Refusal> {
    let model = find(&agent, &name)?;
    let name = model.name().as_str();
    if replicas::of(&agent, name).is_none() {
        let message = format!("`{name}` is not loaded");
        return Err(Refusal::new(
            StatusCode::CONFLICT,
            "model_not_loaded",
            message,
        ));
    }
    end(&agent, name).await?;
    Ok(Json(serde_json::json!({ "name": name })))
}

/// A model as the list shows it.
pub(super) fn describe(agent: &Agent, model: &Model, state: Option<String>) -> wire::Model {
    let name = model.name().to_string();
    wire::Model {
        digest: model.digest().to_string(),
        bytes: model.bytes(),
        format: model.format().to_string(),
        source: model.source().to_owned(),
        added_unix_s: model.added_unix_s(),
        state,
        is_default: agent.settings.models.default.as_ref() == Some(&name),
        name,
    }
}

/// The model of a name as a client wrote it.
fn find(agent: &Agent, name: &str) -> Result<Model, Refusal> {
    let name: ModelName = name.parse().map_err(|error: crate::models::NameError| {
        Refusal::invalid("invalid_name", error.to_string())
    })?;
    agent.catalogue.find(&name).map_err(CatalogueError::into)
}

/// Waits until a model's requests are over and its worker has gone.
async fn end(agent: &Agent, name: &str) -> Result<(), Refusal> {
    agent.router.unwant(name);
    let mut changes = agent.router.fleet().changes();
    let gone = async {
        while replicas::of(agent, name).is_some() {
            if changes.changed().await.is_err() {
                return;
            }
        }
    };
    tokio::time::timeout(UNLOAD_PATIENCE, gone)
        .await
        .map_err(|_| {
            let message = format!("`{name}` is still answering requests");
            Refusal::new(StatusCode::CONFLICT, "model_busy", message)
                .with_hint("it goes as soon as they are over; `skep ps` shows them")
        })
}

/// Large models come from slow disks.
const LOAD_PATIENCE: Duration = Duration::from_secs(15 * 60);

/// Longest answers of a small model; what takes longer should be waited for knowingly.
const UNLOAD_PATIENCE: Duration = Duration::from_secs(60);
