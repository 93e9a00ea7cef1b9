//! Which helpers take part, and on which cores.
//!
//! Decides that a helper that holds its leader up for much of the time gets no work for a while, twice as
//! long each time it does so again soon after, and that no helper stays pinned to the core that the leader
//! runs on.
//! Refuses to measure: times are told, since the pool's start.
//!
//! A thread that shares its core with another process is off it for some milliseconds at a time, and
//! with it the chunk that it has claimed. A core that is given up costs a share of the speed; a leader
//! that waits costs all of it. Who takes a core for a fraction of a millisecond now and then, as the agent
//! does for each token, is no reason to give it up.

use std::time::Duration;

/// What a leader knows of the helpers.
#[derive(Debug)]
pub(super) struct Roster {
    places: Vec<Place>,
    /// The core left to the leader, where helpers are pinned.
    free: Option<usize>,
    /// Helpers on leave.
    absent: usize,
}

#[derive(Debug, Default)]
struct Place {
    /// Where it is pinned.
    core: Option<usize>,
    /// When its leave ends, if it has one.
    leave: Option<Duration>,
    /// The end of the last leave, and how long that was.
    last: (Duration, Duration),
    /// Whether the leader is waiting for it.
    late: bool,
    /// What waiting for it has cost, less a share of the time since; and when that was written down.
    debt: (Duration, Duration),
}

impl Roster {
    /// `helpers` helpers, pinned to all of `cores` but the first if there is a thread for each. With
    /// fewer threads the system places them, since other workers may run beside.
    pub(super) fn of(helpers: usize, cores: &[usize]) -> Self {
        let pinned = helpers + 1 == cores.len();
        let place = |number: usize| Place {
            core: cores.get(number).copied().filter(|_| pinned),
            ..Place::default()
        };
        Self {
            places: (1..=helpers).map(place).collect(),
            free: cores.first().copied().filter(|_| pinned),
            absent: 0,
        }
    }

    /// The core that helper `helper` is pinned to.
    pub(super) fn core(&self, helper: usize) -> Option<usize> {
        self.places.get(helper)?.core
    }

    /// Whether anyone is on leave.
    pub(super) fn incomplete(&self) -> bool {
        self.absent > 0
    }

    /// Helpers that take part.
    pub(super) fn present(&self) -> usize {
        self.places.len() - self.absent
    }

    /// Whether `helper` takes part.
    pub(super) fn is_present(&self, helper: usize) -> bool {
        self.places.get(helper).is_some_and(|p| p.leave.is_none())
    }

    /// Ends leaves that are over at `now`, and calls `back` for each.
    pub(super) fn recall(&mut self, now: Duration, mut back: impl FnMut(usize)) {
        for (helper, place) in self.places.iter_mut().enumerate() {
            if place.leave.is_some_and(|end| end <= now) {
                place.leave = None;
                self.absent -= 1;
                back(helper);
            }
        }
    }

    /// Notes that the leader waits for `helper` beyond its patience.
    pub(super) fn note_late(&mut self, helper: usize) {
        if let Some(place) = self.places.get_mut(helper) {
            place.late = true;
        }
    }

    /// Charges those who were late with `lost`, the time that the leader waited until `now`. One whose debt is
    /// too large goes on leave, and `leaves` is told.
    pub(super) fn charge(&mut self, lost: Duration, now: Duration, mut leaves: impl FnMut(usize)) {
        for helper in 0..self.places.len() {
            let place = &mut self.places[helper];
            if !std::mem::take(&mut place.late) {
                continue;
            }
            let (debt, since) = place.debt;
            let paid = now.saturating_sub(since) / FORGIVEN;
            let debt = debt.saturating_sub(paid) + lost;
            place.debt = (debt, now);
            if debt > CREDIT {
                place.debt = (Duration::ZERO, now);
                self.dismiss(helper, now);
                leaves(helper);
            }
        }
    }

    /// Sends `helper` on leave at `now`.
    pub(super) fn dismiss(&mut self, helper: usize, now: Duration) {
        let Some(place) = self.places.get_mut(helper) else {
            return;
        };
        if place.leave.is_some() {
            return;
        }
        let (ended, length) = place.last;
        let length = if now < ended + length {
            (length * 2).min(LONGEST)
        } else {
            SHORTEST
        };
        let end = now + length;
        place.last = (end, length);
        place.leave = Some(end);
        self.absent += 1;
    }

    /// Where `helper` has to go when the leader is on `core`: to the core that the leader has left, if
    /// `core` was the helper's.
    pub(super) fn make_way(&mut self, helper: usize, core: usize) -> Option<usize> {
        let place = self.places.get_mut(helper)?;
        if place.core != Some(core) {
            return None;
        }
        place.core = self.free.replace(core);
        place.core
    }
}

/// How long a leader that has computed `chunks` chunks in `spent` waits for the last ones of others
/// before it holds them for late: the chunks of a causal attention differ, and cores do.
pub(super) fn patience(spent: Duration, chunks: u32) -> Duration {
    (spent / chunks.max(1) * 4).max(LATE)
}

/// Far longer than a chunk of a decode step lasts, and a fraction of a scheduler's slice.
const LATE: Duration = Duration::from_micros(250);

/// One part of the time in so many may be lost without consequence: a second thread gives more than it takes
/// until waiting takes a third.
const FORGIVEN: u32 = 4;

/// About a scheduler's slice (3 ms by default): what is off its core for that long shares it with someone.
const CREDIT: Duration = Duration::from_micros(2_500);

/// Some slices of a scheduler: a trial that fails costs about one.
const SHORTEST: Duration = Duration::from_millis(20);

/// For how long a core that has become free may lie idle.
const LONGEST: Duration = Duration::from_millis(1000);

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn leaves_double_while_a_helper_keeps_being_late() {
        let mut roster = Roster::of(2, &[]);
        let mut now = ms(1000);
        let mut lengths = Vec::new();
        for _ in 0..8 {
            roster.dismiss(1, now);
            assert!(roster.is_present(0) && !roster.is_present(1));
            assert_eq!((roster.present(), roster.incomplete()), (1, true));
            let left = now;
            let mut back = Vec::new();
            while back.is_empty() {
                now += ms(1);
                roster.recall(now, |helper| back.push(helper));
            }
            assert_eq!(back, [1]);
            assert_eq!((roster.present(), roster.incomplete()), (2, false));
            lengths.push((now - left).as_millis());
            now += ms(3);
        }
        assert_eq!(lengths, [20, 40, 80, 160, 320, 640, 1000, 1000]);
        // In time for as long as the last leave was: forgiven.
        now += ms(1000);
        roster.dismiss(1, now);
        roster.recall(now + ms(20), |_| ());
        assert!(roster.is_present(1));
    }

    #[test]
    fn short_waits_are_forgiven_and_long_ones_are_not() {
        let charge = |roster: &mut Roster, us: u64, now| {
            let mut left = Vec::new();
            roster.note_late(1);
            roster.charge(Duration::from_micros(us), now, |helper| left.push(helper));
            left
        };
        // The agent takes half a millisecond of each of many tokens.
        let mut roster = Roster::of(2, &[]);
        for token in 1..200 {
            assert!(charge(&mut roster, 500, ms(token * 4)).is_empty());
        }
        // Someone takes half of all the time.
        let mut roster = Roster::of(2, &[]);
        let mut turns = 0;
        while charge(&mut roster, 1000, ms(turns * 2)).is_empty() {
            turns += 1;
        }
        assert!(turns < 5, "{turns}");
        assert!(roster.is_present(0) && !roster.is_present(1));
        // A whole slice at once; nobody else is charged.
        let mut roster = Roster::of(2, &[]);
        assert_eq!(charge(&mut roster, 3000, ms(1)), [1]);
        let nobody = |_| panic!("nobody was late");
        roster.charge(ms(30), ms(2), nobody);
    }

    #[test]
    fn a_second_complaint_does_not_prolong_a_leave() {
        let mut roster = Roster::of(1, &[]);
        roster.dismiss(0, ms(10));
        roster.dismiss(0, ms(12));
        roster.dismiss(7, ms(12));
        assert_eq!(roster.present(), 0);
        roster.recall(ms(29), |_| panic!("too early"));
        roster.recall(ms(30), |_| ());
        assert_eq!(roster.present(), 1);
    }

    #[test]
    fn a_helper_takes_the_core_that_its_leader_left() {
        let mut roster = Roster::of(2, &[3, 5, 8]);
        assert_eq!((roster.core(0), roster.core(1)), (Some(5), Some(8)));
        assert_eq!(roster.make_way(0, 3), None);
        assert_eq!(roster.make_way(0, 8), None);
        assert_eq!(roster.make_way(1, 8), Some(3));
        assert_eq!(roster.make_way(1, 8), None);
        assert_eq!(roster.make_way(1, 3), Some(8));
    }

    #[test]
    fn helpers_are_pinned_where_every_core_has_a_thread() {
        for (helpers, pinned) in [(1, false), (2, true), (3, false)] {
            let mut roster = Roster::of(helpers, &[0, 1, 2]);
            let (core, way) = if pinned {
                (Some(1), Some(0))
            } else {
                (None, None)
            };
            assert_eq!((roster.core(0), roster.make_way(0, 1)), (core, way));
        }
    }

    #[test]
    fn patience_grows_with_chunks() {
        assert_eq!(patience(ms(0), 0), LATE);
        assert_eq!(patience(Duration::from_micros(80), 4), LATE);
        assert_eq!(patience(ms(40), 8), ms(20));
    }
}
