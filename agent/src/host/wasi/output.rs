//! Standard output and error: bytes become lines. Decides how much of an unfinished line is kept.

use crate::limits::LOG_LINE_BYTES;

/// A stream that a component writes to.
#[derive(Debug, Default)]
pub(super) struct Output {
    line: Vec<u8>,
    last: Option<String>,
}

impl Output {
    /// Takes what was written and gives each line that it finished. What is over a line's limit is lost.
    pub(super) fn write(&mut self, bytes: &[u8], mut finished: impl FnMut(&str)) {
        for &byte in bytes {
            if byte == b'\n' {
                let line = String::from_utf8_lossy(&self.line);
                if !line.is_empty() {
                    finished(&line);
                    self.last = Some(line.into_owned());
                }
                self.line.clear();
            } else if self.line.len() <= LOG_LINE_BYTES {
                self.line.push(byte);
            }
        }
    }

    /// The last line with something in it, finished or not.
    pub(super) fn last(&mut self) -> Option<String> {
        if self.line.is_empty() {
            self.last.clone()
        } else {
            Some(String::from_utf8_lossy(&self.line).into_owned())
        }
    }
}
