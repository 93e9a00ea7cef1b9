//! Brings text into the form that SentencePiece models were trained on: the model's own character table, spaces as
//! U+2581, one more space in front. Shared by the two SentencePiece families; pieces are chosen elsewhere.
//!
//! Source: the behaviour of Google's `sentencepiece` (`normalizer.cc`).

use super::charsmap::Charsmap;
use super::trie::Trie;
use super::vocab::{SPACE_MARK, Vocab};
use super::{TokenKind, TokenizerError};
use crate::gguf::Gguf;

#[derive(Debug)]
pub(super) struct Normalizer {
    charsmap: Option<Charsmap>,
    user_defined: Trie,
    adds_space: bool,
    removes_extra_spaces: bool,
}

impl Normalizer {
    pub(super) fn read(gguf: &Gguf, vocab: &Vocab) -> Result<Self, TokenizerError> {
        let charsmap = match gguf.optional::<Vec<u8>>("tokenizer.ggml.precompiled_charsmap")? {
            Some(bytes) if !bytes.is_empty() => Some(Charsmap::parse(&bytes)?),
            _ => None,
        };
        Ok(Self {
            charsmap,
            user_defined: user_defined(vocab),
            adds_space: gguf
                .optional("tokenizer.ggml.add_space_prefix")?
                .unwrap_or(true),
            removes_extra_spaces: gguf
                .optional("tokenizer.ggml.remove_extra_whitespaces")?
                .unwrap_or(false),
        })
    }

    /// Whether every text gets a space in front.
    pub(super) fn adds_space(&self) -> bool {
        self.adds_space
    }

    /// User-defined tokens as they look in normalized text.
    pub(super) fn user_defined(&self) -> &Trie {
        &self.user_defined
    }

    /// `text` in the model's form. The space in front is left out unless the text begins a sequence or follows a
    /// control token.
    pub(super) fn normalize(&self, text: &str, begins: bool) -> String {
        let mut rest = text;
        if self.removes_extra_spaces {
            while let Some((normal, after)) = self.step(rest)
                && normal.text() == " "
            {
                rest = after;
            }
        }
        let mut normalized = String::with_capacity(rest.len() * 2);
        if rest.is_empty() {
            return normalized;
        }
        if self.adds_space && begins {
            normalized.push_str(SPACE_MARK);
        }
        let mut after_space = self.removes_extra_spaces;
        while let Some((normal, after)) = self.step(rest) {
            rest = after;
            let mut part = normal.text();
            if after_space {
                part = part.trim_start_matches(' ');
            }
            if !part.is_empty() {
                push_marked(&mut normalized, part);
                after_space = self.removes_extra_spaces && part.ends_with(' ');
            }
        }
        if self.removes_extra_spaces {
            let kept = normalized.trim_end_matches(SPACE_MARK).len();
            normalized.truncate(kept);
        }
        normalized
    }

    /// The normal form of the start of `text`, and what follows that start.
    fn step<'a>(&'a self, text: &'a str) -> Option<(Normal<'a>, &'a str)> {
        if let Some((length, _)) = self.user_defined.longest(text.as_bytes())
            && let Some((token, after)) = text.split_at_checked(length)
        {
            return Some((Normal::Kept(token), after));
        }
        if let Some(map) = &self.charsmap
            && let Some((length, replacement)) = map.longest(text.as_bytes())
            && let Some(after) = text.get(length..)
        {
            return Some((Normal::Replaced(replacement), after));
        }
        let first = text.chars().next()?;
        let (one, after) = text.split_at_checked(first.len_utf8())?;
        Some((Normal::Kept(one), after))
    }
}

enum Normal<'a> {
    Kept(&'a str),
    Replaced(&'a str),
}

impl Normal<'_> {
    fn text(&self) -> &str {
        match self {
            Self::Kept(text) | Self::Replaced(text) => text,
        }
    }
}

fn push_marked(normalized: &mut String, part: &str) {
    for (index, words) in part.split(' ').enumerate() {
        if index > 0 {
            normalized.push_str(SPACE_MARK);
        }
        normalized.push_str(words);
    }
}

/// Some converters write spaces in user-defined tokens as spaces, some as U+2581.
fn user_defined(vocab: &Vocab) -> Trie {
    let marked: Vec<(Vec<u8>, u32)> = vocab
        .iter()
        .filter(|(_, _, kind)| *kind == TokenKind::UserDefined)
        .map(|(id, text, _)| {
            let text = String::from_utf8_lossy(text).replace(' ', SPACE_MARK);
            (text.into_bytes(), id)
        })
        .collect();
    Trie::new(marked.iter().map(|(text, id)| (text.as_slice(), *id)))
}

/// What stands for text that no piece covers: its bytes where the vocabulary has byte tokens, else the unknown token,
/// once for a whole run.
#[derive(Debug)]
pub(super) enum Fallback {
    Bytes(Vec<u32>),
    Unknown(u32),
}

impl Fallback {
    pub(super) fn read(vocab: &Vocab) -> Result<Self, TokenizerError> {
        match vocab.byte_ids() {
            Some(ids) => Ok(Self::Bytes(ids)),
            None => vocab
                .special_ids()
                .unknown
                .map(Self::Unknown)
                .ok_or(TokenizerError::NoUnknown),
        }
    }

    /// Appends what stands for `text`. `follows_unknown` says whether an unknown token stands just before.
    pub(super) fn push(&self, text: &[u8], follows_unknown: bool, ids: &mut Vec<u32>) {
        match self {
            Self::Bytes(of) => {
                ids.extend(text.iter().filter_map(|&byte| of.get(usize::from(byte))));
            }
            Self::Unknown(_) if follows_unknown => {}
            Self::Unknown(id) => ids.push(*id),
        }
    }
}
