//! What came out of a diagnosis, and what follows from it.
//!
//! Decides what is evidence against a card. Refuses to know what is done with one that is bad.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::counters::Counters;
use super::{Test, counters};
use crate::telemetry::DeviceId;

/// A diagnosis of one card.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The driver's name of the card.
    pub device: String,
    /// Its name that stays the same over restarts, where telemetry knows it.
    pub id: Option<DeviceId>,
    /// When it began, in seconds since 1970.
    pub started_unix_s: u64,
    /// How long it took.
    pub seconds: f64,
    /// How much memory held patterns at once.
    pub memory_tested_bytes: u64,
    /// Whether it was stopped before its end.
    pub cancelled: bool,
    /// Each test that was asked for, in the order in which they ran.
    pub tests: Vec<TestResult>,
    /// What the card counted.
    pub counters: Counters,
    /// What follows.
    pub verdict: Verdict,
}

/// What one test found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TestResult {
    /// Which.
    pub test: Test,
    /// How it ended.
    pub outcome: Outcome,
    /// What was measured.
    pub figures: Vec<Figure>,
    /// What else is worth telling.
    pub notes: Vec<String>,
    /// What was seen that proves a fault.
    pub evidence: Vec<String>,
    /// What was seen that is odd and proves nothing.
    pub doubts: Vec<String>,
    /// How long it took.
    pub seconds: f64,
}

/// How a test ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing was wrong.
    Passed,
    /// The card did something wrong.
    Failed,
    /// It did not run, and why.
    Skipped(String),
    /// It was stopped, and nothing was wrong up to there.
    Stopped,
}

/// Something measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// What.
    pub name: String,
    /// How much.
    pub value: f64,
    /// Of what: `GB/s` are 10^9 bytes a second.
    pub unit: String,
}

/// How far a card can be relied on; the worse, the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Nothing speaks against it.
    Pass,
    /// Something is odd.
    Suspect,
    /// It did something wrong: what it computes cannot be relied on.
    Bad,
}

/// What follows from all of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// How far the card can be relied on.
    pub level: Level,
    /// Why, the worst first; empty when nothing speaks against it.
    pub evidence: Vec<String>,
}

impl Report {
    /// What is known of a card whose diagnosis itself failed, such as by a driver that crashed.
    #[must_use]
    pub fn of_failure(device: String, id: Option<DeviceId>, took: Duration, why: String) -> Self {
        Self {
            device,
            id,
            started_unix_s: super::unix_s().saturating_sub(took.as_secs()),
            seconds: took.as_secs_f64(),
            memory_tested_bytes: 0,
            cancelled: false,
            tests: Vec::new(),
            counters: Counters::default(),
            verdict: Verdict {
                level: Level::Bad,
                evidence: vec![why],
            },
        }
    }
}

impl Level {
    /// Its name for people and programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Suspect => "suspect",
            Self::Bad => "bad",
        }
    }
}

impl Verdict {
    /// Judges results and counters.
    pub(super) fn of(results: &[TestResult], counters: &Counters) -> Self {
        let mut found = counters::judge(counters);
        for result in results {
            let named = |text: &String| format!("{}: {text}", result.test.name());
            found.extend(result.evidence.iter().map(|e| (Level::Bad, named(e))));
            found.extend(result.doubts.iter().map(|d| (Level::Suspect, named(d))));
        }
        found.sort_by_key(|(level, _)| std::cmp::Reverse(*level));
        Self {
            level: found.first().map_or(Level::Pass, |(level, _)| *level),
            evidence: found.into_iter().map(|(_, text)| text).collect(),
        }
    }
}

impl TestResult {
    pub(super) fn new(test: Test) -> Self {
        Self {
            test,
            outcome: Outcome::Passed,
            figures: Vec::new(),
            notes: Vec::new(),
            evidence: Vec::new(),
            doubts: Vec::new(),
            seconds: 0.0,
        }
    }

    pub(super) fn skip(&mut self, why: impl Into<String>) {
        self.outcome = Outcome::Skipped(why.into());
    }

    /// Takes in what proves a fault.
    pub(super) fn fail(&mut self, evidence: impl Into<String>) {
        self.outcome = Outcome::Failed;
        let evidence = evidence.into();
        // The same again proves nothing more.
        if self.evidence.len() < EVIDENCE_MAX && !self.evidence.contains(&evidence) {
            self.evidence.push(evidence);
        }
    }

    pub(super) fn doubt(&mut self, doubt: impl Into<String>) {
        if self.doubts.len() < EVIDENCE_MAX {
            self.doubts.push(doubt.into());
        }
    }

    pub(super) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    pub(super) fn stop(&mut self) {
        if self.outcome == Outcome::Passed {
            self.outcome = Outcome::Stopped;
        }
    }

    pub(super) fn figure(&mut self, name: &str, value: f64, unit: &str) {
        self.figures.push(Figure {
            name: name.to_owned(),
            value,
            unit: unit.to_owned(),
        });
    }

    /// Whether enough is known against the card that looking on tells nothing new.
    pub(super) fn is_proved(&self) -> bool {
        self.evidence.len() >= EVIDENCE_MAX
    }
}

/// An error with its whole chain.
pub(super) fn words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// Lines of evidence of one test: a card with a broken chip could fill pages, and the first ones say it all.
const EVIDENCE_MAX: usize = 8;
