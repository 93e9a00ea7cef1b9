//! Keeps the text of messages from becoming control tokens where it is mixed with text that may, such as a chat
//! template's: a mark that occurs nowhere else breaks each control token in a message, survives the mixing, and is
//! taken out after control tokens have been found. Text without control tokens is not changed at all.

use std::borrow::Cow;

use super::special::Part;
use super::trie::Trie;
use super::{TEXT_BYTES_MAX, Tokenizer, TokenizerError};

/// The control tokens of one tokenizer, to break.
#[derive(Debug)]
pub struct Guard {
    control: Trie,
    texts: Vec<Vec<u8>>,
    longest: usize,
}

impl Guard {
    /// Collects the control tokens.
    pub fn new(tokenizer: &Tokenizer) -> Self {
        let control = || {
            (0..tokenizer.vocab_len() as u32)
                .filter(|&id| tokenizer.is_control(id))
                .map(|id| (tokenizer.token_bytes(id), id))
        };
        Self {
            control: Trie::new(control()),
            texts: control().map(|(text, _)| text.to_vec()).collect(),
            longest: control().map(|(text, _)| text.len()).max().unwrap_or(0),
        }
    }

    /// `text` with `mark` inside of whatever is a control token, or the start of one at the end of the text.
    pub fn mark<'t>(&self, text: &'t str, mark: char) -> Cow<'t, str> {
        let mut marked = String::new();
        let mut copied = 0;
        for (at, first) in text.char_indices() {
            let rest = text.as_bytes().get(at..).unwrap_or_default();
            if self.control.longest(rest).is_some() || self.may_go_on(rest) {
                let end = at + first.len_utf8();
                marked.push_str(text.get(copied..end).unwrap_or_default());
                marked.push(mark);
                copied = end;
            }
        }
        if copied == 0 {
            return Cow::Borrowed(text);
        }
        marked.push_str(text.get(copied..).unwrap_or_default());
        Cow::Owned(marked)
    }

    /// Whether what follows the text could complete a control token.
    fn may_go_on(&self, rest: &[u8]) -> bool {
        rest.len() < self.longest && self.texts.iter().any(|text| text.starts_with(rest))
    }
}

impl Tokenizer {
    /// The ids of a text in which control tokens count, except where `mark` breaks them.
    pub fn encode_marked(&self, text: &str, mark: char) -> Result<Vec<u32>, TokenizerError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(TokenizerError::TextTooLong(text.len()));
        }
        let mut ids = Vec::with_capacity(text.len() / 4);
        let mut after_special = true;
        for part in self.special.split(text, true) {
            let plain = match part {
                Part::Token(id) => {
                    ids.push(id);
                    after_special = true;
                    continue;
                }
                Part::Text(text) if text.contains(mark) => text.replace(mark, ""),
                Part::Text(text) => text.to_owned(),
            };
            // A mark may have hidden a user-defined token, which counts in any text.
            for part in self.special.split(&plain, false) {
                match part {
                    Part::Token(id) => ids.push(id),
                    Part::Text(text) => self.encode_plain(text, after_special, &mut ids),
                }
                after_special = matches!(part, Part::Token(_));
            }
        }
        Ok(ids)
    }
}
