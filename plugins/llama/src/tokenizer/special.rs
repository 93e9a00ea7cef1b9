//! Finds control and user-defined tokens in a text, the longest at the leftmost place first, before the rest is
//! tokenized. Decides which of them may be found at all: control tokens only where the caller vouches for the text.

use super::TokenKind;
use super::trie::Trie;
use super::vocab::Vocab;

/// A part of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part<'t> {
    Token(u32),
    Text(&'t str),
}

#[derive(Debug)]
pub(super) struct SpecialTokens {
    /// Control, unknown and user-defined tokens.
    all: Trie,
    /// User-defined tokens only.
    user_defined: Trie,
    /// Control tokens that swallow white space after them.
    trimming: Vec<u32>,
}

impl SpecialTokens {
    /// Without `user_defined`, those tokens are left to the family. With `trims`, control tokens swallow the white
    /// space after them, as Phi-3's do; its file does not say so.
    pub(super) fn new(vocab: &Vocab, user_defined: bool, trims: bool) -> Self {
        let control = || {
            vocab
                .iter()
                .filter(|(_, _, kind)| matches!(kind, TokenKind::Control | TokenKind::Unknown))
        };
        let user = || {
            vocab
                .iter()
                .filter(|(_, _, kind)| user_defined && *kind == TokenKind::UserDefined)
                .map(|(id, text, _)| (text, id))
        };
        let trimming = control()
            .filter(|(_, text, _)| trims && !PHI3_UNTRIMMED.contains(text))
            .map(|(id, _, _)| id)
            .collect();
        Self {
            all: Trie::new(control().map(|(id, text, _)| (text, id)).chain(user())),
            user_defined: Trie::new(user()),
            trimming,
        }
    }

    /// The parts of `text` in order. Texts are never empty.
    pub(super) fn split<'t>(
        &'t self,
        text: &'t str,
        parse_special: bool,
    ) -> impl Iterator<Item = Part<'t>> {
        let trie = if parse_special {
            &self.all
        } else {
            &self.user_defined
        };
        let mut rest = text;
        let mut found = None;
        std::iter::from_fn(move || {
            if let Some(id) = found.take() {
                return Some(Part::Token(id));
            }
            if rest.is_empty() {
                return None;
            }
            let Some((at, length, id)) = first_match(trie, rest) else {
                return Some(Part::Text(std::mem::take(&mut rest)));
            };
            let before = rest.get(..at).unwrap_or_default();
            rest = rest.get(at + length..).unwrap_or_default();
            if self.trimming.contains(&id) {
                rest = rest.trim_start();
            }
            if before.is_empty() {
                return Some(Part::Token(id));
            }
            found = Some(id);
            Some(Part::Text(before))
        })
    }
}

/// Where the first token is: its offset, its length and its id.
fn first_match(trie: &Trie, text: &str) -> Option<(usize, usize, u32)> {
    if trie.is_empty() {
        return None;
    }
    // Both ends must be between characters, or a damaged vocabulary could split one.
    let on_borders =
        |at: usize, length: usize| text.is_char_boundary(at) && text.is_char_boundary(at + length);
    let bytes = text.as_bytes();
    (0..bytes.len()).find_map(|at| {
        let (length, id) = trie.longest(bytes.get(at..)?)?;
        on_borders(at, length).then_some((at, length, id))
    })
}

/// The tokens of Phi-3 that do not swallow white space, by its published tokenizer.
const PHI3_UNTRIMMED: [&[u8]; 3] = [b"<unk>", b"<s>", b"<|endoftext|>"];
