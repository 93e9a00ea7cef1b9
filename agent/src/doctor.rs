//! What is wrong with this node, ranked, each with its evidence and what mends it.
//!
//! Decides what counts as wrong and how much it matters. It only looks: nothing is changed, and
//! everything works without a running agent. Refuses to know how findings are shown.

mod agent;
mod folders;
mod machine;
mod models;
mod port;
mod walls;

use serde::Serialize;

use crate::client::Client;
use crate::paths::Paths;

/// Something worth telling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub severity: Severity,
    /// For programs; does not change between versions.
    pub code: &'static str,
    /// What is the matter, in one sentence.
    pub title: String,
    /// What was seen.
    pub evidence: Vec<String>,
    /// What mends it: a command, or a sentence.
    pub mend: Option<String>,
}

/// How much it matters; the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Something does not work.
    Error,
    /// Something works worse than it should, or soon will not.
    Warning,
    /// Good to know.
    Note,
}

/// Everything that was found, the worst first, and what was looked at and is well.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    pub findings: Vec<Finding>,
    pub well: Vec<String>,
}

impl Report {
    /// Looks at everything. Takes some milliseconds, or seconds where something hangs.
    #[must_use]
    pub fn make(paths: &Paths, client: &Client) -> Self {
        let mut report = Self::default();
        let seen = agent::look(&mut report, paths, client);
        folders::look(&mut report, paths);
        machine::look(&mut report, seen.node.as_ref());
        walls::look(&mut report);
        models::look(&mut report, &seen);
        report.findings.sort_by_key(|finding| finding.severity);
        report
    }

    /// 0: nothing wrong; 1: warnings; 2: something must be mended.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.findings.first().map(|worst| worst.severity) {
            Some(Severity::Error) => 2,
            Some(Severity::Warning) => 1,
            Some(Severity::Note) | None => 0,
        }
    }

    fn find(
        &mut self,
        severity: Severity,
        code: &'static str,
        title: impl Into<String>,
    ) -> &mut Finding {
        self.findings.push(Finding {
            severity,
            code,
            title: title.into(),
            evidence: Vec::new(),
            mend: None,
        });
        let last = self.findings.len() - 1;
        #[expect(clippy::indexing_slicing, reason = "it was pushed just now")]
        &mut self.findings[last]
    }

    fn well(&mut self, what: impl Into<String>) {
        self.well.push(what.into());
    }
}

impl Finding {
    fn seen(&mut self, evidence: impl Into<String>) -> &mut Self {
        self.evidence.push(evidence.into());
        self
    }

    fn mend(&mut self, mend: impl Into<String>) -> &mut Self {
        self.mend = Some(mend.into());
        self
    }
}
