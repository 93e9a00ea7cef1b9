//! `skep plugin test`: a component against its world.
//!
//! Decides how the report looks. What is tried is `conformance`'s, and of what runs in the agent
//! `scheduling::conformance`'s and `setup::conformance`'s.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::component::{Component, Shown};
use crate::boot::tiny;
use crate::cli::arguments::Test;
use crate::cli::failure::Exit;
use crate::cli::terminal::{Paint, printable, say};
use crate::cli::{Failure, figures, print_json};
use crate::conformance::{self, Check, EngineMost, EngineSubject, ServiceMost, ServiceSubject};
use crate::host::{Installer, Scheduler, World};
use crate::limits::{INSTALLER_MEMORY_BYTES, SCHEDULER_MEMORY_BYTES};
use crate::{scheduling, setup};

#[derive(Debug, Serialize)]
struct Report {
    plugin: Shown,
    compiled_in_ms: u128,
    checks: Vec<Check>,
    most: Most,
    memory_limit_bytes: usize,
    passed: bool,
}

/// What it took at most, by its world.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Most {
    InAgent(scheduling::conformance::Most),
    Service(ServiceMost),
    Engine(EngineMost),
}

pub(super) fn test(wish: &Test, cache: Option<PathBuf>) -> Result<(), Failure> {
    let component = Component::read(&wish.path)?;
    if wish.model.is_some() && component.world != World::Engine {
        return Err(Failure::usage("`--model` is for engines"));
    }
    let is_service = matches!(component.world, World::Upstream | World::Notifier);
    if !wish.settings.is_empty() && !is_service {
        return Err(Failure::usage("`--set` is for upstreams and notifiers"));
    }
    let (_folder, path, took) = component.compile(cache)?;
    let (checks, most) = attempt(wish, &component, &path)?;
    let report = Report {
        plugin: component.shown(),
        compiled_in_ms: took.as_millis(),
        passed: checks.iter().all(|check| check.fault.is_none()),
        checks,
        most,
        memory_limit_bytes: match component.world {
            World::Installer => INSTALLER_MEMORY_BYTES,
            _ => SCHEDULER_MEMORY_BYTES,
        },
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

fn attempt(
    wish: &Test,
    component: &Component,
    compiled: &Path,
) -> Result<(Vec<Check>, Most), Failure> {
    let plugin = component.manifest.name.as_str();
    match component.world {
        World::Scheduler => {
            let (checks, most) =
                scheduling::conformance::run(&|| Scheduler::load(plugin, compiled));
            Ok((checks, Most::InAgent(most)))
        }
        World::Installer => {
            let (checks, most) = setup::conformance::run(&|| Installer::load(plugin, compiled));
            Ok((checks, Most::InAgent(most)))
        }
        World::Engine => {
            let (checks, most) = conformance::engine(&EngineSubject {
                plugin,
                compiled,
                model: wish.model.as_deref(),
                carried: tiny::BYTES,
            })
            .map_err(Failure::new)?;
            Ok((checks, Most::Engine(most)))
        }
        world @ (World::Upstream | World::Notifier) => {
            let (checks, most) = conformance::service(
                world,
                &ServiceSubject {
                    manifest: &component.manifest,
                    compiled,
                    set: &wish.settings,
                },
            )
            .map_err(Failure::new)?;
            Ok((checks, Most::Service(most)))
        }
    }
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
        let (state, why) = match (&check.fault, &check.left_out) {
            (Some(fault), _) => (paint.red("FAILED"), Some(fault)),
            (None, Some(why)) => (paint.dim("-     "), Some(why)),
            (None, None) => (ok.clone(), None),
        };
        let _ = match why {
            Some(why) => write!(text, "\n{state} {}: {}", check.name, printable(why)),
            None => write!(text, "\n{state} {}", check.name),
        };
    }
    if report.checks.iter().any(|check| check.left_out.is_some()) {
        text.push_str("\n\nwhat begins with `-` could not be tried on it");
    }
    let _ = match &report.most {
        Most::InAgent(most) => write!(
            text,
            "\n\nthe most that a call took: {} of the {} units of work that it might, and {} of {}",
            figures::count(most.fuel),
            figures::count(most.fuel_limit),
            figures::memory(most.memory_bytes as u64),
            figures::memory(report.memory_limit_bytes as u64),
        ),
        Most::Service(most) => write!(
            text,
            "\n\nthe most that a call took: {} of {}; {} calls computed for {} ms together",
            figures::memory(most.memory_bytes),
            figures::memory(most.memory_limit_bytes),
            most.calls,
            most.computing_ms,
        ),
        Most::Engine(most) => write!(
            text,
            "\n\nthe most that it took: {} of its own memory and {} of the host's, and {:.1} ms for one of {} steps",
            figures::memory(most.guest_memory_bytes),
            figures::memory(most.host_memory_bytes),
            most.longest_step_us as f64 / 1e3,
            most.steps,
        ),
    };
    text
}
