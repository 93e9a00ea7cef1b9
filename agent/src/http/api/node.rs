//! What this node is: machine, version, plugins.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use crate::agent::Agent;
use crate::{version, wire};

pub(super) async fn node(State(agent): State<Arc<Agent>>) -> Json<wire::Node> {
    let hardware = agent.telemetry.borrow().clone();
    Json(wire::Node {
        name: agent.node_name.clone(),
        version: version::VERSION.to_owned(),
        pid: std::process::id(),
        started_unix_s: agent.started_unix_s,
        url: agent.url.clone(),
        key_required: agent.settings.http.require_key,
        // The kernels of this version are the processor's.
        computes_on: "cpu".to_owned(),
        resident_bytes: skep_hw::telemetry::resident_bytes(std::process::id()),
        hardware: hardware.as_deref().cloned(),
    })
}

pub(super) async fn version() -> Json<wire::Version> {
    Json(version::version())
}

pub(super) async fn plugins() -> Json<wire::Plugins> {
    Json(wire::Plugins {
        plugins: version::plugins(),
    })
}
