//! What is wrong with this node, ranked, each with its evidence and what mends it.
//!
//! Decides what counts as wrong and how much it matters. It only looks: nothing is changed, and
//! everything works without a running agent. Refuses to know how findings are shown.

mod acme;
mod agent;
mod bundle;
mod certificates;
mod drivers;
mod folders;
mod machine;
mod models;
mod names;
mod peers;
mod port;
mod rank;
mod redact;
mod steps;
mod walls;

use serde::Serialize;

pub use self::bundle::{BundleError, write as write_bundle};
use crate::client::Client;
use crate::config::{self, Settings, Source};
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
    /// The code of another finding that this one probably follows from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<&'static str>,
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
    /// Looks at everything. Takes some milliseconds, or seconds where something hangs. `offline`: nobody beyond this machine
    /// and its cluster is asked anything.
    #[must_use]
    pub fn make(paths: &Paths, client: &Client, offline: bool) -> Self {
        let mut report = Self::default();
        let seen = agent::look(&mut report, paths, client);
        folders::look(&mut report, paths);
        machine::look(&mut report, seen.node.as_ref());
        let settings = settings(paths);
        drivers::look(
            &mut report,
            &drivers::Places::default(),
            seen.node.as_ref(),
            settings.as_ref(),
        );
        if !offline {
            names::look(&mut report, &crate::egress::name_servers());
        }
        if let Some(settings) = &settings {
            match &settings.http.acme {
                Some(wished) => {
                    let found = crate::acme::look(&paths.acme());
                    acme::look(&mut report, wished, &found, crate::keys::unix_now_s());
                }
                None => certificates::look(&mut report, &settings.http),
            }
            if seen.node.is_none() {
                port::look(&mut report, settings);
            }
        }
        if seen.node.is_some() {
            peers::look(&mut report, client);
            steps::look(&mut report, client);
        }
        walls::look(&mut report);
        models::look(&mut report, &seen);
        rank::rank(&mut report.findings);
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
            because: None,
        });
        let last = self.findings.len() - 1;
        #[expect(clippy::indexing_slicing, reason = "it was pushed just now")]
        &mut self.findings[last]
    }

    fn well(&mut self, what: impl Into<String>) {
        self.well.push(what.into());
    }
}

/// As the agent would have them; none when they cannot be read, which is told elsewhere.
fn settings(paths: &Paths) -> Option<Settings> {
    let file = paths.config_file();
    let config = config::load(Source::Default(&file), std::env::vars(), &[]).ok()?;
    Settings::try_from(config).ok()
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
