//! Pulling a model: one line of JSON for each thing to tell, the last one `done` or `failed`.
//!
//! Decides that a pull lives as long as somebody listens to it: when the client goes, it stops,
//! and what came is kept for the next.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use tokio::sync::mpsc;
use ureq::http::Uri;

use super::lines::{Lines, line};
use super::refusal::Refusal;
use super::{body, models};
use crate::agent::Agent;
use crate::models::{Cancel, Progress, Pull, PullError, Source};
use crate::wire::{ErrorBody, PullEvent, PullRequest};

pub(super) async fn pull(State(agent): State<Arc<Agent>>, body: Body) -> Result<Response, Refusal> {
    let request: PullRequest = body::read(body).await?;
    let pull = parse(&request, agent.settings.models.hub.clone())?;
    // Room for a burst; what does not fit is progress, of which the next line tells more.
    let (tell, lines) = mpsc::channel(EVENTS_MAX);
    let cancel = Cancel::default();
    let listened = Lines::new(lines, CancelWhenGone(cancel.clone()));
    // A thread of its own: the runtime would wait for it when the agent stops.
    std::thread::Builder::new()
        .name("pull".to_owned())
        .spawn(move || run(&agent, &pull, &cancel, &tell))
        .map_err(|error| {
            let message = format!("the system gives no thread: {error}");
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message)
        })?;
    Ok(listened.into_response())
}

fn parse(request: &PullRequest, hub: Uri) -> Result<Pull, PullError> {
    let source: Source = request.source.parse()?;
    let name = match &request.name {
        Some(name) => name.parse()?,
        None => source.default_name()?,
    };
    let expected = request.sha256.as_deref().map(str::parse).transpose()?;
    Ok(Pull {
        source,
        name,
        expected,
        hub,
    })
}

fn run(agent: &Agent, pull: &Pull, cancel: &Cancel, tell: &mpsc::Sender<Bytes>) {
    let source = pull.source.to_string();
    tracing::info!(model = %pull.name, %source, "pull started");
    // Nobody listening is noticed by the listener itself.
    let _ = tell.blocking_send(line(&PullEvent::Started {
        name: pull.name.to_string(),
    }));
    let result = pull.run(&agent.catalogue, cancel, &mut |progress| {
        let _ = tell.try_send(line(&event(progress)));
    });
    let last = match result {
        Ok(model) => {
            agent.router.catalogue_changed();
            tracing::info!(model = %pull.name, digest = %model.digest(), "pull done");
            PullEvent::Done {
                model: models::describe(agent, &model, None),
            }
        }
        Err(error) => {
            let error = ErrorBody::from(&error);
            tracing::warn!(model = %pull.name, reason = %error.message, "pull failed");
            PullEvent::Failed { error }
        }
    };
    let _ = tell.blocking_send(line(&last));
}

fn event(progress: Progress) -> PullEvent {
    match progress {
        Progress::Bytes {
            done_bytes,
            total_bytes,
            resumed_bytes,
        } => PullEvent::Progress {
            done_bytes,
            total_bytes,
            resumed_bytes,
        },
        Progress::Checking {
            done_bytes,
            total_bytes,
        } => PullEvent::Checking {
            done_bytes,
            total_bytes,
        },
        Progress::Retrying {
            attempt,
            pause,
            reason,
        } => PullEvent::Retrying {
            attempt,
            pause_ms: u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
            reason,
        },
    }
}

/// Ends the pull when the answer's body is dropped.
struct CancelWhenGone(Cancel);

impl Drop for CancelWhenGone {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

const EVENTS_MAX: usize = 32;
