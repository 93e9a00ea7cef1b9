//! The agent's end of one worker's socket: what is queued goes out, what comes in is handed out.
//!
//! Decides when a worker counts as hung. Frames are coalesced both ways: one write takes what all requests queued
//! meanwhile, one read brings what a step gave to all of them.

use std::future::pending;
use std::io;
use std::time::{Duration, Instant};

use tokio::io::Interest;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::handshake::Worker;
use super::replica::Replica;
use super::status::ReplicaState;
use super::wire::{Answer, Wire};
use crate::limits::{READ_BYTES, STALL_CHECK};
use crate::protocol::{Ending, FrameError, FromWorker, Line, LineLevel, ToWorker};

/// Why a worker's socket is not served any more.
#[derive(Debug)]
pub(super) enum Parted {
    /// Its own last word.
    Ending(Ending),
    /// It closed the socket, or broke it.
    Closed(String),
    /// Requests live and it gave no sign for too long.
    Hung,
    /// It was to drain and did not in time.
    Overdue,
}

/// Serves the socket until it is over.
pub(super) async fn serve(
    replica: &Replica,
    worker: &mut Worker,
    wire: &Wire,
    orders: &mut watch::Receiver<Option<Instant>>,
    stall: Duration,
) -> Parted {
    let mut link = Link {
        replica,
        wire,
        writing: Vec::new(),
        written: 0,
        wakers: Vec::new(),
        heard: Instant::now(),
    };
    let mut check = tokio::time::interval(STALL_CHECK);
    check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut deadline = None;
    loop {
        match link.exchange(worker).await {
            Ok(None) => {}
            Ok(Some(ending)) => return Parted::Ending(ending),
            Err(error) => return Parted::Closed(error.to_string()),
        }
        let interest = if link.is_blocked() {
            Interest::READABLE | Interest::WRITABLE
        } else {
            Interest::READABLE
        };
        let overdue = async {
            match deadline {
                Some(deadline) => {
                    tokio::time::sleep_until(tokio::time::Instant::from_std(deadline)).await
                }
                None => pending().await,
            }
        };
        tokio::select! {
            ready = worker.stream.ready(interest) => if let Err(error) = ready {
                return Parted::Closed(error.to_string());
            },
            () = wire.written.notified() => {}
            _ = check.tick() => if link.is_hung(stall) {
                return Parted::Hung;
            },
            order = orders.wait_for(|order| *order != deadline) => {
                let first = deadline.is_none();
                deadline = order.ok().and_then(|order| *order);
                if first {
                    replica.set_state(ReplicaState::Draining);
                    wire.close(&format!("the model `{}` is being unloaded", replica.model()));
                    // A full outbox means a stuck worker; the deadline ends it.
                    let _ = wire.send(&ToWorker::Drain);
                }
            }
            () = overdue => return Parted::Overdue,
        }
    }
}

/// Reads in a row after which others on this thread get their turn.
const READS_BEFORE_YIELD: u32 = 16;

struct Link<'a> {
    replica: &'a Replica,
    wire: &'a Wire,
    /// What is being written, and how much of it is.
    writing: Vec<u8>,
    written: usize,
    wakers: Vec<std::task::Waker>,
    /// When the worker last gave a sign.
    heard: Instant,
}

impl Link<'_> {
    /// Writes and reads until neither goes on without waiting.
    async fn exchange(&mut self, worker: &mut Worker) -> io::Result<Option<Ending>> {
        let mut reads = 0_u32;
        loop {
            self.write(worker)?;
            worker.inbox.space().reserve(READ_BYTES);
            match worker.stream.try_read_buf(worker.inbox.space()) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            }
            self.heard = Instant::now();
            while let Some(message) = worker.inbox.decode().map_err(broken)? {
                if let Some(ending) = self.handle(message) {
                    return Ok(Some(ending));
                }
            }
            reads += 1;
            if reads.is_multiple_of(READS_BEFORE_YIELD) {
                tokio::task::yield_now().await;
            }
        }
    }

    fn write(&mut self, worker: &Worker) -> io::Result<()> {
        loop {
            if !self.is_blocked() {
                self.writing.clear();
                self.writing.shrink_to(READ_BYTES);
                self.written = 0;
                self.wire.take_outbox(&mut self.writing);
                if self.writing.is_empty() {
                    return Ok(());
                }
            }
            match worker
                .stream
                .try_write(self.writing.get(self.written..).unwrap_or_default())
            {
                Ok(written) => self.written += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // What the worker said before it left is still to be read.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    self.written = self.writing.len();
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn is_blocked(&self) -> bool {
        self.written < self.writing.len()
    }

    fn handle(&mut self, message: FromWorker) -> Option<Ending> {
        match message {
            FromWorker::Events { events, load } => {
                self.wire.deliver(events, load, &mut self.wakers)
            }
            FromWorker::Tokens { call, result } => self.wire.answer(call, Answer::Tokens(result)),
            FromWorker::Text { call, result } => self.wire.answer(call, Answer::Text(result)),
            FromWorker::Stats { call, stats } => self.wire.answer(call, Answer::Stats(stats)),
            FromWorker::Log(line) => write_line(self.replica, &line),
            FromWorker::Ending(ending) => return Some(ending),
            FromWorker::Hello { .. }
            | FromWorker::DeviceOpen
            | FromWorker::WallsMissing(_)
            | FromWorker::Opened(_)
            | FromWorker::OpenFailed(_)
            | FromWorker::Stale => {
                return Some(Ending::Fault("the worker spoke out of turn".to_owned()));
            }
        }
        None
    }

    fn is_hung(&mut self, limit: Duration) -> bool {
        let (living, _) = self.wire.fill();
        if living == 0 {
            self.heard = Instant::now();
        }
        self.heard.elapsed() > limit
    }
}

/// Passes on what a plugin wrote for the operator.
pub(super) fn write_line(replica: &Replica, line: &Line) {
    let (model, plugin, text) = (
        replica.model(),
        replica.plugin.name.as_str(),
        line.text.as_str(),
    );
    if line.dropped > 0 {
        tracing::warn!(target: "skep::plugin", model, plugin, "{} lines over the limit were dropped", line.dropped);
    }
    match line.level {
        LineLevel::Debug => tracing::debug!(target: "skep::plugin", model, plugin, "{text}"),
        LineLevel::Info => tracing::info!(target: "skep::plugin", model, plugin, "{text}"),
        LineLevel::Warn => tracing::warn!(target: "skep::plugin", model, plugin, "{text}"),
        LineLevel::Error => tracing::error!(target: "skep::plugin", model, plugin, "{text}"),
    }
}

fn broken(error: FrameError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
