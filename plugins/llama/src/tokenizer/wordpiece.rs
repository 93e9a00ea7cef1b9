//! WordPiece, as BERT's uncased models use it: text is cleaned, lower-cased and stripped of accents, cut at white
//! space and punctuation, and each word is covered from the left by the longest pieces there are.
//!
//! Source: the behaviour of the Hugging Face `tokenizers` package (`BertNormalizer`, `BertPreTokenizer`, `WordPiece`).
//! GGUF vocabularies write the start of a word as U+2581 and leave the continuation mark out.

mod category;
mod text;

use super::TokenizerError;
use super::trie::Trie;
use super::vocab::{SPACE_MARK, Vocab};
use crate::gguf::Gguf;
use text::Cleaning;

#[derive(Debug)]
pub(super) struct WordPiece {
    /// Pieces that begin a word, without the mark.
    starts: Trie,
    /// Pieces that go on with a word.
    continuations: Trie,
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
        let mark = SPACE_MARK.as_bytes();
        let pieces = || vocab.iter().filter(|&(id, _, _)| vocab.stands_for_text(id));
        let starts = pieces().filter_map(|(id, text, _)| Some((text.strip_prefix(mark)?, id)));
        let continuations = pieces().filter(|(_, text, _)| !text.starts_with(mark));
        Ok(Self {
            starts: Trie::new(starts),
            continuations: Trie::new(continuations.map(|(id, text, _)| (text, id))),
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
        text::words(&self.cleaning, text, &mut |word| {
            let before = ids.len();
            if word.chars().nth(WORD_CHARS_MAX).is_some() || self.cover(word, ids).is_none() {
                ids.truncate(before);
                ids.push(self.unknown);
            }
        });
    }

    /// Appends the pieces that cover `word`; `None` if they cannot.
    fn cover(&self, word: &str, ids: &mut Vec<u32>) -> Option<()> {
        let mut pieces = &self.starts;
        let mut rest = word.as_bytes();
        while !rest.is_empty() {
            let (length, id) = pieces.longest(rest)?;
            ids.push(id);
            rest = rest.get(length..)?;
            pieces = &self.continuations;
        }
        Some(())
    }
}

/// Longer words are unknown as a whole, by BERT's own rule; it also bounds the work per word.
const WORD_CHARS_MAX: usize = 100;
