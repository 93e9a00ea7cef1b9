//! One scrape: what was counted, and how things stand now, as text.

mod devices;
mod scheduling;

use std::fmt;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry, Unit};
use skep_hw::telemetry::Snapshot;

use super::{Metrics, ModelLabels, health};
use crate::agent::Agent;
use crate::fleet::ReplicaState;

/// Everything, in OpenMetrics text.
///
/// # Errors
/// Only when a metric cannot be written as text, which is a defect.
pub fn render(agent: &Agent) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("skep");
    counted(&mut registry, &agent.metrics);
    standing(&mut registry, agent);
    replicas(&mut registry, agent);
    scheduling::scheduling(&mut registry, agent.router.policies());
    if let Some(machine) = agent.telemetry.borrow().as_deref() {
        host(&mut registry, &machine.snapshot);
        devices::devices(&mut registry, &machine.snapshot.devices);
        health::devices(&mut registry, machine);
    }
    let mut text = String::with_capacity(8 << 10);
    encode(&mut text, &registry)?;
    Ok(text)
}

fn counted(registry: &mut Registry, metrics: &Metrics) {
    registry.register(
        "http_requests",
        "Requests answered, by endpoint and status",
        metrics.requests.clone(),
    );
    registry.register_with_unit(
        "http_response_head",
        "Time until the head of the response",
        Unit::Seconds,
        metrics.durations.clone(),
    );
    registry.register_with_unit(
        "time_to_first_token",
        "Time from a request's arrival to its first token",
        Unit::Seconds,
        metrics.first_tokens.clone(),
    );
    registry.register_with_unit(
        "time_per_output_token",
        "Mean time between tokens of one answer, after the first",
        Unit::Seconds,
        metrics.token_gaps.clone(),
    );
    registry.register(
        "tokens",
        "Tokens of prompts and answers; cached ones are among those of prompts",
        metrics.tokens.clone(),
    );
    registry.register(
        "http_connections",
        "Open connections",
        metrics.connections.clone(),
    );
    registry.register(
        "http_connections_turned_away",
        "Connections closed at once because there were too many",
        metrics.turned_away.clone(),
    );
}

fn standing(registry: &mut Registry, agent: &Agent) {
    let (running, waiting) = agent.router.running_and_waiting();
    gauge(
        registry,
        "requests_running",
        "Requests that run",
        running.into(),
    );
    gauge(
        registry,
        "requests_waiting",
        "Requests that wait for a slot or for their model",
        waiting.into(),
    );
    let moves = agent.router.move_counts();
    count(
        registry,
        "requests_moved",
        "Times that part of a request went on elsewhere because its replica was lost",
        moves.moved,
    );
    count(
        registry,
        "requests_stranded",
        "Times that no replica was there to go on with part of a request",
        moves.stranded,
    );
    gauge(
        registry,
        "start_time_seconds",
        "When the agent started, in seconds since 1970",
        agent.started_unix_s as f64,
    );
    if let Some(backups) = &agent.backups {
        let standing = backups.standing();
        gauge(
            registry,
            "backup_last_seconds",
            "When the last good backup was made, in seconds since 1970; 0: never",
            standing.last_unix_s.unwrap_or(0) as f64,
        );
        gauge(
            registry,
            "backup_failures",
            "Backups in a row that failed",
            standing.failures.into(),
        );
    }
    if let Some(given) = agent
        .certificates
        .as_ref()
        .and_then(|acme| acme.view().given)
    {
        gauge(
            registry,
            "certificate_ends_seconds",
            "When the certificate that was had by ACME ends, in seconds since 1970",
            given.validity.until_unix_s as f64,
        );
    }
    registry.register(
        "build",
        "What runs",
        Info::new([
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("node", agent.node.to_string()),
        ]),
    );
}

fn replicas(registry: &mut Registry, agent: &Agent) {
    #[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
    struct Labels {
        model: String,
        state: &'static str,
    }
    let states = Family::<Labels, Gauge>::default();
    let restarts = Family::<ModelLabels, Counter>::default();
    let pages = Family::<ModelLabels, Gauge>::default();
    let used = Family::<ModelLabels, Gauge>::default();
    let guessed = Family::<ModelLabels, Counter>::default();
    let kept = Family::<ModelLabels, Counter>::default();
    for replica in agent.fleet.replicas() {
        let state = match replica.state {
            ReplicaState::Starting => "starting",
            ReplicaState::Ready => "ready",
            ReplicaState::Restarting { .. } => "restarting",
            ReplicaState::Draining => "draining",
            ReplicaState::Failed { .. } => "failed",
        };
        let model = ModelLabels {
            model: replica.model.clone(),
        };
        let labels = Labels {
            model: replica.model,
            state,
        };
        states.get_or_create(&labels).inc();
        restarts
            .get_or_create(&model)
            .inc_by(replica.restarts.into());
        pages
            .get_or_create(&model)
            .inc_by(replica.load.cache_pages.into());
        used.get_or_create(&model)
            .inc_by(replica.load.cache_pages_used.into());
        guessed.get_or_create(&model).inc_by(replica.load.guessed);
        kept.get_or_create(&model).inc_by(replica.load.guesses_kept);
    }
    registry.register("replicas", "Loaded models, by state", states);
    registry.register(
        "worker_restarts",
        "Times that a worker was started again",
        restarts,
    );
    registry.register("cache_pages", "Pages of keys and values", pages);
    registry.register("cache_pages_used", "Pages of keys and values in use", used);
    registry.register(
        "guessed_tokens",
        "Tokens computed ahead of being chosen, since the worker started",
        guessed,
    );
    registry.register(
        "guessed_tokens_kept",
        "Tokens computed ahead that became part of an answer, since the worker started",
        kept,
    );
}

fn host(registry: &mut Registry, snapshot: &Snapshot) {
    let host = &snapshot.host;
    let known = [
        (
            "host_cpu_utilisation_ratio",
            "Share of all cores that is busy",
            host.cpu.utilisation_percent.map(|p| f64::from(p) / 100.0),
        ),
        (
            "host_memory_bytes",
            "Main memory",
            host.memory.total_bytes.map(|b| b as f64),
        ),
        (
            "host_memory_available_bytes",
            "Main memory to be had without swapping",
            host.memory.available_bytes.map(|b| b as f64),
        ),
        (
            "process_resident_memory_bytes",
            "Memory of the agent's own process",
            host.memory.own_resident_bytes.map(|b| b as f64),
        ),
        (
            "host_load1",
            "Runnable tasks, averaged over a minute",
            host.cpu.load_average.map(|[one, _, _]| f64::from(one)),
        ),
    ];
    for (name, help, value) in known {
        if let Some(value) = value {
            gauge(registry, name, help, value);
        }
    }
}

fn count(registry: &mut Registry, name: &str, help: &str, value: u64) {
    let counter = Counter::<u64>::default();
    counter.inc_by(value);
    register(registry, name, help, counter);
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: f64) {
    let gauge = Gauge::<f64, std::sync::atomic::AtomicU64>::default();
    gauge.set(value);
    register(registry, name, help, gauge);
}

fn register(registry: &mut Registry, name: &str, help: &str, metric: impl Metric) {
    registry.register(name, help, metric);
}
