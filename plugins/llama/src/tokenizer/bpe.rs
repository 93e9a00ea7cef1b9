//! Byte-level BPE, as GPT-2 introduced it: text is cut into words, each word's bytes are tokens, and neighbouring
//! tokens merge by the rank of their merge, the lowest rank first, the leftmost of equal ranks first.
//!
//! The order of merges, stale queue entries included, is that of the Hugging Face `tokenizers` package, which is what
//! models are trained and published with.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use super::byte_level;
use super::pretokenizer::PreTokenizer;
use super::vocab::{Index, Vocab};
use super::{MERGES_MAX, TokenizerError};
use crate::gguf::{Gguf, Strings};

#[derive(Debug)]
pub(super) struct ByteLevelBpe {
    words: PreTokenizer,
    merges: Merges,
    /// The token of each byte; bytes without one are dropped.
    byte_ids: Vec<Option<u32>>,
    /// Whole words that are tokens, where the model takes those before it merges anything.
    whole_words: Option<Index>,
    /// Whether text is brought into composed form (NFC) first.
    composes: bool,
}

#[derive(Debug, Clone, Copy)]
struct Merge {
    rank: u32,
    id: u32,
}

impl ByteLevelBpe {
    pub(super) fn read(gguf: &Gguf, vocab: &mut Vocab) -> Result<Self, TokenizerError> {
        let name = gguf.optional("tokenizer.ggml.pre")?.unwrap_or("default");
        let words = PreTokenizer::named(name)
            .ok_or_else(|| TokenizerError::PreTokenizer(name.to_owned()))?;
        vocab.default_add_bos(gguf, words.adds_bos())?;
        let merges = read_merges(gguf.required("tokenizer.ggml.merges")?, vocab)?;
        let byte_ids = (0..=u8::MAX)
            .map(|byte| {
                let mut buffer = [0; 4];
                vocab.id_of(
                    byte_level::char_of(byte)
                        .encode_utf8(&mut buffer)
                        .as_bytes(),
                )
            })
            .collect();
        let whole_words = words.takes_whole_words().then(|| vocab.printed());
        // Qwen's published tokenizers normalise; GGUF has no key for it, and other models share their word rule.
        let architecture: Option<&str> = gguf.optional("general.architecture")?;
        let composes = words.is_qwen() && architecture.is_some_and(|name| name.starts_with("qwen"));
        Ok(Self {
            words,
            merges,
            byte_ids,
            whole_words,
            composes,
        })
    }

    pub(super) fn encode(&self, vocab: &Vocab, text: &str, ids: &mut Vec<u32>) {
        let text = match is_nfc_quick(text.chars()) {
            _ if !self.composes => Cow::Borrowed(text),
            IsNormalized::Yes => Cow::Borrowed(text),
            IsNormalized::No | IsNormalized::Maybe => Cow::Owned(text.nfc().collect()),
        };
        let mut merging = Merging::default();
        // Words repeat; each is worked out once.
        let mut known: HashMap<&str, (usize, usize), BuildHasherDefault<Mixer>> =
            HashMap::default();
        self.words.split(&text, &mut |word| {
            if let Some(&(from, to)) = known.get(word) {
                ids.extend_from_within(from..to);
                return;
            }
            let from = ids.len();
            self.encode_word(vocab, word.as_bytes(), &mut merging, ids);
            if word.len() <= KNOWN_WORD_BYTES_MAX && known.len() < KNOWN_WORDS_MAX {
                known.insert(word, (from, ids.len()));
            }
        });
    }

    fn encode_word(&self, vocab: &Vocab, word: &[u8], merging: &mut Merging, ids: &mut Vec<u32>) {
        let whole = self.whole_words.as_ref();
        if let Some(id) = whole.and_then(|printed| vocab.id_printing(word, printed)) {
            ids.push(id);
            return;
        }
        let start = word
            .iter()
            .filter_map(|&byte| self.byte_ids.get(usize::from(byte)).copied().flatten());
        merging.run(start, &self.merges, ids);
    }
}

/// Work space for merging one word.
#[derive(Debug, Default)]
struct Merging {
    symbols: Vec<Symbol>,
    queue: BinaryHeap<Reverse<(u32, u32, u32)>>,
}

#[derive(Debug, Clone, Copy)]
struct Symbol {
    id: u32,
    previous: u32,
    next: u32,
    gone: bool,
}

const NONE: u32 = u32::MAX;

impl Merging {
    /// Merges the tokens `start` and appends what is left.
    fn run(&mut self, start: impl Iterator<Item = u32>, merges: &Merges, ids: &mut Vec<u32>) {
        self.symbols.clear();
        self.queue.clear();
        for (place, id) in (0_u32..).zip(start) {
            if let Some(last) = self.symbols.last_mut() {
                last.next = place;
            }
            let previous = place.checked_sub(1).unwrap_or(NONE);
            self.symbols.push(Symbol {
                id,
                previous,
                next: NONE,
                gone: false,
            });
        }
        for (place, pair) in (0_u32..).zip(self.symbols.windows(2)) {
            if let [left, right] = pair
                && let Some(merge) = merges.get(left.id, right.id)
            {
                self.queue.push(Reverse((merge.rank, place, merge.id)));
            }
        }
        while let Some(Reverse((_, place, id))) = self.queue.pop() {
            self.merge(place, id, merges);
        }
        ids.extend(
            self.symbols
                .iter()
                .filter(|symbol| !symbol.gone)
                .map(|symbol| symbol.id),
        );
    }

    /// Merges the symbol at `place` with the next one into `id`, if that is still what they make.
    fn merge(&mut self, place: u32, id: u32, merges: &Merges) -> Option<()> {
        let left = *self
            .symbols
            .get(place as usize)
            .filter(|symbol| !symbol.gone)?;
        let right = *self.symbols.get(left.next as usize)?;
        merges
            .get(left.id, right.id)
            .filter(|merge| merge.id == id)?;
        if let Some(symbol) = self.symbols.get_mut(left.next as usize) {
            symbol.gone = true;
        }
        if let Some(symbol) = self.symbols.get_mut(place as usize) {
            symbol.id = id;
            symbol.next = right.next;
        }
        if let Some(symbol) = self.symbols.get_mut(right.next as usize) {
            symbol.previous = place;
            if let Some(merge) = merges.get(id, symbol.id) {
                self.queue.push(Reverse((merge.rank, place, merge.id)));
            }
        }
        if let Some(symbol) = self.symbols.get(left.previous as usize)
            && let Some(merge) = merges.get(symbol.id, id)
        {
            self.queue
                .push(Reverse((merge.rank, left.previous, merge.id)));
        }
        Some(())
    }
}

/// The merge of each pair of tokens.
#[derive(Debug, Default)]
struct Merges(HashMap<u64, Merge, BuildHasherDefault<Mixer>>);

impl Merges {
    fn get(&self, left: u32, right: u32) -> Option<Merge> {
        self.0.get(&pair(left, right)).copied()
    }
}

fn pair(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}

fn read_merges(lines: &Strings, vocab: &Vocab) -> Result<Merges, TokenizerError> {
    if lines.len() > MERGES_MAX {
        return Err(TokenizerError::TooManyMerges(lines.len()));
    }
    let mut merges = Merges::default();
    merges.0.reserve(lines.len());
    let mut whole = Vec::new();
    for (rank, line) in (0_u32..).zip(lines.iter()) {
        let merge = split_merge(line).and_then(|(left, right)| {
            whole.clear();
            whole.extend_from_slice(left);
            whole.extend_from_slice(right);
            let id = vocab.id_of(&whole)?;
            Some((
                pair(vocab.id_of(left)?, vocab.id_of(right)?),
                Merge { rank, id },
            ))
        });
        let Some((pair, merge)) = merge else {
            return Err(TokenizerError::Merge {
                index: rank as usize,
                merge: String::from_utf8_lossy(line).into_owned(),
            });
        };
        // Plain text must never become a control token. Of two merges of one pair, Hugging Face keeps the later.
        if vocab.stands_for_text(merge.id) {
            merges.0.insert(pair, merge);
        }
    }
    Ok(merges)
}

/// The two tokens of a merge, which stand apart by a space. A token of this alphabet never has one inside, but some
/// vocabularies are written without it, so a leading space belongs to the first token.
fn split_merge(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = 1 + line.get(1..)?.iter().position(|&byte| byte == b' ')?;
    Some((line.get(..at)?, line.get(at + 1..)?))
}

/// A hash for keys that are small numbers or short words. Collisions cost time, never a wrong answer.
#[derive(Debug, Default)]
struct Mixer(u64);

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
        let tail = rest
            .iter()
            .fold(rest.len() as u64, |tail, &byte| tail << 8 | u64::from(byte));
        self.write_u64(tail);
    }

    fn write_u8(&mut self, byte: u8) {
        self.0 ^= u64::from(byte);
    }

    fn write_u64(&mut self, word: u64) {
        let mixed =
            u128::from(self.0.rotate_left(5) ^ word) * u128::from(0x9e37_79b9_7f4a_7c15_u64);
        self.0 = (mixed as u64) ^ ((mixed >> 64) as u64);
    }
}

/// Longer words seldom repeat.
const KNOWN_WORD_BYTES_MAX: usize = 64;
/// Enough for the vocabulary of a book; bounds the memory of one call.
const KNOWN_WORDS_MAX: usize = 1 << 16;
