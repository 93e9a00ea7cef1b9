//! `skep scheduler`: who decides where models and requests go, and what another would have decided.

use std::path::Path;

use super::figures;
use super::table::{Cell, Hue, Table};
use super::terminal::{Paint, complain, printable, say};
use super::{Failure, print_json};
use crate::client::Client;
use crate::wire::{Chosen, Differences, SchedulerWish, Schedulers, Shadow};

pub(super) fn list(client: &Client, json: bool) -> Result<(), Failure> {
    let schedulers: Schedulers = client.get("/api/v1/scheduler")?;
    if json {
        return print_json(&schedulers);
    }
    say(render(&schedulers, Paint::for_stdout()))?;
    let paint = Paint::for_stderr();
    for note in notes(&schedulers, figures::ago) {
        complain(&format!("{} {}", paint.yellow("note:"), printable(&note)));
    }
    Ok(())
}

pub(super) fn put_in_charge(client: &Client, policy: &str) -> Result<(), Failure> {
    let policy = Some(named(policy)?);
    let now: Schedulers = client.post("/api/v1/scheduler/use", &SchedulerWish { policy })?;
    let active = now.schedulers.first().map_or("", |one| one.name.as_str());
    Ok(say(format!(
        "`{}` decides from now on, until the agent ends; `scheduler.policy` in the configuration says who decides at the next start",
        printable(active)
    ))?)
}

pub(super) fn put_in_shadow(client: &Client, policy: &str) -> Result<(), Failure> {
    let policy = match policy {
        "off" => None,
        policy => Some(named(policy)?),
    };
    let now: Schedulers = client.post("/api/v1/scheduler/shadow", &SchedulerWish { policy })?;
    match now.shadow {
        None => say("no scheduler is in shadow")?,
        Some(shadow) => say(format!(
            "`{}` is asked beside the active one and not heeded; `skep scheduler diff` shows where they differ",
            printable(&shadow.name)
        ))?,
    }
    Ok(())
}

pub(super) fn differences(client: &Client, json: bool) -> Result<(), Failure> {
    let found: Differences = client.get("/api/v1/scheduler/differences")?;
    if json {
        return print_json(&found);
    }
    Ok(say(render_differences(
        &found,
        Paint::for_stdout(),
        figures::ago,
    ))?)
}

pub(super) fn render(schedulers: &Schedulers, paint: Paint) -> String {
    let mut table = Table::new(["NAME", "STATE", ">DECISIONS", ">FAILURES", "FROM"]);
    for scheduler in &schedulers.schedulers {
        let state = match scheduler.state.as_str() {
            "active" => Hue::Good,
            "retired" => Hue::Bad,
            "shadow" | "previous" => Hue::Plain,
            _ => Hue::Faint,
        };
        let failures = match scheduler.failures {
            0 => Hue::Plain,
            _ => Hue::Doubtful,
        };
        table.row([
            Cell::new(scheduler.name.as_str(), Hue::Strong),
            Cell::new(scheduler.state.as_str(), state),
            scheduler.decisions.to_string().into(),
            Cell::new(scheduler.failures.to_string(), failures),
            scheduler.source.as_deref().unwrap_or("-").into(),
        ]);
    }
    match &schedulers.shadow {
        None => table.render(paint),
        Some(shadow) => format!("{}\n\n{}", table.render(paint), agreement(shadow)),
    }
}

/// What an operator should know beside the table.
pub(super) fn notes(schedulers: &Schedulers, ago: impl Fn(u64) -> String) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(awaited) = &schedulers.awaited {
        notes.push(format!(
            "`scheduler.policy` in the configuration names `{}`, and another decides in its place: {}",
            awaited.name, awaited.why
        ));
    }
    if let Some(back) = &schedulers.rolled_back {
        notes.push(format!(
            "{}, `{}` was replaced by `{}` since it failed too often: {}",
            ago(back.at_unix_s),
            back.from,
            back.to,
            back.why
        ));
    }
    for one in &schedulers.schedulers {
        if let Some(failure) = &one.last_failure {
            notes.push(format!("{} failed at last so: {failure}", one.name));
        }
    }
    if let Some(shadow) = &schedulers.shadow {
        if let Some(ended) = &shadow.ended {
            notes.push(format!("{} is no longer asked: {ended}", shadow.name));
        } else if let Some(failure) = &shadow.last_failure {
            notes.push(format!(
                "{} failed in shadow at last so: {failure}",
                shadow.name
            ));
        }
    }
    notes
}

pub(super) fn render_differences(
    found: &Differences,
    paint: Paint,
    ago: impl Fn(u64) -> String,
) -> String {
    let Some(shadow) = &found.shadow else {
        return "no scheduler is in shadow; `skep scheduler shadow NAME` puts one there".to_owned();
    };
    let mut text = agreement(shadow);
    for one in &found.differences {
        let head = format!(
            "{} {} of {}, {}",
            one.number,
            one.kind,
            one.model,
            ago(one.at_unix_s)
        );
        text += &format!("\n\n{}", paint.bold(printable(&head)));
        for (who, chosen) in [(&one.active, &one.live), (&shadow.name, &one.shadow)] {
            let line = format!("{who}: {} ({})", place(chosen), chosen.why);
            text += &format!("\n  {}", printable(&line));
        }
    }
    text
}

/// In how many decisions the shadow agreed.
fn agreement(shadow: &Shadow) -> String {
    let mut text = format!(
        "{} agreed in {} of {} decisions",
        printable(&shadow.name),
        shadow.agreed,
        shadow.agreed.saturating_add(shadow.differed)
    );
    if shadow.failures > 0 {
        text += &format!(", failed at {}", shadow.failures);
    }
    if shadow.dropped > 0 {
        text += &format!(", missed {}", shadow.dropped);
    }
    text
}

fn place(chosen: &Chosen) -> String {
    let node = chosen.node.as_deref().unwrap_or("an unknown node");
    match (chosen.replica, chosen.devices.as_slice()) {
        (Some(replica), _) => format!("replica {replica} on {node}"),
        (None, []) => "no place".to_owned(),
        (None, devices) => format!("{} on {node}", devices.join(" and ")),
    }
}

/// A scheduler as the agent is told of it: a path becomes absolute, since the agent runs elsewhere.
fn named(policy: &str) -> Result<String, Failure> {
    let is_wasm = Path::new(policy)
        .extension()
        .is_some_and(|extension| extension == "wasm");
    if !policy.contains('/') && !is_wasm {
        return Ok(policy.to_owned());
    }
    std::path::absolute(policy)
        .ok()
        .and_then(|path| path.into_os_string().into_string().ok())
        .ok_or_else(|| Failure::usage("the path is empty or not UTF-8"))
}
