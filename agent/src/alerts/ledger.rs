//! Which conditions are alerts: raised when they come, resolved once they have been gone for a while.
//!
//! Decides what is told and what is not: one matter is told once, however often it is seen, and what comes and goes is told
//! more and more rarely. Has no clock; refuses to know where conditions come from and who is told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits::{
    ALERT_MEMORY, ALERT_QUIET_MAX, ALERT_TEXT_BYTES_MAX, ALERTS_PAST_MAX, ALERTS_RAISED_MAX,
};
use crate::protocol::Severity;

/// Something that is the case now and that somebody should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// The same for one matter however often it is seen.
    pub id: String,
    /// For programs: `device.lost`, `node.down`, ...
    pub kind: String,
    pub severity: Severity,
    /// One line for people.
    pub title: String,
    /// What is known and what to do.
    pub text: String,
    /// The name of the node that it is about, if it is about one.
    pub node: Option<String>,
    /// More for programs.
    pub facts: BTreeMap<String, String>,
}

/// An alert that is raised, or was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub condition: Condition,
    pub raised_unix_s: u64,
    /// Since when the condition is gone.
    pub gone_unix_s: Option<u64>,
    /// How often it came back.
    times: u32,
}

/// Every alert.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ledger {
    raised: BTreeMap<String, Entry>,
    /// Oldest first.
    past: VecDeque<Entry>,
}

/// What is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) condition: Condition,
    pub(super) resolved: bool,
}

impl Ledger {
    /// Takes in all that is the case at `now` (seconds since 1970), and returns what is to be told. What is gone for `quiet` is
    /// over, unless it came back often.
    pub(super) fn look(&mut self, now: u64, quiet: Duration, present: Vec<Condition>) -> Vec<Told> {
        let mut told = Vec::new();
        let mut seen = BTreeSet::new();
        for condition in present {
            // The first of several with one name is the one that counts.
            if seen.insert(condition.id.clone()) {
                told.extend(self.see(now, bounded(condition)));
            }
        }
        let over: Vec<String> = self
            .raised
            .iter_mut()
            .filter(|(id, _)| !seen.contains(*id))
            .filter_map(|(id, entry)| {
                let since = *entry.gone_unix_s.get_or_insert(now);
                (now.saturating_sub(since) >= quiet_s(quiet, entry.times)).then(|| id.clone())
            })
            .collect();
        for id in over {
            if let Some(entry) = self.raised.remove(&id) {
                told.push(Told {
                    condition: entry.condition.clone(),
                    resolved: true,
                });
                self.past.push_back(entry);
            }
        }
        let excess = self.past.len().saturating_sub(ALERTS_PAST_MAX);
        self.past.drain(..excess);
        told
    }

    /// What is raised, the worst first.
    pub(super) fn raised(&self) -> Vec<Entry> {
        let mut raised: Vec<Entry> = self.raised.values().cloned().collect();
        raised.sort_by_key(|entry| {
            (
                std::cmp::Reverse(entry.condition.severity),
                entry.raised_unix_s,
            )
        });
        raised
    }

    /// What is over, the latest first.
    pub(super) fn past(&self) -> Vec<Entry> {
        self.past.iter().rev().cloned().collect()
    }

    /// Whether time alone changes anything: something is gone and not yet told as over.
    pub(super) fn is_waiting(&self) -> bool {
        self.raised
            .values()
            .any(|entry| entry.gone_unix_s.is_some())
    }

    fn see(&mut self, now: u64, condition: Condition) -> Option<Told> {
        if let Some(entry) = self.raised.get_mut(&condition.id) {
            entry.gone_unix_s = None;
            let worse = condition.severity > entry.condition.severity;
            entry.condition = condition;
            return worse.then(|| Told {
                condition: entry.condition.clone(),
                resolved: false,
            });
        }
        if self.raised.len() >= ALERTS_RAISED_MAX {
            return None;
        }
        let mut before = self.past.iter().rev();
        let before = before.find(|entry| {
            let ended = entry.gone_unix_s.unwrap_or(entry.raised_unix_s);
            entry.condition.id == condition.id && now.saturating_sub(ended) < ALERT_MEMORY.as_secs()
        });
        let entry = Entry {
            times: before.map_or(0, |entry| entry.times.saturating_add(1)),
            condition: condition.clone(),
            raised_unix_s: now,
            gone_unix_s: None,
        };
        self.raised.insert(condition.id.clone(), entry);
        Some(Told {
            condition,
            resolved: false,
        })
    }
}

/// How long what came back so often must be gone, in seconds.
fn quiet_s(quiet: Duration, times: u32) -> u64 {
    let doubled = quiet.as_secs().saturating_mul(1 << times.min(16));
    doubled.min(ALERT_QUIET_MAX.max(quiet).as_secs())
}

/// Devices, disks and services elsewhere have a word in what is said.
fn bounded(mut condition: Condition) -> Condition {
    for text in [&mut condition.title, &mut condition.text] {
        text.truncate(text.floor_char_boundary(ALERT_TEXT_BYTES_MAX));
    }
    condition.title = crate::host::printable(&condition.title).replace(['\n', '\t'], " ");
    condition
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Duration = Duration::from_secs(60);

    fn lost(id: &str) -> Condition {
        Condition {
            id: id.into(),
            kind: "device.lost".into(),
            severity: Severity::Critical,
            title: "lost".into(),
            text: String::new(),
            node: None,
            facts: BTreeMap::new(),
        }
    }

    /// What is told of looks at these times, where `+` is raised and `-` resolved.
    fn check(looks: &[(u64, bool, &str)]) {
        let mut ledger = Ledger::default();
        for (now, present, expect) in looks {
            let conditions = if *present { vec![lost("x")] } else { vec![] };
            let told = ledger.look(*now, QUIET, conditions);
            let found: String = told
                .iter()
                .map(|t| if t.resolved { '-' } else { '+' })
                .collect();
            assert_eq!(found, *expect, "at {now}");
            // Nothing is lost by a restart.
            let json = serde_json::to_string(&ledger).unwrap();
            ledger = serde_json::from_str(&json).unwrap();
        }
    }

    #[test]
    fn one_matter_is_told_once() {
        check(&[
            (0, false, ""),
            (1, true, "+"),
            (2, true, ""),
            (500, true, ""),
        ]);
    }

    #[test]
    fn what_is_over_is_told_when_it_was_quiet() {
        check(&[
            (0, true, "+"),
            (10, false, ""),
            (69, false, ""),
            (70, false, "-"),
            (80, false, ""),
        ]);
    }

    #[test]
    fn what_flaps_is_one_message() {
        let looks: Vec<_> = (0..200)
            .map(|n| (n * 30, n % 2 == 0, if n == 0 { "+" } else { "" }))
            .collect();
        check(&looks);
    }

    #[test]
    fn what_comes_back_must_be_quiet_for_longer() {
        check(&[
            (0, true, "+"),
            (1, false, ""),
            (61, false, "-"),
            (100, true, "+"),
            (101, false, ""),
            (161, false, ""),
            (221, false, "-"),
            // Hours later it is news again.
            (20_000, true, "+"),
            (20_001, false, ""),
            (20_061, false, "-"),
        ]);
    }

    #[test]
    fn what_gets_worse_is_told_again() {
        let mut ledger = Ledger::default();
        let mut condition = lost("x");
        condition.severity = Severity::Warning;
        assert_eq!(ledger.look(0, QUIET, vec![condition]).len(), 1);
        assert_eq!(ledger.look(1, QUIET, vec![lost("x")]).len(), 1);
        assert_eq!(ledger.look(2, QUIET, vec![lost("x"), lost("x")]).len(), 0);
    }

    #[test]
    fn everything_is_bounded() {
        let mut ledger = Ledger::default();
        let many = |from: usize| (from..from + 2_000).map(|n| lost(&n.to_string())).collect();
        assert_eq!(ledger.look(0, QUIET, many(0)).len(), ALERTS_RAISED_MAX);
        ledger.look(1, QUIET, Vec::new());
        ledger.look(5_000, QUIET, Vec::new());
        assert!(ledger.raised().is_empty());
        assert_eq!(ledger.past().len(), ALERTS_PAST_MAX);
        let mut long = lost("y");
        long.text = "é".repeat(ALERT_TEXT_BYTES_MAX);
        long.title = "a\nb\u{1b}".into();
        let told = ledger.look(6_000, QUIET, vec![long]);
        assert!(told[0].condition.text.len() <= ALERT_TEXT_BYTES_MAX);
        assert!(!told[0].condition.title.contains(['\n', '\u{1b}']));
    }
}
