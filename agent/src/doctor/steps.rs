//! What the steps of the setup find wrong with this machine.
//!
//! Decides that those are asked which somebody has gone through, and which of it is told: what keeps something from working, not what is good to know. Refuses to know what a step looks at.

use std::time::Instant;

use super::{Report, Severity};
use crate::client::Client;
use crate::limits::{DOCTOR_STEPS_WAIT, SETUP_PARTS_MAX};
use crate::wire::{SetupFinding, SetupPart, SetupView};

pub(super) fn look(report: &mut Report, client: &Client) {
    // Who may not see the setup is told nothing of it.
    let Ok(view) = client.get::<SetupView>("/api/v1/setup") else {
        return;
    };
    let begun = Instant::now();
    let parts = view.steps.iter().flat_map(|step| &step.parts);
    // Others would be loaded for this alone, and nobody relies on them.
    let parts = parts.filter(|part| part.state != "todo");
    let (mut looked, mut missed) = (0, Vec::new());
    let before = report.findings.len();
    for part in parts.take(SETUP_PARTS_MAX) {
        let path = format!("/api/v1/setup/parts/{}", part.id);
        let late = begun.elapsed() >= DOCTOR_STEPS_WAIT;
        let found = (!late).then(|| client.get::<SetupPart>(&path).ok());
        match found.flatten() {
            Some(found) => {
                looked += 1;
                told(report, &found.line.title, &found.findings);
            }
            None => missed.push(part.id.clone()),
        }
    }
    if !missed.is_empty() {
        let title = "not every step of the setup could look at this machine";
        let finding = report.find(Severity::Note, "steps_missed", title);
        finding.seen(format!("not asked: {}", missed.join(", ")));
        finding.mend("skep setup status");
    } else if looked > 0 && report.findings.len() == before {
        report.well(format!("{looked} steps of the setup find nothing wrong"));
    }
}

fn told(report: &mut Report, title: &str, findings: &[SetupFinding]) {
    for found in findings {
        let (severity, code) = match found.severity.as_str() {
            "failure" => (Severity::Error, "step_failure"),
            "warning" => (Severity::Warning, "step_warning"),
            _ => continue,
        };
        let what = found.what.trim_end_matches('.');
        let finding = report.find(severity, code, format!("{title}: {what}"));
        finding.seen(found.evidence.clone());
        finding.mend = Some(
            found
                .remedy
                .clone()
                .unwrap_or_else(|| "skep setup".to_owned()),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wrong_is_told() {
        let finding = |severity: &str, remedy: Option<&str>| SetupFinding {
            severity: severity.to_owned(),
            what: "It is so.".to_owned(),
            evidence: "seen".to_owned(),
            remedy: remedy.map(str::to_owned),
        };
        let mut report = Report::default();
        let all = [
            finding("fine", None),
            finding("notice", None),
            finding("warning", Some("do this")),
            finding("failure", None),
        ];
        told(&mut report, "Network", &all);
        let told: Vec<_> = report
            .findings
            .iter()
            .map(|one| (one.severity, one.title.as_str(), one.mend.as_deref()))
            .collect();
        assert_eq!(
            told,
            [
                (Severity::Warning, "Network: It is so", Some("do this")),
                (Severity::Error, "Network: It is so", Some("skep setup")),
            ]
        );
    }
}
