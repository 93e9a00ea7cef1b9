//! What the agent costs while nobody asks it anything: memory and processor time, without a model and with one.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::report::{Cell, Report, Table};
use super::{Effort, agent};
use crate::assemble::{self, Profile};

pub(super) fn measure(effort: Effort, report: &mut Report) -> Result<()> {
    let binary = assemble::build(Profile::Release)?;
    let home = agent::fresh_home("idle")?;
    let span = Duration::from_secs(effort.pick(5, 60));
    let mut rows = Vec::new();
    // Once unmeasured, so that plugins are compiled and what is measured is an agent's ordinary life.
    drop(ready(&binary, &home, "tiny")?);
    for (name, model) in [("no model", ""), ("tiny", "tiny")] {
        let server = ready(&binary, &home, model)?;
        agent::pause(SETTLE);
        let workers = agent::descendants(server.id());
        rows.push(row(format!("{name}: agent"), &[server.id()], span)?);
        if !workers.is_empty() {
            rows.push(row(format!("{name}: worker"), &workers, span)?);
        }
    }
    report.add(Table {
        title: "Idle",
        command: "cargo xtask bench idle",
        note: format!(
            "Over {} s each, {} s after it was ready. Goal: at most 20 MiB resident without a model; \
             in the end 0.2 % of a core.",
            span.as_secs(),
            SETTLE.as_secs()
        ),
        columns: vec!["process", "resident MiB", "of one core, %"],
        rows,
    });
    Ok(())
}

fn ready(binary: &Path, home: &Path, model: &str) -> Result<agent::Server> {
    let mut server = agent::skep(binary, home, &[("MODELS_DEFAULT", model)])?;
    let path = if model.is_empty() {
        "/healthz"
    } else {
        "/readyz"
    };
    server.wait(path, Duration::from_secs(60))?;
    Ok(server)
}

fn row(name: String, processes: &[u32], span: Duration) -> Result<Vec<Cell>> {
    let sum = || -> Result<(f64, f64)> {
        let mut sum = (0.0, 0.0);
        for id in processes {
            let used = agent::used(*id)?;
            sum = (sum.0 + used.cpu_s, sum.1 + used.resident_bytes);
        }
        Ok(sum)
    };
    let (before, _) = sum()?;
    agent::pause(span);
    let (after, resident) = sum()?;
    Ok(vec![
        Cell::text(name),
        Cell::Number(resident / f64::from(1 << 20), 1),
        Cell::Number((after - before) / span.as_secs_f64() * 100.0, 2),
    ])
}

/// What a start leaves behind (freed memory, late timers) is gone by then.
const SETTLE: Duration = Duration::from_secs(5);
