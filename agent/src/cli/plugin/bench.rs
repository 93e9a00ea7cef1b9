//! `skep plugin bench`: how long a scheduler takes to compile, to start and to answer.
//!
//! Decides what is measured: medians, on a cluster of a hundred replicas. Refuses other worlds, whose time is their peers'.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::component::Component;
use crate::cli::arguments::Bench;
use crate::cli::table::{Cell, Hue, Table};
use crate::cli::terminal::{Paint, say};
use crate::cli::{Failure, print_json};
use crate::host::Fault;
use crate::host::scheduler::{Change, Health};
use crate::host::{Known, Scheduler, World};
use crate::scheduling::conformance::{node, replica, request};

/// Calls of which the median is taken, and starts.
const CALLS: usize = 500;
const STARTS: usize = 50;

/// Replicas of the model that is asked for.
const REPLICAS: u64 = 100;

#[derive(Debug, Serialize)]
struct Row {
    what: &'static str,
    median_us: f64,
    times: usize,
}

pub(super) fn bench(wish: &Bench) -> Result<(), Failure> {
    let component = Component::read(&wish.path)?;
    if component.world != World::Scheduler {
        return Err(Failure::usage(
            "only schedulers can be measured alone; of other plugins the peers' time is measured",
        ));
    }
    let (_folder, path, compiled) = component.compile(None)?;
    let started = Instant::now();
    let loaded = Scheduler::load(&component.manifest.name, &path);
    let mut scheduler = loaded.map_err(|error| Failure::chain(&error))?;
    let mut rows = vec![
        row("compile", vec![compiled]),
        row("load and start", vec![started.elapsed()]),
    ];
    rows.extend(measure(&mut scheduler).map_err(|fault| Failure::chain(&fault))?);
    if wish.json {
        return print_json(&rows);
    }
    let mut table = Table::new(["WHAT", ">MEDIAN", ">TIMES"]);
    for row in &rows {
        table.row([
            Cell::new(row.what, Hue::Strong),
            time(row.median_us).into(),
            row.times.to_string().into(),
        ]);
    }
    Ok(say(table.render(Paint::for_stdout()))?)
}

fn measure(scheduler: &mut Scheduler) -> Result<Vec<Row>, Fault> {
    let mut known = Known::default();
    let mut starts = Vec::with_capacity(STARTS);
    for _ in 0..STARTS {
        let started = Instant::now();
        scheduler.start(&known)?;
        starts.push(started.elapsed());
    }
    let long = "x".repeat(100 << 10);
    let mut tell = |change: Change| -> Result<Duration, Fault> {
        known.take_in(&change);
        let started = Instant::now();
        scheduler.observe(&change, &known)?;
        Ok(started.elapsed())
    };
    tell(Change::Node(node("n1", Health::Healthy)))?;
    tell(Change::Replica(replica(REPLICAS, &long, "n1", 1)))?;
    let mut observed = Vec::with_capacity(CALLS);
    for (at, id) in (0..REPLICAS).cycle().take(CALLS).enumerate() {
        let running = u32::try_from(at % 7).unwrap_or_default();
        observed.push(tell(Change::Replica(replica(id, "tiny", "n1", running)))?);
    }
    let mut ask = |model: &str| -> Result<Vec<Duration>, Fault> {
        let request = request(model);
        let mut took = Vec::with_capacity(CALLS);
        for _ in 0..CALLS {
            let started = Instant::now();
            // What it answers is `skep plugin test`'s to judge.
            let _ = scheduler.route(&request, &known)?;
            took.push(started.elapsed());
        }
        Ok(took)
    };
    Ok(vec![
        row("start", starts),
        row("observe", observed),
        row("route among 100", ask("tiny")?),
        row("route, a name of 100 KB", ask(&long)?),
    ])
}

fn row(what: &'static str, mut times: Vec<Duration>) -> Row {
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    Row {
        what,
        median_us: median.as_secs_f64() * 1e6,
        times: times.len(),
    }
}

fn time(us: f64) -> String {
    match us {
        us if us < 1e3 => format!("{us:.1} µs"),
        us if us < 1e6 => format!("{:.1} ms", us / 1e3),
        us => format!("{:.1} s", us / 1e6),
    }
}
