//! What the sandbox costs: compiling each plugin, opening one, and crossing its border in both directions.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use super::report::{Cell, Report, Samples, Table};
use super::{Effort, agent, folder, load};
use crate::assemble::{self, Profile};
use crate::plugins;
use crate::step::execute;

pub(super) fn measure(effort: Effort, report: &mut Report) -> Result<()> {
    let binary = assemble::build(Profile::Release)?;
    let costs = load::binary("skep-costs")?;
    let into = folder().join("compiled");
    fs::create_dir_all(&into)?;
    let costs_component = plugins::component("costs")?;
    let mut all = vec![("costs".to_owned(), "engine".to_owned(), costs_component)];
    for plugin in plugins::build()? {
        all.push((plugin.name, plugin.world, plugin.path));
    }
    let mut rows = Vec::new();
    for (name, world, path) in &all {
        let out = into.join(name);
        let mut times = Samples::default();
        for _ in 0..effort.pick(1, 3) {
            times.push(compile(&binary, world, path, &out)?);
        }
        let bytes = |path: &Path| fs::metadata(path).map(|about| about.len() as f64 / 1e3);
        rows.push(vec![
            Cell::text(name),
            Cell::Number(bytes(path)?, 0),
            Cell::Number(bytes(&out)?, 0),
            Cell::Samples(times, 0),
        ]);
    }
    report.add(Table {
        title: "Compiling plugins",
        command: "cargo xtask bench host",
        note: "The compiler child from its start to its end. `costs` is the guest that the next table \
               measures with."
            .into(),
        columns: vec!["plugin", "component KB", "compiled KB", "ms"],
        rows,
    });
    crossings(&costs, &into, effort, report)
}

fn crossings(costs: &Path, compiled: &Path, effort: Effort, report: &mut Report) -> Result<()> {
    let mut seen = CROSSINGS.map(|_| Samples::default());
    for _ in 0..effort.pick(1, 5) {
        let mut command = Command::new(costs);
        command
            .arg(compiled.join("costs"))
            .arg(compiled.join(SCHEDULER));
        let found = load::call_with(&mut command)?;
        for ((_, name), seen) in CROSSINGS.iter().zip(&mut seen) {
            seen.push(load::number(&found, name)?);
        }
    }
    let rows = CROSSINGS
        .iter()
        .zip(seen)
        .map(|((what, _), seen)| vec![Cell::text(*what), Cell::Samples(seen, 0)]);
    report.add(Table {
        title: "Crossing the sandbox's border",
        command: "cargo xtask bench host",
        note: "Nanoseconds per call; each the median of 11 rounds in a process, here median (least–most) \
               over processes. The smallest graph is one row of four columns, returned."
            .into(),
        columns: vec!["what", "ns"],
        rows: rows.collect(),
    });
    Ok(())
}

/// One run of the compiler child, in milliseconds.
fn compile(binary: &Path, world: &str, component: &Path, out: &Path) -> Result<f64> {
    if out.exists() {
        fs::remove_file(out).with_context(|| format!("could not remove `{}`", out.display()))?;
    }
    let start = Instant::now();
    execute(
        agent::client(binary, &folder())
            .args(["compile", "--world", world])
            .args([component, out]),
    )?;
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

const SCHEDULER: &str = "spread";

/// What is measured, and where `skep-costs` tells it.
const CROSSINGS: [(&str, &str); 8] = [
    (
        "host → guest: `load`, four numbers back",
        "/host_to_guest_ns",
    ),
    (
        "guest → host: one handle, one number back",
        "/guest_to_host_ns",
    ),
    ("guest → host: `plan.run` of the smallest graph", "/run_ns"),
    ("the same graph run without a guest", "/native_run_ns"),
    ("a request: `submit`, `step`, one event back", "/request_ns"),
    ("the scheduler's `route`", "/route_ns"),
    (
        "opening an engine: load compiled code, link, instantiate, `open`",
        "/open_ns",
    ),
    ("loading a scheduler", "/scheduler_load_ns"),
];
