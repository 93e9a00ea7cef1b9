//! `skep-schedule NODES COMPILED...`: what scheduling decisions cost in a cluster of so many nodes, as one line of JSON.
//!
//! Each `COMPILED` is a component of the world `scheduler` as `skep compile` left it; the built-in rule is measured as well.
//! Every node has four replicas: in the first picture all of one model, in the second of 20. All calls go through the agent's
//! own door, `Policies`, so that checking the answers is part of the cost. Figures are medians of rounds, in nanoseconds.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    reason = "a command-line tool speaks on its terminal"
)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};
use skep::host::Scheduler;
use skep::host::scheduler::{Change, Device, Health, Job, Node, Replica, ReplicaState, Request};
use skep::scheduling::{Policies, Policy, Source};

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let nodes = arguments.next().context("give the number of nodes")?;
    let nodes: u64 = nodes.to_string_lossy().parse()?;
    let mut found = Map::new();
    found.insert("built-in".into(), both(nodes, Policy::built_in)?);
    for compiled in arguments.map(PathBuf::from) {
        // Once before, so that what is wrong with it is told.
        drop(load(&compiled)?);
        let name = compiled.file_name().unwrap_or_default();
        let make = || load(&compiled).unwrap_or_else(|_| Policy::built_in());
        found.insert(name.to_string_lossy().into_owned(), both(nodes, make)?);
    }
    println!("{}", Value::Object(found));
    Ok(())
}

fn load(compiled: &Path) -> Result<Policy> {
    let scheduler = Scheduler::load("measured", compiled)?;
    Ok(Policy::new(Source::File(compiled.to_owned()), scheduler))
}

fn both(nodes: u64, make: impl Fn() -> Policy) -> Result<Value> {
    Ok(json!({
        "one_model": measure(nodes, 1, make())?,
        "many_models": measure(nodes, 20, make())?,
    }))
}

fn measure(nodes: u64, models: u64, policy: Policy) -> Result<Value> {
    let policies = Policies::new(policy);
    let started = Instant::now();
    for id in 0..nodes {
        policies.observe(Change::Node(node(id)));
    }
    for id in 0..nodes * REPLICAS {
        policies.observe(Change::Replica(replica(id, models, id % 8)));
    }
    let told = started.elapsed().as_secs_f64() * 1e9 / (nodes * (REPLICAS + 1)) as f64;
    let mut turn = 0_u64;
    let route = per_call(|| {
        turn += 1;
        let decision = policies.route(&request(turn % models, turn));
        ensure!(
            decision.fault.is_none() && decision.answer.is_ok(),
            "{decision:?}"
        );
        Ok(())
    })?;
    let observe = per_call(|| {
        turn += 1;
        policies.observe(Change::Replica(replica(
            turn % (nodes * REPLICAS),
            models,
            turn % 9,
        )));
        Ok(())
    })?;
    let place = per_call(|| {
        turn += 1;
        let decision = policies.place(&job(turn));
        ensure!(
            decision.fault.is_none() && decision.answer.is_ok(),
            "{decision:?}"
        );
        Ok(())
    })?;
    Ok(json!({
        "route_ns": route,
        "routes_per_s": 1e9 / route,
        "observe_ns": observe,
        "place_ns": place,
        "told_ns": told,
    }))
}

fn node(id: u64) -> Node {
    Node {
        id: format!("{id:032x}"),
        name: format!("node-{id}"),
        health: Health::Healthy,
        draining: false,
        labels: vec![("room".into(), format!("room-{}", id % 7))],
        devices: vec![
            device("cpu", "cpu", id),
            device(&format!("GPU-{id:032x}"), "nvidia", id),
        ],
        models: (0..4)
            .map(|model| format!("sha256:{:064x}", id + model))
            .collect(),
    }
}

fn device(id: &str, kind: &str, number: u64) -> Device {
    Device {
        id: id.into(),
        kind: kind.into(),
        health: Health::Healthy,
        memory_bytes: 64 << 30,
        memory_free_bytes: (8 + number % 50) << 30,
        bandwidth: 0,
    }
}

fn replica(id: u64, models: u64, running: u64) -> Replica {
    Replica {
        id,
        model: format!("model-{}", id % models),
        node: format!("{:032x}", id / REPLICAS),
        devices: vec!["cpu".into()],
        state: ReplicaState::Ready,
        running: u32::try_from(running).unwrap_or(u32::MAX),
        waiting: 0,
        capacity: 16,
        cache_pages: 1_024,
        cache_pages_used: 100,
        first_token_us: 20_000 + id % 1_000,
        token_us: 5_000,
    }
}

fn request(model: u64, turn: u64) -> Request {
    Request {
        model: format!("model-{model}"),
        prompt_bytes: 400,
        max_tokens: 256,
        // Every second one goes on with a conversation.
        affinity: turn / 2,
        priority: 0,
    }
}

fn job(turn: u64) -> Job {
    Job {
        model: "another".into(),
        digest: format!("sha256:{:064x}", turn % 8),
        memory_bytes: 7 << 30,
        require: Vec::new(),
        devices: Vec::new(),
    }
}

/// The median of rounds that last some 30 ms each, the first not counted.
fn per_call(mut call: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut rounds = Vec::new();
    for _ in 0..=ROUNDS {
        let (started, mut count) = (Instant::now(), 0_u32);
        while started.elapsed() < ROUND {
            call()?;
            count += 1;
        }
        rounds.push(started.elapsed().as_secs_f64() * 1e9 / f64::from(count.max(1)));
    }
    rounds.remove(0);
    rounds.sort_by(f64::total_cmp);
    rounds.get(ROUNDS / 2).copied().context("no rounds")
}

/// Of each node.
const REPLICAS: u64 = 4;
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_millis(30);
