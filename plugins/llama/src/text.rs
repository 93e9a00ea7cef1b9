//! The text of one answer as it grows: whole characters only, and nothing of a stop text. What may still become a
//! stop text is held back until it is decided.

use std::rc::Rc;

use crate::contract::Error;
use crate::error::invalid;
use crate::limits::{STOP_BYTES_MAX, STOPS_MAX};
use crate::tokenizer::{Decoder, LeadingSpace, Tokenizer};

/// Turns tokens into released text.
#[derive(Debug, Clone)]
pub struct Writer {
    decoder: Decoder,
    stops: Rc<[String]>,
    held: String,
}

/// What a token brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Text that is decided; may be empty.
    More(String),
    /// A stop text is complete; this is what came before it.
    Stopped(String),
}

impl Writer {
    /// The writer of a new answer. `stops` have passed `check_stops`.
    pub fn new(stops: Rc<[String]>, leading: LeadingSpace) -> Self {
        Self {
            decoder: Decoder::new(leading, false),
            stops,
            held: String::new(),
        }
    }

    /// Takes one token.
    pub fn push(&mut self, tokenizer: &Tokenizer, token: u32) -> Progress {
        let text = self.decoder.push(tokenizer, token);
        self.take(&text)
    }

    /// Everything still held, at the end of the answer.
    pub fn finish(&mut self) -> String {
        let rest = self.decoder.finish();
        match self.take(&rest) {
            Progress::More(mut text) => {
                text.push_str(&std::mem::take(&mut self.held));
                text
            }
            Progress::Stopped(text) => text,
        }
    }

    fn take(&mut self, text: &str) -> Progress {
        self.held.push_str(text);
        // Where two stop texts fit, the one that is complete first counts, as if text came letter by letter.
        let found = self
            .stops
            .iter()
            .filter_map(|stop| {
                self.held
                    .find(stop.as_str())
                    .map(|at| (at + stop.len(), at))
            })
            .min();
        if let Some((_, at)) = found {
            self.held.truncate(at);
            return Progress::Stopped(std::mem::take(&mut self.held));
        }
        let kept = self.held.split_off(self.decided());
        Progress::More(std::mem::replace(&mut self.held, kept))
    }

    /// How many bytes of what is held can no longer be the start of a stop text.
    fn decided(&self) -> usize {
        let longest = self.stops.iter().map(String::len).max().unwrap_or(0);
        let from = self.held.len().saturating_sub(longest);
        let undecided = (from..self.held.len()).find(|&at| {
            self.held
                .get(at..)
                .is_some_and(|tail| self.stops.iter().any(|stop| stop.starts_with(tail)))
        });
        undecided.unwrap_or(self.held.len())
    }
}

/// Refuses stop texts that would stop at once or hold back too much.
pub fn check_stops(stops: &[String]) -> Result<(), Error> {
    if stops.len() > STOPS_MAX {
        return Err(invalid("stop", format!("has more than {STOPS_MAX} texts")));
    }
    for stop in stops {
        if stop.is_empty() {
            return Err(invalid("stop", "has an empty text"));
        }
        if stop.len() > STOP_BYTES_MAX {
            let length = stop.len();
            let message = format!("has a text of {length} bytes, more than {STOP_BYTES_MAX}");
            return Err(invalid("stop", message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `text` in pieces of every size and expects the same each time.
    fn check(stops: &[&str], text: &str, expected: &str, stopped: bool) {
        let stops: Rc<[String]> = stops.iter().map(|&stop| stop.to_owned()).collect();
        let chars: Vec<char> = text.chars().collect();
        for size in 1..=chars.len() {
            let mut writer = Writer::new(stops.clone(), LeadingSpace::Keep);
            let (mut found, mut end) = (String::new(), false);
            for piece in chars.chunks(size) {
                let piece: String = piece.iter().collect();
                match writer.take(&piece) {
                    Progress::More(text) => found.push_str(&text),
                    Progress::Stopped(text) => {
                        found.push_str(&text);
                        end = true;
                        break;
                    }
                }
            }
            if !end {
                found.push_str(&writer.finish());
            }
            assert_eq!(
                (found.as_str(), end),
                (expected, stopped),
                "pieces of {size}"
            );
        }
    }

    #[test]
    fn stops_across_borders() {
        check(&["END"], "one END two", "one ", true);
        check(&["END"], "one EN two", "one EN two", false);
        check(&["END"], "one EN", "one EN", false);
        check(&["aab"], "aaab", "a", true);
        check(&["abc", "b"], "xabc", "xa", true);
        check(&["\n\n"], "a\nb\n\nc", "a\nb", true);
        check(&["日本語"], "これは日本語です", "これは", true);
        check(&["日本語"], "日本", "日本", false);
        check(&[], "plain", "plain", false);
    }

    #[test]
    fn holds_no_more_than_needed() {
        let stops: Rc<[String]> = ["END".to_owned()].into();
        let mut writer = Writer::new(stops, LeadingSpace::Keep);
        assert_eq!(writer.take("abE"), Progress::More("ab".to_owned()));
        assert_eq!(writer.take("x"), Progress::More("Ex".to_owned()));
        assert_eq!(writer.take("EN"), Progress::More(String::new()));
        assert_eq!(writer.take("D"), Progress::Stopped(String::new()));
    }

    #[test]
    fn refuses_bad_stops() {
        assert!(check_stops(&[String::new()]).is_err());
        assert!(check_stops(&["x".repeat(STOP_BYTES_MAX + 1)]).is_err());
        assert!(check_stops(&vec!["x".to_owned(); STOPS_MAX + 1]).is_err());
        assert!(check_stops(&["x".repeat(STOP_BYTES_MAX)]).is_ok());
    }
}
