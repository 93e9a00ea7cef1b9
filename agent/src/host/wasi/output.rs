//! Standard output and error: bytes become lines. Decides how much is kept of what was written last.

use crate::limits::LOG_LINE_BYTES;

/// A stream that a component writes to.
#[derive(Debug, Default)]
pub(in crate::host) struct Output {
    line: Vec<u8>,
    /// The last lines, as they were written.
    tail: Vec<u8>,
}

impl Output {
    /// Takes what was written and gives each line that it finished. What is over a line's limit is lost.
    pub(in crate::host) fn write(&mut self, bytes: &[u8], mut finished: impl FnMut(&str)) {
        for &byte in bytes {
            if byte == b'\n' {
                if !self.line.is_empty() {
                    finished(&String::from_utf8_lossy(&self.line));
                }
                self.line.clear();
            } else if self.line.len() <= LOG_LINE_BYTES {
                self.line.push(byte);
            }
        }
        self.tail.extend_from_slice(
            bytes
                .get(bytes.len().saturating_sub(LOG_LINE_BYTES)..)
                .unwrap_or_default(),
        );
        let over = self.tail.len().saturating_sub(LOG_LINE_BYTES);
        self.tail.drain(..over);
    }

    /// What the last panic of a Rust component said, without its advice.
    pub(in crate::host) fn last_panic(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.tail);
        let (_, said) = text.rsplit_once("panicked at ")?;
        let said = said.split_once("\nnote: ").map_or(said, |(said, _)| said);
        Some(said.trim_end().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_out_whole_and_a_panic_is_found() {
        let (mut output, mut lines) = (Output::default(), Vec::new());
        for piece in [
            "on",
            "e\ntw",
            "o\n\nthread 'main' panicked at src/lib.rs:1:2:\nno ",
            "way\nnote: run with `X`\n",
        ] {
            output.write(piece.as_bytes(), |line| lines.push(line.to_owned()));
        }
        let expected = [
            "one",
            "two",
            "thread 'main' panicked at src/lib.rs:1:2:",
            "no way",
            "note: run with `X`",
        ];
        assert_eq!(lines, expected);
        assert_eq!(
            output.last_panic().as_deref(),
            Some("src/lib.rs:1:2:\nno way")
        );
    }

    #[test]
    fn a_line_without_an_end_takes_no_more_than_its_limit() {
        let mut output = Output::default();
        for _ in 0..1_000 {
            output.write(&[b'x'; 1_000], |_| panic!("no line ended"));
        }
        assert!(output.line.len() <= LOG_LINE_BYTES + 1 && output.tail.len() <= LOG_LINE_BYTES);
    }
}
