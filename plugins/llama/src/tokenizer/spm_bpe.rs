//! SentencePiece BPE, as Llama 2, Mistral and Gemma use it: any two neighbouring pieces merge if the result is in the
//! vocabulary, the highest score first, the leftmost of equal scores first.
//!
//! Source: the behaviour of Google's `sentencepiece` (`bpe_model.cc`).

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap};

use super::sentencepiece::{Fallback, Normalizer};
use super::vocab::{SPACE_MARK, Vocab};
use super::{TokenKind, TokenizerError};
use crate::gguf::{Gguf, Value};

#[derive(Debug)]
pub(super) struct SpmBpe {
    normalizer: Normalizer,
    fallback: Fallback,
    /// Bytes of the longest piece; longer candidates need no look-up.
    piece_bytes_max: usize,
    /// Whether a space is only ever at the start of a piece, so that words can be worked out one by one.
    pieces_start_with_space: bool,
}

impl SpmBpe {
    pub(super) fn read(gguf: &Gguf, vocab: &Vocab) -> Result<Self, TokenizerError> {
        // Without scores every merge would be as good as any other.
        require_scores(gguf)?;
        let pieces = || {
            vocab
                .iter()
                .filter(|&(id, _, _)| vocab.stands_for_text(id))
                .map(|(_, text, _)| text)
        };
        Ok(Self {
            normalizer: Normalizer::read(gguf, vocab)?,
            fallback: Fallback::read(vocab)?,
            piece_bytes_max: pieces().map(<[u8]>::len).max().unwrap_or_default(),
            pieces_start_with_space: !pieces().any(has_space_inside),
        })
    }

    pub(super) fn adds_leading_space(&self) -> bool {
        self.normalizer.adds_space()
    }

    pub(super) fn encode(&self, vocab: &Vocab, text: &str, begins: bool, ids: &mut Vec<u32>) {
        let normalized = self.normalizer.normalize(text, begins);
        let mut merging = Merging {
            bpe: self,
            vocab,
            text: "",
            symbols: Vec::new(),
            queue: BinaryHeap::new(),
            halves: HashMap::new(),
            follows_unknown: false,
        };
        // Words repeat; each is worked out once. With unknown tokens, what a word gives depends on the one before.
        let mut known: HashMap<&str, (usize, usize)> = HashMap::new();
        let remembers = matches!(self.fallback, Fallback::Bytes(_));
        let mut rest = normalized.as_str();
        while !rest.is_empty() {
            let end = if self.pieces_start_with_space {
                word_end(rest)
            } else {
                rest.len()
            };
            let (word, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
            rest = after;
            if let Some(&(from, to)) = known.get(word) {
                ids.extend_from_within(from..to);
                continue;
            }
            let from = ids.len();
            merging.run(word, ids);
            if remembers && word.len() <= KNOWN_WORD_BYTES_MAX && known.len() < KNOWN_WORDS_MAX {
                known.insert(word, (from, ids.len()));
            }
        }
    }

    /// Fills `symbols` with one for each character or user-defined token.
    fn cut(&self, text: &str, symbols: &mut Vec<Symbol>) {
        symbols.clear();
        let mut start = 0;
        while let Some(rest) = text.get(start..)
            && let Some(first) = rest.chars().next()
        {
            let whole = self
                .normalizer
                .user_defined()
                .longest(rest.as_bytes())
                .filter(|&(length, _)| rest.is_char_boundary(length));
            let length = whole.map_or_else(|| first.len_utf8(), |(length, _)| length);
            let place = symbols.len() as u32;
            symbols.push(Symbol {
                start,
                length,
                previous: place.checked_sub(1).unwrap_or(NONE),
                next: place + 1,
                user_defined: whole.map(|(_, id)| id),
            });
            start += length;
        }
        if let Some(last) = symbols.last_mut() {
            last.next = NONE;
        }
    }
}

/// A piece of the text, part of a chain. Of two that merge, the right one is left with length 0.
#[derive(Debug, Clone, Copy)]
struct Symbol {
    start: usize,
    length: usize,
    previous: u32,
    next: u32,
    /// A user-defined token never merges.
    user_defined: Option<u32>,
}

const NONE: u32 = u32::MAX;

struct Merging<'a> {
    bpe: &'a SpmBpe,
    vocab: &'a Vocab,
    text: &'a str,
    symbols: Vec<Symbol>,
    queue: BinaryHeap<Candidate>,
    /// The two parts, by their lengths, that made a piece which is not to be produced.
    halves: HashMap<(usize, usize), usize>,
    /// Whether the last token was an unknown one.
    follows_unknown: bool,
}

#[derive(Debug, Clone, Copy)]
struct Candidate {
    score: f32,
    left: u32,
    right: u32,
    length: usize,
}

impl Candidate {
    fn key(&self) -> (f32, Reverse<u32>) {
        (self.score, Reverse(self.left))
    }
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        let ((score, place), (other_score, other_place)) = (self.key(), other.key());
        score.total_cmp(&other_score).then(place.cmp(&other_place))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Candidate {}

impl<'a> Merging<'a> {
    /// Merges the characters of `text` and appends what is left.
    fn run(&mut self, text: &'a str, ids: &mut Vec<u32>) {
        self.text = text;
        self.queue.clear();
        self.halves.clear();
        self.bpe.cut(text, &mut self.symbols);
        for right in 1..self.symbols.len() as u32 {
            self.consider(right - 1, right);
        }
        while let Some(candidate) = self.queue.pop() {
            self.merge(candidate);
        }
        self.push_ids(ids);
    }

    fn merge(&mut self, candidate: Candidate) -> Option<()> {
        let Candidate {
            left,
            right,
            length,
            ..
        } = candidate;
        let right_symbol = *self.symbols.get(right as usize)?;
        let left_symbol = self.symbols.get_mut(left as usize)?;
        let expired = left_symbol.length == 0
            || right_symbol.length == 0
            || left_symbol.length + right_symbol.length != length;
        if expired {
            return None;
        }
        left_symbol.length = length;
        left_symbol.next = right_symbol.next;
        let previous = left_symbol.previous;
        if let Some(symbol) = self.symbols.get_mut(right as usize) {
            symbol.length = 0;
        }
        if let Some(symbol) = self.symbols.get_mut(right_symbol.next as usize) {
            symbol.previous = left;
        }
        self.consider(previous, left);
        self.consider(left, right_symbol.next);
        Some(())
    }

    /// Queues the merge of two symbols if it makes a piece.
    fn consider(&mut self, left: u32, right: u32) -> Option<()> {
        let left_symbol = self.symbols.get(left as usize)?;
        let right_symbol = self.symbols.get(right as usize)?;
        let length = left_symbol.length + right_symbol.length;
        let frozen = left_symbol
            .user_defined
            .or(right_symbol.user_defined)
            .is_some();
        if frozen || length > self.bpe.piece_bytes_max {
            return None;
        }
        let start = left_symbol.start;
        let id = self
            .vocab
            .id_of(self.text.as_bytes().get(start..start + length)?)?;
        match self.vocab.kind(id) {
            TokenKind::Normal | TokenKind::UserDefined => {}
            TokenKind::Unused => {
                self.halves.insert((start, length), left_symbol.length);
            }
            TokenKind::Control | TokenKind::Unknown | TokenKind::Byte => return None,
        }
        let score = self.vocab.score(id);
        self.queue.push(Candidate {
            score,
            left,
            right,
            length,
        });
        Some(())
    }

    fn push_ids(&mut self, ids: &mut Vec<u32>) {
        let mut follows_unknown = self.follows_unknown;
        for symbol in self.symbols.iter().filter(|symbol| symbol.length > 0) {
            if let Some(id) = symbol.user_defined {
                ids.push(id);
                follows_unknown = false;
                continue;
            }
            // Pieces that are not to be produced are taken apart again, the left part first.
            let mut waiting = vec![(symbol.start, symbol.length)];
            while let Some((start, length)) = waiting.pop() {
                let text = self
                    .text
                    .as_bytes()
                    .get(start..start + length)
                    .unwrap_or_default();
                let id = self
                    .vocab
                    .id_of(text)
                    .filter(|&id| self.vocab.stands_for_text(id));
                if id.is_some_and(|id| self.vocab.kind(id) == TokenKind::Unused)
                    && let Some(&left) = self.halves.get(&(start, length))
                {
                    waiting.push((start + left, length - left));
                    waiting.push((start, left));
                    continue;
                }
                match id {
                    Some(id) => ids.push(id),
                    None => self.bpe.fallback.push(text, follows_unknown, ids),
                }
                follows_unknown = id.is_none();
            }
        }
        self.follows_unknown = follows_unknown;
    }
}

/// Where the first word of `text` ends: before the first space that follows something else.
fn word_end(text: &str) -> usize {
    let word = text.trim_start_matches(SPACE_MARK);
    let spaces = text.len() - word.len();
    word.find(SPACE_MARK)
        .map_or(text.len(), |length| spaces + length)
}

fn has_space_inside(piece: &[u8]) -> bool {
    let piece = String::from_utf8_lossy(piece).replace(' ', SPACE_MARK);
    word_end(&piece) < piece.len()
}

/// Longer words seldom repeat.
const KNOWN_WORD_BYTES_MAX: usize = 64;
/// Enough for the vocabulary of a book; bounds the memory of one call.
const KNOWN_WORDS_MAX: usize = 1 << 16;

/// Refuses a vocabulary whose pieces cannot be compared.
pub(super) fn require_scores(gguf: &Gguf) -> Result<(), TokenizerError> {
    let key = "tokenizer.ggml.scores";
    match gguf.metadata.get(key) {
        Some(Value::Array(_)) => Ok(()),
        _ => Err(crate::gguf::GgufError::MissingKey(key.to_owned()).into()),
    }
}
