//! What an agent and a worker say to each other: the types of `wit/engine.wit` in a form that
//! crosses a socket, and the frames that carry them.
//!
//! Decides the wire format and its bounds. Refuses to know what a frame makes anyone do: the worker
//! (`worker`) and the supervisor (`fleet`) decide that. The gateway uses the model types as its
//! own vocabulary.

mod error;
mod few;
mod frame;
mod message;
mod service;
mod work;
mod yielded;

pub use error::{Error, Invalid};
pub use frame::{Decoder, FrameError, encode};
pub use message::{
    CardDriver, CardId, ComputesOn, Ending, FileSource, FromWorker, Line, LineLevel, Open, Opened,
    Tagged, Timeouts, ToWorker, WorkerStats,
};
pub use service::{
    Alert, FromService, Offer, OpenService, PullProgress, Rights, SecretText, ServiceTimeouts,
    ServiceUse, Severity, ToService,
};
pub use work::{CacheType, Continued, Generation, Message, Prompt, Sampling, Settings, Work};
pub use yielded::{
    Abilities, Candidate, Embedding, Event, Finish, Gain, Load, ModelInfo, TokenLogprob, Usage,
};

/// The version that both ends of a worker's socket must speak. They come from one executable, so a
/// difference means that the executable was replaced under a running agent.
pub const VERSION: u32 = 6;
