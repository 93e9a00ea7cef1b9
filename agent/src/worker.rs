//! The worker process: one loaded model, driven from one thread.
//!
//! Decides in which order messages are taken and steps are made, and that nothing goes on after a fault. Refuses to
//! know who asks and why: the agent (`fleet`) is at the other end of the socket that is this process's standard input.
//!
//! One thread does everything that is not a kernel: it waits for a message while no request lives, and takes what
//! has arrived between two steps while one does. What a step yielded leaves as one frame.

pub(crate) mod confine;
mod drive;
mod link;
mod open;

use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use self::link::{Link, Lost};
use self::open::NotOpen;
use crate::limits::DRIVER_STACK_BYTES;
use crate::protocol::{Ending, FromWorker, ToWorker, VERSION};

/// Runs a worker on the socket at standard input until the agent is done with it, or gone.
pub fn main() -> ExitCode {
    let driver = std::thread::Builder::new()
        .name("driver".to_owned())
        .stack_size(DRIVER_STACK_BYTES)
        .spawn(run);
    let ended = match driver.map(std::thread::JoinHandle::join) {
        Ok(Ok(ended)) => ended,
        // The panic has been printed where it happened.
        Ok(Err(_)) => return ExitCode::from(101),
        Err(error) => Err(error.to_string()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody may be listening, and the exit code says the same.
            let _ = writeln!(std::io::stderr(), "skep worker: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    confine::this_process().map_err(|error| format!("could not confine this process: {error}"))?;
    let socket = std::io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map_err(|error| error.to_string())?;
    if rustix::net::sockopt::socket_domain(&socket) != Ok(rustix::net::AddressFamily::UNIX) {
        return Err("this command is started by the agent: run `skep up`".to_owned());
    }
    let mut link = Link::new(UnixStream::from(socket));
    match serve(&mut link) {
        // The agent is gone, and with it whoever could be told.
        Err(Lost::Closed) => Ok(()),
        Err(error) => Err(error.to_string()),
        Ok(()) => Ok(()),
    }
}

fn serve(link: &mut Link) -> Result<(), Lost> {
    link.send(&FromWorker::Hello { version: VERSION })?;
    link.flush()?;
    match link.wait()? {
        ToWorker::Hello { version: VERSION } => {}
        _ => return Err(Lost::Protocol("the agent is of another version")),
    }
    let ToWorker::Open(open) = link.wait()? else {
        return Err(Lost::Protocol("the agent did not say what to open"));
    };
    let mut model = match open::model(&open, link) {
        Ok((model, opened)) => {
            link.send(&FromWorker::Opened(Box::new(opened)))?;
            link.flush()?;
            model
        }
        Err(NotOpen::Refused(refusal)) => {
            link.send(&refusal)?;
            return link.flush();
        }
        Err(NotOpen::Lost(lost)) => return Err(lost),
    };
    drop(open);
    let ending = drive::drive(&mut model, link)?;
    for line in model.take_lines() {
        link.send(&FromWorker::Log(line))?;
    }
    let device_failed = matches!(ending, Ending::Device(_));
    link.send(&FromWorker::Ending(ending))?;
    link.flush()?;
    if device_failed {
        // Its driver may never come back from giving memory back; the system does that for a process that is gone.
        std::mem::forget(model);
    }
    Ok(())
}

impl From<crate::host::Fault> for Ending {
    fn from(fault: crate::host::Fault) -> Self {
        match fault {
            crate::host::Fault::Device(why) => Self::Device(why),
            fault => Self::Fault(fault.to_string()),
        }
    }
}
