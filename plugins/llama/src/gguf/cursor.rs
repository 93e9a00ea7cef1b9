//! Reads the header forwards, a chunk at a time, and turns every short or oversized read into an error that says
//! where it happened. Knows byte counts, not what the bytes mean.

use super::{GgufError, Place, Source, limits::*};

pub(super) struct Cursor<'a, S: Source + ?Sized> {
    source: &'a S,
    size: u64,
    place: Place,
    chunk: Vec<u8>,
    /// Offset in the file of the chunk's first byte.
    chunk_at: u64,
    /// Bytes of the chunk already consumed.
    used: usize,
}

impl<'a, S: Source + ?Sized> Cursor<'a, S> {
    pub(super) fn new(source: &'a S) -> Self {
        Self {
            source,
            size: source.size_bytes(),
            place: Place::Start,
            chunk: Vec::new(),
            chunk_at: 0,
            used: 0,
        }
    }

    pub(super) fn size_bytes(&self) -> u64 {
        self.size
    }

    pub(super) fn position(&self) -> u64 {
        self.chunk_at + self.used as u64
    }

    pub(super) fn remaining(&self) -> u64 {
        self.size - self.position()
    }

    /// Names what is read from here on, for errors.
    pub(super) fn enter(&mut self, place: Place) {
        self.place = place;
    }

    pub(super) fn place(&self) -> Place {
        self.place.clone()
    }

    /// The next `length` bytes.
    pub(super) fn take(&mut self, length: usize) -> Result<&[u8], GgufError> {
        if length as u64 > self.remaining() {
            return Err(GgufError::Truncated {
                place: self.place(),
                size: self.size,
            });
        }
        if self.position() + length as u64 > HEADER_BYTES_MAX {
            return Err(GgufError::HeaderTooLong(self.place()));
        }
        if length > self.chunk.len() - self.used {
            self.refill(length)?;
        }
        let from = self.used;
        self.used += length;
        self.chunk
            .get(from..self.used)
            .ok_or_else(|| self.changed())
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], GgufError> {
        let taken = self.take(N)?.first_chunk::<N>().copied();
        taken.ok_or_else(|| self.changed())
    }

    /// A string's bytes: a 64-bit length, then that many bytes.
    pub(super) fn text(&mut self, limit: u64) -> Result<&[u8], GgufError> {
        let found = u64::from_le_bytes(self.bytes()?);
        match usize::try_from(found) {
            Ok(length) if found <= limit => self.take(length),
            _ => Err(GgufError::TextTooLong {
                place: self.place(),
                found,
                limit,
            }),
        }
    }

    /// A string that people and code compare: UTF-8 without NUL.
    pub(super) fn utf8(&mut self, limit: u64) -> Result<String, GgufError> {
        let bytes = self.text(limit)?;
        let why = match std::str::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => return Ok(text.to_owned()),
            Ok(_) => "contains a NUL byte",
            Err(_) => "is not valid UTF-8",
        };
        Err(GgufError::Text {
            place: self.place(),
            why,
        })
    }

    fn refill(&mut self, length: usize) -> Result<(), GgufError> {
        let at = self.position();
        let want = self.remaining().min(length.max(CHUNK_BYTES) as u64) as usize;
        let chunk = self
            .source
            .read(at, want)
            .map_err(|source| GgufError::Read {
                place: self.place(),
                at,
                source,
            })?;
        if chunk.len() != want {
            return Err(self.changed());
        }
        self.chunk = chunk;
        self.chunk_at = at;
        self.used = 0;
        Ok(())
    }

    /// A source that delivers less than its size promises: the file shrank under us.
    fn changed(&self) -> GgufError {
        GgufError::Truncated {
            place: self.place(),
            size: self.position(),
        }
    }
}
