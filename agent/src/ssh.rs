//! Machines that are reached over SSH: putting skep there, having it join, and taking it away again.
//!
//! Decides what is done there in which order, what is written down before and after each step, and who is believed
//! to be that machine. Refuses to know what is asked of people (`cli::add`) and how a node joins
//! (`cluster`). This runs in the command of whoever types it, with their keys; the agent knows nothing of it.
//!
//! Whatever is run there is one of a few fixed scripts; what varies goes in as plain words or over
//! standard input, and a token never appears in a command line. What comes back is bounded in size and time.

mod command;
mod error;
mod gatekeeper;
mod install;
mod known;
mod program;
mod record;
mod scripts;
mod session;
mod survey;
mod target;
mod undo;

#[cfg(test)]
mod tests;

pub use self::error::SshError;
pub use self::install::{Installed, Job, Progress, install, steps};
pub use self::known::{HostKey, Known, Verdict};
pub use self::program::{Program, ProgramError};
pub use self::record::{Record, RecordError, Records, Step};
pub use self::session::{Session, Way};
pub use self::survey::{Survey, survey};
pub use self::target::{Target, TargetError};
pub use self::undo::undo;
