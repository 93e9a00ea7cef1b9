//! `skep plugin test`: a component against its world.
//!
//! Decides how the report looks. What is tried is `scheduling::conformance`'s; components of other worlds are inspected and
//! compiled, and the report says that no more was done.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Serialize;

use super::component::{Component, Shown};
use crate::cli::arguments::Test;
use crate::cli::failure::Exit;
use crate::cli::terminal::{Paint, say};
use crate::cli::{Failure, figures, print_json};
use crate::host::{Scheduler, World};
use crate::limits::SCHEDULER_MEMORY_BYTES;
use crate::scheduling::conformance::{self, Check, Most};

#[derive(Debug, Serialize)]
struct Report {
    plugin: Shown,
    compiled_in_ms: u128,
    checks: Vec<Check>,
    /// For schedulers.
    most: Option<Most>,
    memory_limit_bytes: usize,
    passed: bool,
}

pub(super) fn test(wish: &Test, cache: Option<PathBuf>) -> Result<(), Failure> {
    let component = Component::read(&wish.path)?;
    let (_folder, path, took) = component.compile(cache)?;
    let (checks, most) = if component.world == World::Scheduler {
        let name = &component.manifest.name;
        let (checks, most) = conformance::run(&|| Scheduler::load(name, &path));
        (checks, Some(most))
    } else {
        (Vec::new(), None)
    };
    let report = Report {
        plugin: component.shown(),
        compiled_in_ms: took.as_millis(),
        passed: checks.iter().all(|check| check.fault.is_none()),
        checks,
        most,
        memory_limit_bytes: SCHEDULER_MEMORY_BYTES,
    };
    if wish.json {
        print_json(&report)?;
    } else {
        say(render(&report, Paint::for_stdout()))?;
    }
    if report.passed {
        return Ok(());
    }
    // The report has said it.
    Err(Failure::silent(Exit::Failed))
}

fn render(report: &Report, paint: Paint) -> String {
    let mut text = report.plugin.text();
    let ok = paint.green("ok    ");
    // Writing to a `String` cannot fail.
    let _ = write!(
        text,
        "\n\n{ok} its manifest, world and imports fit\n{ok} it is compiled, after {} ms",
        report.compiled_in_ms
    );
    for check in &report.checks {
        let _ = match &check.fault {
            None => write!(text, "\n{ok} {}", check.name),
            Some(fault) => write!(text, "\n{} {}: {fault}", paint.red("FAILED"), check.name),
        };
    }
    let _ = match &report.most {
        Some(most) => write!(
            text,
            "\n\nthe most that a call took: {} of the {} units of work that it might, and {} of {}",
            figures::count(most.fuel),
            figures::count(most.fuel_limit),
            figures::memory(most.memory_bytes as u64),
            figures::memory(report.memory_limit_bytes as u64),
        ),
        None => write!(
            text,
            "\n\nno more is tried for its world yet: it was inspected and compiled, and not called"
        ),
    };
    text
}
