//! How often digits may come about. Each time somebody between has one chance in a million, whether he lets
//! it come to digits or breaks it off before; so each counts.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::limits::{ADOPT_PAUSE, ADOPT_TRIES_EACH_OFFER, ADOPT_TRIES_PER_MINUTE};

/// What was tried.
#[derive(Debug, Default)]
pub(super) struct Tries {
    /// Of the last minute, the oldest first: no more than `ADOPT_TRIES_PER_MINUTE`.
    recent: VecDeque<Instant>,
    /// Since it was last let by a person.
    spent: u32,
}

/// Why not now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TooMany {
    /// After so long again.
    Wait(Duration),
    /// Not before a person lets it.
    Spent,
}

impl Tries {
    /// Begins one, if that may be.
    pub(super) fn begin(&mut self, now: Instant) -> Result<(), TooMany> {
        self.begin_within(now, ADOPT_TRIES_EACH_OFFER)
    }

    /// The same where a person begins each.
    pub(super) fn begin_by_person(&mut self, now: Instant) -> Result<(), TooMany> {
        self.begin_within(now, u32::MAX)
    }

    /// A person lets it begin anew; the bound of a minute stays.
    pub(super) fn renew(&mut self) {
        self.spent = 0;
    }

    pub(super) fn left(&self) -> u32 {
        ADOPT_TRIES_EACH_OFFER.saturating_sub(self.spent)
    }

    fn begin_within(&mut self, now: Instant, most: u32) -> Result<(), TooMany> {
        if self.spent >= most {
            return Err(TooMany::Spent);
        }
        let since = |at: &Instant| now.saturating_duration_since(*at);
        while self.recent.front().is_some_and(|at| since(at) >= MINUTE) {
            self.recent.pop_front();
        }
        if let Some(last) = self.recent.back().map(since)
            && last < ADOPT_PAUSE
        {
            return Err(TooMany::Wait(ADOPT_PAUSE - last));
        }
        if self.recent.len() >= ADOPT_TRIES_PER_MINUTE {
            let oldest = self.recent.front().map_or(Duration::ZERO, since);
            return Err(TooMany::Wait(MINUTE.saturating_sub(oldest)));
        }
        self.recent.push_back(now);
        self.spent = self.spent.saturating_add(1);
        Ok(())
    }
}

const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_few_in_a_minute_and_few_in_all() {
        let mut tries = Tries::default();
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        tries.begin(start).unwrap();
        let soon = start + ADOPT_PAUSE / 2;
        assert_eq!(tries.begin(soon), Err(TooMany::Wait(ADOPT_PAUSE / 2)));
        for number in 1..ADOPT_TRIES_PER_MINUTE as u64 {
            tries.begin(at(2 * number)).unwrap();
        }
        assert_eq!(
            tries.begin(at(20)),
            Err(TooMany::Wait(Duration::from_secs(40)))
        );
        // As fast as that allows, until nothing does.
        let (mut now, mut begun) = (60, ADOPT_TRIES_PER_MINUTE as u32);
        loop {
            match tries.begin(at(now)) {
                Ok(()) => begun += 1,
                Err(TooMany::Wait(_)) => now += 1,
                Err(TooMany::Spent) => break,
            }
        }
        assert_eq!((begun, tries.left()), (ADOPT_TRIES_EACH_OFFER, 0));
        assert_eq!(tries.begin(at(now + 86_400)), Err(TooMany::Spent));
        // Whoever begins each by hand is held to the minute alone.
        tries.begin_by_person(at(now + 86_400)).unwrap();
        tries.renew();
        tries.begin(at(now + 86_500)).unwrap();
    }
}
