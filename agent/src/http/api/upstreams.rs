//! What upstreams answer for: their models, now, and having one fetched.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use skep_core::ReplicaState;
use skep_core::capability::Capability;
use tokio::sync::mpsc;

use super::body;
use super::lines::{Lines, line};
use super::refusal::{Refusal, chain};
use crate::agent::Agent;
use crate::limits::PULL_NEWS_MAX;
use crate::services::{Model, Service};
use crate::wire::{
    ErrorBody, FindUpstreams, FoundUpstream, FoundUpstreams, OfferedModel, UpstreamModel,
    UpstreamModels, UpstreamPull, UpstreamPullEvent,
};

pub(super) async fn models(
    State(agent): State<Arc<Agent>>,
    Path(name): Path<String>,
) -> Result<Json<UpstreamModels>, Refusal> {
    Ok(Json(shown(agent.services.models(&name)?)))
}

/// Asks it now.
pub(super) async fn test(
    State(agent): State<Arc<Agent>>,
    Path(name): Path<String>,
) -> Result<Json<UpstreamModels>, Refusal> {
    Ok(Json(shown(agent.services.refresh(&name).await?)))
}

/// One line of JSON for each thing to tell. The pull lives as long as somebody listens.
pub(super) async fn pull(
    State(agent): State<Arc<Agent>>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Response, Refusal> {
    let UpstreamPull { model } = body::read(body).await?;
    let pulling = agent.services.pull(&name, model.clone())?;
    let (tell, lines) = mpsc::channel(PULL_NEWS_MAX);
    let run = tokio::spawn(async move {
        let result = pulling
            .run(|progress| {
                // What does not fit is told by the next.
                let _ = tell.try_send(line(&UpstreamPullEvent::Progress {
                    what: progress.what,
                    done_bytes: progress.done_bytes,
                    total_bytes: progress.total_bytes,
                }));
            })
            .await;
        let last = match result {
            Ok(()) => UpstreamPullEvent::Done,
            Err(error) => UpstreamPullEvent::Failed {
                error: ErrorBody {
                    message: chain(&error),
                    code: Some("pull_failed".to_owned()),
                    hint: None,
                },
            },
        };
        tracing::info!(upstream = %name, %model, done = last == UpstreamPullEvent::Done, "pull by an upstream ended");
        let _ = tell.send(line(&last)).await;
    });
    Ok(Lines::new(lines, EndWhenGone(run)).into_response())
}

/// Looks for model servers that could become upstreams.
pub(super) async fn find(
    State(agent): State<Arc<Agent>>,
    body: Body,
) -> Result<Json<FoundUpstreams>, Refusal> {
    let wish: FindUpstreams = body::read(body).await?;
    let others = agent.cluster.nodes().into_iter().filter(|node| !node.here);
    let nodes: Vec<_> = others
        .filter_map(|node| Some((node.name, node.address?.ip())))
        .collect();
    let addresses: Vec<_> = nodes.iter().map(|(_, address)| *address).collect();
    let found = agent.services.look_around(&wish.hosts, &addresses).await?;
    let mut taken = Vec::new();
    let found = found.into_iter().map(|one| {
        let command = one
            .upstream
            .is_none()
            .then(|| command(&agent, &agent.services.proposal(&one, &mut taken)));
        FoundUpstream {
            base_url: one.base_url,
            plugin: one.plugin.to_owned(),
            models: one.models,
            wants_key: one.wants_key,
            upstream: one.upstream,
            command,
        }
    });
    let found = found.collect();
    Ok(Json(FoundUpstreams {
        found,
        nodes: nodes.into_iter().map(|(name, _)| name).collect(),
    }))
}

/// What would have to be typed.
fn command(agent: &Agent, service: &Service) -> String {
    let Service { name, plugin, .. } = service;
    let mut command = format!("skep upstream add {name} --plugin {plugin}");
    for (name, value) in &service.settings {
        command += &format!(" --set {name}={value}");
    }
    for (wanted, granted) in agent.services.wants(service).unwrap_or_default() {
        let is_named = matches!(wanted.capability, Capability::Secret(_));
        if !granted && (!wanted.optional || is_named) {
            command += &format!(" --grant {}", wanted.capability);
        }
    }
    command
}

/// What all upstreams of the cluster answer for.
pub(super) fn offered(agent: &Agent) -> Vec<OfferedModel> {
    let replicas = agent.router.upstream_replicas().into_iter();
    let offered = replicas.filter_map(|replica| {
        let upstream = replica.upstream()?.to_owned();
        let (state, why) = match replica.state {
            ReplicaState::Starting => ("starting", None),
            ReplicaState::Ready => ("ready", None),
            ReplicaState::Draining => ("draining", None),
            ReplicaState::Failed(why) => ("failed", Some(why)),
        };
        let policies = agent.router.policies();
        Some(OfferedModel {
            name: replica.model.to_string(),
            upstream,
            node: policies.node_name(&replica.node.to_string()),
            state: state.to_owned(),
            why,
        })
    });
    offered.collect()
}

fn shown(models: Vec<Model>) -> UpstreamModels {
    let models = models.into_iter().map(|model| {
        let info = model.info.as_ref();
        UpstreamModel {
            name: model.name.to_string(),
            id: model.id.to_string(),
            context_tokens: info.map(|info| info.context_tokens).filter(|n| *n > 0),
            parameters: info.map(|info| info.parameters).filter(|n| *n > 0),
            quantisation: info
                .map(|info| info.quantisation.clone())
                .filter(|text| !text.is_empty()),
        }
    });
    UpstreamModels {
        models: models.collect(),
    }
}

/// Leaves off when the answer's body is dropped.
struct EndWhenGone(tokio::task::JoinHandle<()>);

impl Drop for EndWhenGone {
    fn drop(&mut self) {
        self.0.abort();
    }
}
