//! `skep-costs COSTS SCHEDULER`: what the boundary between host and guests costs, as one line of JSON.
//!
//! `COSTS` is the component of `tests/guests/costs`, `SCHEDULER` one of the world `scheduler`; both as
//! `skep compile` left them. Every figure is the median of several rounds, in nanoseconds per call.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    reason = "a command-line tool speaks on its terminal"
)]

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use skep::host::scheduler::{Change, Health, Node, Replica, ReplicaState, Request};
use skep::host::{Known, Model, Opening, Scheduler};
use skep::protocol::{Generation, Prompt, Settings, Timeouts, Work};
use skep_hw::{Batch, Bounds, CpuSettings, Device, Graph, Index, Op, Plan, Sequence, Weight};

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let costs = arguments.next().context("give the compiled `costs`")?;
    let scheduler = arguments.next().context("give a compiled scheduler")?;
    let mut found = engine(&costs)?;
    if let (Value::Object(found), Value::Object(more)) = (&mut found, policy(&scheduler)?) {
        found.extend(more);
    }
    println!("{found}");
    Ok(())
}

fn engine(compiled: &Path) -> Result<Value> {
    let open = || -> Result<Model> {
        Ok(Model::open(Opening {
            plugin: "costs",
            compiled,
            files: Vec::new(),
            draft: None,
            settings: Settings::default(),
            device: device()?,
            memory_bytes: 64 << 20,
            timeouts: Timeouts::default(),
        })?)
    };
    let opened = per_call(1, || open().map(drop))?;
    let mut model = open()?;
    let into_guest = per_call(10_000, || Ok(model.load().map(drop)?))?;
    let whole = |model: &mut Model, call: u32, count: u32| -> Result<()> {
        model.submit(1, work(call, count))??;
        model.step(&mut Vec::new())??;
        Ok(())
    };
    let request = per_call(1_000, || whole(&mut model, 0, 0))?;
    let out_of_guest = per_call(1, || whole(&mut model, 0, MANY))? / f64::from(MANY);
    let run = per_call(1, || whole(&mut model, 1, MANY))? / f64::from(MANY);
    Ok(json!({
        "open_ns": opened,
        "host_to_guest_ns": into_guest,
        "request_ns": request,
        "guest_to_host_ns": out_of_guest,
        "run_ns": run,
        "native_run_ns": native()?,
    }))
}

/// The same plan as in `tests/guests/costs`, without a guest.
fn native() -> Result<f64> {
    let table = Weight::from_values(vec![1.0; 8], 2, 4)?;
    let ops = vec![
        Op::Embed {
            table: 0,
            index: Index::Tokens,
        },
        Op::Outputs { x: 0 },
    ];
    let bounds = Bounds {
        tokens: 1,
        sequences: 1,
        outputs: 1,
    };
    let mut plan = Plan::compile(&device()?, Graph::check(ops, vec![table], None, bounds)?)?;
    let sequences = [Sequence {
        tokens: 1,
        start: 0,
        pages: &[],
    }];
    let batch = Batch {
        tokens: &[1],
        sequences: &sequences,
        outputs: &[0],
    };
    per_call(MANY, || Ok(plan.run(&batch)?))
}

fn device() -> Result<Device> {
    Ok(Device::cpu(CpuSettings {
        threads: NonZeroUsize::new(1),
        isa: None,
    })?)
}

fn work(call: u32, count: u32) -> Work {
    Work::Generate(Generation {
        prompt: Prompt::Tokens(vec![call, count]),
        sampling: Default::default(),
        max_tokens: Some(1),
        stop: Vec::new(),
        ignore_end: false,
        choices: 1,
        logprobs: None,
        echo: false,
        continued: Vec::new(),
    })
}

fn policy(compiled: &Path) -> Result<Value> {
    let loaded = per_call(1, || Ok(Scheduler::load("measured", compiled).map(drop)?))?;
    let mut scheduler = Scheduler::load("measured", compiled)?;
    let mut known = Known::default();
    known.take_in(&Change::Node(Node {
        id: "n".into(),
        name: "n".into(),
        health: Health::Healthy,
        draining: false,
        labels: Vec::new(),
        devices: Vec::new(),
        models: Vec::new(),
    }));
    known.take_in(&Change::Replica(Replica {
        id: 1,
        model: "m".into(),
        node: "n".into(),
        devices: Vec::new(),
        state: ReplicaState::Ready,
        running: 0,
        waiting: 0,
        capacity: 16,
        cache_pages: 64,
        cache_pages_used: 0,
        first_token_us: 0,
        token_us: 0,
    }));
    scheduler.start(&known)?;
    let mut request = Request {
        model: "m".into(),
        prompt_bytes: 100,
        max_tokens: 16,
        affinity: 0,
        priority: 0,
    };
    let route = per_call(10_000, || {
        request.affinity += 1;
        Ok(scheduler.route(&request, &known).map(drop)?)
    })?;
    Ok(json!({ "scheduler_load_ns": loaded, "route_ns": route }))
}

/// Nanoseconds per call: the median of several rounds of `count` calls, the first round not counted.
fn per_call(count: u32, mut call: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut rounds = Vec::new();
    for _ in 0..=ROUNDS {
        let start = Instant::now();
        for _ in 0..count {
            call()?;
        }
        rounds.push(start.elapsed().as_secs_f64() * 1e9 / f64::from(count));
    }
    rounds.remove(0);
    rounds.sort_by(f64::total_cmp);
    rounds.get(ROUNDS / 2).copied().context("no rounds")
}

const ROUNDS: usize = 11;
/// So many calls within one step that the step's own cost does not show.
const MANY: u32 = 20_000;
