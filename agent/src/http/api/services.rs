//! Upstreams and notifiers: list, show, check, add, change, remove.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use skep_core::capability::Capability;

use super::body;
use super::plugins::person;
use super::refusal::{Refusal, chain};
use crate::agent::Agent;
use crate::http::Caller;
use crate::http::error::ApiError;
use crate::keys::unix_now_s;
use crate::services::{
    Consent, Kind, Service, ServiceError, Standing, State as Process, View, Wanted,
};
use crate::wire;

/// The endpoints of one kind.
pub(super) fn routes(kind: Kind) -> Router<Arc<Agent>> {
    Router::new()
        .route("/", get(list).post(add))
        .route("/check", post(check))
        .route("/{name}", get(show).put(change).delete(remove))
        .layer(Extension(kind))
}

async fn list(
    State(agent): State<Arc<Agent>>,
    Extension(kind): Extension<Kind>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<wire::Services>, Refusal> {
    if caller == Caller::Anonymous {
        return Err(Refusal::unknown_caller());
    }
    agent.services.look(kind, None).await;
    let views = agent.services.list(kind).into_iter();
    Ok(Json(wire::Services {
        services: views.map(|view| describe(&agent, view)).collect(),
        plugins: agent.services.plugins(kind),
    }))
}

async fn show(
    State(agent): State<Arc<Agent>>,
    Extension(kind): Extension<Kind>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Json<wire::Service>, Refusal> {
    if caller == Caller::Anonymous {
        return Err(Refusal::unknown_caller());
    }
    agent.services.look(kind, Some(&name)).await;
    let view = agent.services.view(kind, &name)?;
    Ok(Json(describe(&agent, view)))
}

async fn check(
    State(agent): State<Arc<Agent>>,
    Extension(kind): Extension<Kind>,
    body: Body,
) -> Result<Json<wire::Wants>, Refusal> {
    let wish: wire::NewService = body::read(body).await?;
    let wants = agent.services.wants(&service(kind, wish))?;
    Ok(Json(wire::Wants {
        wants: wants.into_iter().map(want).collect(),
    }))
}

async fn add(
    State(agent): State<Arc<Agent>>,
    Extension(kind): Extension<Kind>,
    Extension(caller): Extension<Caller>,
    body: Body,
) -> Result<Json<wire::Service>, Refusal> {
    let wish: wire::NewService = body::read(body).await?;
    put(&agent, caller, kind, wish, false).await
}

async fn change(
    State(agent): State<Arc<Agent>>,
    Extension(kind): Extension<Kind>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Json<wire::Service>, Refusal> {
    let mut wish: wire::NewService = body::read(body).await?;
    wish.name = name;
    put(&agent, caller, kind, wish, true).await
}

async fn put(
    agent: &Arc<Agent>,
    caller: Caller,
    kind: Kind,
    wish: wire::NewService,
    replace: bool,
) -> Result<Json<wire::Service>, Refusal> {
    let grants = wish.grant.iter().map(|grant| {
        grant.parse::<Capability>().map_err(|error| {
            let message = format!("`{}`: {error}", grant.escape_debug());
            Refusal::invalid("invalid_grant", message)
        })
    });
    let grants = grants.collect::<Result<Vec<_>, _>>()?;
    let by = person(agent, caller, wish.by.clone());
    let agreed = wish.grant.clone();
    let mut service = service(kind, wish);
    if replace {
        service.added_unix_s = agent.services.find(kind, &service.name)?.added_unix_s;
    }
    let (name, plugin) = (service.name.clone(), service.plugin.clone());
    tracing::info!(%name, %plugin, %kind, grants = ?agreed, %by, "configuring a service");
    let consent = Consent { grants, by };
    agent.services.put(service, consent, replace).await?;
    let view = agent.services.view(kind, &name)?;
    Ok(Json(describe(agent, view)))
}

async fn remove(
    State(agent): State<Arc<Agent>>,
    Extension(kind): Extension<Kind>,
    Path(name): Path<String>,
) -> Result<Json<serde_json::Value>, Refusal> {
    agent.services.remove(kind, &name).await?;
    if kind == Kind::Notifier {
        agent.alerts.forget_notifier(&name);
    }
    tracing::info!(%name, %kind, "service removed");
    Ok(Json(serde_json::json!({ "name": name })))
}

fn service(kind: Kind, wish: wire::NewService) -> Service {
    Service {
        kind,
        name: wish.name,
        plugin: wish.plugin,
        settings: wish.settings,
        models: wish.models,
        prefix: wish.prefix,
        timeout_s: wish.timeout_s,
        added_unix_s: unix_now_s(),
    }
}

fn describe(agent: &Agent, view: View) -> wire::Service {
    let wants = agent.services.wants(&view.service);
    let unusable = wants.as_ref().err().map(ToString::to_string);
    let (process, trouble) = match view.state {
        Process::Idle => ("idle", None),
        Process::Starting => ("starting", None),
        Process::Running => ("running", None),
        Process::Restarting(why) => ("restarting", Some(why)),
        Process::Failed(why) => ("failed", Some(why)),
        Process::NotGranted(missing) => {
            let error = ServiceError::NotGranted {
                plugin: view.service.plugin.clone(),
                missing,
            };
            ("not_granted", Some(error.to_string()))
        }
    };
    let (state, down) = match view.standing {
        Standing::Unknown => ("unknown", None),
        Standing::Up => ("up", None),
        Standing::Down(why) => ("down", Some(why)),
    };
    let used = view.used;
    wire::Service {
        kind: view.service.kind.to_string(),
        timeout_s: view.service.silence().as_secs(),
        name: view.service.name,
        plugin: view.service.plugin,
        settings: view.service.settings,
        models: view.service.models,
        prefix: view.service.prefix,
        added_unix_s: view.service.added_unix_s,
        state: state.to_owned(),
        process: process.to_owned(),
        why: unusable.or(trouble).or(down),
        pid: view.pid,
        starts: view.starts,
        offers: view.offers,
        requests: view.requests,
        answered_unix_s: Some(view.answered_unix_s).filter(|at| *at > 0),
        fault: view.fault,
        wants: wants.unwrap_or_default().into_iter().map(want).collect(),
        used: wire::ServiceUse {
            calls: used.calls,
            faults: used.faults,
            requests_out: used.requests_out,
            refused_out: used.refused_out,
            bytes_out: used.bytes_out,
            bytes_in: used.bytes_in,
            computing_us: used.computing_us,
            memory_peak_bytes: used.memory_peak_bytes,
        },
    }
}

fn want((wanted, granted): (Wanted, bool)) -> wire::Want {
    wire::Want {
        words: wanted.capability.in_words(),
        capability: wanted.capability.to_string(),
        reason: wanted.reason,
        optional: wanted.optional,
        granted,
    }
}

impl From<ServiceError> for Refusal {
    fn from(error: ServiceError) -> Self {
        let error = match error {
            ServiceError::Consent(error) => return (*error).into(),
            error => error,
        };
        let (status, code) = match &error {
            ServiceError::Name(_) => (StatusCode::BAD_REQUEST, "invalid_name"),
            ServiceError::Host(_) | ServiceError::TooManyHosts => {
                (StatusCode::BAD_REQUEST, "invalid_host")
            }
            ServiceError::Taken { .. } => (StatusCode::CONFLICT, "name_taken"),
            ServiceError::Unknown { .. } => (StatusCode::NOT_FOUND, "service_not_found"),
            ServiceError::Full | ServiceError::SecretsFull => (StatusCode::CONFLICT, "too_many"),
            ServiceError::UnknownPlugin(_) => (StatusCode::NOT_FOUND, "plugin_not_found"),
            ServiceError::World { .. } => (StatusCode::BAD_REQUEST, "plugin_unfit"),
            ServiceError::UnknownSetting { .. }
            | ServiceError::Setting { .. }
            | ServiceError::Missing { .. }
            | ServiceError::Wanted(_)
            | ServiceError::NoModels
            | ServiceError::Patterns
            | ServiceError::Timeout(_) => (StatusCode::BAD_REQUEST, "invalid_setting"),
            ServiceError::NotGranted { .. } => (StatusCode::FORBIDDEN, "not_granted"),
            ServiceError::NotWanted(_) => (StatusCode::BAD_REQUEST, "not_wanted"),
            ServiceError::UnknownSecret(_) => (StatusCode::NOT_FOUND, "secret_not_found"),
            ServiceError::SecretText => (StatusCode::BAD_REQUEST, "invalid_secret"),
            ServiceError::SecretInUse { .. } => (StatusCode::CONFLICT, "secret_in_use"),
            ServiceError::File { .. } | ServiceError::Damaged { .. } => {
                (StatusCode::INTERNAL_SERVER_ERROR, "storage_failed")
            }
            ServiceError::Refused(error) => {
                let status = ApiError::from(error.clone()).status;
                (status, "service_refused")
            }
            ServiceError::Lost(_) => (StatusCode::SERVICE_UNAVAILABLE, "service_lost"),
            // It has words of its own.
            ServiceError::Consent(_) => (StatusCode::CONFLICT, "refused"),
        };
        let hint = match &error {
            ServiceError::NotGranted { missing, .. } => {
                let flags: Vec<String> =
                    missing.iter().map(|one| format!("--grant {one}")).collect();
                Some(format!("add {} to let it", flags.join(" ")))
            }
            ServiceError::UnknownSecret(name) => {
                let name = name.as_str();
                Some(format!(
                    "`skep secret set {name}` keeps one, `skep secret ls` lists them"
                ))
            }
            ServiceError::UnknownPlugin(_) => Some("`skep plugin ls` lists them".to_owned()),
            ServiceError::World { wanted, .. } => {
                Some(format!("`skep {wanted} ls` names those that fit"))
            }
            ServiceError::Unknown { kind, .. } => Some(format!("`skep {kind} ls` lists them")),
            ServiceError::SecretInUse { .. } => {
                Some("remove those first, or set the secret to another text".to_owned())
            }
            ServiceError::File { .. } | ServiceError::Damaged { .. } => {
                Some("`skep doctor` checks the state folder".to_owned())
            }
            _ => None,
        };
        let refusal = Self::new(status, code, chain(&error));
        match hint {
            Some(hint) => refusal.with_hint(hint),
            None => refusal,
        }
    }
}
