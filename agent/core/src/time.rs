//! Time as the core knows it: moments that it is told, and a table of those it waits for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A moment: how long after the node's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub Duration);

impl Time {
    /// So much later; the end of time when that is past it.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(wait))
    }

    /// How long from `earlier` until this; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// What is due when; each timer has at most one moment.
#[derive(Debug)]
pub struct TimerTable<T> {
    due: BTreeSet<(Time, T)>,
    moment: BTreeMap<T, Time>,
}

impl<T: Clone + Ord> TimerTable<T> {
    /// Sets a timer, in place of its earlier moment.
    pub fn set(&mut self, timer: T, at: Time) {
        if let Some(old) = self.moment.insert(timer.clone(), at) {
            self.due.remove(&(old, timer.clone()));
        }
        self.due.insert((at, timer));
    }

    /// Forgets a timer; one that is not set is no error.
    pub fn clear(&mut self, timer: &T) {
        if let Some(at) = self.moment.remove(timer) {
            self.due.remove(&(at, timer.clone()));
        }
    }

    /// Moves every timer later.
    pub fn delay(&mut self, by: Duration) {
        self.due = std::mem::take(&mut self.due)
            .into_iter()
            .map(|(at, timer)| (at.after(by), timer))
            .collect();
        for at in self.moment.values_mut() {
            *at = at.after(by);
        }
    }

    /// The moment of the earliest timer.
    #[must_use]
    pub fn next(&self) -> Option<Time> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes the earliest timer that is due.
    pub fn expire(&mut self, now: Time) -> Option<T> {
        if self.next()? > now {
            return None;
        }
        let (_, timer) = self.due.pop_first()?;
        self.moment.remove(&timer);
        Some(timer)
    }
}

impl<T> Default for TimerTable<T> {
    fn default() -> Self {
        Self {
            due: BTreeSet::new(),
            moment: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_fire_in_order_and_once() {
        let at = |s| Time(Duration::from_secs(s));
        let mut table = TimerTable::default();
        table.set('a', at(3));
        table.set('b', at(1));
        table.set('c', at(2));
        table.set('a', at(2));
        table.clear(&'c');
        table.clear(&'z');
        assert_eq!(table.next(), Some(at(1)));
        table.delay(Duration::from_secs(1));
        assert_eq!(table.next(), Some(at(2)));
        assert_eq!(table.expire(at(1)), None);
        assert_eq!(table.expire(at(5)), Some('b'));
        assert_eq!(table.expire(at(5)), Some('a'));
        assert_eq!(table.expire(at(5)), None);
        assert_eq!(table.next(), None);
    }
}
