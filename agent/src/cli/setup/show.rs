//! How a setup looks on a terminal: what was found, what would be done, what became of it.
//!
//! Decides words and colours. Refuses to know where it comes from.

use std::fmt::Write as _;

use skep_core::install::Actor;

use crate::act::{ActionState, ActionView, PreviewState, RunView, RunWord};
use crate::cli::terminal::{Paint, printable};
use crate::wire::{SetupFinding, SetupPlan, SetupTest};

/// What is right and wrong on this machine.
pub(super) fn findings(findings: &[SetupFinding], paint: Paint) -> String {
    let mut text = String::new();
    for finding in findings {
        let mark = match finding.severity.as_str() {
            "fine" => paint.green("ok"),
            "notice" => paint.cyan("note"),
            "warning" => paint.yellow("warning"),
            _ => paint.red("failure"),
        };
        let _ = writeln!(text, "  {mark} {}", printable(&finding.what));
        if !finding.evidence.is_empty() {
            let _ = writeln!(text, "      {}", paint.dim(printable(&finding.evidence)));
        }
        if let Some(remedy) = &finding.remedy {
            let _ = writeln!(
                text,
                "      {} {}",
                paint.cyan("mend it:"),
                printable(remedy)
            );
        }
    }
    text
}

/// What would be done.
pub(super) fn plan(plan: &SetupPlan, paint: Paint) -> String {
    let mut text = String::new();
    for action in &plan.actions {
        let mark = match action.state {
            PreviewState::Already => paint.dim("already"),
            PreviewState::Needed => paint.bold("will"),
            PreviewState::Conflict => paint.red("cannot"),
        };
        let who = match action.actor {
            Actor::Agent | Actor::User => String::new(),
            Actor::Root => format!(" {}", paint.yellow("(root)")),
        };
        let _ = writeln!(text, "  {mark} {}{who}", printable(&action.words));
        if action.state == PreviewState::Already {
            continue;
        }
        let _ = writeln!(text, "      {}", paint.dim(printable(&action.why)));
        if let Some(conflict) = &action.conflict {
            let _ = writeln!(text, "      {}", paint.red(printable(conflict)));
        }
        if let Some(diff) = &action.diff {
            for line in diff.lines() {
                let line = printable(line);
                let painted = match line.as_bytes().first() {
                    Some(b'+') => paint.green(line),
                    Some(b'-') => paint.red(line),
                    _ => paint.dim(line),
                };
                let _ = writeln!(text, "      {painted}");
            }
        }
        let _ = writeln!(
            text,
            "      {}",
            paint.dim(format!("undo: {}", printable(&action.undo)))
        );
    }
    if plan.actions.is_empty() {
        let _ = writeln!(text, "  nothing is to be done");
    }
    for note in &plan.notes {
        let _ = writeln!(text, "  {} {}", paint.cyan("note:"), printable(note));
    }
    text
}

/// How many actions are still to be done.
pub(super) fn open(plan: &SetupPlan) -> usize {
    let open = |action: &&crate::act::Preview| action.state != PreviewState::Already;
    plan.actions.iter().filter(open).count()
}

/// One action, once it has come to something.
pub(super) fn progress(action: &ActionView, paint: Paint) -> Option<String> {
    let took = action
        .took_ms
        .map(|ms| format!(" {}", paint.dim(format!("{ms} ms"))));
    let mark = match action.state {
        ActionState::Waiting | ActionState::Running => return None,
        ActionState::Done => paint.green("done"),
        ActionState::Already => paint.dim("already"),
        ActionState::Failed => paint.red("failed"),
        ActionState::Undone => paint.cyan("undone"),
    };
    let mut text = format!(
        "  {mark} {}{}",
        printable(&action.words),
        took.unwrap_or_default()
    );
    if let Some(error) = &action.error {
        let _ = write!(text, "\n      {}", paint.red(printable(error)));
    }
    Some(text)
}

/// How a run stands, in a word.
pub(super) fn word(run: &RunView) -> &'static str {
    match run.state {
        RunWord::Running => "running",
        RunWord::Done => "done",
        RunWord::Failed => "failed",
        RunWord::Interrupted => "interrupted",
        RunWord::Undoing => "undoing",
        RunWord::Undone => "undone",
    }
}

/// One test, once it is over.
pub(super) fn test(test: &SetupTest, paint: Paint) -> Option<String> {
    let mark = match test.state.as_str() {
        "passed" => paint.green("passed"),
        "failed" => paint.red("failed"),
        "skipped" => paint.dim("skipped"),
        _ => return None,
    };
    let mut text = format!("  {mark} {}", printable(&test.title));
    for line in &test.evidence {
        let _ = write!(text, "\n      {}", paint.dim(printable(line)));
    }
    if let Some(remedy) = &test.remedy {
        let _ = write!(
            text,
            "\n      {} {}",
            paint.cyan("mend it:"),
            printable(remedy)
        );
    }
    Some(text)
}
