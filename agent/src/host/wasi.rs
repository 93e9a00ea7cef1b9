//! WASI 0.2, linked empty: what a standard library asks for at its start, answered with nothing.
//!
//! No environment, no arguments, no files, no sockets, no input; whatever is written to standard output or error becomes a log
//! line; clocks are coarse; waiting for time is a trap, since a plugin never blocks. Only interfaces in
//! `INTERFACES` are linked: a component that imports another is refused by name. Functions that nothing
//! here can lead to (a descriptor's methods without a descriptor) trap when called.
//!
//! Written by hand instead of taken from `wasmtime-wasi`: that brings an asynchronous runtime, file systems
//! and sockets into the one process that runs hostile code, only to switch them off.

mod interfaces;
pub(super) mod output;

use std::time::{Instant, SystemTime};

use self::output::Output;

pub(super) use self::interfaces::{INTERFACES, link};

/// What the empty WASI keeps for one component.
pub(super) struct Wasi {
    started: Instant,
    random: Random,
    output: Output,
    error: Output,
}

impl Wasi {
    pub(super) fn new() -> Self {
        Self {
            started: Instant::now(),
            random: Random::new(),
            output: Output::default(),
            error: Output::default(),
        }
    }

    /// What a panic said before it trapped.
    pub(super) fn last_words(&self) -> Option<String> {
        self.error.last_panic()
    }

    /// Nanoseconds since the start, in whole milliseconds: too coarse to time a cache with.
    fn monotonic_ns(&self) -> u64 {
        let elapsed_ms = self.started.elapsed().as_millis();
        u64::try_from(elapsed_ms)
            .unwrap_or(u64::MAX)
            .saturating_mul(MONOTONIC_RESOLUTION_NS)
    }

    /// Whole seconds since 1970: templates print dates.
    fn wall_s() -> u64 {
        SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs()
    }
}

const MONOTONIC_RESOLUTION_NS: u64 = 1_000_000;

/// `SplitMix64` (Steele et al. 2014) from a seed of the kernel's: enough for what a plugin may use randomness for, which is
/// to keep its hash tables from being attacked. Sampling has `entropy` in each request.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let mut seed = [0; 8];
        // Without the kernel's randomness the tables are merely predictable.
        let _ = getrandom::fill(&mut seed);
        Self(u64::from_le_bytes(seed))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }
}
