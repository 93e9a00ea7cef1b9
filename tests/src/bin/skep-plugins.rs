//! What plugins cost beside native code, as one line of JSON.
//!
//! `skep-plugins schedulers NAME=COMPILED...`: loading, instantiating, calls with an argument of nothing, of 1 KB and of 100 KB,
//! and `route` among 1, 10 and 100 replicas, as in `plugins/spread/examples/native.rs`. In nanoseconds.
//! `skep-plugins decode COMPILED MODEL THREADS TOKENS`: of a step that yields one token, what the native graph took and what
//! the plugin did besides. In microseconds.
//! Each `COMPILED` is as `skep compile` left it. Figures are medians.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    reason = "a command-line tool speaks on its terminal"
)]

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};
use skep::host::scheduler::{Change, Device, Health, Node, Replica, ReplicaState, Request};
use skep::host::{Known, Model, Opening, Scheduler, SourceFile};
use skep::protocol::{Event, Generation, Prompt, Sampling, Settings, Timeouts, Work};
use skep_hw::CpuSettings;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let found = match arguments.as_slice() {
        ["schedulers", named @ ..] => schedulers(named)?,
        ["decode", compiled, model, threads, tokens] => decode(
            Path::new(compiled),
            Path::new(model),
            threads.parse()?,
            tokens.parse()?,
        )?,
        _ => bail!("give `schedulers NAME=COMPILED...` or `decode COMPILED MODEL THREADS TOKENS`"),
    };
    println!("{found}");
    Ok(())
}

fn schedulers(named: &[&str]) -> Result<Value> {
    let mut found = Map::new();
    for named in named {
        let (name, compiled) = named.split_once('=').context("give NAME=COMPILED")?;
        let figures = scheduler(Path::new(compiled)).with_context(|| format!("`{name}`"))?;
        found.insert(name.to_owned(), figures);
    }
    Ok(found.into())
}

fn scheduler(compiled: &Path) -> Result<Value> {
    let load = per_call(|| Ok(Scheduler::load("measured", compiled).map(drop)?))?;
    let mut scheduler = Scheduler::load("measured", compiled)?;
    let nothing = Known::default();
    let instantiate = per_call(|| Ok(scheduler.start(&nothing)?))?;
    // A node that nobody knows is gone: nothing but its name crosses, and nothing changes.
    let mut named = |bytes: usize| {
        let change = Change::NodeGone("n".repeat(bytes));
        per_call(|| Ok(scheduler.observe(&change, &nothing)?))
    };
    let (empty, kilobyte, hundred) = (named(0)?, named(1_000)?, named(100_000)?);
    let taken = scheduler.taken().context("it has no instance")?;
    let (fuel, memory) = (taken.fuel, taken.memory_bytes);
    let mut route = Map::new();
    for replicas in REPLICAS {
        route.insert(
            replicas.to_string(),
            route_ns(&mut scheduler, replicas)?.into(),
        );
    }
    Ok(json!({
        "load_ns": load,
        "instantiate_ns": instantiate,
        "empty_ns": empty,
        "kilobyte_ns": kilobyte,
        "hundred_kilobytes_ns": hundred,
        "hundred_kilobytes_fuel": fuel,
        "memory_bytes": memory,
        "route_ns": route,
    }))
}

fn route_ns(scheduler: &mut Scheduler, replicas: u64) -> Result<f64> {
    let mut known = Known::default();
    for id in 0..replicas {
        known.take_in(&Change::Node(node(id)));
        known.take_in(&Change::Replica(replica(id)));
    }
    scheduler.start(&known)?;
    let mut turn = 0;
    per_call(|| {
        turn += 1;
        let choice = scheduler.route(&request(turn), &known)?;
        ensure!(choice.is_ok(), "{choice:?}");
        Ok(())
    })
}

fn decode(compiled: &Path, model: &Path, threads: NonZeroUsize, tokens: u32) -> Result<Value> {
    let device = skep_hw::Device::cpu(CpuSettings {
        threads: Some(threads),
        isa: None,
    })?;
    let mut model = Model::open(Opening {
        plugin: "llama",
        compiled,
        files: vec![SourceFile::open(model)?],
        draft: None,
        settings: Settings {
            context_tokens: Some(1_024),
            sequences: Some(1),
            speculate: false,
            ..Settings::default()
        },
        device,
        memory_bytes: 8 << 30,
        timeouts: Timeouts::default(),
    })?;
    model.submit(1, work(tokens))??;
    let (mut steps, mut kernels, mut besides) = (Vec::new(), Vec::new(), Vec::new());
    let mut events = Vec::new();
    loop {
        events.clear();
        let started = Instant::now();
        model.step(&mut events)??;
        let (step, native) = (started.elapsed(), model.kernels());
        match events.first().map(|tagged| &tagged.event) {
            Some(Event::Gained(_)) => {
                steps.push(step.as_secs_f64() * 1e6);
                kernels.push(native.as_secs_f64() * 1e6);
                besides.push(step.saturating_sub(native).as_secs_f64() * 1e6);
            }
            Some(Event::Done(_)) => break,
            Some(Event::Failed(error)) => bail!("{error}"),
            _ => {}
        }
    }
    ensure!(steps.len() > 10, "only {} tokens came", steps.len());
    let share = besides.iter().sum::<f64>() / kernels.iter().sum::<f64>() * 100.0;
    Ok(json!({
        "step_us": median(steps)?,
        "native_us": median(kernels)?,
        "besides_us": median(besides)?,
        "besides_percent": share,
    }))
}

fn work(tokens: u32) -> Work {
    Work::Generate(Generation {
        prompt: Prompt::Tokens((1..=16).collect()),
        sampling: Sampling::default(),
        max_tokens: Some(tokens),
        stop: Vec::new(),
        ignore_end: true,
        choices: 1,
        logprobs: None,
        echo: false,
        continued: Vec::new(),
    })
}

fn node(id: u64) -> Node {
    Node {
        id: format!("{id:032x}"),
        name: format!("node-{id}"),
        health: Health::Healthy,
        draining: false,
        labels: Vec::new(),
        devices: vec![Device {
            id: "cpu".into(),
            kind: "cpu".into(),
            health: Health::Healthy,
            memory_bytes: 64 << 30,
            memory_free_bytes: 32 << 30,
            bandwidth: 0,
        }],
        models: Vec::new(),
    }
}

fn replica(id: u64) -> Replica {
    Replica {
        id,
        model: "model".into(),
        node: format!("{id:032x}"),
        devices: vec!["cpu".into()],
        state: ReplicaState::Ready,
        running: u32::try_from(id % 8).unwrap_or_default(),
        waiting: 0,
        capacity: 16,
        cache_pages: 1_024,
        cache_pages_used: 100,
        first_token_us: 20_000 + id,
        token_us: 5_000,
    }
}

fn request(turn: u64) -> Request {
    Request {
        model: "model".into(),
        prompt_bytes: 400,
        max_tokens: 256,
        // Every second one goes on with a conversation.
        affinity: turn / 2,
        priority: 0,
    }
}

/// The median of rounds that last some 30 ms each, in nanoseconds a call; the first is not counted.
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
    median(rounds)
}

fn median(mut values: Vec<f64>) -> Result<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    values.get(middle).copied().context("nothing was measured")
}

const REPLICAS: [u64; 3] = [1, 10, 100];
const ROUNDS: usize = 15;
const ROUND: Duration = Duration::from_millis(30);
