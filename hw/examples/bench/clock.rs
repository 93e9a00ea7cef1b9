//! How long something takes on a machine that others use, too.

use std::time::{Duration, Instant};

/// What is counted.
#[derive(Clone, Copy)]
pub(crate) enum Clock {
    /// Wall time: the shortest round.
    Wall,
    /// Wall time: the mean round.
    WallMean,
    /// The calling thread's time on a core: the mean round.
    Core,
}

impl Clock {
    /// One thread is measured by its own time where the system tells it.
    pub(crate) fn for_threads(threads: usize) -> Self {
        if threads == 1 && on_core().is_some() {
            Self::Core
        } else {
            Self::Wall
        }
    }

    /// How long a round of `work` takes: at least three rounds, for about `budget`.
    pub(crate) fn time(self, budget: Duration, mut work: impl FnMut()) -> Duration {
        let start = Instant::now();
        let core_start = on_core().unwrap_or_default();
        let mut best = Duration::MAX;
        let mut rounds = 0;
        let core = || on_core().unwrap_or_default().saturating_sub(core_start);
        let enough = |rounds| {
            let spent = match self {
                Self::Wall | Self::WallMean => start.elapsed(),
                Self::Core => core(),
            };
            rounds >= 3 && spent >= budget || start.elapsed() > budget * 20
        };
        while !enough(rounds) {
            let round = Instant::now();
            work();
            best = best.min(round.elapsed());
            rounds += 1;
        }
        match self {
            Self::Wall => best,
            Self::WallMean => start.elapsed() / rounds.max(1),
            Self::Core => core() / rounds.max(1),
        }
    }
}

/// The scheduler's account of the calling thread; exact to a tick of some milliseconds.
fn on_core() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let ns = text.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(ns))
}
