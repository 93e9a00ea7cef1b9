//! The WebAssembly host: the only part that names wasmtime.
//!
//! Decides what a component may import, how long and how large it may get, and how its types map to
//! ours. Refuses to know processes and sockets (`worker`, `fleet`), and which plugin serves what.
//!
//! An engine component runs in a worker (`Model`), under epochs, with `log`, `files`, `compute` and
//! an empty WASI. A scheduler component runs in the agent (`Scheduler`), under fuel, with no imports
//! at all; so does a step of a setup (`Installer`), with an instance for each call. An adapter or notifier runs in a service (`ServicePlugin`), one store for each call, with `log`, `secrets`,
//! `mail`, and HTTP that leaves by `egress`. All are compiled ahead by `compiler`, in another process.

mod compute;
mod engine;
mod fault;
mod files;
#[cfg(any(test, fuzzing))]
pub mod fuzzed;
mod inspect;
pub mod installer;
mod load;
mod log;
mod runtime;
pub mod scheduler;
mod service;
mod state;
mod ticker;
mod wasi;

pub use engine::{Model, OpenError, Opening};
pub use fault::Fault;
pub use files::SourceFile;
pub(crate) use inspect::hex;
pub use inspect::{InspectError, Inspection, inspect};
pub use installer::{Installer, InstallerLoadError};
pub(crate) use log::Pen;
pub use log::printable;

pub use runtime::{World, precompile};
pub use scheduler::{Known, Scheduler, SchedulerLoadError};
pub use service::{CallError, Exchange, Pulling, ServiceLoadError, ServiceParts, ServicePlugin};
