//! SentencePiece unigram, as T5 and XLM-RoBERTa use it: of all ways to cut the text into pieces, the one whose scores
//! add up to most.
//!
//! Source: the behaviour of Google's `sentencepiece` (`unigram_model.cc`), down to where it rounds to 32 bits.

use super::sentencepiece::{Fallback, Normalizer};
use super::spm_bpe::require_scores;
use super::trie::Trie;
use super::vocab::Vocab;
use super::{TokenKind, TokenizerError};
use crate::gguf::Gguf;

#[derive(Debug)]
pub(super) struct Unigram {
    normalizer: Normalizer,
    fallback: Fallback,
    /// Each piece that may be produced, with its place in `scores`.
    pieces: Trie,
    /// By id.
    scores: Vec<Score>,
    unknown_score: f32,
}

#[derive(Debug, Clone, Copy)]
enum Score {
    Normal(f32),
    /// Chosen whenever it can be: it costs nothing, and the longer it is the better.
    UserDefined,
}

/// The best way to cut the text up to one place.
#[derive(Debug, Clone, Copy)]
struct Best {
    score: f32,
    start: u32,
    /// `None` for text that no piece covers.
    id: Option<u32>,
}

impl Unigram {
    pub(super) fn read(gguf: &Gguf, vocab: &Vocab) -> Result<Self, TokenizerError> {
        require_scores(gguf)?;
        let producible = vocab
            .iter()
            .filter(|(_, _, kind)| matches!(kind, TokenKind::Normal | TokenKind::UserDefined))
            .map(|(id, text, _)| (text, id));
        let lowest = vocab
            .iter()
            .filter(|(_, _, kind)| *kind == TokenKind::Normal)
            .map(|(id, _, _)| vocab.score(id))
            .fold(f32::MAX, f32::min);
        let scores = vocab
            .iter()
            .map(|(id, _, kind)| match kind {
                TokenKind::UserDefined => Score::UserDefined,
                _ => Score::Normal(vocab.score(id)),
            })
            .collect();
        Ok(Self {
            normalizer: Normalizer::read(gguf, vocab)?,
            fallback: Fallback::read(vocab)?,
            pieces: Trie::new(producible),
            scores,
            unknown_score: lowest - UNKNOWN_PENALTY,
        })
    }

    pub(super) fn adds_leading_space(&self) -> bool {
        self.normalizer.adds_space()
    }

    pub(super) fn encode(&self, text: &str, begins: bool, ids: &mut Vec<u32>) {
        let normalized = self.normalizer.normalize(text, begins);
        let best = self.best_cuts(&normalized);
        let mut cuts = Vec::new();
        let mut end = normalized.len();
        while let Some(Some(cut)) = best.get(end).filter(|_| end > 0) {
            cuts.push((cut.start as usize, end, cut.id));
            end = cut.start as usize;
        }
        let mut follows_unknown = false;
        for (start, end, id) in cuts.into_iter().rev() {
            match id {
                Some(id) => ids.push(id),
                None => {
                    let text = normalized.as_bytes().get(start..end).unwrap_or_default();
                    self.fallback.push(text, follows_unknown, ids);
                }
            }
            follows_unknown = id.is_none();
        }
    }

    /// For each place in the text, the best piece that ends there.
    fn best_cuts(&self, text: &str) -> Vec<Option<Best>> {
        let mut best: Vec<Option<Best>> = vec![None; text.len() + 1];
        for (start, c) in text.char_indices() {
            let before = match best.get(start) {
                Some(Some(before)) => before.score,
                _ => 0.0,
            };
            let rest = text.as_bytes().get(start..).unwrap_or_default();
            let mut covers_one = false;
            for (length, id) in self.pieces.prefixes(rest) {
                let score = before + self.score(id, length);
                offer(&mut best, start, length, Some(id), score);
                covers_one |= length == c.len_utf8();
            }
            if !covers_one {
                let score = before + self.unknown_score;
                offer(&mut best, start, c.len_utf8(), None, score);
            }
        }
        best
    }

    fn score(&self, id: u32, length: usize) -> f32 {
        match self.scores.get(id as usize) {
            Some(Score::Normal(score)) => *score,
            Some(Score::UserDefined) | None => USER_DEFINED_BONUS * (length as f32 - 1.0),
        }
    }
}

fn offer(best: &mut [Option<Best>], start: usize, length: usize, id: Option<u32>, score: f32) {
    if let Some(slot) = best.get_mut(start + length)
        && slot.is_none_or(|found| score > found.score)
    {
        *slot = Some(Best {
            score,
            start: start as u32,
            id,
        });
    }
}

/// What each byte of a user-defined token but the first adds.
const USER_DEFINED_BONUS: f32 = 0.1;
/// How much worse than the worst piece an unknown character is.
const UNKNOWN_PENALTY: f32 = 10.0;
