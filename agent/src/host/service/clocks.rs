//! Clocks that are too coarse to time a cache with, as engines have them.

use std::time::{Duration, Instant, SystemTime};

use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

/// Whole milliseconds since the call began.
pub(super) struct Monotonic(Instant);

/// Whole seconds since 1970.
pub(super) struct Wall;

const MONOTONIC_RESOLUTION_NS: u64 = 1_000_000;

impl Monotonic {
    pub(super) fn new() -> Self {
        Self(Instant::now())
    }
}

impl HostMonotonicClock for Monotonic {
    fn resolution(&self) -> u64 {
        MONOTONIC_RESOLUTION_NS
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis())
            .unwrap_or(u64::MAX)
            .saturating_mul(MONOTONIC_RESOLUTION_NS)
    }
}

impl HostWallClock for Wall {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn now(&self) -> Duration {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Duration::from_secs(since.unwrap_or_default().as_secs())
    }
}
