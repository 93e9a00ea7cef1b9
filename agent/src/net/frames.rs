//! Whole messages over a stream, each with a bound on its length.

use std::sync::Arc;

use quinn::{RecvStream, SendStream, VarInt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::wire::Priority;
use crate::limits::ASK_BYTES_FREE;
use crate::protocol::{self, Decoder};

/// Why no (further) message came or went.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The connection or the stream is over.
    #[error("the connection to the other node was lost")]
    Lost,
    /// The other node said that it wants no more.
    #[error("the other node ended the exchange")]
    Ended,
    /// The bytes are no message, or one that is too long.
    #[error("the other node sent what is no message: {0}")]
    Malformed(String),
    /// Ours cannot be sent.
    #[error("a message could not be sent: {0}")]
    Encode(#[from] protocol::FrameError),
}

/// The reading half of a stream.
#[derive(Debug)]
pub struct Asked {
    stream: RecvStream,
    decoder: Decoder,
    /// Where large messages find room; none where one stream's limit is enough.
    room: Option<Arc<Semaphore>>,
    /// Held while a large message comes, and until it is taken up.
    held: Option<OwnedSemaphorePermit>,
}

/// The writing half of a stream. Dropped before its end, the stream is cut, which the reader sees.
#[derive(Debug)]
pub struct Answers {
    stream: SendStream,
    buffer: Vec<u8>,
    ended: bool,
}

impl Asked {
    pub(super) fn new(stream: RecvStream, message_bytes_max: usize) -> Self {
        Self {
            stream,
            decoder: Decoder::with_limit(message_bytes_max),
            room: None,
            held: None,
        }
    }

    /// The same, but a large message waits to be read until it finds room among the others.
    pub(super) fn within(mut self, room: Arc<Semaphore>) -> Self {
        self.room = Some(room);
        self
    }

    /// What was said last is taken up: its room is free for others.
    pub fn taken_up(&mut self) {
        self.held = None;
    }

    /// The next message; none when the sender ended the stream in order.
    ///
    /// # Errors
    /// See [`FrameError`]; nothing more comes then.
    pub async fn next<M: DeserializeOwned>(&mut self) -> Result<Option<M>, FrameError> {
        loop {
            match self.decoder.decode() {
                Ok(Some(message)) => return Ok(Some(message)),
                Ok(None) => {}
                Err(error) => return Err(FrameError::Malformed(error.to_string())),
            }
            let most = self.find_room().await?;
            // Quinn gives whole pieces as they lie in its own buffers.
            match self.stream.read_chunk(most, true).await {
                Ok(Some(chunk)) => self.decoder.space().extend_from_slice(&chunk.bytes),
                Ok(None) if self.decoder.is_midway() => {
                    return Err(FrameError::Malformed("it ends midway".into()));
                }
                Ok(None) => return Ok(None),
                Err(quinn::ReadError::Reset(_)) => return Err(FrameError::Ended),
                Err(_) => return Err(FrameError::Lost),
            }
        }
    }

    /// How much may be read at once; waits while there is no room for a message as large as the one that
    /// has begun.
    async fn find_room(&mut self) -> Result<usize, FrameError> {
        let Some(room) = self.room.as_ref().filter(|_| self.held.is_none()) else {
            return Ok(CHUNK_BYTES);
        };
        match self.decoder.awaited() {
            Some(bytes) if bytes > ASK_BYTES_FREE => {
                let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
                let held = room.clone().acquire_many_owned(bytes).await;
                self.held = Some(held.map_err(|_| FrameError::Lost)?);
                Ok(CHUNK_BYTES)
            }
            _ => Ok(ASK_BYTES_FREE),
        }
    }

    /// Waits until the other side wants no more answers or is gone, reading nothing but its end.
    pub async fn ended(&mut self) {
        while let Ok(Some(_)) = self.stream.read_chunk(CHUNK_BYTES, true).await {}
    }
}

impl Answers {
    pub(super) fn new(stream: SendStream, priority: Priority) -> Self {
        // Fails only for a stream that is closed, which the first write tells.
        let _ = stream.set_priority(priority.number());
        Self {
            stream,
            buffer: Vec::new(),
            ended: false,
        }
    }

    /// What follows goes when nothing of a higher priority does.
    pub fn prefer(&mut self, priority: Priority) {
        // Fails only for a stream that is closed, which the next write tells.
        let _ = self.stream.set_priority(priority.number());
    }

    /// Sends one message; waits while the reader is behind.
    ///
    /// # Errors
    /// See [`FrameError`]; nothing more goes then.
    pub async fn send<M: Serialize>(&mut self, message: &M) -> Result<(), FrameError> {
        self.add(message)?;
        self.flush().await
    }

    /// Adds one message to what [`Answers::flush`] will send.
    ///
    /// # Errors
    /// When it cannot be encoded; nothing of it is kept.
    pub fn add<M: Serialize>(&mut self, message: &M) -> Result<(), FrameError> {
        Ok(protocol::encode(message, &mut self.buffer)?)
    }

    /// Sends what was added.
    ///
    /// # Errors
    /// See [`FrameError`]; nothing more goes then.
    pub async fn flush(&mut self) -> Result<(), FrameError> {
        let sent = self.stream.write_all(&self.buffer).await;
        self.buffer.clear();
        if self.buffer.capacity() > BUFFER_KEPT_BYTES {
            self.buffer = Vec::new();
        }
        match sent {
            Ok(()) => Ok(()),
            Err(quinn::WriteError::Stopped(_)) => Err(FrameError::Ended),
            Err(_) => Err(FrameError::Lost),
        }
    }

    /// Nothing follows.
    pub fn end(&mut self) {
        self.ended = true;
        // Fails only for a stream that is closed already.
        let _ = self.stream.finish();
    }

    /// Waits until the reader wants no more or is gone.
    pub async fn unwanted(&mut self) {
        let _ = self.stream.stopped().await;
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        if !self.ended {
            let _ = self.stream.reset(VarInt::from_u32(0));
        }
    }
}

/// How much is taken from a stream at once.
const CHUNK_BYTES: usize = 64 << 10;

/// A buffer that grew larger is given back.
const BUFFER_KEPT_BYTES: usize = 64 << 10;
