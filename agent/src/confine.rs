//! The walls around a process that runs somebody else's code: what it can still reach of the machine if that code gets out
//! of WebAssembly, or a driver in it is taken over.
//!
//! Decides which walls there are, in which order they go up, and that one which this system cannot have is told and never
//! stops the start. Refuses to know what the process is for: whoever calls says what it reads, writes and talks to.
//!
//! | wall | what it keeps out | where it is |
//! |---|---|---|
//! | limits | endless files, more descriptors, core dumps of prompts | `bounds` |
//! | network namespace | every network, loopback and abstract sockets included | `network` |
//! | Landlock | files that were not named; TCP; signals to others | `files` |
//! | privileges | what being root would allow | here |
//! | seccomp | every system call that computing does not need | `calls` |
//!
//! They are raised by a process of one thread, so that each thread made later is behind them. What was opened before stays
//! open; that is how a worker reads a model without being able to name a file.

mod bounds;
mod calls;
mod files;
mod inherited;
mod network;
mod nodes;

use std::io;
use std::path::PathBuf;

use rustix::process::{DumpableBehavior, Signal};
use rustix::thread::{CapabilitySet, CapabilitySets};
use serde::{Deserialize, Serialize};

pub use self::files::libraries_beside;

/// What a process behind the walls may still do. The default is to compute, and to use what it has open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walls {
    /// Whether it may make connections outwards; nobody can ever connect to it.
    pub network: bool,
    /// Files, and folders with all that is in them, that it may read. One that is not there is passed over.
    pub read: Vec<PathBuf>,
    /// Folders in which it may make, write, rename and remove plain files.
    pub write: Vec<PathBuf>,
    /// Whether it drives a card: the devices' nodes, and what vendors' libraries read.
    pub devices: bool,
    /// No file that it writes may become longer, in bytes.
    pub file_bytes: u64,
}

/// A wall that can be tried alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wall {
    Network,
    Landlock,
    Seccomp,
}

/// Which walls stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// By their names.
    pub walls: Vec<String>,
    /// What this system could not do, each a clause for people.
    pub missing: Vec<String>,
}

/// Why no wall was raised.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// A thread that is there already would stay outside.
    #[error("{0} threads run already; walls are raised by a process of one")]
    Threads(usize),
    /// What needs nothing of the system was refused all the same.
    #[error("could not {what}")]
    System {
        what: &'static str,
        #[source]
        source: io::Error,
    },
}

impl ConfineError {
    fn system(what: &'static str) -> impl FnOnce(rustix::io::Errno) -> Self {
        move |errno| Self::System {
            what,
            source: errno.into(),
        }
    }
}

/// What any child of the agent gives up before it looks at anything: it never outlives the agent, keeps nothing open that
/// whoever started the agent had open, leaves no core dump of prompts, and stands back when the agent needs the processor.
/// It comes before the process opens anything of its own.
///
/// # Errors
/// When the system refuses what it never refuses.
pub fn begin() -> Result<(), ConfineError> {
    die_with_parent()?;
    inherited::close();
    bounds::no_core().map_err(ConfineError::system("forbid core dumps"))?;
    hide()?;
    // Some containers forbid it; the worker runs as well without.
    let _ = rustix::process::nice(NICE);
    Ok(())
}

impl Walls {
    /// Raises them around this process, for good. What the system lacks is in [`Standing::missing`].
    ///
    /// # Errors
    /// [`ConfineError`] when no wall can be relied on; the process should end.
    pub fn raise(&self) -> Result<Standing, ConfineError> {
        let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
        if threads > 1 {
            return Err(ConfineError::Threads(threads));
        }
        if self.devices {
            nodes::make();
        }
        let mut standing = Standing::default();
        bounds::set(self).map_err(ConfineError::system("limit this process"))?;
        standing.note("limits", Ok(()));
        if !self.network {
            standing.note("network namespace", network::leave());
        }
        rustix::thread::set_no_new_privs(true)
            .map_err(ConfineError::system("give up new privileges"))?;
        standing.note("Landlock", files::restrict(self));
        let none = CapabilitySets {
            effective: CapabilitySet::empty(),
            permitted: CapabilitySet::empty(),
            inheritable: CapabilitySet::empty(),
        };
        rustix::thread::set_capabilities(None, none)
            .map_err(ConfineError::system("give up privileges"))?;
        standing.note("privileges", Ok(()));
        // A namespace and fewer privileges may have undone both.
        hide()?;
        die_with_parent()?;
        standing.note("seccomp", calls::filter(self));
        Ok(standing)
    }
}

impl Walls {
    /// Raises one of them alone, to show that it holds without the others.
    ///
    /// # Errors
    /// What this system cannot do, as a clause.
    pub fn raise_one(&self, wall: Wall) -> Result<(), String> {
        match wall {
            Wall::Network => network::leave(),
            Wall::Landlock => files::restrict(self),
            Wall::Seccomp => calls::filter(self),
        }
    }
}

impl Default for Walls {
    fn default() -> Self {
        Self {
            network: false,
            read: Vec::new(),
            write: Vec::new(),
            devices: false,
            file_bytes: crate::limits::CONFINED_FILE_BYTES,
        }
    }
}

impl Standing {
    fn note(&mut self, wall: &str, raised: Result<(), String>) {
        match raised {
            Ok(()) => self.walls.push(wall.to_owned()),
            Err(why) => self.missing.push(format!("{wall}: {why}")),
        }
    }
}

fn die_with_parent() -> Result<(), ConfineError> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(ConfineError::system("tie this process to its parent"))
}

/// From debuggers and core dumps, also of this user.
fn hide() -> Result<(), ConfineError> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(ConfineError::system("hide this process from others"))
}

/// Lower priority than the agent's, so that the gateway answers while every core computes.
const NICE: i32 = 5;
