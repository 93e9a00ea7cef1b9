//! What a worker gives up before it looks at anything: it never outlives the agent, gains no privileges, leaves no core
//! dump of prompts, and stands back when the agent needs the processor.

use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};

/// Lower priority than the agent's, so that the gateway answers while every core computes.
const NICE: i32 = 5;

pub(crate) fn this_process() -> rustix::io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    rustix::thread::set_no_new_privs(true)?;
    rustix::process::setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    )?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    // Some containers forbid it; the worker runs as well without.
    let _ = rustix::process::nice(NICE);
    Ok(())
}
