//! The terminal: whether there is one, its colours, and what must not reach it raw.
//!
//! Decides that colour is only for terminals and never when `NO_COLOR` is set
//! (<https://no-color.org>), and that text from elsewhere cannot steer the terminal.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};

/// Colours, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Paint {
    on: bool,
}

impl Paint {
    /// For standard output.
    #[must_use]
    pub(super) fn for_stdout() -> Self {
        Self {
            on: wanted() && io::stdout().is_terminal(),
        }
    }

    /// For standard error.
    #[must_use]
    pub(super) fn for_stderr() -> Self {
        Self {
            on: wanted() && io::stderr().is_terminal(),
        }
    }

    /// No colours.
    #[cfg(test)]
    #[must_use]
    pub(super) const fn none() -> Self {
        Self { on: false }
    }

    #[must_use]
    pub(super) fn bold(self, text: impl Display) -> String {
        self.code("1", text)
    }

    #[must_use]
    pub(super) fn dim(self, text: impl Display) -> String {
        self.code("2", text)
    }

    #[must_use]
    pub(super) fn red(self, text: impl Display) -> String {
        self.code("1;31", text)
    }

    #[must_use]
    pub(super) fn green(self, text: impl Display) -> String {
        self.code("32", text)
    }

    #[must_use]
    pub(super) fn yellow(self, text: impl Display) -> String {
        self.code("33", text)
    }

    #[must_use]
    pub(super) fn cyan(self, text: impl Display) -> String {
        self.code("36", text)
    }

    fn code(self, code: &str, text: impl Display) -> String {
        if self.on {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_string()
        }
    }
}

/// Text from elsewhere, without what would steer a terminal: control characters but line breaks
/// and tabs, and those that turn the direction of writing.
#[must_use]
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    let steers = |c: char| {
        (c.is_control() && !matches!(c, '\n' | '\t'))
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if text.contains(steers) {
        Cow::Owned(
            text.chars()
                .map(|c| if steers(c) { '\u{fffd}' } else { c })
                .collect(),
        )
    } else {
        Cow::Borrowed(text)
    }
}

/// Writes a line to standard output.
///
/// # Errors
/// When nobody reads it any more.
pub(super) fn say(text: impl Display) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}

/// Writes a line to standard error. That nobody reads it is no reason to fail.
pub(super) fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

fn wanted() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(printable("a\tb\nc é 🐝"), "a\tb\nc é 🐝");
        assert_eq!(
            printable("\x1b]0;title\x07x\r\u{9b}1m\u{202e}"),
            "�]0;title�x��1m�"
        );
    }

    #[test]
    fn colours_can_be_absent() {
        assert_eq!(Paint::none().red("x"), "x");
        assert_eq!(Paint { on: true }.red("x"), "\x1b[1;31mx\x1b[0m");
    }
}
