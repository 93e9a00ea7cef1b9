//! Lines out of bytes that come in any pieces. Decides nothing but where a line ends; knows no connection.

use alloc::vec::Vec;

use super::HttpError;

/// Takes bytes as they come and gives whole lines, without what ended them: a line feed, a carriage return, or both.
///
/// ```
/// use skep_sdk::http::Lines;
///
/// let mut lines = Lines::new(100);
/// lines.push(b"{\"done\":fal");
/// assert_eq!(lines.pop(), Ok(None));
/// lines.push(b"se}\r\n{\"do");
/// assert_eq!(lines.pop(), Ok(Some(b"{\"done\":false}".to_vec())));
/// assert_eq!(lines.rest(), b"{\"do");
/// ```
#[derive(Clone, Debug)]
pub struct Lines {
    buffer: Vec<u8>,
    /// What is before it was given out.
    start: usize,
    /// Where the search for an end goes on.
    searched: usize,
    /// The last line ended in a carriage return: a line feed after it belongs to it.
    after_return: bool,
    limit: usize,
}

impl Lines {
    /// Lines of at most `limit` bytes.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            searched: 0,
            after_return: false,
            limit,
        }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.searched = self.searched.saturating_sub(self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole line, if there is one.
    ///
    /// # Errors
    /// [`HttpError::TooLong`] when a line is longer than the limit, whether or not its end has come.
    pub fn pop(&mut self) -> Result<Option<Vec<u8>>, HttpError> {
        if self.after_return && self.start < self.buffer.len() {
            if self.buffer.get(self.start) == Some(&b'\n') {
                self.start += 1;
                self.searched = self.searched.max(self.start);
            }
            self.after_return = false;
        }
        let unseen = self.buffer.get(self.searched..).unwrap_or_default();
        let found = unseen.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        let end = found.map_or(self.buffer.len(), |offset| self.searched + offset);
        if end - self.start > self.limit {
            return Err(HttpError::TooLong(self.limit));
        }
        self.searched = end;
        let Some(&ending) = self.buffer.get(end) else {
            return Ok(None);
        };
        let line = self
            .buffer
            .get(self.start..end)
            .unwrap_or_default()
            .to_vec();
        self.after_return = ending == b'\r';
        self.start = end + 1;
        self.searched = self.start;
        Ok(Some(line))
    }

    /// What has come of a line without an end.
    #[must_use]
    pub fn rest(&self) -> &[u8] {
        let rest = self.buffer.get(self.start..).unwrap_or_default();
        match rest.strip_prefix(b"\n") {
            Some(rest) if self.after_return => rest,
            _ => rest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    /// Every line that comes of these pieces, and the rest.
    fn read(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Vec<u8>) {
        let mut lines = Lines::new(64);
        let mut found = Vec::new();
        for piece in pieces {
            lines.push(piece);
            while let Some(line) = lines.pop().unwrap() {
                found.push(line);
            }
        }
        (found, lines.rest().to_vec())
    }

    #[test]
    fn lines_are_the_same_however_the_bytes_are_split() {
        let text = "one\ntwo\r\n\r\nthree\rfour\r\r\nü\nrest".as_bytes();
        let whole = read(&[text]);
        let expected = ["one", "two", "", "three", "four", "", "ü"];
        assert_eq!(
            whole.0,
            expected.map(|line| line.as_bytes().to_vec()).to_vec()
        );
        assert_eq!(whole.1, b"rest");
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let pieces = [&text[..first], &text[first..second], &text[second..]];
                assert_eq!(read(&pieces), whole, "{first} {second}");
            }
        }
    }

    #[test]
    fn a_line_without_end_is_refused_as_soon_as_it_is_too_long() {
        let mut lines = Lines::new(4);
        lines.push(b"1234");
        assert_eq!(lines.pop(), Ok(None));
        lines.push(b"5");
        assert_eq!(lines.pop(), Err(HttpError::TooLong(4)));
        let mut lines = Lines::new(4);
        lines.push(b"1234\n12345\n");
        assert_eq!(lines.pop(), Ok(Some(vec![b'1', b'2', b'3', b'4'])));
        assert_eq!(lines.pop(), Err(HttpError::TooLong(4)));
    }
}
