//! An answer: its status, its headers, and its body as it comes. Every way to read a body has a bound.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::{Events, HttpError, Lines, ServerEvent};
use crate::shared::bindings::wasi::http::types::{IncomingBody, IncomingResponse};
use crate::shared::bindings::wasi::io::streams::{InputStream, StreamError};

/// An answer whose headers are there. Dropping it, or its body, closes the connection.
#[derive(Debug)]
pub struct Response {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: Body,
}

/// An answer's body, as it comes.
pub struct Body {
    // Dropped in this order, as `wasi:http` wants it: a body outlives its stream.
    stream: InputStream,
    _body: IncomingBody,
    host: String,
}

/// An answer's body, line by line.
#[derive(Debug)]
pub struct BodyLines {
    body: Body,
    lines: Lines,
    ended: bool,
}

/// An answer's body, one server-sent event after another.
#[derive(Debug)]
pub struct BodyEvents {
    body: Body,
    events: Events,
}

impl Response {
    pub(super) fn new(response: &IncomingResponse, host: String) -> Result<Self, HttpError> {
        let lost = |()| HttpError::Lost(format!("the answer of `{host}` cannot be read"));
        let status = response.status();
        let headers = response.headers().entries();
        let body = response.consume().map_err(lost)?;
        let stream = body.stream().map_err(lost)?;
        Ok(Self {
            status,
            headers,
            body: Body {
                stream,
                _body: body,
                host,
            },
        })
    }

    /// The status: 200, 404, ...
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Whether the status is one of success, 200 to 299.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// The first header of a name, in any case, if its value is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        core::str::from_utf8(&found?.1).ok()
    }

    /// The host that answered, as it was asked.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.body.host
    }

    /// For how many seconds the service asks to be left alone (`retry-after`), if it says so in seconds.
    #[must_use]
    pub fn retry_after_s(&self) -> Option<u64> {
        self.header("retry-after")?.trim().parse().ok()
    }

    /// The whole body.
    ///
    /// # Errors
    /// [`HttpError::TooLong`] when it has more than `limit` bytes.
    pub fn read_to_limit(mut self, limit: usize) -> Result<Vec<u8>, HttpError> {
        let mut whole = Vec::new();
        while let Some(piece) = self.body.read()? {
            if whole.len() + piece.len() > limit {
                return Err(HttpError::TooLong(limit));
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole)
    }

    /// As much of the body as comes and as fits: for what a service says of a failure.
    #[must_use]
    pub fn read_some(mut self, limit: usize) -> Vec<u8> {
        let mut some = Vec::new();
        while let Ok(Some(piece)) = self.body.read() {
            some.extend_from_slice(&piece);
            if some.len() >= limit {
                some.truncate(limit);
                break;
            }
        }
        some
    }

    /// The body as it comes.
    #[must_use]
    pub fn body(self) -> Body {
        self.body
    }

    /// The body line by line, as NDJSON is read; no line may have more than `limit` bytes.
    #[must_use]
    pub fn lines(self, limit: usize) -> BodyLines {
        BodyLines {
            body: self.body,
            lines: Lines::new(limit),
            ended: false,
        }
    }

    /// The body as server-sent events, of at most `limit` bytes each.
    #[must_use]
    pub fn events(self, limit: usize) -> BodyEvents {
        BodyEvents {
            body: self.body,
            events: Events::new(limit),
        }
    }
}

impl Body {
    /// Waits for the next piece; none at the end.
    ///
    /// # Errors
    /// [`HttpError::Timeout`] when the service is silent for too long, [`HttpError::Lost`] when the connection breaks.
    pub fn read(&mut self) -> Result<Option<Vec<u8>>, HttpError> {
        loop {
            match self.stream.blocking_read(PIECE_BYTES) {
                // Nothing yet is no end.
                Ok(piece) if piece.is_empty() => {}
                Ok(piece) => return Ok(Some(piece)),
                Err(StreamError::Closed) => return Ok(None),
                Err(StreamError::LastOperationFailed(error)) => {
                    return Err(match super::code(&error) {
                        Some(code) => HttpError::of(&code, &self.host),
                        None => HttpError::Lost(format!(
                            "`{}` closed the connection in the middle",
                            self.host
                        )),
                    });
                }
            }
        }
    }
}

impl BodyLines {
    /// Waits for the next line; none at the end. What comes after the last line's end is a line as well.
    ///
    /// # Errors
    /// See [`HttpError`].
    pub fn read(&mut self) -> Result<Option<Vec<u8>>, HttpError> {
        loop {
            if let Some(line) = self.lines.pop()? {
                return Ok(Some(line));
            }
            if self.ended {
                return Ok(None);
            }
            match self.body.read()? {
                Some(piece) => self.lines.push(&piece),
                None => {
                    self.ended = true;
                    if !self.lines.rest().is_empty() {
                        self.lines.push(b"\n");
                    }
                }
            }
        }
    }
}

impl BodyEvents {
    /// Waits for the next event; none at the end.
    ///
    /// # Errors
    /// See [`HttpError`].
    pub fn read(&mut self) -> Result<Option<ServerEvent>, HttpError> {
        loop {
            if let Some(event) = self.events.pop()? {
                return Ok(Some(event));
            }
            match self.body.read()? {
                Some(piece) => self.events.push(&piece),
                None => return Ok(None),
            }
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

/// How much of a body is asked for at once.
const PIECE_BYTES: u64 = 16 * 1024;
