//! How everything stands now: nodes, devices, replicas, requests.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::State;
use skep_hw::telemetry::{Device, Host, Vendor};
use tokio::time::timeout;

use super::{node, replicas};
use crate::agent::Agent;
use crate::keys::unix_now_s;
use crate::telemetry::{self, Level, Machine, Standing};
use crate::wire::{self, ClusterNode, NodeState};

/// What this node says of itself to another: as `GET /api/v1/top`, of itself alone, with all its readings.
pub fn readings(agent: &Agent) -> Vec<u8> {
    serde_json::to_vec(&here(agent, true)).unwrap_or_default()
}

pub(super) async fn top(State(agent): State<Arc<Agent>>) -> Json<wire::Top> {
    let mut top = here(&agent, false);
    let mut asked = tokio::task::JoinSet::new();
    for node in agent.cluster.nodes() {
        if !node.here && node.state != NodeState::Pending {
            asked.spawn(elsewhere(agent.clone(), node));
        }
    }
    let mut others = asked.join_all().await;
    others.sort_by(|one, other| one.0.name.cmp(&other.0.name));
    for (node, said) in others {
        top.nodes.push(node);
        if let Some(said) = said {
            top.replicas.extend(said.replicas);
            add(&mut top.requests, said.requests);
        }
    }
    let latest = &mut top.requests.latest;
    latest.sort_by_key(|trace| std::cmp::Reverse(trace.at_unix_s));
    latest.truncate(LATEST);
    Json(top)
}

/// What another node says of itself. One that says nothing in time is lost, for this picture.
async fn elsewhere(agent: Arc<Agent>, status: ClusterNode) -> (wire::Node, Option<wire::Top>) {
    let asked = unix_now_ms();
    let said = async {
        let id = status.id.parse().ok()?;
        let readings = agent.cluster.readings(id).await.ok()?;
        without_hardware(&readings)
    };
    let mut said = timeout(READINGS_WAIT, said).await.ok().flatten();
    // It looked at its clock half-way, as far as one can tell.
    let here = asked.midpoint(unix_now_ms());
    let clock = said.as_ref().map(|said| said.at_unix_ms);
    let clock = clock.and_then(|there| there.checked_signed_diff(here));
    let node = said.as_mut().and_then(|said| said.nodes.pop());
    let node = match node {
        Some(node) => wire::Node {
            name: status.name,
            hardware: None,
            clock_ahead_ms: clock,
            ..node
        },
        None => silent(status),
    };
    (node, said)
}

/// What another node says, less its readings: nobody here asks for them, and a node of a later
/// version may tell a fault or a mode that this one has no name for.
fn without_hardware(readings: &[u8]) -> Option<wire::Top> {
    let mut said: serde_json::Value = serde_json::from_slice(readings).ok()?;
    for node in said.get_mut("nodes")?.as_array_mut()? {
        node.as_object_mut()?.remove("hardware");
    }
    serde_json::from_value(said).ok()
}

/// A node that says nothing.
fn silent(status: ClusterNode) -> wire::Node {
    let why = match status.why.as_str() {
        "" => "it does not answer".to_owned(),
        why => why.to_owned(),
    };
    wire::Node {
        id: status.id,
        name: status.name,
        version: status.version.unwrap_or_default(),
        pid: 0,
        started_unix_s: unix_now_s(),
        url: String::new(),
        key_required: false,
        computes_on: String::new(),
        resident_bytes: None,
        health: Level::Lost.name().to_owned(),
        why: Some(why),
        devices: Vec::new(),
        hardware: None,
        clock_ahead_ms: None,
    }
}

/// What came in at another node's door counts there alone, so the sums count nothing twice.
fn add(sum: &mut wire::Requests, more: wire::Requests) {
    sum.running += more.running;
    sum.waiting += more.waiting;
    sum.arrived += more.arrived;
    sum.refused += more.refused;
    sum.answered += more.answered;
    sum.failed += more.failed;
    sum.cut += more.cut;
    sum.prompt_tokens += more.prompt_tokens;
    sum.completion_tokens += more.completion_tokens;
    sum.latest.extend(more.latest);
}

fn here(agent: &Agent, whole: bool) -> wire::Top {
    let (running, waiting) = agent.router.running_and_waiting();
    let counters = agent.router.counters();
    let mut latest = agent.router.traces();
    latest.truncate(LATEST);
    wire::Top {
        at_unix_ms: unix_now_ms(),
        nodes: vec![node::describe(agent, whole)],
        replicas: replicas::all(agent),
        requests: wire::Requests {
            running,
            waiting,
            arrived: counters.arrived,
            refused: counters.refused,
            answered: counters.answered,
            failed: counters.failed,
            cut: counters.cut,
            prompt_tokens: counters.usage.prompt_tokens,
            completion_tokens: counters.usage.completion_tokens,
            latest,
        },
    }
}

fn unix_now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}

/// The processor, then the accelerators.
pub(super) fn devices(machine: &Machine) -> Vec<wire::Device> {
    let mut devices = vec![processor(&machine.snapshot.host)];
    let accelerators = machine.snapshot.devices.iter().zip(&machine.standings);
    devices.extend(accelerators.map(|(device, standing)| accelerator(device, standing)));
    devices
}

pub(super) fn cause(cause: &telemetry::Cause) -> wire::Cause {
    wire::Cause {
        code: cause.code.clone(),
        health: cause.level.name().to_owned(),
        text: cause.text.clone(),
        evidence: cause.evidence.clone(),
    }
}

fn processor(host: &Host) -> wire::Device {
    let memory = &host.memory;
    let total = memory.limit_bytes.or(memory.total_bytes);
    let free = memory.usable_bytes.or(memory.available_bytes);
    wire::Device {
        id: "cpu".to_owned(),
        kind: "cpu".to_owned(),
        name: host.cpu.brand.clone(),
        health: Level::Healthy.name().to_owned(),
        utilisation_percent: host.cpu.utilisation_percent,
        memory_total_bytes: total,
        memory_used_bytes: total
            .zip(free)
            .map(|(total, free)| total.saturating_sub(free)),
        temperature_celsius: host
            .temperatures
            .iter()
            .map(|sensor| sensor.celsius)
            .max_by(f32::total_cmp),
        ..wire::Device::default()
    }
}

fn accelerator(device: &Device, standing: &Standing) -> wire::Device {
    let (identity, reading) = (&device.identity, &device.reading);
    let age = Instant::now().saturating_duration_since(standing.read_at);
    wire::Device {
        id: identity.id.to_string(),
        kind: match identity.vendor {
            Vendor::Nvidia => "nvidia".to_owned(),
            Vendor::Amd => "amd".to_owned(),
        },
        index: Some(identity.index),
        name: identity.name.clone(),
        health: standing.level.name().to_owned(),
        since_unix_s: Some(standing.since_unix_s),
        causes: standing.causes.iter().map(cause).collect(),
        read_ms_ago: Some(millis(age)),
        utilisation_percent: reading.utilisation_percent,
        memory_total_bytes: reading.memory.memory_total_bytes,
        memory_used_bytes: reading.memory.memory_used_bytes,
        temperature_celsius: reading.thermal.chip_celsius,
        power_watts: reading.power.power_watts,
        power_limit_watts: reading.power.limit_watts,
        processes: reading
            .processes
            .as_ref()
            .and_then(|all| u32::try_from(all.len()).ok()),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// How long a picture waits for another node's part.
const READINGS_WAIT: Duration = Duration::from_millis(500);

/// More requests than a large terminal has lines.
const LATEST: usize = 64;
