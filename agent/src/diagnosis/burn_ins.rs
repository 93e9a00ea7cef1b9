//! The last burn-in of each card, kept over restarts, and those that run.
//!
//! Decides what telemetry is told of them: a card that failed is given nothing until it passes or somebody says to forget
//! it, and neither is one that is being tested. Refuses to know what a scheduler makes of that.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use skep_hw::diag::{Level as Found, Report};

use crate::paths::{Paths, replace_durably};
use crate::telemetry::{Cause, Level};

/// Burn-ins of this machine's cards. Copies are the same.
#[derive(Clone, Debug)]
pub struct BurnIns(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    kept: Kept,
    running: BTreeSet<String>,
}

/// The file's content.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    /// By the card's name that stays the same over restarts.
    reports: BTreeMap<String, Report>,
}

/// A burn-in of this card runs already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a burn-in of this card runs already")]
pub struct Busy;

/// A burn-in that runs until this is dropped.
#[derive(Debug)]
pub struct Running {
    all: BurnIns,
    id: String,
}

impl BurnIns {
    /// What was kept. A file that cannot be read is set aside, which the log tells.
    #[must_use]
    pub fn open(paths: &Paths) -> Self {
        let path = paths.burn_ins_file();
        let kept = match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).unwrap_or_else(|error| {
                let aside = path.with_extension("damaged");
                let moved = std::fs::rename(&path, &aside);
                tracing::error!(path = %path.display(), %error, ?moved, "the kept burn-ins cannot be read; they are set aside");
                Kept::default()
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Kept::default(),
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "the kept burn-ins cannot be read");
                Kept::default()
            }
        };
        let state = State {
            kept,
            running: BTreeSet::new(),
        };
        Self(Arc::new(Inner {
            path,
            state: Mutex::new(state),
        }))
    }

    /// Begins one; from then on its card is given nothing.
    ///
    /// # Errors
    /// [`Busy`] when one of that card runs.
    pub fn begin(&self, id: &str) -> Result<Running, Busy> {
        if !self.state().running.insert(id.to_owned()) {
            return Err(Busy);
        }
        Ok(Running {
            all: self.clone(),
            id: id.to_owned(),
        })
    }

    /// What was found of each card last.
    #[must_use]
    pub fn reports(&self) -> Vec<Report> {
        self.state().kept.reports.values().cloned().collect()
    }

    /// Holds nothing against a card any more; whether there was anything.
    ///
    /// # Errors
    /// When that cannot be written; then it is held on.
    pub fn forget(&self, id: &str) -> io::Result<bool> {
        let mut state = self.state();
        let Some(report) = state.kept.reports.remove(id) else {
            return Ok(false);
        };
        if let Err(error) = self.write(&state.kept) {
            state.kept.reports.insert(id.to_owned(), report);
            return Err(error);
        }
        Ok(true)
    }

    /// What speaks against a card.
    pub(crate) fn causes(&self, id: &str) -> Vec<Cause> {
        let state = self.state();
        let mut causes = Vec::new();
        if state.running.contains(id) {
            causes.push(Cause {
                code: "burn_in_running".into(),
                level: Level::Lost,
                text: "a burn-in runs on it, so it is given nothing else".into(),
                evidence: "`skep node burn-in`".into(),
                hold: HOLD,
            });
        }
        if let Some(report) = state.kept.reports.get(id) {
            causes.extend(held_against(report));
        }
        causes
    }

    fn keep(&self, id: &str, report: &Report) -> io::Result<()> {
        let mut state = self.state();
        if state.kept.reports.len() >= REPORTS_MAX && !state.kept.reports.contains_key(id) {
            let oldest = state.kept.reports.iter();
            let oldest = oldest.min_by_key(|(_, report)| report.started_unix_s);
            if let Some(oldest) = oldest.map(|(id, _)| id.clone()) {
                state.kept.reports.remove(&oldest);
            }
        }
        state.kept.reports.insert(id.to_owned(), report.clone());
        self.write(&state.kept)
    }

    fn write(&self, kept: &Kept) -> io::Result<()> {
        replace_durably(&self.0.path, &serde_json::to_vec_pretty(kept)?)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    /// Keeps what was found. One that was stopped proves nothing by passing, so it replaces none that failed.
    ///
    /// # Errors
    /// When it cannot be written; it then counts until the agent ends.
    pub fn keep(&self, report: &Report) -> io::Result<()> {
        if report.cancelled && report.verdict.level == Found::Pass {
            return Ok(());
        }
        self.all.keep(&self.id, report)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.all.state().running.remove(&self.id);
    }
}

fn held_against(report: &Report) -> Option<Cause> {
    let (level, text) = match report.verdict.level {
        Found::Pass => return None,
        Found::Suspect => (Level::Degraded, "its last burn-in was odd"),
        Found::Bad => (Level::Lost, "it failed its burn-in, so it is given nothing"),
    };
    let evidence = report.verdict.evidence.iter().take(EVIDENCE_MAX);
    Some(Cause {
        code: "burn_in".into(),
        level,
        text: text.into(),
        evidence: evidence.cloned().collect::<Vec<_>>().join("; "),
        hold: HOLD,
    })
}

/// It is known whether it is so, so one look without it is the end of it.
const HOLD: Duration = Duration::from_millis(1);

/// Cards of which something is kept: more than a machine holds, with some that were taken out.
const REPORTS_MAX: usize = 128;

/// What of a report's evidence stands where people read of a device; the report has all.
const EVIDENCE_MAX: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn report(level: Found) -> Report {
        let mut report = Report::of_failure("Some card".into(), None, Duration::ZERO, "x".into());
        report.verdict.level = level;
        report
    }

    #[test]
    fn what_failed_is_held_against_a_card_until_it_passes_or_is_forgotten() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::under(home.path()).unwrap();
        paths.create().unwrap();
        let codes = |all: &BurnIns| -> Vec<String> {
            let causes = all.causes("GPU-1");
            assert!(all.causes("GPU-2").is_empty());
            causes.into_iter().map(|cause| cause.code).collect()
        };
        let all = BurnIns::open(&paths);
        let running = all.begin("GPU-1").unwrap();
        assert_eq!(all.begin("GPU-1").unwrap_err(), Busy);
        assert_eq!(codes(&all), ["burn_in_running"]);
        running.keep(&report(Found::Bad)).unwrap();
        drop(running);
        assert_eq!(codes(&all), ["burn_in"]);
        // Over a restart too.
        let all = BurnIns::open(&paths);
        assert_eq!(all.causes("GPU-1")[0].level, Level::Lost);
        // One that was stopped is no proof.
        let mut stopped = report(Found::Pass);
        stopped.cancelled = true;
        all.begin("GPU-1").unwrap().keep(&stopped).unwrap();
        assert_eq!(codes(&all), ["burn_in"]);
        all.begin("GPU-1")
            .unwrap()
            .keep(&report(Found::Suspect))
            .unwrap();
        assert_eq!(all.causes("GPU-1")[0].level, Level::Degraded);
        all.begin("GPU-1")
            .unwrap()
            .keep(&report(Found::Pass))
            .unwrap();
        assert!(codes(&all).is_empty());
        all.begin("GPU-1")
            .unwrap()
            .keep(&report(Found::Bad))
            .unwrap();
        assert!(all.forget("GPU-1").unwrap());
        assert!(!all.forget("GPU-1").unwrap());
        assert!(codes(&BurnIns::open(&paths)).is_empty());
    }

    #[test]
    fn a_damaged_file_is_set_aside() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::under(home.path()).unwrap();
        paths.create().unwrap();
        std::fs::write(paths.burn_ins_file(), "{").unwrap();
        assert!(BurnIns::open(&paths).reports().is_empty());
        assert!(!paths.burn_ins_file().exists());
        assert!(paths.burn_ins_file().with_extension("damaged").exists());
    }
}
