//! The service's end of the socket: whole messages in, frames out, several at once where they come so. Decides nothing.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream as Blocking;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::confine::ConfineError;
use crate::limits::{READ_BYTES, SERVICE_OUTBOX};
use crate::protocol::{Decoder, FrameError, FromService, ToService, encode};

/// The socket before there is anything but one thread.
pub(super) struct Wire {
    socket: Blocking,
    decoder: Decoder,
}

/// What comes in.
pub(super) struct Inbox {
    socket: OwnedReadHalf,
    decoder: Decoder,
}

/// What goes out, in order. Whoever sends waits for room.
pub(super) struct Outbox {
    sender: mpsc::Sender<FromService>,
    writer: JoinHandle<Result<(), Lost>>,
}

/// Why the agent cannot be heard any more. The service leaves.
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    #[error("the agent closed the socket")]
    Closed,
    #[error("{0}")]
    Protocol(&'static str),
    #[error("could not confine this process")]
    Unconfined(#[source] ConfineError),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Socket(#[from] io::Error),
}

impl Wire {
    pub(super) fn new(socket: Blocking) -> Self {
        Self {
            socket,
            decoder: Decoder::default(),
        }
    }

    pub(super) fn wait(&mut self) -> Result<ToService, Lost> {
        loop {
            if let Some(message) = self.decoder.decode()? {
                return Ok(message);
            }
            let mut piece = [0; 4_096];
            match self.socket.read(&mut piece)? {
                0 => return Err(Lost::Closed),
                read => self
                    .decoder
                    .space()
                    .extend_from_slice(piece.get(..read).unwrap_or_default()),
            }
        }
    }

    pub(super) fn send(&mut self, message: &FromService) -> Result<(), Lost> {
        let mut frame = Vec::new();
        encode(message, &mut frame)?;
        Ok(self.socket.write_all(&frame)?)
    }

    /// From now on nothing waits for the socket alone.
    pub(super) fn split(self) -> Result<(Inbox, Outbox), Lost> {
        self.socket.set_nonblocking(true)?;
        let (reader, writer) = UnixStream::from_std(self.socket)?.into_split();
        let inbox = Inbox {
            socket: reader,
            decoder: self.decoder,
        };
        let (sender, queue) = mpsc::channel(SERVICE_OUTBOX);
        let writer = tokio::spawn(write(writer, queue));
        Ok((inbox, Outbox { sender, writer }))
    }
}

impl Inbox {
    /// The next message. What has come of one is kept when the wait for it is dropped.
    pub(super) async fn next(&mut self) -> Result<ToService, Lost> {
        loop {
            if let Some(message) = self.decoder.decode()? {
                return Ok(message);
            }
            let buffer = self.decoder.space();
            buffer.reserve(READ_BYTES);
            match self.socket.read_buf(buffer).await {
                Ok(0) => return Err(Lost::Closed),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Err(Lost::Closed);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Outbox {
    pub(super) fn sender(&self) -> mpsc::Sender<FromService> {
        self.sender.clone()
    }

    pub(super) async fn send(&self, message: FromService) {
        // The writer ends only with the socket, which the reader notices.
        let _ = self.sender.send(message).await;
    }

    /// Waits until everything is written. Nobody else may hold a sender any more.
    pub(super) async fn close(self) -> Result<(), Lost> {
        drop(self.sender);
        match self.writer.await {
            Ok(written) => written,
            Err(_) => Err(Lost::Protocol("the writer panicked")),
        }
    }
}

async fn write(
    mut socket: OwnedWriteHalf,
    mut queue: mpsc::Receiver<FromService>,
) -> Result<(), Lost> {
    let (mut messages, mut frames) = (Vec::new(), Vec::new());
    while queue.recv_many(&mut messages, SERVICE_OUTBOX).await > 0 {
        for message in together(messages.drain(..)) {
            encode(&message, &mut frames)?;
        }
        match socket.write_all(&frames).await {
            Ok(()) => frames.clear(),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Err(Lost::Closed),
            Err(error) => return Err(error.into()),
        }
        // One large answer must not hold its memory for ever.
        frames.shrink_to(READ_BYTES);
    }
    Ok(())
}

/// Events that follow each other go in one frame.
fn together(messages: impl Iterator<Item = FromService>) -> Vec<FromService> {
    let (mut together, mut bytes): (Vec<FromService>, usize) = (Vec::new(), 0);
    for message in messages {
        let size: usize = match &message {
            FromService::Events(events) => events.iter().map(|e| e.event.size_bytes()).sum(),
            _ => 0,
        };
        match (together.last_mut(), message) {
            (Some(FromService::Events(last)), FromService::Events(events))
                if bytes + size <= FRAME_EVENTS_BYTES =>
            {
                last.extend(events);
                bytes += size;
            }
            (_, message) => {
                together.push(message);
                bytes = size;
            }
        }
    }
    together
}

/// Far below what a frame may have.
const FRAME_EVENTS_BYTES: usize = 1 << 20;
