//! The worker's end of the socket: whole messages in, coalesced frames out. Decides nothing.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;

use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::RecvFlags;

use crate::protocol::{Decoder, FrameError, FromWorker, ToWorker, encode};

/// How much is read at once: some hundred requests.
const READ_BYTES: usize = 64 << 10;

pub(super) struct Link {
    socket: UnixStream,
    inbox: Decoder,
    outbox: Vec<u8>,
}

/// Why the agent cannot be heard any more. The worker leaves.
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    #[error("the agent closed the socket")]
    Closed,
    #[error("{0}")]
    Protocol(&'static str),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Socket(#[from] io::Error),
}

impl Link {
    pub(super) fn new(socket: UnixStream) -> Self {
        Self {
            socket,
            inbox: Decoder::default(),
            outbox: Vec::new(),
        }
    }

    /// The next message; waits for it.
    pub(super) fn wait(&mut self) -> Result<ToWorker, Lost> {
        loop {
            if let Some(message) = self.inbox.decode()? {
                return Ok(message);
            }
            self.read(RecvFlags::empty())?;
        }
    }

    /// The next message that has arrived already.
    pub(super) fn poll(&mut self) -> Result<Option<ToWorker>, Lost> {
        loop {
            if let Some(message) = self.inbox.decode()? {
                return Ok(Some(message));
            }
            if !self.read(RecvFlags::DONTWAIT)? {
                return Ok(None);
            }
        }
    }

    /// Queues a frame.
    pub(super) fn send(&mut self, message: &FromWorker) -> Result<(), Lost> {
        Ok(encode(message, &mut self.outbox)?)
    }

    /// Writes what is queued.
    pub(super) fn flush(&mut self) -> Result<(), Lost> {
        match self.socket.write_all(&self.outbox) {
            Ok(()) => self.outbox.clear(),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Err(Lost::Closed),
            Err(error) => return Err(error.into()),
        }
        // One large answer must not hold its memory for ever.
        self.outbox.shrink_to(READ_BYTES);
        Ok(())
    }

    /// Whether anything came.
    fn read(&mut self, flags: RecvFlags) -> Result<bool, Lost> {
        let buffer = self.inbox.space();
        buffer.reserve(READ_BYTES);
        loop {
            return match rustix::net::recv(&self.socket, spare_capacity(buffer), flags) {
                Ok((0, _)) => Err(Lost::Closed),
                Ok(_) => Ok(true),
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => Ok(false),
                Err(Errno::CONNRESET) => Err(Lost::Closed),
                Err(errno) => Err(Lost::Socket(errno.into())),
            };
        }
    }
}
