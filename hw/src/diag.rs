//! Finding out whether a card can be relied on: its memory, its arithmetic, its links, and what its driver counts meanwhile.
//!
//! Decides which tests there are, in which order they run and what follows from them, as a [`Report`]. Refuses to know who
//! asks, and what is done with a card that is bad. Everything is tried through the same few calls of a driver as plans are
//! (`bench`); a driver that hangs, hangs the caller, which therefore is a process of its own.
//!
//! Times are by the clock of the wall, from before something is started to when it has been waited for.

#![warn(missing_docs)]

mod bandwidth;
mod bench;
mod counters;
mod memory;
mod patterns;
mod product;
mod report;
mod session;
mod transfer;

use std::ops::ControlFlow;
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

pub use self::counters::Counters;
pub use self::report::{Figure, Level, Outcome, Report, TestResult, Verdict};
use self::session::Session;
use crate::device::Device;
use crate::gpu::GpuError;
use crate::telemetry;

/// A test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Test {
    /// Each bit of each word alone, then all but it.
    Walking,
    /// Each word holds its own address, so that one which answers for another is seen.
    Address,
    /// Each word is inverted, from the first to the last and back.
    Inversions,
    /// Numbers that look like chance, and their opposites.
    Random,
    /// How fast memory is copied, read and written.
    Bandwidth,
    /// How fast the host's memory is reached, and whether what arrives is what was sent.
    Transfer,
    /// The same large product again and again: exact once, then to the same bits under load.
    Product,
}

impl Test {
    /// All, in the order in which they run.
    pub const ALL: [Self; 7] = [
        Self::Walking,
        Self::Address,
        Self::Inversions,
        Self::Random,
        Self::Bandwidth,
        Self::Transfer,
        Self::Product,
    ];

    /// Its name for people and programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Walking => "walking",
            Self::Address => "address",
            Self::Inversions => "inversions",
            Self::Random => "random",
            Self::Bandwidth => "bandwidth",
            Self::Transfer => "transfer",
            Self::Product => "product",
        }
    }

    /// The test of this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|test| test.name() == name)
    }

    /// Its part of the time; those without one take as long as they need, about a second.
    fn parts(self) -> u32 {
        match self {
            Self::Walking | Self::Address | Self::Inversions | Self::Random => 1,
            Self::Bandwidth | Self::Transfer => 0,
            // Heat takes longest to come.
            Self::Product => 4,
        }
    }
}

/// What is tested, and for how long.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How much of the memory that is free when it begins is tested, in percent.
    pub memory_percent: u8,
    /// How long it lasts about. A round of each test is always whole, however long it takes.
    pub duration: Duration,
    /// Which tests; they run in the order of [`Test::ALL`].
    pub tests: Vec<Test>,
    /// What the numbers that look like chance depend on.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            memory_percent: 90,
            duration: Duration::from_secs(30),
            tests: Test::ALL.to_vec(),
            seed: 1,
        }
    }
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// What is tried now.
    pub test: Test,
    /// The part of all that is done, from 0 to 1.
    pub done: f32,
}

/// Why nothing can be tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiagError {
    /// The processor is no card.
    #[error("a processor cannot be diagnosed, only a card")]
    Processor,
}

/// Tests a card. `probe` reads its counters, about once a second, if there is anything that tells them; `progress` is told
/// between steps of some milliseconds how far it is, and may end it. What a card does wrong, up to not answering, is in the
/// report and no error.
///
/// # Errors
/// [`DiagError`] when the device is no card.
pub fn run(
    device: &Device,
    settings: &Settings,
    probe: &mut dyn FnMut() -> Option<telemetry::Device>,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Report, DiagError> {
    let card = device.card().ok_or(DiagError::Processor)?;
    let started = Instant::now();
    let tests: Vec<Test> = Test::ALL
        .into_iter()
        .filter(|test| settings.tests.contains(test))
        .collect();
    let mut session = Session::open(card, settings, &tests, probe, progress);
    let mut results = Vec::new();
    let mut broken: Option<Test> = None;
    for test in tests {
        let mut result = TestResult::new(test);
        let begun = Instant::now();
        session.begin(test);
        if session.cancelled() {
            result.skip("it was stopped before");
        } else if let Some(broken) = broken {
            result.skip(format!("the driver failed in `{}`", broken.name()));
        } else if let Err(error) = one(&mut session, &mut result) {
            // Nothing that is asked of a driver after an error of its card is done.
            broken = Some(test);
            result.fail(report::words(&error));
        }
        result.seconds = begun.elapsed().as_secs_f64();
        results.push(result);
        session.end(test);
    }
    let cancelled = session.cancelled();
    let tested_bytes = session.tested_bytes();
    let counters = session.close();
    let verdict = Verdict::of(&results, &counters);
    Ok(Report {
        device: device.name().to_owned(),
        id: device
            .id()
            .map(telemetry::DeviceId)
            .or_else(|| counters.id()),
        started_unix_s: unix_s().saturating_sub(started.elapsed().as_secs()),
        seconds: started.elapsed().as_secs_f64(),
        memory_tested_bytes: tested_bytes,
        cancelled,
        tests: results,
        counters,
        verdict,
    })
}

fn one(session: &mut Session<'_>, result: &mut TestResult) -> Result<(), GpuError> {
    match result.test {
        Test::Walking | Test::Address | Test::Inversions | Test::Random => {
            memory::test(session, result)
        }
        Test::Bandwidth => bandwidth::test(session, result),
        Test::Transfer => transfer::test(session, result),
        Test::Product => product::test(session, result),
    }
}

fn unix_s() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
