//! The token list: texts, kinds, scores, the bytes that each token prints, and the ids with a role of their own.
//! How text becomes tokens is for the families to say.

use super::byte_level::{self, ByteOf};
use super::{TOKEN_BYTES_MAX, TOKENS_MAX, TokenizerError, VOCAB_BYTES_MAX};
use crate::gguf::{Array, Gguf, GgufError, Strings, Value};

mod ends;
mod index;

pub(super) use index::Index;

/// What a token is, as the file's `tokenizer.ggml.token_type` numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// Stands for text.
    Normal,
    /// Stands for text that nothing else stands for.
    Unknown,
    /// Steers the model; only ever written by templates.
    Control,
    /// Stands for text and is found before anything else is tokenized.
    UserDefined,
    /// In the list, but not to be produced.
    Unused,
    /// Stands for one byte.
    Byte,
}

/// The ids with a role of their own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SpecialIds {
    /// Beginning of text, or `[CLS]`.
    pub bos: Option<u32>,
    /// End of text.
    pub eos: Option<u32>,
    /// End of a turn.
    pub eot: Option<u32>,
    /// End of a message that will go on after a tool has answered.
    pub eom: Option<u32>,
    pub unknown: Option<u32>,
    pub separator: Option<u32>,
    pub padding: Option<u32>,
    pub mask: Option<u32>,
    /// Whether `bos` is added before a sequence.
    pub add_bos: bool,
    /// Whether `eos` (or `separator`, where `adds_separator`) is added after a sequence.
    pub add_eos: bool,
}

/// What is added around a sequence.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around {
    pub(super) first: Option<u32>,
    pub(super) last: Option<u32>,
}

#[derive(Debug)]
pub(super) struct Vocab {
    texts: Strings,
    pieces: Strings,
    kinds: Vec<TokenKind>,
    scores: Vec<f32>,
    index: Index,
    special: SpecialIds,
    is_bert: bool,
    ends: Vec<u32>,
}

impl Vocab {
    pub(super) fn read(gguf: &Gguf, model: &str) -> Result<Self, TokenizerError> {
        let texts: &Strings = gguf.required("tokenizer.ggml.tokens")?;
        check_size(texts)?;
        let mut kinds = read_kinds(gguf, texts.len())?;
        let scores = read_scores(gguf, texts.len())?;
        let index = Index::new(texts, |_| true);
        let mut special = read_special_ids(gguf, model, texts.len())?;
        let ends = ends::find(gguf, texts, &index, &mut kinds, &mut special)?;
        let pieces = pieces(texts, &kinds, model);
        Ok(Self {
            texts: texts.clone(),
            pieces,
            kinds,
            scores,
            index,
            special,
            is_bert: model == "bert",
            ends,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }

    /// The bytes the token prints.
    pub(super) fn piece(&self, id: u32) -> &[u8] {
        self.pieces.get(id as usize).unwrap_or_default()
    }

    pub(super) fn kind(&self, id: u32) -> TokenKind {
        self.kinds
            .get(id as usize)
            .copied()
            .unwrap_or(TokenKind::Unknown)
    }

    /// Whether plain text may become this token.
    pub(super) fn stands_for_text(&self, id: u32) -> bool {
        !matches!(self.kind(id), TokenKind::Control | TokenKind::Unknown)
    }

    pub(super) fn score(&self, id: u32) -> f32 {
        self.scores.get(id as usize).copied().unwrap_or_default()
    }

    pub(super) fn id_of(&self, text: &[u8]) -> Option<u32> {
        self.index.get(&self.texts, text)
    }

    /// The tokens that plain text may become, by what they print.
    pub(super) fn printed(&self) -> Index {
        Index::new(&self.pieces, |id| self.stands_for_text(id))
    }

    /// The token that prints `text`, by the index made of this vocabulary.
    pub(super) fn id_printing(&self, text: &[u8], printed: &Index) -> Option<u32> {
        printed.get(&self.pieces, text)
    }

    /// Every token as (id, text, kind).
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &[u8], TokenKind)> {
        (0_u32..)
            .zip(self.texts.iter().zip(&self.kinds))
            .map(|(id, (text, &kind))| (id, text, kind))
    }

    pub(super) fn special_ids(&self) -> &SpecialIds {
        &self.special
    }

    pub(super) fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// Sets whether `bos` is added, unless the file says so itself.
    pub(super) fn default_add_bos(
        &mut self,
        gguf: &Gguf,
        add_bos: bool,
    ) -> Result<(), TokenizerError> {
        self.special.add_bos = gguf.optional(ADD_BOS_KEY)?.unwrap_or(add_bos);
        Ok(())
    }

    /// The ids for every byte, where the vocabulary has tokens such as `<0x0A>`; `None` if one is missing.
    pub(super) fn byte_ids(&self) -> Option<Vec<u32>> {
        (0..=u8::MAX)
            .map(|byte| self.id_of(format!("<0x{byte:02X}>").as_bytes()))
            .collect()
    }

    pub(super) fn around(&self) -> Around {
        let special = &self.special;
        Around {
            first: special.bos.filter(|_| special.add_bos),
            last: if self.is_bert {
                special.separator
            } else {
                special.eos
            }
            .filter(|_| special.add_eos),
        }
    }

    /// A file must not ask for a token to be added that it does not name.
    pub(super) fn check_added_ids(&self) -> Result<(), TokenizerError> {
        let around = self.around();
        if self.special.add_bos && around.first.is_none() {
            return Err(TokenizerError::AddedToken { flag: ADD_BOS_KEY });
        }
        if self.special.add_eos && around.last.is_none() {
            return Err(TokenizerError::AddedToken { flag: ADD_EOS_KEY });
        }
        Ok(())
    }
}

fn check_size(texts: &Strings) -> Result<(), TokenizerError> {
    if texts.is_empty() {
        return Err(TokenizerError::NoTokens);
    }
    if texts.len() > TOKENS_MAX {
        return Err(TokenizerError::TooManyTokens(texts.len()));
    }
    for (id, text) in texts.iter().enumerate() {
        if text.len() > TOKEN_BYTES_MAX {
            return Err(TokenizerError::TokenTooLong {
                id,
                bytes: text.len(),
            });
        }
    }
    match texts.iter().map(<[u8]>::len).sum() {
        0..=VOCAB_BYTES_MAX => Ok(()),
        bytes => Err(TokenizerError::VocabTooLong(bytes)),
    }
}

fn read_kinds(gguf: &Gguf, tokens: usize) -> Result<Vec<TokenKind>, TokenizerError> {
    let key = "tokenizer.ggml.token_type";
    let Some(codes) = gguf.optional::<Vec<i32>>(key)? else {
        return Ok(vec![TokenKind::Normal; tokens]);
    };
    if codes.len() < tokens {
        return Err(TokenizerError::Length {
            key,
            found: codes.len(),
            tokens,
        });
    }
    let kind = |code: &i32| match code {
        2 => TokenKind::Unknown,
        3 => TokenKind::Control,
        4 => TokenKind::UserDefined,
        5 => TokenKind::Unused,
        6 => TokenKind::Byte,
        _ => TokenKind::Normal,
    };
    Ok(codes.iter().take(tokens).map(kind).collect())
}

fn read_scores(gguf: &Gguf, tokens: usize) -> Result<Vec<f32>, TokenizerError> {
    let key = "tokenizer.ggml.scores";
    let scores = match gguf.metadata.get(key) {
        None => return Ok(Vec::new()),
        Some(Value::Array(Array::F32(scores))) => scores.clone(),
        Some(_) => gguf
            .required::<Vec<i32>>(key)?
            .iter()
            .map(|&score| score as f32)
            .collect(),
    };
    if scores.len() < tokens {
        return Err(TokenizerError::Length {
            key,
            found: scores.len(),
            tokens,
        });
    }
    match scores.iter().position(|score| !score.is_finite()) {
        Some(id) => Err(TokenizerError::Score(id)),
        None => Ok(scores),
    }
}

/// The ids that the file names, or those that files of this kind leave out because they are always the same.
fn read_special_ids(gguf: &Gguf, model: &str, tokens: usize) -> Result<SpecialIds, GgufError> {
    let default = match model {
        "llama" => SpecialIds {
            bos: Some(1),
            eos: Some(2),
            unknown: Some(0),
            add_bos: true,
            ..SpecialIds::default()
        },
        "t5" => SpecialIds {
            eos: Some(1),
            unknown: Some(2),
            padding: Some(0),
            add_eos: true,
            ..SpecialIds::default()
        },
        "bert" => SpecialIds {
            bos: Some(101),
            unknown: Some(100),
            separator: Some(102),
            padding: Some(0),
            mask: Some(103),
            add_bos: true,
            add_eos: true,
            ..SpecialIds::default()
        },
        _ => SpecialIds::default(),
    };
    // Files exist that name ids outside their vocabulary for roles they do not use.
    let id = |name: &str, default: Option<u32>| -> Result<Option<u32>, GgufError> {
        let named = gguf.optional::<i64>(&format!("tokenizer.ggml.{name}_token_id"))?;
        let valid = |id: i64| u32::try_from(id).ok().filter(|&id| (id as usize) < tokens);
        Ok(named.and_then(valid).or_else(|| valid(i64::from(default?))))
    };
    Ok(SpecialIds {
        bos: id("bos", default.bos)?,
        eos: id("eos", default.eos)?,
        eot: id("eot", None)?,
        eom: id("eom", None)?,
        unknown: id("unknown", default.unknown)?,
        // The converter's key really is spelled so.
        separator: id("seperator", default.separator)?,
        padding: id("padding", default.padding)?,
        mask: id("mask", default.mask)?,
        // Every BERT sequence stands between its two markers, whatever the flags say.
        add_bos: model == "bert" || gguf.optional(ADD_BOS_KEY)?.unwrap_or(default.add_bos),
        add_eos: model == "bert" || gguf.optional(ADD_EOS_KEY)?.unwrap_or(default.add_eos),
    })
}

fn pieces(texts: &Strings, kinds: &[TokenKind], model: &str) -> Strings {
    let alphabet = (model == "gpt2").then(ByteOf::new);
    texts
        .iter()
        .zip(kinds)
        .map(|(text, kind)| match kind {
            TokenKind::Control | TokenKind::Unknown => text.to_vec(),
            TokenKind::Byte => byte_of(text).map_or_else(|| text.to_vec(), |byte| vec![byte]),
            TokenKind::Normal | TokenKind::UserDefined | TokenKind::Unused => match &alphabet {
                Some(_) if *kind == TokenKind::UserDefined => text.to_vec(),
                Some(alphabet) => byte_level::decode(text, alphabet),
                None => replace(text, SPACE_MARK.as_bytes(), b" "),
            },
        })
        .collect()
}

/// The byte that a text such as `<0x0A>` names.
fn byte_of(text: &[u8]) -> Option<u8> {
    let digits = text.strip_prefix(b"<0x")?.strip_suffix(b">")?;
    let digits = std::str::from_utf8(digits)
        .ok()
        .filter(|digits| digits.len() == 2)?;
    u8::from_str_radix(digits, 16).ok()
}

fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(from) {
            replaced.extend_from_slice(to);
            rest = after;
        } else {
            replaced.push(first);
            rest = tail;
        }
    }
    replaced
}

/// How SentencePiece vocabularies write a space.
pub(super) const SPACE_MARK: &str = "\u{2581}";
const ADD_BOS_KEY: &str = "tokenizer.ggml.add_bos_token";
const ADD_EOS_KEY: &str = "tokenizer.ggml.add_eos_token";
