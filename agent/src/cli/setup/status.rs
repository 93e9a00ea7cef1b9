//! `skep setup status`, `undo` and `drift`: how far it has come, back, and what changed since.

use std::io::IsTerminal as _;

use super::follow::follow;
use super::{show, walk};
use crate::act::{ActionState, RunWord};
use crate::cli::table::{Cell, Hue, Table};
use crate::cli::terminal::{Paint, complain, printable, say};
use crate::cli::{Exit, Failure, figures, print_json, segment};
use crate::client::Client;
use crate::wire::{SetupDrifts, SetupRuns, SetupStarted, SetupView};

pub(super) fn status(client: &Client, json: bool) -> Result<(), Failure> {
    let view: SetupView = client.get("/api/v1/setup")?;
    let runs: SetupRuns = client.get("/api/v1/setup/runs")?;
    if json {
        return print_json(&serde_json::json!({ "setup": view, "runs": runs.runs }));
    }
    let paint = Paint::for_stdout();
    say(steps(&view, paint))?;
    if !runs.runs.is_empty() {
        say("")?;
        say(table(&runs, paint, figures::ago))?;
    }
    if view.restart_needed {
        complain(
            &Paint::for_stderr()
                .yellow("start the agent again: some settings hold only from then on"),
        );
    }
    Ok(())
}

/// Each step, and its parts where it has any.
pub(in crate::cli) fn steps(view: &SetupView, paint: Paint) -> String {
    let mut table = Table::new(["STEP", "PART", "STATE", "WHAT"]);
    for step in &view.steps {
        let name = format!("{} {}", step.number, step.id);
        table.row([
            Cell::new(name, Hue::Strong),
            "".into(),
            Cell::new(step.state.as_str(), hue(&step.state)),
            step.title.as_str().into(),
        ]);
        for part in &step.parts {
            table.row([
                "".into(),
                part.id.as_str().into(),
                Cell::new(part.state.as_str(), hue(&part.state)),
                part.title.as_str().into(),
            ]);
        }
    }
    let state = match view.state.as_str() {
        "open" => {
            "the setup is open; `skep setup` goes on, `skep setup link` opens it in a browser"
        }
        _ => "the setup is finished",
    };
    format!("{}\n\n{state}", table.render(paint))
}

/// What was done so far, the newest first.
fn table(runs: &SetupRuns, paint: Paint, ago: impl Fn(u64) -> String) -> String {
    let mut table = Table::new(["RUN", "PART", "STATE", "BEGAN", ">DONE", "BY"]);
    for run in &runs.runs {
        let word = show::word(run);
        let hue = match run.state {
            RunWord::Done => Hue::Good,
            RunWord::Failed | RunWord::Interrupted => Hue::Bad,
            RunWord::Running | RunWord::Undoing => Hue::Doubtful,
            RunWord::Undone => Hue::Faint,
        };
        let over = |state| matches!(state, ActionState::Done | ActionState::Already);
        let done = run
            .actions
            .iter()
            .filter(|action| over(action.state))
            .count();
        table.row([
            Cell::new(run.id.as_str(), Hue::Strong),
            run.part.as_str().into(),
            Cell::new(word, hue),
            ago(run.at_unix_s).into(),
            format!("{done}/{}", run.actions.len()).into(),
            run.by.as_str().into(),
        ]);
    }
    table.render(paint)
}

fn hue(state: &str) -> Hue {
    match state {
        "done" | "applied" => Hue::Good,
        "failed" | "drifted" => Hue::Bad,
        "answered" => Hue::Doubtful,
        "skipped" => Hue::Faint,
        _ => Hue::Plain,
    }
}

pub(super) fn undo(
    client: &Client,
    run: Option<String>,
    agreed: bool,
    json: bool,
) -> Result<(), Failure> {
    let runs: SetupRuns = client.get("/api/v1/setup/runs")?;
    let undone = |state| matches!(state, RunWord::Undone | RunWord::Undoing);
    let found = match &run {
        Some(run) => runs.runs.iter().find(|known| known.id.as_str() == run),
        None => runs.runs.iter().find(|known| !undone(known.state)),
    };
    let Some(found) = found else {
        let what = run.map_or_else(
            || "there is nothing to undo".to_owned(),
            |run| format!("there is no run `{run}`"),
        );
        return Err(Failure::new(what).with_hint(Some("`skep setup status` lists the runs")));
    };
    let paint = Paint::for_stderr();
    if !json {
        complain(&format!(
            "{} {}, the last first:",
            paint.bold("undo"),
            printable(&found.part)
        ));
        for action in found.actions.iter().rev() {
            if action.state == ActionState::Done {
                complain(&format!("  {}", printable(&action.words)));
            }
        }
    }
    if !agreed {
        if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
            let hint = format!("if you agree: skep setup undo {} --yes", found.id);
            return Err(Failure::usage("there is no terminal to ask on").with_hint(Some(hint)));
        }
        if !walk::yes("Undo all of it?")? {
            return Err(Failure::new("you did not agree; nothing was changed"));
        }
    }
    let path = format!("/api/v1/setup/runs/{}/undo", segment(found.id.as_str()));
    let _: SetupStarted = client.post(&path, &serde_json::json!({}))?;
    let run = follow(
        client,
        found.id.as_str(),
        Some(found),
        (!json).then_some(paint),
    )?;
    if json {
        print_json(&run)?;
    }
    if run.state == RunWord::Undone && run.error().is_none() {
        return Ok(());
    }
    let why = run
        .error()
        .unwrap_or("it did not come to its end")
        .to_owned();
    Err(Failure::new(why).with_hint(Some("mend it and undo once more; what was undone stays so")))
}

pub(super) fn drift(client: &Client, json: bool) -> Result<(), Failure> {
    let found: SetupDrifts = client.get("/api/v1/setup/drift")?;
    if json {
        print_json(&found)?;
    } else if found.drift.is_empty() {
        say("all is as it was set up")?;
    } else {
        let paint = Paint::for_stdout();
        for drift in &found.drift {
            say(format!(
                "{} {}",
                paint.yellow(printable(&drift.part)),
                printable(&drift.words)
            ))?;
            say(format!("  should be: {}", printable(&drift.expected)))?;
            say(format!("  is:        {}", printable(&drift.found)))?;
        }
        complain("`skep setup` makes it so again; `skep setup undo RUN` gives it up");
    }
    if found.drift.is_empty() {
        return Ok(());
    }
    Err(Failure::silent(Exit::Failed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{SetupPartLine, SetupStep};

    #[test]
    fn steps_and_their_parts_are_listed() {
        let line = SetupPartLine {
            id: "step-network".to_owned(),
            title: "Ports".to_owned(),
            purpose: String::new(),
            state: "applied".to_owned(),
            run: None,
        };
        let view = SetupView {
            state: "open".to_owned(),
            current: None,
            node: "hive".to_owned(),
            version: "0".to_owned(),
            restart_needed: false,
            steps: vec![SetupStep {
                id: "network".to_owned(),
                number: 2,
                title: "Network".to_owned(),
                purpose: String::new(),
                state: "todo".to_owned(),
                parts: vec![line],
            }],
        };
        let text = steps(&view, Paint::none());
        for part in ["2 network", "step-network", "applied", "skep setup link"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
