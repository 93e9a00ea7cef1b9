//! Who decides where models and requests go, and why a request went where it did.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use skep_core::state::PluginDigest;

use super::body;
use super::refusal::{Refusal, chain};
use crate::agent::Agent;
use crate::router::Trace;
use crate::scheduling::{Chosen, Difference, Kind, Policy, Source, SourceError, Standing, Tally};
use crate::wire;

pub(super) async fn list(State(agent): State<Arc<Agent>>) -> Json<wire::Schedulers> {
    Json(overview(&agent))
}

pub(super) async fn put_in_charge(
    State(agent): State<Arc<Agent>>,
    body: Body,
) -> Result<Json<wire::Schedulers>, Refusal> {
    let wish: wire::SchedulerWish = body::read(body).await?;
    let Some(wish) = wish.policy else {
        let message = "name a scheduler: there must be one";
        return Err(Refusal::invalid("invalid_request", message));
    };
    let policy = load(&agent, &wish).await?;
    agent.router.policies().put_in_charge(policy);
    Ok(Json(overview(&agent)))
}

pub(super) async fn put_in_shadow(
    State(agent): State<Arc<Agent>>,
    body: Body,
) -> Result<Json<wire::Schedulers>, Refusal> {
    let wish: wire::SchedulerWish = body::read(body).await?;
    let policy = match &wish.policy {
        None => None,
        Some(wish) => Some(load(&agent, wish).await?),
    };
    let shadow = agent.router.policies().put_in_shadow(policy);
    shadow.map_err(|error| {
        let message = format!("the system gives no thread: {error}");
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message)
    })?;
    Ok(Json(overview(&agent)))
}

pub(super) async fn differences(State(agent): State<Arc<Agent>>) -> Json<wire::Differences> {
    let policies = agent.router.policies();
    let chosen = |chosen: Chosen| wire::Chosen {
        node: chosen.node.map(|node| policies.node_name(&node)),
        replica: chosen.replica,
        devices: chosen.devices,
        why: chosen.why,
    };
    let shown = |one: Difference| wire::Difference {
        number: one.number,
        at_unix_s: one.at_unix_s,
        kind: match one.kind {
            Kind::Route => "route",
            Kind::Place => "place",
        }
        .to_owned(),
        model: one.model,
        active: one.by.to_string(),
        live: chosen(one.live),
        shadow: chosen(one.shadow),
    };
    Json(wire::Differences {
        shadow: policies.overview().shadow.map(shadow),
        differences: policies.differences().into_iter().map(shown).collect(),
    })
}

/// Why a request went where it did.
pub(super) async fn explain(
    State(agent): State<Arc<Agent>>,
    Path(request): Path<String>,
) -> Result<Json<Trace>, Refusal> {
    agent.router.trace(&request).map(Json).ok_or_else(|| {
        let shown: String = request.chars().take(100).collect();
        let message = format!("no request `{}` is remembered", shown.escape_debug());
        Refusal::new(StatusCode::NOT_FOUND, "request_not_found", message).with_hint(
            "the latest 256 that were given a place are, once they are over; `last` is the newest, \
             and a number or the id of an answer names another",
        )
    })
}

/// A policy, compiled, loaded and tried with everything that is known.
async fn load(agent: &Agent, wish: &str) -> Result<Policy, Refusal> {
    let mut source = Source::parse(wish)?;
    let plugin = if let Source::Installed { name, digest } = &mut source {
        let found = agent.shelf.find(name);
        let found = found.ok_or_else(|| SourceError::Unknown(name.clone()))?;
        *digest = Some(found.digest);
        found.for_fleet()
    } else {
        let Some(plugin) = source.plugin()? else {
            return Ok(Policy::built_in());
        };
        plugin
    };
    let unusable = |why: String| {
        Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "scheduler_unusable", why)
            .with_hint("the scheduler in use stays as it is")
    };
    let scheduler = agent.fleet.scheduler(&plugin).await.map_err(unusable)?;
    let known = agent.router.policies().known();
    let tried = tokio::task::spawn_blocking(move || {
        let mut policy = Policy::new(source, scheduler);
        policy.try_out(&known).map(|()| policy)
    });
    tried.await.map_err(Refusal::lost)?.map_err(unusable)
}

/// A plugin that was added, and which version of it.
fn installed(name: &str, digest: Option<PluginDigest>) -> String {
    let digest = digest.map(|digest| digest.to_string());
    let digits = digest.as_deref().and_then(|digest| digest.get(..12));
    digits.map_or_else(
        || format!("plugin {name}"),
        |digits| format!("plugin {name} ({digits})"),
    )
}

fn overview(agent: &Agent) -> wire::Schedulers {
    let overview = agent.router.policies().overview();
    let view = |(name, standing, source, tally): (Arc<str>, Standing, Option<Source>, Tally)| {
        wire::Scheduler {
            name: name.to_string(),
            state: match standing {
                Standing::Active => "active",
                Standing::Shadow => "shadow",
                Standing::Previous => "previous",
                Standing::Available => "available",
                Standing::Retired => "retired",
            }
            .to_owned(),
            source: source.map(|source| match source {
                Source::BuiltIn => "built-in".to_owned(),
                Source::Embedded(_) => "embedded".to_owned(),
                Source::Installed { name, digest } => installed(&name, digest),
                Source::File(path) => path.display().to_string(),
            }),
            decisions: tally.decisions,
            failures: tally.failures,
            last_failure: tally.last_failure,
        }
    };
    wire::Schedulers {
        schedulers: overview.policies.into_iter().map(view).collect(),
        rolled_back: overview.rolled_back.map(|back| wire::RolledBack {
            from: back.from.to_string(),
            to: back.to.to_string(),
            why: back.why,
            at_unix_s: back.at_unix_s,
        }),
        shadow: overview.shadow.map(shadow),
        awaited: agent.shelf.awaited().and_then(|awaited| {
            let name = awaited.name;
            awaited.why.map(|why| wire::AwaitedScheduler { name, why })
        }),
    }
}

fn shadow(shadow: crate::scheduling::ShadowOverview) -> wire::Shadow {
    wire::Shadow {
        name: shadow.name.to_string(),
        since_unix_s: shadow.since_unix_s,
        agreed: shadow.agreed,
        differed: shadow.differed,
        failures: shadow.failures,
        last_failure: shadow.last_failure,
        dropped: shadow.dropped,
        ended: shadow.ended,
    }
}

impl From<SourceError> for Refusal {
    fn from(error: SourceError) -> Self {
        let (status, code) = match &error {
            SourceError::Unknown(_) => (StatusCode::NOT_FOUND, "scheduler_not_found"),
            SourceError::Absent(_) => (StatusCode::NOT_FOUND, "scheduler_not_found"),
            SourceError::NoFile(_) => (StatusCode::BAD_REQUEST, "invalid_path"),
        };
        Self::new(status, code, chain(&error))
    }
}
