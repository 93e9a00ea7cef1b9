//! When to start a dead worker again: soon at first, then more and more rarely, never in step with others.

use std::time::{Duration, Instant};

use crate::limits::{
    QUICK_DEATHS_MAX, RESTART_DELAY, RESTART_DELAY_FAILED, RESTART_DELAY_MAX, STABLE_AFTER,
};

/// The deaths of one replica's workers.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    quick_deaths: u32,
}

/// What to do about a death.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retry {
    pub(crate) delay: Duration,
    /// Which attempt comes next, from 1.
    pub(crate) attempts: u32,
    /// It died so often that it counts as failed; attempts go on, slowly.
    pub(crate) given_up: bool,
}

impl Backoff {
    /// A worker died that was ready since `ready`, if it ever was. `chance` is a random number that spreads the attempts of
    /// several replicas.
    pub(crate) fn on_death(&mut self, ready: Option<Instant>, now: Instant, chance: u32) -> Retry {
        let stable = ready.is_some_and(|since| now.duration_since(since) >= STABLE_AFTER);
        self.quick_deaths = if stable {
            1
        } else {
            self.quick_deaths.saturating_add(1)
        };
        let attempts = self.quick_deaths;
        let given_up = attempts > QUICK_DEATHS_MAX;
        let doubled = RESTART_DELAY
            .saturating_mul(1 << (attempts - 1).min(16))
            .min(RESTART_DELAY_MAX);
        let delay = if given_up {
            RESTART_DELAY_FAILED
        } else {
            doubled
        };
        // From a half to the whole.
        let spread = f64::from(chance) / f64::from(u32::MAX);
        Retry {
            delay: delay.mul_f64(0.5 + spread / 2.0),
            attempts,
            given_up,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_and_stay_within_their_bounds() {
        let (mut backoff, now) = (Backoff::default(), Instant::now());
        let mut last = Duration::ZERO;
        for death in 1..=QUICK_DEATHS_MAX {
            let retry = backoff.on_death(Some(now), now, u32::MAX);
            assert!(
                retry.delay > last && retry.delay <= RESTART_DELAY_MAX && !retry.given_up,
                "{retry:?}"
            );
            assert_eq!(retry.attempts, death);
            last = retry.delay;
        }
        let retry = backoff.on_death(None, now, 0);
        assert!(retry.given_up && retry.delay == RESTART_DELAY_FAILED / 2);
    }

    #[test]
    fn a_long_life_forgives() {
        let (mut backoff, now) = (Backoff::default(), Instant::now());
        for _ in 0..100 {
            backoff.on_death(None, now, 0);
        }
        let retry = backoff.on_death(Some(now), now + STABLE_AFTER, 0);
        assert_eq!(
            retry,
            Retry {
                delay: RESTART_DELAY / 2,
                attempts: 1,
                given_up: false
            }
        );
    }
}
