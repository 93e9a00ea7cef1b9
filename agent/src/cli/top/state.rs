//! What `skep top` knows: the last two answers, and where the user stands.

use std::time::{Duration, Instant};

use crate::wire::Top;

/// Everything that a picture is made of.
#[derive(Debug)]
pub(super) struct State {
    pub(super) top: Top,
    /// Per second since the answer before; none yet after the first.
    pub(super) rates: Option<Rates>,
    answered: Instant,
    /// Why there was no answer, when the last question got none.
    pub(super) away: Option<String>,
    pub(super) section: Section,
    pub(super) places: [Place; 4],
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rates {
    pub(super) requests: f64,
    pub(super) tokens: f64,
}

/// The tables, from top to bottom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Nodes,
    Devices,
    Models,
    Requests,
}

/// Where the user stands in a table.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    /// Which row is chosen.
    pub(super) row: usize,
    /// How many rows there were at the last drawing.
    pub(super) rows: usize,
    /// By which column it is sorted; none: as it comes.
    pub(super) sort: Option<usize>,
    /// How many columns there were.
    pub(super) columns: usize,
}

impl Section {
    pub(super) const ALL: [Self; 4] = [Self::Nodes, Self::Devices, Self::Models, Self::Requests];

    pub(super) fn number(self) -> usize {
        match self {
            Self::Nodes => 0,
            Self::Devices => 1,
            Self::Models => 2,
            Self::Requests => 3,
        }
    }
}

impl State {
    pub(super) fn of(top: Top, now: Instant) -> Self {
        Self {
            top,
            rates: None,
            answered: now,
            away: None,
            section: Section::Devices,
            places: [Place::default(); 4],
        }
    }

    pub(super) fn take(&mut self, answer: Result<Top, String>, now: Instant) {
        match answer {
            Ok(top) => {
                self.rates = rates(&self.top, &top);
                self.top = top;
                self.answered = now;
                self.away = None;
            }
            Err(why) => self.away = Some(why),
        }
    }

    /// How long ago the agent last answered, when that is too long.
    pub(super) fn silent_for(&self, now: Instant) -> Option<Duration> {
        let silent = now.saturating_duration_since(self.answered);
        (self.away.is_some() || silent >= SILENT).then_some(silent)
    }

    pub(super) fn next_section(&mut self, by: isize) {
        let at = step(self.section.number(), by, Section::ALL.len(), true);
        self.section = Section::ALL.get(at).copied().unwrap_or(Section::Nodes);
    }

    pub(super) fn select(&mut self, by: isize) {
        let place = self.place();
        place.row = step(place.row, by, place.rows, false);
    }

    /// Sorts by the next column; before the first stands "as it comes".
    pub(super) fn sort(&mut self, by: isize) {
        let place = self.place();
        let now = place.sort.map_or(0, |column| column + 1);
        place.sort = step(now, by, place.columns + 1, true).checked_sub(1);
    }

    fn place(&mut self) -> &mut Place {
        let [nodes, devices, models, requests] = &mut self.places;
        match self.section {
            Section::Nodes => nodes,
            Section::Devices => devices,
            Section::Models => models,
            Section::Requests => requests,
        }
    }
}

fn step(at: usize, by: isize, count: usize, around: bool) -> usize {
    if count == 0 {
        return 0;
    }
    if around {
        let count = isize::try_from(count).unwrap_or(isize::MAX);
        let at = isize::try_from(at).unwrap_or(0);
        return usize::try_from((at + by).rem_euclid(count)).unwrap_or(0);
    }
    at.saturating_add_signed(by).min(count - 1)
}

fn rates(before: &Top, now: &Top) -> Option<Rates> {
    let ms = now.at_unix_ms.checked_sub(before.at_unix_ms)?;
    // An agent that was started again counts from nothing.
    let arrived = now.requests.arrived.checked_sub(before.requests.arrived)?;
    let tokens = now
        .requests
        .completion_tokens
        .checked_sub(before.requests.completion_tokens)?;
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let per_s = |count: u64| count as f64 * 1_000.0 / ms as f64;
    (ms > 0).then(|| Rates {
        requests: per_s(arrived),
        tokens: per_s(tokens),
    })
}

/// The agent answers within milliseconds, and is asked each second.
const SILENT: Duration = Duration::from_secs(4);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Requests;

    fn top(at_unix_ms: u64, arrived: u64) -> Top {
        Top {
            at_unix_ms,
            nodes: Vec::new(),
            replicas: Vec::new(),
            requests: Requests {
                arrived,
                completion_tokens: arrived * 10,
                ..Requests::default()
            },
        }
    }

    #[test]
    fn rates_need_two_answers_of_one_agent() {
        let now = Instant::now();
        let mut state = State::of(top(1_000, 5), now);
        assert_eq!(state.rates, None);
        state.take(Ok(top(3_000, 9)), now);
        let expect = Rates {
            requests: 2.0,
            tokens: 20.0,
        };
        assert_eq!(state.rates, Some(expect));
        state.take(Ok(top(4_000, 1)), now);
        assert_eq!(state.rates, None);
    }

    #[test]
    fn an_agent_that_went_away_is_missed_and_may_come_back() {
        let now = Instant::now();
        let mut state = State::of(top(0, 0), now);
        assert_eq!(state.silent_for(now + Duration::from_secs(1)), None);
        assert!(state.silent_for(now + Duration::from_secs(5)).is_some());
        state.take(Err("gone".to_owned()), now);
        assert!(state.silent_for(now).is_some());
        state.take(Ok(top(1, 0)), now);
        assert_eq!(state.silent_for(now), None);
    }

    #[test]
    fn keys_stay_within_what_there_is() {
        let mut state = State::of(top(0, 0), Instant::now());
        state.places[1] = Place {
            rows: 3,
            columns: 2,
            ..Place::default()
        };
        state.select(10);
        assert_eq!(state.places[1].row, 2);
        state.select(-1);
        assert_eq!(state.places[1].row, 1);
        for expect in [Some(0), Some(1), None, Some(0)] {
            state.sort(1);
            assert_eq!(state.places[1].sort, expect);
        }
        state.next_section(-2);
        assert_eq!(state.section, Section::Requests);
        state.select(1);
        assert_eq!(state.places[3].row, 0);
    }
}
