//! Framing: four bytes of length, little-endian, then one message in `postcard`.
//!
//! Decides how many bytes a frame may have and what a damaged one means (the stream is over).
//! Refuses to know sockets: bytes in, messages out.

use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::limits::FRAME_BYTES_MAX;

const HEADER_BYTES: usize = 4;

/// Why a frame could not be written or read. After a read error the stream cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("a message of {0} bytes is over the limit")]
    TooLong(usize),
    #[error("a message could not be encoded")]
    Encode(#[source] postcard::Error),
    #[error("a message could not be decoded")]
    Decode(#[source] postcard::Error),
}

/// Appends one frame to `into`. On an error `into` is as it was.
///
/// # Errors
/// `TooLong` for a message over the limit, `Encode` when `postcard` refuses it.
pub fn encode<M: Serialize>(message: &M, into: &mut Vec<u8>) -> Result<(), FrameError> {
    let start = into.len();
    into.extend_from_slice(&[0; HEADER_BYTES]);
    if let Err(source) = postcard::serialize_with_flavor(message, Appender(into)) {
        into.truncate(start);
        return Err(FrameError::Encode(source));
    }
    let length = into.len() - start - HEADER_BYTES;
    let header = match u32::try_from(length) {
        Ok(header) if length <= FRAME_BYTES_MAX => header.to_le_bytes(),
        _ => {
            into.truncate(start);
            return Err(FrameError::TooLong(length));
        }
    };
    if let Some(place) = into.get_mut(start..start + HEADER_BYTES) {
        place.copy_from_slice(&header);
    }
    Ok(())
}

/// Takes bytes as they come and gives whole messages.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    buffer: Vec<u8>,
    /// How much of `buffer` has been given out.
    read: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::with_limit(FRAME_BYTES_MAX)
    }
}

impl Decoder {
    /// One whose messages have at most so many bytes.
    #[must_use]
    pub fn with_limit(message_bytes_max: usize) -> Self {
        Self {
            limit: message_bytes_max,
            buffer: Vec::new(),
            read: 0,
        }
    }

    /// Room to read into: append what arrived. Whatever was given out is forgotten first.
    pub fn space(&mut self) -> &mut Vec<u8> {
        if self.read > 0 {
            self.buffer.drain(..self.read);
            self.read = 0;
        }
        &mut self.buffer
    }

    /// The next whole message, or `None` until more bytes come.
    ///
    /// # Errors
    /// `TooLong` or `Decode`; the stream is then out of step and must be closed.
    pub fn decode<M: DeserializeOwned>(&mut self) -> Result<Option<M>, FrameError> {
        let rest = self.buffer.get(self.read..).unwrap_or_default();
        let Some((header, rest)) = rest.split_first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*header) as usize;
        if length > self.limit {
            return Err(FrameError::TooLong(length));
        }
        let Some(body) = rest.get(..length) else {
            return Ok(None);
        };
        let message = postcard::from_bytes(body).map_err(FrameError::Decode)?;
        self.read += HEADER_BYTES + length;
        Ok(Some(message))
    }

    /// How long the message is that has begun to come; none before that is known.
    #[must_use]
    pub fn awaited(&self) -> Option<usize> {
        let rest = self.buffer.get(self.read..)?;
        let (header, _) = rest.split_first_chunk::<HEADER_BYTES>()?;
        Some(u32::from_le_bytes(*header) as usize)
    }

    /// Whether a frame has begun that is not whole yet.
    #[must_use]
    pub fn is_midway(&self) -> bool {
        self.read < self.buffer.len()
    }
}

/// Lets `postcard` append to a vector that is already in use, a slice at a time.
struct Appender<'a>(&'a mut Vec<u8>);

impl Flavor for Appender<'_> {
    type Output = ();

    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(data);
        Ok(())
    }

    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        self.0.push(data);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
