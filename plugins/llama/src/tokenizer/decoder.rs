//! Turns tokens into text one at a time without ever splitting a character.

use super::Tokenizer;

/// The state between tokens of one stream.
#[derive(Debug, Clone)]
pub struct Decoder {
    /// The start of a character whose other bytes have not come yet: at most three bytes.
    pending: Vec<u8>,
    leading: LeadingSpace,
    show_control: bool,
}

/// What to do with a space that the tokenizer itself put before the first word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeadingSpace {
    /// The stream is a text of its own.
    Strip,
    /// The stream goes on after other text.
    Keep,
}

impl Decoder {
    /// A decoder for one stream. With `show_control`, control tokens print their own text.
    pub fn new(leading: LeadingSpace, show_control: bool) -> Self {
        Self {
            pending: Vec::new(),
            leading,
            show_control,
        }
    }

    /// The text that token `id` completes; bytes that can no longer become a character are U+FFFD.
    pub fn push(&mut self, tokenizer: &Tokenizer, id: u32) -> String {
        if tokenizer.is_control(id) && !self.show_control {
            return String::new();
        }
        let mut bytes = tokenizer.token_bytes(id);
        if bytes.is_empty() {
            return String::new();
        }
        if self.leading == LeadingSpace::Strip {
            self.leading = LeadingSpace::Keep;
            if tokenizer.adds_leading_space() && !tokenizer.is_control(id) {
                bytes = bytes.strip_prefix(b" ").unwrap_or(bytes);
            }
        }
        self.pending.extend_from_slice(bytes);
        self.take_complete()
    }

    /// What is left at the end of the stream: U+FFFD for a character that never became whole.
    pub fn finish(&mut self) -> String {
        let rest = std::mem::take(&mut self.pending);
        String::from_utf8_lossy(&rest).into_owned()
    }

    fn take_complete(&mut self) -> String {
        let mut text = String::new();
        let mut rest = self.pending.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(valid) => {
                    text.push_str(valid);
                    rest = &[];
                    break;
                }
                Err(error) => {
                    let (valid, after) = rest
                        .split_at_checked(error.valid_up_to())
                        .unwrap_or((rest, &[]));
                    text.push_str(&String::from_utf8_lossy(valid));
                    rest = after;
                    let Some(invalid) = error.error_len() else {
                        break;
                    };
                    text.push(char::REPLACEMENT_CHARACTER);
                    rest = rest.get(invalid..).unwrap_or_default();
                }
            }
        }
        self.pending = rest.to_vec();
        text
    }
}
