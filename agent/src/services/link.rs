//! The agent's end of one service's socket: what is queued goes out, what comes in is handed out, and rights are sent
//! anew as they change.

use std::io;
use std::time::{Duration, Instant};

use skep_core::capability::Capability;
use skep_core::state::PluginDigest;
use tokio::io::{AsyncWriteExt as _, Interest};
use tokio::sync::watch;
use zeroize::Zeroize as _;

use super::Wanted;
use super::child::{Child, write_line};
use super::shared::Shared;
use super::tend::told;
use super::unit::Unit;
use crate::limits::{PLUGIN_CHANGE_WAIT, READ_BYTES, SERVICE_IDLE};
use crate::protocol::{FromService, Rights, ToService, encode};

/// Why a socket is not served any more.
#[derive(Debug)]
pub(super) enum Parted {
    /// Nothing was asked for a while; it was told to leave.
    Idle,
    /// The service is removed.
    Told,
    /// It may not do any more what it needs to.
    Revoked(Vec<Capability>),
    /// Its plugin has another version now, or is gone.
    Replaced,
    /// Its own last word.
    Ending(String),
    /// It closed the socket, or broke it.
    Closed(String),
}

/// What a process was started with.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) plugin: PluginDigest,
    pub(super) wanted: Vec<Wanted>,
    pub(super) rights: Rights,
}

/// Serves the socket until it is over.
pub(super) async fn serve(
    shared: &Shared,
    unit: &Unit,
    child: &mut Child,
    begun: Begun,
    ending: &mut watch::Receiver<bool>,
) -> Parted {
    let Begun {
        plugin,
        wanted,
        rights,
    } = begun;
    let (mut plugins, mut secrets) = (shared.shelf.watch(), shared.secrets.changes());
    let mut link = Link {
        shared,
        plugin,
        unit,
        writing: Vec::new(),
        written: 0,
        wakers: Vec::new(),
    };
    let mut known = rights;
    let mut quiet_since = Instant::now();
    let mut outdated_since = None;
    // What changed while the process started.
    let mut look = true;
    loop {
        if std::mem::take(&mut look) {
            let current = shared.shelf.find(&unit.service.plugin);
            match current {
                Some(current) if current.digest == plugin => outdated_since = None,
                _ => drop(outdated_since.get_or_insert_with(Instant::now)),
            }
            match shared.rights(&unit.service, &wanted) {
                Err(missing) => return Parted::Revoked(missing),
                Ok(rights) if rights != known => {
                    known = rights.clone();
                    if let Err(error) = unit.mailbox.send(&ToService::Rights(rights)) {
                        // What cannot be told what it may do any more must not go on.
                        return Parted::Closed(error.to_string());
                    }
                }
                Ok(_) => {}
            }
        }
        match link.exchange(child).await {
            Ok(None) => {}
            Ok(Some(why)) => return Parted::Ending(why),
            Err(error) => return Parted::Closed(error.to_string()),
        }
        let silence = unit.service.silence();
        let now = Instant::now();
        if let Some(since) = outdated_since
            && (!unit.mailbox.is_busy() || now - since >= PLUGIN_CHANGE_WAIT)
        {
            return Parted::Replaced;
        }
        let wait = if unit.mailbox.is_busy() {
            quiet_since = now;
            unit.mailbox.end_silent(now, silence);
            LOOK
        } else {
            let left = SERVICE_IDLE.saturating_sub(now - quiet_since);
            if left.is_zero() && !link.is_blocked() {
                drain(child).await;
                return Parted::Idle;
            }
            left
        };
        let interest = match link.is_blocked() {
            true => Interest::READABLE | Interest::WRITABLE,
            false => Interest::READABLE,
        };
        tokio::select! {
            ready = child.stream.ready(interest) => if let Err(error) = ready {
                return Parted::Closed(error.to_string());
            },
            () = unit.mailbox.written.notified() => {}
            () = tokio::time::sleep(wait) => {}
            // The senders live as long as the agent.
            _ = plugins.changed() => look = true,
            _ = secrets.changed() => look = true,
            () = told(ending) => return Parted::Told,
        }
    }
}

/// Tells an idle service to leave. What is asked from now on waits for the next.
async fn drain(child: &mut Child) {
    let mut frame = Vec::new();
    if encode(&ToService::Drain, &mut frame).is_ok() {
        // A process that is gone already needs no telling.
        let _ = child.stream.write_all(&frame).await;
    }
}

struct Link<'a> {
    shared: &'a Shared,
    plugin: PluginDigest,
    unit: &'a Unit,
    /// What is being written, and how much of it is.
    writing: Vec<u8>,
    written: usize,
    wakers: Vec<std::task::Waker>,
}

impl Link<'_> {
    /// Writes and reads until neither goes on without waiting; its last word if it had one.
    async fn exchange(&mut self, child: &mut Child) -> io::Result<Option<String>> {
        let mut reads = 0_u32;
        loop {
            self.write(child)?;
            child.inbox.space().reserve(READ_BYTES);
            match child.stream.try_read_buf(child.inbox.space()) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            }
            while let Some(message) = child.inbox.decode().map_err(io::Error::other)? {
                if let Some(why) = self.handle(message) {
                    return Ok(Some(why));
                }
            }
            reads += 1;
            if reads.is_multiple_of(READS_BEFORE_YIELD) {
                tokio::task::yield_now().await;
            }
        }
    }

    fn write(&mut self, child: &Child) -> io::Result<()> {
        loop {
            if !self.is_blocked() {
                // Secrets may have been in it.
                self.writing.zeroize();
                self.writing.shrink_to(WRITE_BYTES_KEPT);
                self.written = 0;
                self.unit.mailbox.take_outbox(&mut self.writing);
                if self.writing.is_empty() {
                    return Ok(());
                }
            }
            let rest = self.writing.get(self.written..).unwrap_or_default();
            match child.stream.try_write(rest) {
                Ok(written) => self.written += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // What it said before it left is still to be read.
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

    fn handle(&mut self, message: FromService) -> Option<String> {
        let Unit {
            service, mailbox, ..
        } = self.unit;
        match message {
            FromService::Log(line) => write_line(service, &line),
            FromService::Fault(why) => {
                tracing::warn!(service = %service.name, plugin = %service.plugin, "a call of a plugin failed: {why}");
                self.unit.note_fault(&why);
                let shelf = &self.shared.shelf;
                shelf.trapped(&service.plugin, self.plugin, &why);
            }
            FromService::Used(used) => self.unit.add_use(&used),
            FromService::Ending(why) => return Some(why),
            FromService::Hello { .. } | FromService::Opened | FromService::Stale => {
                return Some("its process spoke out of turn".to_owned());
            }
            FromService::Models { .. }
            | FromService::Events(_)
            | FromService::Progress { .. }
            | FromService::Done { .. } => mailbox.take_in(message, &mut self.wakers),
        }
        None
    }
}

/// How often living requests are looked at for silence.
const LOOK: Duration = Duration::from_secs(1);

/// Reads in a row after which others on this thread get their turn.
const READS_BEFORE_YIELD: u32 = 16;

/// What a buffer keeps of a large frame.
const WRITE_BYTES_KEPT: usize = 4 << 10;
