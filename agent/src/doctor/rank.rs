//! Which finding comes first: causes before what follows from them.
//!
//! Decides what follows from what, by codes. A cause is as grave as the gravest that follows from it: mending that mends both.

use super::Finding;

/// Puts causes first, the gravest at the top, each followed by what follows from it.
pub(super) fn rank(findings: &mut Vec<Finding>) {
    for (cause, effects) in CAUSES {
        let Some(at) = findings.iter().position(|one| one.code == *cause) else {
            continue;
        };
        let mut gravest = None;
        for finding in findings.iter_mut() {
            if effects.contains(&finding.code) && finding.because.is_none() {
                finding.because = Some(cause);
                gravest = gravest.max(Some(std::cmp::Reverse(finding.severity)));
            }
        }
        if let (Some(std::cmp::Reverse(gravest)), Some(cause)) = (gravest, findings.get_mut(at)) {
            cause.severity = cause.severity.min(gravest);
        }
    }
    findings.sort_by_key(|finding| finding.severity);
    let (effects, mut causes): (Vec<_>, Vec<_>) =
        findings.drain(..).partition(|one| one.because.is_some());
    for effect in effects.into_iter().rev() {
        // A cause may itself follow from another, and is then among the effects.
        let after = causes
            .iter()
            .position(|one| Some(one.code) == effect.because);
        let at = after.map_or_else(
            || causes.partition_point(|one| one.severity <= effect.severity),
            |at| at + 1,
        );
        causes.insert(at, effect);
    }
    *findings = causes;
}

/// A cause, and what it brings about. Those that explain most come first.
const CAUSES: &[(&str, &[&str])] = &[
    (
        "disk_full",
        &["agent_down", "worker_unwell", "model_damaged"],
    ),
    (
        "inodes_scarce",
        &["agent_down", "worker_unwell", "folder_unwritable"],
    ),
    ("folder_unwritable", &["agent_down"]),
    ("config_wrong", &["agent_down"]),
    ("plugins_missing", &["worker_unwell"]),
    ("port_taken", &["agent_down"]),
    (
        "clock_wrong",
        &["certificate_early", "certificate_expired", "peer_down"],
    ),
    ("certificate_expired", &["agent_down"]),
    ("cluster_certificate_expired", &["peer_down"]),
    (
        "driver_mismatch",
        &[
            "driver_absent",
            "device_unwell",
            "silent_fallback",
            "worker_unwell",
        ],
    ),
    (
        "driver_not_loaded",
        &["driver_absent", "device_node_missing", "silent_fallback"],
    ),
    ("device_node_missing", &["driver_absent", "silent_fallback"]),
    (
        "device_forbidden",
        &["driver_absent", "device_unused", "silent_fallback"],
    ),
    ("device_unwell", &["silent_fallback", "worker_unwell"]),
    ("memory_scarce", &["worker_unwell"]),
    ("walls_down", &["worker_unwell"]),
];

#[cfg(test)]
mod tests {
    use super::super::{Report, Severity};
    use super::*;

    #[test]
    fn causes_come_before_what_follows_from_them() {
        let mut report = Report::default();
        report.find(Severity::Note, "walls_missing", "a note");
        report.find(Severity::Error, "agent_down", "the agent is not running");
        report.find(Severity::Error, "secret_readable", "another");
        report.find(Severity::Warning, "disk_full", "the disk is nearly full");
        report.find(Severity::Warning, "few_files", "a warning");
        rank(&mut report.findings);
        let found: Vec<_> = report
            .findings
            .iter()
            .map(|one| (one.code, one.severity, one.because))
            .collect();
        assert_eq!(
            found,
            [
                ("secret_readable", Severity::Error, None),
                ("disk_full", Severity::Error, None),
                ("agent_down", Severity::Error, Some("disk_full")),
                ("few_files", Severity::Warning, None),
                ("walls_missing", Severity::Note, None),
            ]
        );
    }

    #[test]
    fn nothing_is_lost_where_causes_follow_from_each_other() {
        let codes = CAUSES
            .iter()
            .flat_map(|(cause, effects)| std::iter::once(*cause).chain(effects.iter().copied()));
        let mut report = Report::default();
        let mut all: Vec<&str> = codes.collect();
        all.sort_unstable();
        all.dedup();
        for code in &all {
            report.find(Severity::Warning, code, "x");
        }
        rank(&mut report.findings);
        let mut found: Vec<&str> = report.findings.iter().map(|one| one.code).collect();
        let place = |code: &str| found.iter().position(|one| *one == code).unwrap();
        assert!(place("disk_full") < place("agent_down"));
        assert!(place("driver_mismatch") < place("silent_fallback"));
        found.sort_unstable();
        assert_eq!(found, all);
    }
}
