//! The messages themselves. One frame carries one message. Decides nothing.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Error, Event, Load, ModelInfo, Settings, Work};
use crate::limits::{DEVICE_TIMEOUT, OPEN_TIMEOUT, STALL_TIMEOUT, STEP_TIMEOUT, SUBMIT_TIMEOUT};

/// From the agent to a worker. `Hello`, then `Open`, then anything in any order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToWorker {
    /// The first frame; the worker leaves when the version is not its own.
    Hello {
        version: u32,
    },
    Open(Box<Open>),
    /// Hands over a request under an identity that no living request has.
    Submit {
        request: u64,
        /// Shared with whoever may have to hand it over once more.
        work: Arc<Work>,
    },
    /// Ends a request before the next step. Unknown identities are ignored.
    Cancel {
        request: u64,
    },
    /// Answered by `Tokens` with the same `call`.
    Tokenize {
        call: u64,
        text: String,
    },
    /// Answered by `Text` with the same `call`.
    Detokenize {
        call: u64,
        tokens: Vec<u32>,
    },
    /// Answered by `Stats` with the same `call`.
    Stats {
        call: u64,
    },
    /// Finish the living requests, then leave with `Ending::Drained`.
    Drain,
}

/// From a worker to the agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FromWorker {
    /// The first frame.
    Hello {
        version: u32,
    },
    Opened(Box<Opened>),
    OpenFailed(Error),
    /// The compiled component is for another version or processor: compile it again.
    Stale,
    /// What one step (or one refused submit) yielded.
    Events {
        events: Vec<Tagged>,
        load: Load,
    },
    Tokens {
        call: u64,
        result: Result<Vec<u32>, Error>,
    },
    Text {
        call: u64,
        result: Result<String, Error>,
    },
    Stats {
        call: u64,
        stats: WorkerStats,
    },
    /// Something that the plugin wrote for the operator.
    Log(Line),
    /// The last frame: why the worker leaves.
    Ending(Ending),
    /// What the model computes on is there; its memory comes next, then `Opened`.
    DeviceOpen,
    /// Which walls around the worker this system cannot have, each a clause; before anything of the model.
    WallsMissing(Vec<String>),
}

/// What a worker computes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ComputesOn {
    #[default]
    Processor,
    Card {
        card: CardId,
        /// The driver's library, where it is not to be found by its name.
        library: Option<PathBuf>,
    },
}

impl ComputesOn {
    /// The card, if it is one.
    #[must_use]
    pub fn card(&self) -> Option<CardId> {
        match self {
            Self::Processor => None,
            Self::Card { card, .. } => Some(*card),
        }
    }
}

/// A card as the configuration names it; shown as `cuda:0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardId {
    pub driver: CardDriver,
    /// From 0, as the driver counts.
    pub index: u32,
}

impl fmt::Display for CardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let driver = match self.driver {
            CardDriver::Cuda => "cuda",
            CardDriver::Hip => "hip",
            CardDriver::Vulkan => "vulkan",
        };
        write!(f, "{driver}:{}", self.index)
    }
}

/// How a card is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CardDriver {
    /// NVIDIA's driver.
    Cuda,
    /// AMD's runtime.
    Hip,
    /// Any card's driver for Vulkan.
    Vulkan,
}

/// How to open a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// The plugin's name, for messages.
    pub plugin: String,
    /// The component compiled ahead, in the agent's own cache.
    pub compiled: PathBuf,
    /// The model's files; the first is the one that the operator named.
    pub files: Vec<FileSource>,
    /// A smaller model's file that may guess tokens ahead.
    pub draft: Option<FileSource>,
    pub settings: Settings,
    /// How many kernel threads; `None`: one for each core that the process may use.
    pub threads: Option<u32>,
    pub computes_on: ComputesOn,
    /// How much memory caches, buffers and copied weights may take, in bytes; `None`: what the machine has free.
    pub memory_bytes: Option<u64>,
    pub timeouts: Timeouts,
}

/// How long a plugin may run. The defaults are those of `limits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    pub open: Duration,
    /// The plugin's own time in one step, kernels not counted.
    pub step: Duration,
    /// `submit`, `tokenize` and `detokenize`.
    pub submit: Duration,
    /// How long a worker with living requests may give no sign.
    pub stall: Duration,
    /// The same on a card, whose driver may never return; twice that for a card to be opened.
    pub device: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            open: OPEN_TIMEOUT,
            step: STEP_TIMEOUT,
            submit: SUBMIT_TIMEOUT,
            stall: STALL_TIMEOUT,
            device: DEVICE_TIMEOUT,
        }
    }
}

/// Where a model file comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileSource {
    /// A file of the catalogue, and where what is packed of it for the processor is kept.
    Stored {
        /// The file.
        path: PathBuf,
        /// Its packed form; it need not be there.
        packed: PathBuf,
    },
    /// A file on disk; must be a regular file.
    Path(PathBuf),
}

/// A model that is ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    pub info: ModelInfo,
    /// What it computes on, for people.
    pub device: String,
    /// The kind of that: `cpu`, or as the scheduler's devices have it.
    pub computes_on: String,
    /// How much less of the card's memory is free than before, in bytes; none on the processor.
    pub card_bytes: Option<u64>,
    /// How long opening took, in milliseconds.
    pub took_ms: u64,
}

/// An event and the request that it belongs to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tagged {
    pub request: u64,
    pub event: Event,
}

/// What a worker has used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerStats {
    pub steps: u64,
    /// Time spent inside `step`, in microseconds.
    pub step_us: u64,
    /// The plugin's own memory now, in bytes.
    pub guest_memory_bytes: u64,
    /// Caches, buffers and copied weights now, in bytes.
    pub host_memory_bytes: u64,
    /// Weights mapped from files, in bytes.
    pub mapped_bytes: u64,
}

/// A line that a plugin wrote: at most 4 KiB, control characters escaped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub level: LineLevel,
    pub text: String,
    /// How many lines before this one were over the rate limit and dropped.
    pub dropped: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LineLevel {
    Debug,
    Info,
    Warn,
    Error,
}

/// Why a worker leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// It was asked to and every request had finished.
    Drained,
    /// It could not go on: the plugin trapped, ran too long or grew too large. One sentence for people.
    Fault(String),
    /// What it computes on failed. One sentence for people.
    Device(String),
}
