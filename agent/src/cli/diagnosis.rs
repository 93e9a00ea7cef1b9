//! What is shown of a diagnosis of a card: a bar while it runs, then a table.
//!
//! Decides the form; refuses to know who runs it.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use skep_hw::diag::{Figure, Level, Outcome, Progress, Report, TestResult};

use super::figures;
use super::table::{Cell, Hue, Table};
use super::terminal::{Paint, printable};

/// How far it is, on a terminal.
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn begin(what: &str, seen: bool) -> Self {
        let target = if seen {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(STEPS), target);
        let template = "{prefix} {wide_bar:.cyan/dim} {percent} %  {msg}  {elapsed}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━━─"));
        }
        bar.set_prefix(printable(what).into_owned());
        Self(bar)
    }

    pub(super) fn show(&self, progress: Progress) {
        self.0.set_message(progress.test.name());
        let done = f64::from(progress.done.clamp(0.0, 1.0)) * STEPS as f64;
        self.0.set_position(done as u64);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

const STEPS: u64 = 1_000;

/// All that was found.
pub(super) fn render(report: &Report, paint: Paint) -> String {
    let mut table = Table::new(["TEST", "RESULT", ">TIME", "FIGURES"]);
    for result in &report.tests {
        let (word, hue) = match &result.outcome {
            Outcome::Passed if !result.doubts.is_empty() => ("odd", Hue::Doubtful),
            Outcome::Passed => ("passed", Hue::Good),
            Outcome::Failed => ("failed", Hue::Bad),
            Outcome::Skipped(_) => ("skipped", Hue::Faint),
            Outcome::Stopped => ("stopped", Hue::Doubtful),
        };
        table.row([
            Cell::new(result.test.name(), Hue::Strong),
            Cell::new(word, hue),
            format!("{:.1} s", result.seconds).into(),
            Cell::new(details(result), Hue::Plain),
        ]);
    }
    let mut lines = vec![heading(report, paint)];
    if !report.tests.is_empty() {
        lines.push(table.render(paint));
    }
    let counted = counters(report);
    if !counted.is_empty() {
        lines.push(paint.dim(counted.join(" · ")));
    }
    let (hue, words) = match report.verdict.level {
        Level::Pass if report.cancelled => (
            Hue::Doubtful,
            "stopped before its end; nothing was wrong up to there",
        ),
        Level::Pass => (Hue::Good, "nothing speaks against it"),
        Level::Suspect => (Hue::Doubtful, "something is odd"),
        Level::Bad => (Hue::Bad, "what it computes cannot be relied on"),
    };
    let word = hue.paint(report.verdict.level.name(), paint);
    lines.push(format!("{word}: {words}"));
    for evidence in &report.verdict.evidence {
        lines.push(hue.paint(&format!("  {}", printable(evidence)), paint));
    }
    lines.join("\n")
}

fn heading(report: &Report, paint: Paint) -> String {
    let id = report
        .id
        .as_ref()
        .map_or_else(String::new, |id| format!(" ({id})"));
    let tested = match report.memory_tested_bytes {
        0 => String::new(),
        bytes => format!(", {} of memory tested", figures::memory(bytes)),
    };
    let text = format!("{}{id}{tested}", report.device);
    paint.bold(printable(&text))
}

fn details(result: &TestResult) -> String {
    if let Outcome::Skipped(why) = &result.outcome {
        return why.clone();
    }
    let figures = result.figures.iter().map(figure);
    figures
        .chain(result.notes.iter().cloned())
        .collect::<Vec<_>>()
        .join(" · ")
}

fn figure(figure: &Figure) -> String {
    let value = if figure.unit.is_empty() {
        format!("{:.0}", figure.value)
    } else if figure.value < 10.0 {
        format!("{:.2} {}", figure.value, figure.unit)
    } else {
        format!("{:.0} {}", figure.value, figure.unit)
    };
    format!("{} {value}", figure.name)
}

fn counters(report: &Report) -> Vec<String> {
    let counters = &report.counters;
    let mut told = Vec::new();
    told.extend(
        counters
            .chip_max_celsius
            .map(|heat| format!("chip up to {heat:.0} °C")),
    );
    told.extend(
        counters
            .memory_max_celsius
            .map(|heat| format!("memory up to {heat:.0} °C")),
    );
    told.extend(
        counters
            .power_max_watts
            .map(|power| format!("up to {power:.0} W")),
    );
    let after = counters.after.as_ref().map(|after| &after.reading.faults);
    if let Some(count) = after.and_then(|faults| faults.uncorrected) {
        told.push(format!("{count} memory errors past mending so far"));
    }
    if counters.looks == 0 {
        told.push("its counters could not be read, so they are no part of the verdict".to_owned());
    }
    told
}
