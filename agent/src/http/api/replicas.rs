//! The models in memory, and the requests that were answered lately.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use axum::Json;
use axum::extract::State;

use super::top;
use crate::agent::Agent;
use crate::fleet::{ReplicaState, ReplicaStatus};
use crate::protocol::{Abilities, ModelInfo};
use crate::router::Trace;
use crate::telemetry::{self, Level};
use crate::wire;

pub(super) async fn list(State(agent): State<Arc<Agent>>) -> Json<wire::Replicas> {
    let mut replicas = all(&agent);
    replicas.extend(offered(&agent));
    Json(wire::Replicas { replicas })
}

/// What became of the latest requests, newest first. Neither prompts nor answers are in it.
pub(super) async fn requests(State(agent): State<Arc<Agent>>) -> Json<serde_json::Value> {
    Json(serde_json::json!({ "requests": agent.router.traces() }))
}

/// Every replica of this node.
pub(super) fn all(agent: &Agent) -> Vec<wire::Replica> {
    let traces = agent.router.traces();
    let replicas = agent.router.fleet().replicas();
    replicas
        .into_iter()
        .map(|status| describe(agent, status, &traces))
        .collect()
}

/// What upstreams of this node answer for.
fn offered(agent: &Agent) -> Vec<wire::Replica> {
    let traces = agent.router.traces();
    let offers = agent.router.offered().into_iter();
    let described = offers.map(|offer| {
        let (state, why) = match offer.state {
            skep_core::ReplicaState::Starting => ("starting", None),
            skep_core::ReplicaState::Ready => ("ready", None),
            skep_core::ReplicaState::Draining => ("draining", None),
            skep_core::ReplicaState::Failed(why) => ("failed", Some(why)),
        };
        wire::Replica {
            id: offer.id.0,
            plugin: offer.plugin.to_string(),
            state: state.to_owned(),
            why,
            since_unix_s: agent.started_unix_s,
            requests: offer.running,
            running: offer.running,
            waiting: 0,
            cache_pages: 0,
            cache_pages_used: 0,
            guessed: 0,
            guesses_kept: 0,
            tokens_per_s: rate(&offer.model, &traces),
            pid: None,
            resident_bytes: None,
            restarts: 0,
            opened_in_ms: None,
            card_bytes: None,
            device: format!("upstream {}", offer.upstream),
            node: agent.cluster.name(),
            devices: Vec::new(),
            health: Level::Healthy.name().to_owned(),
            causes: Vec::new(),
            info: offer.info.map(info),
            model: offer.model.to_string(),
        }
    });
    described.collect()
}

/// The replica of a model.
pub(super) fn of(agent: &Agent, model: &str) -> Option<wire::Replica> {
    all(agent)
        .into_iter()
        .find(|replica| replica.model == model)
}

fn describe(agent: &Agent, status: ReplicaStatus, traces: &[Trace]) -> wire::Replica {
    let fallen = telemetry::fallback(&status);
    let level = fallen.as_ref().map_or(Level::Healthy, |cause| cause.level);
    let (state, why) = match status.state {
        ReplicaState::Starting => ("starting", None),
        ReplicaState::Ready => ("ready", None),
        ReplicaState::Restarting { why, .. } => ("restarting", Some(why)),
        ReplicaState::Draining => ("draining", None),
        ReplicaState::Failed { why } => ("failed", Some(why)),
    };
    wire::Replica {
        node: agent.cluster.name(),
        health: level.name().to_owned(),
        causes: fallen.iter().map(top::cause).collect(),
        devices: status.devices,
        tokens_per_s: rate(&status.model, traces),
        id: status.id.0,
        model: status.model,
        plugin: status.plugin,
        state: state.to_owned(),
        why,
        since_unix_s: status
            .since
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs()),
        requests: status.living,
        running: status.load.running,
        waiting: status.load.waiting,
        cache_pages: status.load.cache_pages,
        cache_pages_used: status.load.cache_pages_used,
        guessed: status.load.guessed,
        guesses_kept: status.load.guesses_kept,
        resident_bytes: status.pid.and_then(skep_hw::telemetry::resident_bytes),
        pid: status.pid,
        restarts: status.restarts,
        opened_in_ms: status
            .opened_in
            .map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
        card_bytes: status.card_bytes,
        device: status.device,
        info: status.info.map(info),
    }
}

fn info(info: ModelInfo) -> wire::ModelInfo {
    let Abilities {
        chat,
        complete,
        embed,
    } = info.abilities;
    let abilities = [("chat", chat), ("complete", complete), ("embed", embed)];
    let abilities = abilities
        .iter()
        .filter(|(_, able)| *able)
        .map(|(name, _)| (*name).to_owned());
    wire::ModelInfo {
        architecture: info.architecture,
        name: info.name,
        parameters: info.parameters,
        quantisation: info.quantisation,
        context_tokens: info.context_tokens,
        trained_context_tokens: info.trained_context_tokens,
        embedding_width: info.embedding_width,
        sequences: info.sequences,
        cache_bytes: info.cache_bytes,
        abilities: abilities.collect(),
    }
}

/// What one answer of a model got, averaged over its latest answers by their length.
fn rate(model: &str, traces: &[Trace]) -> Option<f64> {
    let latest = traces
        .iter()
        .filter(|trace| &*trace.model == model)
        .take(RATE_ANSWERS);
    let (mut tokens, mut us) = (0, 0);
    for trace in latest {
        let Some(first) = trace.first_after_us else {
            continue;
        };
        // The first token ends the reading of the prompt; those after it are generation.
        tokens += trace.completion_tokens.saturating_sub(1);
        us += trace.took_us.saturating_sub(first);
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = tokens as f64 * 1e6 / us as f64;
    (tokens > 0 && us > 0).then_some(rate)
}

/// How many answers the rate is an average of.
const RATE_ANSWERS: usize = 16;
