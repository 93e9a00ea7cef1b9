//! `skep doctor`: what is wrong, the worst first.

mod gpu;

use super::arguments::Doctor as Wish;
use super::table::Hue;
use super::terminal::{Paint, printable, say};
use super::{Exit, Failure, print_json};
use crate::client::Client;
use crate::doctor::{Report, Severity, write_bundle};
use crate::paths::Paths;

pub(super) fn doctor(paths: &Paths, client: &Client, wish: &Wish) -> Result<(), Failure> {
    let report = Report::make(paths, client, wish.offline);
    if let Some(file) = &wish.bundle {
        let parts = write_bundle(file, &report, paths, client);
        let parts = parts.map_err(|error| Failure::chain(&error))?;
        return Ok(say(format!(
            "wrote `{}` with {parts} parts: secrets, prompts and addresses are left out; look at it before you send it to anybody",
            file.display()
        ))?);
    }
    if wish.json {
        print_json(&report)?;
    } else {
        say(render(&report, Paint::for_stdout()))?;
    }
    match report.exit_code() {
        0 => Ok(()),
        code => Err(Failure::silent(Exit::Findings(code))),
    }
}

/// Diagnoses the cards instead.
pub(super) fn diagnose(paths: &Paths, wish: &Wish) -> Result<(), Failure> {
    gpu::diagnose(paths, wish)
}

pub(super) fn render(report: &Report, paint: Paint) -> String {
    let mut lines = Vec::new();
    for finding in &report.findings {
        let (hue, word) = match finding.severity {
            Severity::Error => (Hue::Bad, "error"),
            Severity::Warning => (Hue::Doubtful, "warning"),
            Severity::Note => (Hue::Faint, "note"),
        };
        let title = paint.bold(printable(&finding.title));
        lines.push(format!(
            "{} {title}",
            hue.paint(&format!("{word:<8}"), paint)
        ));
        for evidence in &finding.evidence {
            let evidence = printable(evidence).replace('\n', "\n           ");
            lines.push(paint.dim(format!("         {evidence}")));
        }
        let cause = finding
            .because
            .and_then(|code| report.findings.iter().find(|one| one.code == code));
        if let Some(cause) = cause {
            let cause = printable(&cause.title).into_owned();
            lines.push(paint.dim(format!("         probably because {cause}")));
        }
        if let Some(mend) = &finding.mend {
            lines.push(format!(
                "         {} {}",
                paint.cyan("mend:"),
                printable(mend)
            ));
        }
    }
    for well in &report.well {
        lines.push(format!("{} {}", paint.green("ok      "), printable(well)));
    }
    lines.join("\n")
}
