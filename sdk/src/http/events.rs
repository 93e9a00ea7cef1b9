//! Server-sent events out of bytes, as the HTML standard's section 9.2.6 reads them. Knows no connection.

use alloc::borrow::ToOwned;
use alloc::string::String;

use super::{HttpError, Lines};

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerEvent {
    /// Its kind; empty for a plain message.
    pub event: String,
    /// Its lines, with line feeds between.
    pub data: String,
}

/// Takes bytes as they come and gives whole events. Comments, identities and times to reconnect are left out.
///
/// ```
/// use skep_sdk::http::Events;
///
/// let mut events = Events::new(1000);
/// events.push(b": good morning\n\ndata: one\ndata: two\n");
/// assert_eq!(events.pop(), Ok(None));
/// events.push(b"\n");
/// assert_eq!(events.pop().unwrap().unwrap().data, "one\ntwo");
/// ```
#[derive(Clone, Debug)]
pub struct Events {
    lines: Lines,
    pending: ServerEvent,
    has_data: bool,
    begun: bool,
    limit: usize,
}

impl Events {
    /// Events of at most `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            lines: Lines::new(limit),
            pending: ServerEvent::default(),
            has_data: false,
            begun: false,
            limit,
        }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.lines.push(bytes);
    }

    /// The next whole event, if there is one. One that the stream's end cuts off is none.
    ///
    /// # Errors
    /// [`HttpError::TooLong`] when a line or an event is longer than the limit.
    pub fn pop(&mut self) -> Result<Option<ServerEvent>, HttpError> {
        while let Some(line) = self.lines.pop()? {
            let line = String::from_utf8_lossy(&line);
            // A mark of the byte order may stand before everything.
            let line = match (self.begun, line.strip_prefix('\u{feff}')) {
                (false, Some(rest)) => rest,
                _ => line.as_ref(),
            };
            self.begun = true;
            if line.is_empty() {
                let event = core::mem::take(&mut self.pending);
                if core::mem::take(&mut self.has_data) {
                    return Ok(Some(event));
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => self.pending.event = value.to_owned(),
                "data" => {
                    if self.has_data {
                        self.pending.data.push('\n');
                    }
                    self.pending.data.push_str(value);
                    self.has_data = true;
                }
                _ => {}
            }
            if self.pending.data.len() > self.limit {
                return Err(HttpError::TooLong(self.limit));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::vec::Vec;

    fn read(pieces: &[&[u8]]) -> Vec<(String, String)> {
        let mut events = Events::new(200);
        let mut found = Vec::new();
        for piece in pieces {
            events.push(piece);
            while let Some(event) = events.pop().unwrap() {
                found.push((event.event, event.data));
            }
        }
        found
    }

    #[test]
    fn events_are_the_same_however_the_bytes_are_split() {
        let text = "\u{feff}: hello\r\n\r\ndata: {\"a\":\"ü\"}\r\n\r\nevent: error\ndata:x\ndata:  y\nid: 7\nretry: 1\n\n\
            event: nothing\n\ndata\n\nother: field\ndata: [DONE]\n\ndata: cut";
        let expected = [
            ("", "{\"a\":\"ü\"}"),
            ("error", "x\n y"),
            ("", ""),
            ("", "[DONE]"),
        ];
        let expected: Vec<_> = expected
            .iter()
            .map(|(event, data)| (String::from(*event), String::from(*data)))
            .collect();
        let text = text.as_bytes();
        assert_eq!(read(&[text]), expected);
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let pieces = [&text[..first], &text[first..second], &text[second..]];
                assert_eq!(read(&pieces), expected, "{first} {second}");
            }
        }
    }

    #[test]
    fn an_event_of_endless_lines_is_refused() {
        let mut events = Events::new(100);
        for _ in 0..20 {
            events.push(format!("data: {}\n", "x".repeat(10)).as_bytes());
            if let Err(error) = events.pop() {
                assert_eq!(error, HttpError::TooLong(100));
                return;
            }
        }
        panic!("an event without end was taken");
    }
}
