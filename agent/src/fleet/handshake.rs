//! Starting a worker and opening the model in it.
//!
//! Decides what a worker process gets (a socket and nothing else) and how long it may take to become ready.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use super::Shared;
use super::cries;
use super::link::write_line;
use super::replica::Replica;
use crate::limits::{EXIT_TIMEOUT, HANDSHAKE_SLACK, REAP_TIMEOUT};
use crate::protocol::{
    ComputesOn, Decoder, Ending, Error, FromWorker, Open, Opened, ToWorker, VERSION, encode,
};

/// A worker process and the agent's end of its socket.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) child: Child,
    pub(super) stream: UnixStream,
    pub(super) inbox: Decoder,
}

/// Why a worker did not become ready.
#[derive(Debug)]
pub(super) enum NotOpened {
    /// Its compiled component has to be made again.
    Stale,
    Refused(Error),
    Died(String),
    /// By a fault of what it computes on.
    Device(String),
}

/// How a worker's process ended.
#[derive(Debug)]
pub(super) struct Epitaph {
    pub(super) why: String,
    /// Whether it was ended by a signal that speaks against what it computes on, if that is a card: a driver runs in the
    /// worker's process, and takes it along.
    pub(super) crashed: bool,
}

impl Worker {
    /// Starts the process. It inherits no environment and no terminal, and leaves with the agent.
    pub(super) async fn start(shared: &Shared, replica: &Arc<Replica>) -> io::Result<Self> {
        let (mut child, stream) = launch(shared, "worker").await?;
        if let Some(said) = child.stderr.take() {
            let replica = Arc::clone(replica);
            tokio::spawn(cries::pass_on(said, move |line| write_line(&replica, line)));
        }
        Ok(Self {
            child,
            stream,
            inbox: Decoder::default(),
        })
    }

    /// Opens the model. On an error the process has ended.
    pub(super) async fn open(
        &mut self,
        replica: &Replica,
        open: Open,
    ) -> Result<Opened, NotOpened> {
        let on_card = matches!(open.computes_on, ComputesOn::Card { .. });
        let died = if on_card {
            NotOpened::Device
        } else {
            NotOpened::Died
        };
        let whole = open.timeouts.open.saturating_add(HANDSHAKE_SLACK);
        // Opening a card may also translate kernels for it, which takes longer than a step.
        let device = open.timeouts.device.saturating_mul(2);
        let limits = [(device, "what it computes on"), (whole, "the model")];
        let begun = self.begin(open).await;
        let mut outcome = begun.map(|()| FromWorker::DeviceOpen);
        for (limit, what) in limits.into_iter().skip(usize::from(!on_card)) {
            if !matches!(outcome, Ok(FromWorker::DeviceOpen)) {
                break;
            }
            match tokio::time::timeout(limit, self.converse(replica, on_card)).await {
                Ok(answer) => outcome = answer,
                Err(_) => {
                    self.kill().await;
                    return Err(died(too_long(what, limit)));
                }
            }
        }
        match outcome {
            Ok(FromWorker::Opened(opened)) => Ok(*opened),
            Ok(FromWorker::OpenFailed(error)) => Err(self.after(NotOpened::Refused(error)).await),
            Ok(FromWorker::Stale) => Err(self.after(NotOpened::Stale).await),
            Ok(FromWorker::Ending(Ending::Fault(why))) => {
                Err(self.after(NotOpened::Died(why)).await)
            }
            Ok(FromWorker::Ending(Ending::Device(why))) => {
                Err(self.after(NotOpened::Device(why)).await)
            }
            Ok(_) => Err(self
                .after(NotOpened::Died("the worker spoke out of turn".to_owned()))
                .await),
            Err(error) => {
                let end = self.epitaph().await;
                let crashed = end.as_ref().is_some_and(|end| end.crashed);
                let why = end.map_or_else(|| error.to_string(), |end| end.why);
                Err(if crashed {
                    died(why)
                } else {
                    NotOpened::Died(why)
                })
            }
        }
    }

    /// Why the process ended, if it has or soon does; otherwise it is killed.
    pub(super) async fn epitaph(&mut self) -> Option<Epitaph> {
        match tokio::time::timeout(EXIT_TIMEOUT, self.child.wait()).await {
            Ok(Ok(status)) => Some(describe(status)),
            Ok(Err(_)) => None,
            Err(_) => {
                self.kill().await;
                None
            }
        }
    }

    /// Kills the process and waits a while for its end; the runtime reaps what ends later.
    pub(super) async fn kill(&mut self) {
        // It may have ended by itself, and then there is nothing to kill.
        let ended = tokio::time::timeout(REAP_TIMEOUT, self.child.kill()).await;
        if let (Err(_), Some(pid)) = (ended, self.child.id()) {
            tracing::warn!(
                pid,
                "a worker was killed and does not end: a driver holds it; if it stays, only a restart of the machine helps"
            );
        }
    }

    async fn after(&mut self, outcome: NotOpened) -> NotOpened {
        self.epitaph().await;
        outcome
    }

    /// Says what to open.
    async fn begin(&mut self, open: Open) -> io::Result<()> {
        let mut frames = Vec::new();
        for message in [
            ToWorker::Hello { version: VERSION },
            ToWorker::Open(Box::new(open)),
        ] {
            encode(&message, &mut frames).map_err(io::Error::other)?;
        }
        self.stream.write_all(&frames).await
    }

    /// Its next word on how that goes; that its device is there only if that is `wanted`.
    async fn converse(&mut self, replica: &Replica, wanted: bool) -> io::Result<FromWorker> {
        loop {
            match self
                .inbox
                .decode::<FromWorker>()
                .map_err(io::Error::other)?
            {
                Some(FromWorker::Hello { version: VERSION }) => {}
                Some(FromWorker::DeviceOpen) if !wanted => {}
                Some(FromWorker::Log(line)) => write_line(replica, &line),
                Some(FromWorker::WallsMissing(walls)) => {
                    for wall in walls.iter().take(WALLS_MAX) {
                        tracing::warn!(model = replica.model(), "its worker lacks a wall: {wall}");
                    }
                }
                Some(answer) => return Ok(answer),
                None => {
                    if self.stream.read_buf(self.inbox.space()).await? == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
            }
        }
    }
}

/// More than there are walls.
const WALLS_MAX: usize = 16;

/// Starts this program as something else, with a socket to it.
pub(super) async fn launch(shared: &Shared, part: &str) -> io::Result<(Child, UnixStream)> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let mut command = Command::new(&shared.executable);
    command
        .arg(part)
        .env_clear()
        // Cards count as `nvidia-smi` counts them, by their place on the bus (CUDA Programming Guide).
        .env("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let child = shared.spawner.spawn(command).await?;
    Ok((child, UnixStream::from_std(ours)?))
}

/// What a replica's worker is to open.
pub(super) fn opening(
    replica: &Replica,
    compiled: std::path::PathBuf,
    timeouts: crate::protocol::Timeouts,
) -> Open {
    let spec = &replica.spec;
    Open {
        plugin: replica.plugin.name.clone(),
        compiled,
        files: spec.files.clone(),
        draft: spec.draft.clone(),
        settings: spec.settings,
        threads: spec.threads,
        computes_on: spec.computes_on.clone(),
        memory_bytes: spec.memory_bytes,
        timeouts,
    }
}

fn too_long(what: &str, limit: Duration) -> String {
    format!(
        "the worker did not open {what} within {:.0} s",
        limit.as_secs_f32()
    )
}

/// How a process ended, for people.
fn describe(status: ExitStatus) -> Epitaph {
    let Some(signal) = status.signal() else {
        let code = status.code().unwrap_or_default();
        return Epitaph {
            why: format!("the worker ended with exit code {code}"),
            crashed: false,
        };
    };
    Epitaph {
        why: signalled(signal),
        crashed: matches!(signal, 6 | 11),
    }
}

fn signalled(signal: i32) -> String {
    let (name, meaning) = match signal {
        4 => (
            "SIGILL",
            "it met an instruction that this processor does not have",
        ),
        6 => ("SIGABRT", "it gave up, most often for lack of memory"),
        7 => (
            "SIGBUS",
            "a model file became shorter while it was in use, or its disk failed",
        ),
        9 => (
            "SIGKILL",
            "somebody killed it, or the system ran out of memory",
        ),
        11 => ("SIGSEGV", "it touched memory that is not its own"),
        15 => ("SIGTERM", "somebody ended it"),
        31 => ("SIGSYS", "it made a system call that it may not make"),
        _ => return format!("the worker died by signal {signal}"),
    };
    format!("the worker died by signal {name}: {meaning}")
}
