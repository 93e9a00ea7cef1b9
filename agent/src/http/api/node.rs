//! What this node is: machine and version.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::top;
use crate::agent::Agent;
use crate::telemetry::Level;
use crate::{version, wire};

pub(super) async fn node(State(agent): State<Arc<Agent>>) -> Json<wire::Node> {
    Json(describe(&agent, true))
}

/// This node, with all its readings or without.
pub(super) fn describe(agent: &Agent, whole: bool) -> wire::Node {
    let machine = agent.telemetry.borrow().clone();
    let level = machine
        .as_ref()
        .map_or(Level::Healthy, |machine| machine.node);
    wire::Node {
        id: agent.node.to_string(),
        name: agent.cluster.name(),
        version: version::VERSION.to_owned(),
        pid: std::process::id(),
        started_unix_s: agent.started_unix_s,
        url: agent.url.clone(),
        key_required: agent.settings.http.require_key,
        computes_on: agent
            .settings
            .node
            .computes_on
            .card()
            .map_or_else(|| "cpu".to_owned(), |card| card.to_string()),
        resident_bytes: skep_hw::telemetry::resident_bytes(std::process::id()),
        health: level.name().to_owned(),
        why: machine.as_ref().and_then(|machine| machine.why.clone()),
        devices: machine.as_deref().map(top::devices).unwrap_or_default(),
        hardware: machine
            .filter(|_| whole)
            .map(|machine| machine.snapshot.clone()),
        clock_ahead_ms: None,
    }
}

pub(super) async fn version() -> Json<wire::Version> {
    Json(version::version())
}
