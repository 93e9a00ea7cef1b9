//! Runs of plans: listed, followed, resumed, undone; what has drifted; and the tests at the end.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use tokio::sync::mpsc;

use super::events::{self, Events};
use super::{admit, leave};
use crate::act::ActError;
use crate::agent::Agent;
use crate::http::Caller;
use crate::http::api::plugins::person;
use crate::http::api::refusal::{Refusal, chain};
use crate::setup::{Leave, SetupError, runs, trials};
use crate::wire;

pub(super) async fn list(
    State(agent): State<Arc<Agent>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<wire::SetupRuns>, Refusal> {
    admit(&agent, caller)?;
    let runs = runs::all(&agent).await?;
    Ok(Json(wire::SetupRuns { runs }))
}

pub(super) async fn show(
    State(agent): State<Arc<Agent>>,
    Extension(caller): Extension<Caller>,
    Path(run): Path<String>,
) -> Result<Response, Refusal> {
    admit(&agent, caller)?;
    if let Some(mut view) = runs::follow(&agent, &run) {
        // It says how far it is once it has begun.
        let begun = view.wait_for(Option::is_some).await;
        if let Some(now) = begun.ok().and_then(|now| now.clone()) {
            return Ok(Json(now).into_response());
        }
    }
    Ok(Json(runs::find(&agent, &run).await?).into_response())
}

/// Each state of a run, as long as it lasts.
pub(super) async fn follow(
    State(agent): State<Arc<Agent>>,
    Extension(caller): Extension<Caller>,
    Path(run): Path<String>,
) -> Result<Response, Refusal> {
    admit(&agent, caller)?;
    let following = runs::follow(&agent, &run);
    if following.is_none() {
        // That there is none is told by the status.
        runs::find(&agent, &run).await?;
    }
    let (tell, events) = mpsc::channel(EVENTS_MAX);
    tokio::spawn(async move {
        if let Some(mut view) = following {
            loop {
                let now = view.borrow_and_update().clone();
                if let Some(now) = now
                    && tell.send(events::event(&now)).await.is_err()
                {
                    return;
                }
                let changed = tokio::select! {
                    changed = view.changed() => changed.is_ok(),
                    () = tell.closed() => return,
                    () = tokio::time::sleep(QUIET) => {
                        if tell.send(events::sign_of_life()).await.is_err() {
                            return;
                        }
                        continue;
                    }
                };
                if !changed {
                    break;
                }
            }
        }
        if let Ok(last) = runs::find(&agent, &run).await {
            // Nobody may listen any more.
            let _ = tell.send(events::event(&last)).await;
        }
    });
    Ok(Events(events).into_response())
}

pub(super) async fn resume(
    State(agent): State<Arc<Agent>>,
    Extension(caller): Extension<Caller>,
    Path(run): Path<String>,
) -> Result<(StatusCode, Json<wire::SetupStarted>), Refusal> {
    turn(&agent, caller, &run, false).await
}

pub(super) async fn undo(
    State(agent): State<Arc<Agent>>,
    Extension(caller): Extension<Caller>,
    Path(run): Path<String>,
) -> Result<(StatusCode, Json<wire::SetupStarted>), Refusal> {
    turn(&agent, caller, &run, true).await
}

async fn turn(
    agent: &Arc<Agent>,
    caller: Caller,
    run: &str,
    back: bool,
) -> Result<(StatusCode, Json<wire::SetupStarted>), Refusal> {
    admit(agent, caller)?;
    if leave(agent, caller) == Leave::OwnThingsOnly {
        let found = runs::find(agent, run).await?;
        if found.actions.iter().any(|action| !action.own) {
            return Err(SetupError::OnlyHere.into());
        }
    }
    let by = person(agent, caller, None);
    let run = runs::turn(agent, run, &by, back).await?;
    let run = Some(run.id.to_string());
    Ok((StatusCode::ACCEPTED, Json(wire::SetupStarted { run })))
}

pub(super) async fn drift(
    State(agent): State<Arc<Agent>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<wire::SetupDrifts>, Refusal> {
    admit(&agent, caller)?;
    let drift = runs::drift(&agent).await?;
    Ok(Json(wire::SetupDrifts { drift }))
}

/// Tries whether all of it works.
pub(super) async fn test(
    State(agent): State<Arc<Agent>>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Refusal> {
    admit(&agent, caller)?;
    let (tell, events) = mpsc::channel(EVENTS_MAX);
    let (found, mut finds) = mpsc::channel::<wire::SetupTest>(EVENTS_MAX);
    trials::begin(&agent, found)?;
    tokio::spawn(async move {
        while let Some(one) = finds.recv().await {
            if tell.send(events::event(&one)).await.is_err() {
                return;
            }
        }
    });
    Ok(Events(events).into_response())
}

impl Refusal {
    pub(super) fn from_act(error: &ActError) -> Self {
        let (status, code) = match error {
            ActError::Busy => (StatusCode::CONFLICT, "run_under_way"),
            ActError::NoRun(_) => (StatusCode::NOT_FOUND, "run_not_found"),
            ActError::NeedsRoot => (StatusCode::CONFLICT, "root_missing"),
            ActError::Nonsense(_) | ActError::Conflict(_) | ActError::Refused => {
                (StatusCode::CONFLICT, "not_done")
            }
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "setup_failed"),
        };
        let refusal = Self::new(status, code, chain(error));
        match error.hint() {
            Some(hint) => refusal.with_hint(hint),
            None => refusal,
        }
    }
}

/// A reader that is further behind than this misses nothing: what is told is how things stand.
const EVENTS_MAX: usize = 16;

/// After so long without news whoever reads is told that it goes on, so that nothing in between gives it up.
const QUIET: Duration = Duration::from_secs(15);
