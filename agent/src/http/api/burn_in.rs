//! Burn-ins of this node's cards: one line of JSON for each thing to tell, the last one `done` or `failed`.
//!
//! Decides which card is meant, that none is tested under a model, and that a burn-in lives as long as somebody listens.
//! Refuses to judge a card.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use skep_hw::telemetry::{Device, Vendor};
use tokio::sync::mpsc;

use super::body;
use super::lines::{Lines, line};
use super::refusal::{Refusal, chain};
use crate::agent::Agent;
use crate::diagnosis::{self, Cancel, Running, Wish};
use crate::protocol::{CardDriver, ComputesOn};
use crate::wire::{BurnInEvent, BurnInWish, BurnIns, ErrorBody, Forgotten};

pub(super) async fn list(State(agent): State<Arc<Agent>>) -> Json<BurnIns> {
    Json(BurnIns {
        reports: agent.burn_ins.reports(),
    })
}

pub(super) async fn begin(
    State(agent): State<Arc<Agent>>,
    body: Body,
) -> Result<Response, Refusal> {
    let request: BurnInWish = body::read(body).await?;
    if !(1..=100).contains(&request.memory_percent) || request.seconds > SECONDS_MAX {
        let message = format!("give 1 to 100 percent and at most {SECONDS_MAX} seconds");
        return Err(Refusal::invalid("invalid_request", message));
    }
    let device = find(&agent, request.device.as_deref())?;
    let id = device.identity.id.to_string();
    let models = models_on(&agent, &device);
    if !models.is_empty() && !request.force {
        let message = format!("`{id}` runs {}", models.join(", "));
        return Err(Refusal::new(StatusCode::CONFLICT, "device_busy", message)
            .with_hint("`skep unload MODEL` first, or `--force`"));
    }
    let running = agent.burn_ins.begin(&id).map_err(|busy| {
        Refusal::new(StatusCode::CONFLICT, "burn_in_running", busy.to_string())
            .with_hint("wait for its end, or interrupt it where it was begun")
    })?;
    let wish = Wish {
        kind: match device.identity.vendor {
            Vendor::Nvidia => "cuda".to_owned(),
            Vendor::Amd => "hip".to_owned(),
        },
        device: device.identity.index,
        id: Some(id.clone()),
        library: match device.identity.vendor {
            Vendor::Nvidia => agent.settings.node.cuda_library.clone(),
            Vendor::Amd => None,
        },
        memory: request.memory_percent,
        seconds: request.seconds,
        only: Vec::new(),
        choose: false,
    };
    let name = device.identity.name.unwrap_or_else(|| id.clone());
    let (tell, lines) = mpsc::channel(EVENTS_MAX);
    let cancel = Cancel::default();
    let listened = Lines::new(lines, CancelWhenGone(cancel.clone()));
    // There is room: it is the first.
    let _ = tell.try_send(line(&BurnInEvent::Started { id, name }));
    // A thread of its own: the runtime would wait for it when the agent stops.
    std::thread::Builder::new()
        .name("burn-in".to_owned())
        .spawn(move || run(&running, &wish, &cancel, &tell))
        .map_err(|error| {
            let message = format!("the system gives no thread: {error}");
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message)
        })?;
    Ok(listened.into_response())
}

pub(super) async fn forget(
    State(agent): State<Arc<Agent>>,
    Path(device): Path<String>,
) -> Result<Json<Forgotten>, Refusal> {
    let named = Some(device.as_str()).filter(|device| *device != "only");
    let found = find(&agent, named);
    // A card that was taken out may still have something held against it.
    let id = match (found, named) {
        (Ok(device), _) => device.identity.id.to_string(),
        (Err(_), Some(id)) if kept(&agent, id) => id.to_owned(),
        (Err(refusal), _) => return Err(refusal),
    };
    let was_held = agent.burn_ins.forget(&id).map_err(|error| {
        let message = format!("it could not be written that this is forgotten: {error}");
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "not_written", message)
    })?;
    tracing::info!(device = %id, was_held, "a burn-in was forgotten");
    Ok(Json(Forgotten { id, was_held }))
}

fn kept(agent: &Agent, id: &str) -> bool {
    let reports = agent.burn_ins.reports();
    let ids = reports.iter().filter_map(|report| report.id.as_ref());
    ids.into_iter().any(|known| known.0 == id)
}

fn run(running: &Running, wish: &Wish, cancel: &Cancel, tell: &mpsc::Sender<Bytes>) {
    let id = wish.id.as_deref().unwrap_or_default();
    tracing::info!(device = %id, seconds = wish.seconds, "burn-in started");
    let failed = |message: String, hint: Option<String>| BurnInEvent::Failed {
        error: ErrorBody {
            message,
            code: Some("burn_in_failed".to_owned()),
            hint,
        },
    };
    let result = match std::env::current_exe() {
        Ok(executable) => diagnosis::run(&executable, wish, cancel, &mut |progress| {
            let _ = tell.try_send(line(&BurnInEvent::Progress(progress)));
        }),
        Err(error) => Err(diagnosis::DiagnosisError::Start(error)),
    };
    let last = match result {
        Ok(report) => {
            let level = report.verdict.level.name();
            let evidence = report.verdict.evidence.join("; ");
            tracing::info!(device = %id, verdict = level, %evidence, "burn-in done");
            match running.keep(&report) {
                Ok(()) => BurnInEvent::Done(Box::new(report)),
                Err(error) => {
                    tracing::error!(%error, "what a burn-in found could not be written");
                    failed(
                        format!(
                            "it is {level} ({evidence}), but that could not be written: {error}"
                        ),
                        None,
                    )
                }
            }
        }
        Err(error) => {
            tracing::warn!(device = %id, reason = %chain(&error), "there was no burn-in");
            let hint = "`skep doctor --gpu` tries it without the agent".to_owned();
            failed(chain(&error), Some(hint))
        }
    };
    // Nobody may listen any more.
    let _ = tell.blocking_send(line(&last));
}

/// The card of that number or id, or the only one.
fn find(agent: &Agent, wanted: Option<&str>) -> Result<Device, Refusal> {
    let machine = agent.telemetry.borrow().clone();
    let all = machine.map(|machine| machine.snapshot.devices.clone());
    let all = all.unwrap_or_default();
    let refuse = |code: &str, message: String| {
        let names: Vec<String> = all
            .iter()
            .map(|device| format!("{} ({})", device.identity.index, device.identity.id))
            .collect();
        let hint = match names.is_empty() {
            true => "`skep doctor --gpu` looks for cards by their driver alone".to_owned(),
            false => format!("`--device` takes one of {}", names.join(", ")),
        };
        Refusal::new(StatusCode::NOT_FOUND, code, message).with_hint(hint)
    };
    let Some(wanted) = wanted else {
        return match all.as_slice() {
            [only] => Ok(only.clone()),
            [] => Err(refuse("no_device", "this node shows no card".to_owned())),
            many => Err(refuse(
                "which_device",
                format!("this node has {} cards", many.len()),
            )),
        };
    };
    let number = wanted.parse::<u32>().ok();
    let is_it = |device: &&Device| match number {
        Some(number) => device.identity.index == number,
        None => !wanted.is_empty() && device.identity.id.0.starts_with(wanted),
    };
    let mut found = all.iter().filter(is_it);
    match (found.next(), found.next()) {
        (None, _) => {
            let message = format!("this node shows no card `{}`", wanted.escape_debug());
            Err(refuse("no_device", message))
        }
        (Some(one), None) => Ok(one.clone()),
        // Each vendor counts its own.
        (Some(_), Some(_)) => {
            let message = format!("this node has several cards `{}`", wanted.escape_debug());
            Err(refuse("which_device", message))
        }
    }
}

/// Models that were placed on the card, or compute on it.
fn models_on(agent: &Agent, device: &Device) -> Vec<String> {
    let on = |devices: &[String]| devices.contains(&device.identity.id.0);
    let computes = match &agent.settings.node.computes_on {
        ComputesOn::Card { card, .. } => {
            let vendor = match card.driver {
                CardDriver::Cuda => Some(Vendor::Nvidia),
                CardDriver::Hip => Some(Vendor::Amd),
                // It counts cards of all vendors.
                CardDriver::Vulkan => None,
            };
            vendor.is_none_or(|vendor| {
                vendor == device.identity.vendor && device.identity.index == card.index
            })
        }
        ComputesOn::Processor => false,
    };
    let replicas = agent.fleet.replicas();
    let replicas = replicas
        .iter()
        .filter(|replica| on(&replica.devices) || (computes && replica.computes_on != "cpu"));
    replicas
        .map(|replica| format!("`{}`", replica.model))
        .collect()
}

/// Ends the burn-in when the answer's body is dropped.
struct CancelWhenGone(Cancel);

impl Drop for CancelWhenGone {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Room for a burst; what does not fit is progress, of which the next line tells more.
const EVENTS_MAX: usize = 32;

/// A day: whoever wants more has forgotten it.
const SECONDS_MAX: u32 = 86_400;
