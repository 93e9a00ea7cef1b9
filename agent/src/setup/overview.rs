//! How far a setup has come: its steps and their parts.
//!
//! Decides what counts as done. Refuses to know what a part does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::state::Part;
use super::steps::{self, STEPS, Step};
use super::{SetupError, runs};
use crate::act::{RunView, RunWord};
use crate::agent::Agent;
use crate::plugins::Installed;
use crate::{version, wire};

/// All of it.
///
/// # Errors
/// When what was done cannot be read.
pub async fn view(agent: &Arc<Agent>) -> Result<wire::SetupView, SetupError> {
    let parts = agent.setup.parts();
    let runs = newest(agent).await?;
    warm(agent);
    let view = |(number, step): (usize, &Step)| {
        let lines: Vec<wire::SetupPartLine> = step
            .parts(agent)
            .iter()
            .map(|plugin| described(agent, plugin, &parts, &runs))
            .collect();
        let state = match (step.built_in, lines.is_empty()) {
            (true, _) => built_in(agent, step, parts.get(step.id)),
            // This binary has no plugin for it.
            (false, true) => "skipped",
            (false, false) => together(lines.iter().map(|line| line.state.as_str())),
        };
        wire::SetupStep {
            id: step.id.to_owned(),
            number: u8::try_from(number + 1).unwrap_or(u8::MAX),
            title: step.title.to_owned(),
            purpose: step.purpose.to_owned(),
            state: state.to_owned(),
            parts: lines,
        }
    };
    let all: Vec<wire::SetupStep> = STEPS.iter().enumerate().map(view).collect();
    let open = |step: &&wire::SetupStep| matches!(step.state.as_str(), "todo" | "failed");
    Ok(wire::SetupView {
        state: if agent.setup.is_open() {
            "open"
        } else {
            "closed"
        }
        .to_owned(),
        current: all.iter().find(open).map(|step| step.id.clone()),
        node: agent.cluster.name(),
        version: version::VERSION.to_owned(),
        restart_needed: agent.setup.needs_restart(),
        steps: all,
    })
}

/// Makes all steps ready, the first time that somebody looks: each is compiled once, which nobody likes to wait for.
fn warm(agent: &Arc<Agent>) {
    let parts = steps::parts(agent);
    agent.setup.loaded.tidy(&parts);
    if agent.setup.warmed.swap(true, Ordering::Relaxed) {
        return;
    }
    let agent = Arc::downgrade(agent);
    tokio::spawn(async move {
        for part in parts {
            let Some(agent) = agent.upgrade() else {
                return;
            };
            // Whoever opens that part is told why not.
            let _ = agent.setup.loaded.get(&agent, &part).await;
        }
    });
}

/// One part.
///
/// # Errors
/// When there is none of this name.
pub(super) async fn line(
    agent: &Arc<Agent>,
    part: &str,
) -> Result<wire::SetupPartLine, SetupError> {
    let plugin = steps::find(agent, part)?;
    let runs = newest(agent).await?;
    Ok(described(agent, &plugin, &agent.setup.parts(), &runs))
}

fn described(
    agent: &Agent,
    plugin: &Installed,
    parts: &BTreeMap<String, Part>,
    runs: &BTreeMap<String, RunView>,
) -> wire::SetupPartLine {
    let part = parts.get(&plugin.name);
    let run = part.and_then(|part| part.run.as_deref());
    let manifest = &plugin.manifest;
    let title = if manifest.title.is_empty() {
        &plugin.name
    } else {
        &manifest.title
    };
    wire::SetupPartLine {
        id: plugin.name.clone(),
        title: title.clone(),
        purpose: manifest.description.clone(),
        state: state(
            part,
            run.and_then(|run| runs.get(run)),
            agent.setup.has_drifted(&plugin.name),
        )
        .to_owned(),
        run: run.map(str::to_owned),
    }
}

/// How far a part is.
fn state(part: Option<&Part>, run: Option<&RunView>, drifted: bool) -> &'static str {
    let Some(part) = part else {
        return "todo";
    };
    let answered = if part.answers.is_empty() {
        "todo"
    } else {
        "answered"
    };
    if part.skipped {
        return "skipped";
    }
    match run.map(|run| run.state) {
        Some(RunWord::Done) if drifted => "drifted",
        Some(RunWord::Done) => "applied",
        Some(RunWord::Failed | RunWord::Interrupted) => "failed",
        Some(RunWord::Running | RunWord::Undoing | RunWord::Undone) => answered,
        None if part.passed => "applied",
        None => answered,
    }
}

/// How far a step with these parts is.
fn together<'a>(parts: impl Iterator<Item = &'a str>) -> &'static str {
    let mut state = "skipped";
    for part in parts {
        match part {
            "failed" | "drifted" => return "failed",
            "todo" | "answered" => state = "todo",
            "applied" if state == "skipped" => state = "done",
            _ => {}
        }
    }
    state
}

fn built_in(agent: &Agent, step: &Step, part: Option<&Part>) -> &'static str {
    let part = part.cloned().unwrap_or_default();
    let has_others = step.id == "cluster" && agent.cluster.nodes().len() > 1;
    match () {
        () if has_others || part.passed => "done",
        () if part.failed => "failed",
        () if part.skipped => "skipped",
        () => "todo",
    }
}

/// All runs, by their names.
async fn newest(agent: &Arc<Agent>) -> Result<BTreeMap<String, RunView>, SetupError> {
    let runs = runs::all(agent).await?;
    Ok(runs
        .into_iter()
        .map(|run| (run.id.to_string(), run))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_done_once_nothing_of_it_is_open() {
        let check = |parts: &[&'static str], expect| {
            assert_eq!(together(parts.iter().copied()), expect, "{parts:?}");
        };
        check(&["applied"], "done");
        check(&["applied", "skipped"], "done");
        check(&["skipped", "applied"], "done");
        check(&["skipped", "skipped"], "skipped");
        check(&["applied", "todo"], "todo");
        check(&["answered", "applied"], "todo");
        check(&["todo", "failed", "applied"], "failed");
        check(&["applied", "drifted"], "failed");
    }

    #[test]
    fn a_part_is_what_became_of_its_plan() {
        let run = |state| RunView {
            id: "1".parse().unwrap(),
            part: "p".to_owned(),
            state,
            by: String::new(),
            at_unix_s: 0,
            actions: Vec::new(),
        };
        let mut part = Part::default();
        assert_eq!(state(None, None, false), "todo");
        assert_eq!(state(Some(&part), None, false), "todo");
        let value = wire::SetupValue::Flag(true);
        part.answers.insert("a".to_owned(), value);
        assert_eq!(state(Some(&part), None, false), "answered");
        for (word, expect) in [
            (RunWord::Running, "answered"),
            (RunWord::Done, "applied"),
            (RunWord::Failed, "failed"),
            (RunWord::Interrupted, "failed"),
            (RunWord::Undone, "answered"),
        ] {
            assert_eq!(state(Some(&part), Some(&run(word)), false), expect);
        }
        assert_eq!(
            state(Some(&part), Some(&run(RunWord::Done)), true),
            "drifted"
        );
        part.passed = true;
        assert_eq!(state(Some(&part), None, false), "applied");
        part.skipped = true;
        assert_eq!(
            state(Some(&part), Some(&run(RunWord::Done)), false),
            "skipped"
        );
    }
}
