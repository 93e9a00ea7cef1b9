//! The worker process: one loaded model, driven from one thread.
//!
//! Decides in which order messages are taken and steps are made, and that nothing goes on after a fault. Refuses to
//! know who asks and why: the agent (`fleet`) is at the other end of the socket that is this process's standard input.
//!
//! What is to be opened is heard by the process's first thread, which then raises the walls (`confine`): all that follows,
//! from the first byte of a model file to the last of a driver, is behind them.
//!
//! One thread does everything that is not a kernel: it waits for a message while no request lives, and takes what
//! has arrived between two steps while one does. What a step yielded leaves as one frame.

mod drive;
mod link;
mod open;

use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use self::link::{Link, Lost};
use self::open::{NotOpen, Sources};
use crate::confine::{self, ConfineError, Walls};
use crate::limits::DRIVER_STACK_BYTES;
use crate::protocol::{Ending, FromWorker, Open, ToWorker, VERSION};

/// Runs a worker on the socket at standard input until the agent is done with it, or gone.
pub fn main() -> ExitCode {
    let ended = begin().and_then(|ready| match ready {
        Some(ready) => drive_apart(ready),
        None => Ok(ExitCode::SUCCESS),
    });
    match ended {
        Ok(code) => code,
        Err(error) => {
            // Nobody may be listening, and the exit code says the same.
            let _ = writeln!(std::io::stderr(), "skep worker: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Raises the walls of a worker that computes on the processor, and prints as JSON which of them stand here.
pub fn try_walls() -> ExitCode {
    let standing = confine::begin().and_then(|()| Walls::default().raise());
    let said = standing.map_err(|error| error.to_string()).and_then(|it| {
        let text = serde_json::to_string(&it).map_err(|error| error.to_string())?;
        writeln!(std::io::stdout(), "{text}").map_err(|error| error.to_string())
    });
    match said {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "skep worker: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What is to be opened, with its files open and the walls up.
struct Ready {
    link: Link,
    open: Box<Open>,
    sources: Sources,
}

/// `None` when the agent was told why there will be no model, or is gone.
fn begin() -> Result<Option<Ready>, String> {
    confine::begin().map_err(|error| open::chain(&error))?;
    let socket = std::io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map_err(|error| error.to_string())?;
    if rustix::net::sockopt::socket_domain(&socket) != Ok(rustix::net::AddressFamily::UNIX) {
        return Err("this command is started by the agent: run `skep up`".to_owned());
    }
    match listen(Link::new(UnixStream::from(socket))) {
        // The agent is gone, and with it whoever could be told.
        Err(NotReady::Lost(Lost::Closed)) => Ok(None),
        Err(NotReady::Lost(error)) => Err(error.to_string()),
        Err(NotReady::Confine(error)) => Err(format!(
            "could not confine this process: {}",
            open::chain(&error)
        )),
        Ok(ready) => Ok(ready),
    }
}

#[derive(Debug, thiserror::Error)]
enum NotReady {
    #[error(transparent)]
    Lost(#[from] Lost),
    #[error(transparent)]
    Confine(#[from] ConfineError),
}

fn listen(mut link: Link) -> Result<Option<Ready>, NotReady> {
    link.send(&FromWorker::Hello { version: VERSION })?;
    link.flush()?;
    match link.wait()? {
        ToWorker::Hello { version: VERSION } => {}
        _ => return Err(Lost::Protocol("the agent is of another version").into()),
    }
    let ToWorker::Open(open) = link.wait()? else {
        return Err(Lost::Protocol("the agent did not say what to open").into());
    };
    let sources = match Sources::open(&open) {
        Ok(sources) => sources,
        Err(error) => {
            link.send(&FromWorker::OpenFailed(error))?;
            link.flush()?;
            return Ok(None);
        }
    };
    let standing = sources.walls(&open).raise()?;
    if !standing.missing.is_empty() {
        link.send(&FromWorker::WallsMissing(standing.missing))?;
    }
    Ok(Some(Ready {
        link,
        open,
        sources,
    }))
}

/// On a thread with a stack for the plugin.
fn drive_apart(ready: Ready) -> Result<ExitCode, String> {
    let driver = std::thread::Builder::new()
        .name("driver".to_owned())
        .stack_size(DRIVER_STACK_BYTES)
        .spawn(move || serve(ready));
    match driver.map(std::thread::JoinHandle::join) {
        Ok(Ok(Ok(()) | Err(Lost::Closed))) => Ok(ExitCode::SUCCESS),
        Ok(Ok(Err(error))) => Err(error.to_string()),
        // The panic has been printed where it happened.
        Ok(Err(_)) => Ok(ExitCode::from(101)),
        Err(error) => Err(error.to_string()),
    }
}

fn serve(ready: Ready) -> Result<(), Lost> {
    let Ready {
        mut link,
        open,
        sources,
    } = ready;
    let link = &mut link;
    let mut model = match open::model(&open, sources, link) {
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
