//! Calm: what is worse is believed at once, what is better only after it has held.
//!
//! A chip at its limit of heat is slowed and not slowed in turns, and each verdict may move a model
//! of gigabytes. So a cause that is no longer seen is held for some seconds, and for longer each
//! time that it comes back. Decides that and refuses to know what a cause is.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Cause;

/// The causes of one device.
#[derive(Debug, Default)]
pub(super) struct Calm {
    held: BTreeMap<String, Held>,
}

#[derive(Debug)]
struct Held {
    cause: Cause,
    /// As it first was: what moves with each reading must not look like news.
    first: Cause,
    seen: Instant,
    hold: Duration,
    shown: bool,
}

/// What a look changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) came: Vec<Cause>,
    pub(super) went: Vec<Cause>,
}

impl Calm {
    /// Takes in what speaks against the device now.
    pub(super) fn take(&mut self, now: Instant, found: Vec<Cause>) -> Turn {
        let mut turn = Turn::default();
        for cause in found {
            if let Some(held) = self.held.get_mut(&cause.code) {
                held.seen = now;
                if !held.shown {
                    held.shown = true;
                    held.first = cause.clone();
                    held.hold = (held.hold * 2).min(HOLD_MAX.max(cause.hold));
                    turn.came.push(cause.clone());
                }
                held.cause = cause;
            } else if self.held.len() < CAUSES_MAX {
                turn.came.push(cause.clone());
                let held = Held {
                    first: cause.clone(),
                    hold: cause.hold,
                    cause,
                    seen: now,
                    shown: true,
                };
                self.held.insert(held.cause.code.clone(), held);
            }
        }
        self.held.retain(|_, held| {
            let unseen = now.saturating_duration_since(held.seen);
            if held.shown && unseen >= held.hold {
                held.shown = false;
                turn.went.push(held.cause.clone());
            }
            held.shown || unseen < FORGET
        });
        turn
    }

    /// What speaks against the device, as it was last seen.
    pub(super) fn causes(&self) -> Vec<Cause> {
        self.shown().map(|held| held.cause.clone()).collect()
    }

    /// The same as it was when it came, the worst first: for those to whom each difference is news.
    pub(super) fn first_causes(&self) -> Vec<Cause> {
        let mut first: Vec<Cause> = self.shown().map(|held| held.first.clone()).collect();
        first.sort_by_key(|cause| std::cmp::Reverse(cause.level));
        first
    }

    fn shown(&self) -> impl Iterator<Item = &Held> {
        self.held.values().filter(|held| held.shown)
    }
}

/// How long a cause that keeps coming back is believed: a device that is bad every other minute is bad.
const HOLD_MAX: Duration = Duration::from_secs(160);

/// How long it is remembered that a cause was there before.
const FORGET: Duration = Duration::from_secs(600);

/// Kinds of causes that one device can have at once, with some to spare.
const CAUSES_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    fn cause(code: &str, evidence: &str) -> Cause {
        Cause {
            code: code.into(),
            level: Level::Degraded,
            text: code.into(),
            evidence: evidence.into(),
            hold: Duration::from_secs(5),
        }
    }

    #[test]
    fn worse_is_believed_at_once_and_better_after_a_while() {
        let start = Instant::now();
        let mut calm = Calm::default();
        let mut at = |s: u64, found: &[Cause]| {
            let turn = calm.take(start + Duration::from_secs(s), found.to_vec());
            (turn.came.len(), turn.went.len(), calm.causes().len())
        };
        let (hot, hotter) = (cause("heat", "90"), cause("heat", "95"));
        assert_eq!(at(0, &[]), (0, 0, 0));
        assert_eq!(at(1, std::slice::from_ref(&hot)), (1, 0, 1));
        // A figure that moves is no news; a second cause is.
        assert_eq!(at(2, std::slice::from_ref(&hotter)), (0, 0, 1));
        assert_eq!(at(3, &[hotter.clone(), cause("ecc", "2")]), (1, 0, 2));
        assert_eq!(at(7, &[hotter]), (0, 0, 2));
        assert_eq!(at(8, &[]), (0, 1, 1));
        assert_eq!(at(11, &[]), (0, 0, 1));
        assert_eq!(at(12, &[]), (0, 1, 0));
        // What comes back is held twice as long.
        assert_eq!(at(13, std::slice::from_ref(&hot)), (1, 0, 1));
        assert_eq!(at(22, &[]), (0, 0, 1));
        assert_eq!(at(23, &[]), (0, 1, 0));
        // After long enough it is as new.
        assert_eq!(at(700, &[]), (0, 0, 0));
        assert_eq!(at(701, &[hot]), (1, 0, 1));
        assert_eq!(at(706, &[]), (0, 1, 0));
    }

    #[test]
    fn flapping_has_an_end() {
        let start = Instant::now();
        let mut calm = Calm::default();
        let (mut came, mut shown) = (0, 0);
        for s in 0..3_600_u64 {
            let found = if s % 20 == 0 {
                vec![cause("heat", "")]
            } else {
                vec![]
            };
            came += calm.take(start + Duration::from_secs(s), found).came.len();
            shown += calm.causes().len();
        }
        assert!(came <= 4, "{came}");
        assert!(shown > 3_500, "{shown}");
    }

    #[test]
    fn what_the_core_is_told_does_not_move_with_each_reading() {
        let start = Instant::now();
        let mut calm = Calm::default();
        for s in 0..3 {
            let found = vec![cause("heat", &format!("{s} °C"))];
            calm.take(start + Duration::from_secs(s), found);
        }
        assert_eq!(calm.first_causes()[0].evidence, "0 °C");
        assert_eq!(calm.causes()[0].evidence, "2 °C");
    }

    #[test]
    fn causes_are_bounded() {
        let mut calm = Calm::default();
        let many = (0..1_000).map(|n| cause(&format!("c{n}"), "")).collect();
        calm.take(Instant::now(), many);
        assert_eq!(calm.causes().len(), CAUSES_MAX);
    }
}
