//! How much a node trusts its own view.
//!
//! A node that is starved of processor time sees everybody else as silent. HashiCorp's Lifeguard
//! (Dadgar, Phillips, Currey 2017) lets such a node doubt itself first: all its waits grow with a
//! score, which goes up with signs that the fault is here and down with each answer.

use std::time::Duration;

use crate::limits::DOUBT_MAX;

/// The score.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Health {
    doubt: u32,
    /// Something came from anybody since the last probe began.
    heard: bool,
    /// An answer came to a probe since the last one began.
    answered: bool,
}

impl Health {
    /// By how much to multiply waits.
    pub(super) fn factor(self) -> u32 {
        1 + self.doubt
    }

    /// Something came.
    pub(super) fn hear(&mut self, answer: bool) {
        self.heard = true;
        self.answered |= answer;
    }

    /// A probe's time is over, and the next begins.
    pub(super) fn probe_ends(&mut self) {
        if self.answered {
            self.doubt = self.doubt.saturating_sub(1);
        } else if !self.heard {
            // Everybody silent at once: rather we are deaf.
            self.worsen(1);
        }
        self.heard = false;
        self.answered = false;
    }

    /// This node woke up later than it wanted to.
    pub(super) fn lag(&mut self, by: Duration) {
        let seconds = u32::try_from(by.as_secs()).unwrap_or(DOUBT_MAX);
        self.worsen(1_u32.saturating_add(seconds));
    }

    fn worsen(&mut self, by: u32) {
        self.doubt = self.doubt.saturating_add(by).min(DOUBT_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_and_lag_raise_doubt_and_answers_lower_it() {
        let mut health = Health::default();
        assert_eq!(health.factor(), 1);
        health.probe_ends();
        assert_eq!(health.factor(), 2, "nobody was heard");
        health.hear(false);
        health.probe_ends();
        assert_eq!(
            health.factor(),
            2,
            "one probe failed while others were heard"
        );
        health.lag(Duration::from_secs(100));
        assert_eq!(health.factor(), 1 + DOUBT_MAX);
        for left in (0..DOUBT_MAX).rev() {
            health.hear(true);
            health.probe_ends();
            assert_eq!(health.factor(), 1 + left);
        }
    }
}
