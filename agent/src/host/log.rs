//! `interface log`: lines for the operator. Decides how they are cut, escaped and limited, so that a plugin can
//! neither flood a log nor forge one.

use std::time::{Duration, Instant};

use crate::limits::{LOG_LINE_BYTES, LOG_LINES_PER_SECOND};
use crate::protocol::{Line, LineLevel};

/// What a plugin writes with. Keeps lines until they are taken.
#[derive(Debug)]
pub(crate) struct Pen {
    lines: Vec<Line>,
    second: Instant,
    written: u32,
    dropped: u64,
}

impl Pen {
    pub(crate) fn new() -> Self {
        Self {
            lines: Vec::new(),
            second: Instant::now(),
            written: 0,
            dropped: 0,
        }
    }

    /// Writes one line, or counts it as dropped.
    pub(crate) fn write(&mut self, level: LineLevel, text: &str) {
        let now = Instant::now();
        if now.duration_since(self.second) >= Duration::from_secs(1) {
            self.second = now;
            self.written = 0;
        }
        if self.written >= LOG_LINES_PER_SECOND {
            self.dropped += 1;
            return;
        }
        self.written += 1;
        self.lines.push(Line {
            level,
            text: printable(text),
            dropped: std::mem::take(&mut self.dropped),
        });
    }

    /// The lines since the last time.
    pub(crate) fn take(&mut self) -> Vec<Line> {
        std::mem::take(&mut self.lines)
    }

    /// So many lines were taken and came nowhere.
    pub(crate) fn lost(&mut self, lines: u64) {
        self.dropped += lines;
    }
}

/// At most `LOG_LINE_BYTES` of it, with everything escaped that could move a cursor, start a new line or
/// turn text around.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(LOG_LINE_BYTES));
    for character in text.chars() {
        let escape = character.is_control() || is_format(character);
        let length = if escape {
            character.escape_unicode().len()
        } else {
            character.len_utf8()
        };
        if line.len() + length > LOG_LINE_BYTES - '…'.len_utf8() {
            line.push('…');
            break;
        }
        if escape {
            line.extend(character.escape_unicode());
        } else {
            line.push(character);
        }
    }
    line
}

/// Line separators and the marks that reorder or hide text (Unicode UAX 9; CVE-2021-42574).
fn is_format(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_cannot_forge_or_hide_another() {
        assert_eq!(
            printable("a\nERROR b\x1b[2J\u{202e}"),
            r"a\u{a}ERROR b\u{1b}[2J\u{202e}"
        );
        assert_eq!(printable("grüße 🐝"), "grüße 🐝");
    }

    #[test]
    fn a_long_line_is_cut_and_says_so() {
        for character in ["x", "é", "\n", "🐝"] {
            let line = printable(&character.repeat(LOG_LINE_BYTES));
            assert!(line.len() <= LOG_LINE_BYTES, "{character:?}");
            assert!(line.ends_with('…'), "{character:?}");
        }
    }

    #[test]
    fn a_flood_is_counted_and_dropped() {
        let mut pen = Pen::new();
        for _ in 0..100_000 {
            pen.write(LineLevel::Info, "again");
        }
        let kept = pen.take().len();
        // The flood may last over a change of the second on a busy machine, never over many.
        assert!((100..=1_000).contains(&kept), "{kept}");
        assert!(pen.dropped >= 90_000 && pen.take().is_empty());
    }
}
