//! What scheduling decisions cost in clusters of 8, 128 and 1,000 nodes with four replicas each.

use std::fs;
use std::process::Command;

use anyhow::Result;

use super::report::{Cell, Report, Samples, Table};
use super::{Effort, agent, folder, load};
use crate::assemble::{self, Profile};
use crate::plugins::{self, SCHEDULERS};
use crate::step::execute;

pub(super) fn measure(effort: Effort, report: &mut Report) -> Result<()> {
    let binary = assemble::build(Profile::Release)?;
    let measuring = load::binary("skep-schedule")?;
    let into = folder().join("compiled");
    fs::create_dir_all(&into)?;
    let mut compiled = Vec::new();
    for plugin in plugins::build()? {
        if !SCHEDULERS.contains(&plugin.name.as_str()) {
            continue;
        }
        let out = into.join(&plugin.name);
        if out.exists() {
            fs::remove_file(&out)?;
        }
        execute(
            agent::client(&binary, &folder())
                .args(["compile", "--world", "scheduler"])
                .args([&plugin.path, &out]),
        )?;
        compiled.push(out);
    }
    let mut rows = Vec::new();
    for nodes in NODES {
        let mut runs = Vec::new();
        for _ in 0..effort.pick(1, 3) {
            let mut command = Command::new(&measuring);
            runs.push(load::call_with(
                command.arg(nodes.to_string()).args(&compiled),
            )?);
        }
        for policy in SCHEDULERS.into_iter().chain(["built-in"]) {
            for (picture, name) in PICTURES {
                let cell = |what: &str, scale: f64, decimals| -> Result<Cell> {
                    let mut samples = Samples::default();
                    for run in &runs {
                        let pointer = format!("/{policy}/{picture}/{what}");
                        samples.push(load::number(run, &pointer)? * scale);
                    }
                    Ok(Cell::Samples(samples, decimals))
                };
                rows.push(vec![
                    Cell::text(format!("{nodes} nodes, {name}, `{policy}`")),
                    cell("route_ns", 1e-3, 1)?,
                    cell("routes_per_s", 1.0, 0)?,
                    cell("place_ns", 1e-3, 1)?,
                    cell("observe_ns", 1e-3, 1)?,
                ]);
            }
        }
    }
    report.add(Table {
        title: "Scheduling decisions",
        command: "cargo xtask bench schedule",
        note: "Four replicas on each node: all of one model, so that each decision weighs them all, or of 20. Through \
               the agent's own door on one thread, checking of the answers included; median (least–most) over processes."
            .into(),
        columns: vec!["cluster", "`route` µs", "per second", "`place` µs", "`observe` µs"],
        rows,
    });
    Ok(())
}

const NODES: [u32; 3] = [8, 128, 1_000];

/// As `skep-schedule` tells them.
const PICTURES: [(&str, &str); 2] = [("one_model", "one model"), ("many_models", "20 models")];
