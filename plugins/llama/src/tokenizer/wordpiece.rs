//! WordPiece, as BERT's uncased models use it: text is cleaned, lower-cased and stripped of accents, cut at white
//! space and punctuation, and each word is covered from the left by the longest pieces there are.
//!
//! Source: the behaviour of the Hugging Face `tokenizers` package (`BertNormalizer`, `BertPreTokenizer`, `WordPiece`).
//! GGUF vocabularies write the start of a word as U+2581 and leave the continuation mark out.

mod text;

use super::trie::Trie;
use super::vocab::{SPACE_MARK, Vocab};
use super::{TokenKind, TokenizerError};
use crate::gguf::Gguf;
use text::Cleaning;

#[derive(Debug)]
pub(super) struct WordPiece {
    pieces: Trie,
    unknown: u32,
    cleaning: Cleaning,
}

impl WordPiece {
    pub(super) fn read(gguf: &Gguf, vocab: &Vocab) -> Result<Self, TokenizerError> {
        let lowers = gguf
            .optional("tokenizer.ggml.normalizer.lowercase")?
            .unwrap_or(true);
        let strips = gguf
            .optional("tokenizer.ggml.normalizer.strip_accents")?
            .unwrap_or(lowers);
        let pieces = vocab
            .iter()
            .filter(|(_, _, kind)| !matches!(kind, TokenKind::Control | TokenKind::Unknown))
            .map(|(id, text, _)| (text, id));
        Ok(Self {
            pieces: Trie::new(pieces),
            unknown: vocab
                .special_ids()
                .unknown
                .ok_or(TokenizerError::NoUnknown)?,
            cleaning: Cleaning {
                lowers,
                strips_accents: strips,
            },
        })
    }

    pub(super) fn encode(&self, text: &str, ids: &mut Vec<u32>) {
        let mut marked = String::new();
        text::words(&self.cleaning, text, &mut |word| {
            marked.clear();
            marked.push_str(SPACE_MARK);
            marked.push_str(word);
            let before = ids.len();
            if word.chars().nth(WORD_CHARS_MAX).is_some() || self.cover(&marked, ids).is_none() {
                ids.truncate(before);
                ids.push(self.unknown);
            }
        });
    }

    /// Appends the pieces that cover `word`, which begins with the mark; `None` if they cannot.
    fn cover(&self, word: &str, ids: &mut Vec<u32>) -> Option<()> {
        let mut rest = word.as_bytes();
        let mut least = SPACE_MARK.len() + 1;
        while !rest.is_empty() {
            let (length, id) = self
                .pieces
                .longest(rest)
                .filter(|&(length, _)| length >= least)?;
            ids.push(id);
            rest = rest.get(length..)?;
            least = 1;
        }
        Some(())
    }
}

/// Longer words are unknown as a whole, by BERT's own rule; it also bounds the work per word.
const WORD_CHARS_MAX: usize = 100;
