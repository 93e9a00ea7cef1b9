//! Plans and runs, as the terminal shows them.

use std::io;

use skep_core::install::Plan;

use super::super::Failure;
use super::super::terminal::{Paint, printable, say};
use crate::act::{ActionState, Preview, PreviewState, RunView};

/// Shows what a plan would do.
pub(in super::super) fn show(plan: &Plan, previews: &[Preview]) -> Result<(), Failure> {
    shown(previews)?;
    for note in &plan.notes {
        say(format!("note: {}", printable(note)))?;
    }
    Ok(())
}

pub(in super::super) fn shown(previews: &[Preview]) -> io::Result<()> {
    let paint = Paint::for_stdout();
    for preview in previews {
        let words = printable(&preview.words);
        let line = match preview.state {
            PreviewState::Needed => format!("{} {}", paint.green("+"), paint.bold(words)),
            PreviewState::Already => format!("{} {} (as it is)", paint.dim("="), paint.dim(words)),
            PreviewState::Conflict => format!("{} {words}", paint.red("!")),
        };
        say(line)?;
        if preview.state == PreviewState::Needed {
            say(format!(
                "    {} Undoing {}.",
                printable(&preview.why),
                printable(&preview.undo)
            ))?;
        }
        if let Some(conflict) = &preview.conflict {
            say(format!("    {}", paint.red(printable(conflict))))?;
        }
        for line in preview.diff.iter().flat_map(|diff| diff.lines()) {
            let line = printable(line);
            say(match line.as_bytes().first() {
                Some(b'+') => format!("    {}", paint.green(line)),
                Some(b'-') => format!("    {}", paint.red(line)),
                _ => format!("    {line}"),
            })?;
        }
    }
    Ok(())
}

/// Says what became of each action, once.
pub(in super::super) struct Progress {
    told: Vec<ActionState>,
    tell: bool,
}

impl Progress {
    pub(in super::super) fn new(tell: bool) -> Self {
        Self {
            told: Vec::new(),
            tell,
        }
    }

    pub(in super::super) fn show(&mut self, run: &RunView) {
        if !self.tell {
            return;
        }
        if self.told.is_empty() {
            // What was so when we came is no news.
            self.told = run.actions.iter().map(|action| action.state).collect();
            return;
        }
        let paint = Paint::for_stdout();
        for (action, told) in run.actions.iter().zip(&mut self.told) {
            if action.state == *told {
                continue;
            }
            *told = action.state;
            let words = printable(&action.words);
            let line = match action.state {
                ActionState::Waiting | ActionState::Running => continue,
                ActionState::Done => {
                    let took = action.took_ms.unwrap_or(0);
                    format!("{} {words} ({took} ms)", paint.green("done"))
                }
                ActionState::Already => format!("{} {words}", paint.dim("as it is")),
                ActionState::Undone => format!("{} {words}", paint.green("undone")),
                ActionState::Failed => {
                    let why = action.error.as_deref().unwrap_or_default();
                    format!("{} {words}: {}", paint.red("failed"), printable(why))
                }
            };
            // Nobody may read it; what is done is done.
            let _ = say(line);
        }
    }
}
