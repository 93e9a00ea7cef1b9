//! The machine as it is watched: readings, what they mean, and who hears of it.
//!
//! Decides when a verdict is believed and what the core is told of this node's devices. A reading
//! is judged by `skep-hw`; here the judgement is given calm (`calm`), silence of a driver, models
//! that fell back to the processor and faults that ended workers are added to it (`judge`), and every change is logged,
//! counted and told to the core, whose scheduler obeys. Refuses to decide what moves where.

mod calm;
mod card;
mod judge;
mod node;
mod threads;
mod watch;

use std::time::{Duration, Instant};

use skep_hw::telemetry::Snapshot;

pub(crate) use self::judge::fallback;
pub use self::watch::Watch;

/// The newest look at the machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// What was read. Of a driver that does not answer, what was read last.
    pub snapshot: Snapshot,
    /// What each of the snapshot's devices is worth, in the same order.
    pub standings: Vec<Standing>,
    /// What the machine as a whole is worth.
    pub node: Level,
    /// Why, when it is less than healthy.
    pub why: Option<String>,
}

/// What a device is worth now, and why.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The worst of the causes.
    pub level: Level,
    /// What speaks against it; empty when nothing does.
    pub causes: Vec<Cause>,
    /// Since when its causes are what they are.
    pub since_unix_s: u64,
    /// When it was read.
    pub read_at: Instant,
}

/// One thing that speaks against a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// For programs; the same in every version.
    pub code: String,
    /// How bad it is.
    pub level: Level,
    /// For people, in a few words.
    pub text: String,
    /// What was seen.
    pub evidence: String,
    /// How long it is believed after it was last seen.
    pub hold: Duration,
}

/// Whether a part can be relied on; the worse, the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing speaks against it.
    Healthy,
    /// It works, but worse or less safely than it should.
    Degraded,
    /// It does not answer, or nothing is to be given to it.
    Lost,
}

impl Level {
    /// Its name for people and programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Lost => "lost",
        }
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.text, self.evidence)
    }
}
