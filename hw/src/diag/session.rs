//! One diagnosis while it runs: how much time a test has, whether it may go on, and when counters are read.
//!
//! Decides that, and refuses to know what a test does.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::counters::Counters;
use super::{Progress, Settings, Test};
use crate::gpu::Card;
use crate::telemetry;

pub(super) struct Session<'a> {
    pub(super) card: &'a Arc<Card>,
    pub(super) settings: &'a Settings,
    probe: &'a mut dyn FnMut() -> Option<telemetry::Device>,
    progress: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
    counters: Counters,
    probed: Instant,
    test: Test,
    begun: Instant,
    allotted: Duration,
    all_parts: u32,
    /// Shown work of what is over, and of all.
    done: f32,
    all: f32,
    cancelled: bool,
    tested_bytes: u64,
}

impl<'a> Session<'a> {
    pub(super) fn open(
        card: &'a Arc<Card>,
        settings: &'a Settings,
        tests: &[Test],
        probe: &'a mut dyn FnMut() -> Option<telemetry::Device>,
        progress: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Self {
        let counters = Counters::before(probe());
        Self {
            card,
            settings,
            probe,
            progress,
            counters,
            probed: Instant::now(),
            test: Test::Walking,
            begun: Instant::now(),
            allotted: Duration::ZERO,
            all_parts: tests.iter().map(|test| test.parts()).sum::<u32>().max(1),
            done: 0.0,
            all: tests.iter().map(|test| shown(*test)).sum(),
            cancelled: false,
            tested_bytes: 0,
        }
    }

    pub(super) fn begin(&mut self, test: Test) {
        self.test = test;
        self.begun = Instant::now();
        self.allotted = self.settings.duration * test.parts() / self.all_parts;
    }

    pub(super) fn end(&mut self, test: Test) {
        self.done += shown(test);
    }

    /// Whether the test may go on, of whose first round so much is done, from 0 to 1.
    pub(super) fn go_on(&mut self, round: f32) -> bool {
        if self.probed.elapsed() >= PROBE {
            self.counters.during((self.probe)());
            self.probed = Instant::now();
        }
        let time = if self.allotted.is_zero() {
            1.0
        } else {
            self.begun.elapsed().as_secs_f32() / self.allotted.as_secs_f32()
        };
        let of_test = round.min(time).clamp(0.0, 1.0);
        let done = (self.done + of_test * shown(self.test)) / self.all.max(1.0);
        let told = (self.progress)(Progress {
            test: self.test,
            done,
        });
        self.cancelled |= told.is_break();
        !self.cancelled
    }

    /// Whether there is time for another round.
    pub(super) fn has_time(&self) -> bool {
        self.begun.elapsed() < self.allotted
    }

    pub(super) fn cancelled(&self) -> bool {
        self.cancelled
    }

    /// So much memory was tested as a whole.
    pub(super) fn tested(&mut self, bytes: u64) {
        self.tested_bytes = self.tested_bytes.max(bytes);
    }

    pub(super) fn tested_bytes(&self) -> u64 {
        self.tested_bytes
    }

    /// What the card says now of its clocks and its bus.
    pub(super) fn newest(&self) -> Option<&telemetry::Device> {
        self.counters.newest()
    }

    /// Reads the counters a last time.
    pub(super) fn close(mut self) -> Counters {
        self.counters.after((self.probe)());
        self.counters
    }
}

/// Counters that cost milliseconds are read anew every few seconds at most; the others may be each second.
const PROBE: Duration = Duration::from_secs(1);

/// Its part of what is shown of progress; one without a part of the time is short.
fn shown(test: Test) -> f32 {
    match test.parts() {
        0 => 0.2,
        parts => parts as f32,
    }
}
