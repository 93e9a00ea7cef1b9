//! How fast each replica answers: moving means of what its answers took.
//!
//! Decides how fast the means move and how finely they are told. Refuses to know what is made of them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// The means of every replica that has answered. As many as there are replicas.
#[derive(Debug, Default)]
pub(super) struct Latencies {
    by_replica: Mutex<HashMap<u64, Means>>,
}

/// Microseconds; 0 when unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Means {
    /// From the moment that a request was sent to its first token.
    pub(super) first_token_us: u64,
    /// Between two tokens after it.
    pub(super) token_us: u64,
}

impl Latencies {
    /// Takes in one answer; it had no second token when `token_us` is none.
    pub(super) fn note(&self, replica: u64, first_token_us: u64, token_us: Option<u64>) {
        let mut by_replica = self.lock();
        let means = by_replica.entry(replica).or_default();
        move_to(&mut means.first_token_us, first_token_us);
        if let Some(token_us) = token_us {
            move_to(&mut means.token_us, token_us);
        }
    }

    /// What is told of a replica: coarse, so that small movements are no change.
    pub(super) fn of(&self, replica: u64) -> Means {
        let by_replica = self.lock();
        by_replica
            .get(&replica)
            .map_or_else(Means::default, |means| Means {
                first_token_us: coarse(means.first_token_us),
                token_us: coarse(means.token_us),
            })
    }

    /// Forgets the replicas that are gone.
    pub(super) fn retain(&self, is_there: impl Fn(u64) -> bool) {
        self.lock().retain(|replica, _| is_there(*replica));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Means>> {
        self.by_replica
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// An eighth of the way; the first value is the mean.
fn move_to(mean: &mut u64, value: u64) {
    *mean = match *mean {
        0 => value,
        old => old - old / 8 + value / 8,
    }
    .max(1);
}

/// The four highest bits: steps of 6 to 12 %.
fn coarse(value: u64) -> u64 {
    let low = (u64::BITS - value.leading_zeros()).saturating_sub(4);
    value >> low << low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_move_and_are_told_coarsely() {
        let latencies = Latencies::default();
        assert_eq!(latencies.of(1), Means::default());
        latencies.note(1, 1_000, None);
        assert_eq!(
            latencies.of(1),
            Means {
                first_token_us: 960,
                token_us: 0
            }
        );
        for _ in 0..100 {
            latencies.note(1, 50_000, Some(0));
        }
        let means = latencies.of(1);
        assert!(
            (45_000..=50_000).contains(&means.first_token_us),
            "{means:?}"
        );
        assert_eq!(means.token_us, 1, "measured, and so not unknown");
        latencies.note(1, 50_500, None);
        assert_eq!(latencies.of(1), means, "a small movement is no change");
        latencies.note(2, u64::MAX, Some(u64::MAX));
        latencies.note(2, u64::MAX, Some(u64::MAX));
        latencies.retain(|replica| replica == 1);
        assert_eq!(latencies.of(2), Means::default());
        assert_eq!(latencies.of(1), means);
    }
}
