//! Turns text into token ids and back, by the rules that the model file names.
//!
//! Four families, each in a file of its own: byte-level BPE, SentencePiece BPE, SentencePiece unigram and WordPiece.
//! This file decides which family a file asks for, finds control tokens in text, and adds the tokens that begin and
//! end a sequence. What a chat looks like is for the chat template to say; which ids make sense is for the model.
//!
//! Metadata keys: the GGUF specification in the ggml repository (`docs/gguf.md`) and, where it is silent, what
//! llama.cpp's converter writes and its `llama-vocab.cpp` reads.

mod bpe;
mod byte_level;
mod charsmap;
mod decoder;
mod error;
mod guard;
mod limits;
mod pretokenizer;
mod sentencepiece;
mod special;
mod spm_bpe;
#[cfg(test)]
mod tests;
mod trie;
mod unigram;
mod vocab;
mod wordpiece;

pub use decoder::{Decoder, LeadingSpace};
pub use error::TokenizerError;
pub use guard::Guard;
pub use limits::*;
pub use vocab::{SpecialIds, TokenKind};

use crate::gguf::Gguf;
use special::{Part, SpecialTokens};
use vocab::Vocab;

/// A tokenizer built from a model file's metadata.
#[derive(Debug)]
pub struct Tokenizer {
    vocab: Vocab,
    special: SpecialTokens,
    family: Family,
}

#[derive(Debug)]
enum Family {
    ByteLevel(bpe::ByteLevelBpe),
    SentencePieceBpe(spm_bpe::SpmBpe),
    Unigram(unigram::Unigram),
    WordPiece(wordpiece::WordPiece),
}

impl Tokenizer {
    /// Reads the tokenizer that `gguf` describes. Memory is a small multiple of the vocabulary's own size.
    pub fn from_gguf(gguf: &Gguf) -> Result<Self, TokenizerError> {
        let model: &str = gguf.required("tokenizer.ggml.model")?;
        let mut vocab = Vocab::read(gguf, model)?;
        let family = match model {
            "gpt2" => Family::ByteLevel(bpe::ByteLevelBpe::read(gguf, &mut vocab)?),
            "llama" => Family::SentencePieceBpe(spm_bpe::SpmBpe::read(gguf, &vocab)?),
            "t5" => Family::Unigram(unigram::Unigram::read(gguf, &vocab)?),
            "bert" => Family::WordPiece(wordpiece::WordPiece::read(gguf, &vocab)?),
            other => return Err(TokenizerError::Model(other.to_owned())),
        };
        vocab.check_added_ids()?;
        let trims =
            model == "llama" && gguf.optional::<&str>("general.architecture")? == Some("phi3");
        let special = SpecialTokens::new(
            &vocab,
            matches!(family, Family::ByteLevel(_) | Family::WordPiece(_)),
            trims,
        );
        Ok(Self {
            vocab,
            special,
            family,
        })
    }

    /// The token ids of `text`.
    ///
    /// With `add_special`, the tokens that the model wants around a sequence are added (beginning and end of text, or
    /// `[CLS]` and `[SEP]`). With `parse_special`, the texts of control tokens become those tokens; without it they
    /// are plain text, which is what text from a user must be. User-defined tokens are matched either way.
    /// Fails only if `text` is longer than [`TEXT_BYTES_MAX`].
    pub fn encode(
        &self,
        text: &str,
        add_special: bool,
        parse_special: bool,
    ) -> Result<Vec<u32>, TokenizerError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(TokenizerError::TextTooLong(text.len()));
        }
        let mut ids = Vec::with_capacity(text.len() / 4 + 2);
        let around = self.vocab.around();
        if add_special {
            ids.extend(around.first);
        }
        let mut after_special = true;
        for part in self.special.split(text, parse_special) {
            match part {
                Part::Token(id) => {
                    ids.push(id);
                    after_special = true;
                }
                Part::Text(text) => {
                    self.encode_plain(text, after_special, &mut ids);
                    after_special = false;
                }
            }
        }
        if add_special {
            ids.extend(around.last);
        }
        Ok(ids)
    }

    fn encode_plain(&self, text: &str, after_special: bool, ids: &mut Vec<u32>) {
        match &self.family {
            Family::ByteLevel(bpe) => bpe.encode(&self.vocab, text, ids),
            Family::SentencePieceBpe(bpe) => bpe.encode(&self.vocab, text, after_special, ids),
            Family::Unigram(unigram) => unigram.encode(text, after_special, ids),
            Family::WordPiece(pieces) => pieces.encode(text, ids),
        }
    }

    /// The text of `ids`, as a whole: a leading space that the tokenizer itself adds is taken off, and bytes that are
    /// no text become U+FFFD. With `show_control`, control tokens print their own text.
    pub fn decode(&self, ids: &[u32], show_control: bool) -> String {
        let mut decoder = Decoder::new(LeadingSpace::Strip, show_control);
        let mut text = String::new();
        for &id in ids {
            text.push_str(&decoder.push(self, id));
        }
        text.push_str(&decoder.finish());
        text
    }

    /// The bytes that token `id` stands for; for a control token, its own text. Nothing for an id out of range.
    pub fn token_bytes(&self, id: u32) -> &[u8] {
        self.vocab.piece(id)
    }

    /// The id of the token whose text in the file is `text`.
    pub fn id_of(&self, text: &str) -> Option<u32> {
        self.vocab.id_of(text.as_bytes())
    }

    /// Number of tokens.
    pub fn vocab_len(&self) -> usize {
        self.vocab.len()
    }

    /// What the file says token `id` is; unknown for an id out of range.
    pub fn kind(&self, id: u32) -> TokenKind {
        self.vocab.kind(id)
    }

    /// Whether token `id` steers the model instead of standing for text.
    pub fn is_control(&self, id: u32) -> bool {
        !self.vocab.stands_for_text(id)
    }

    /// Whether token `id` ends a generation.
    pub fn is_end(&self, id: u32) -> bool {
        self.vocab.ends().binary_search(&id).is_ok()
    }

    /// All ids that end a generation, ascending.
    pub fn ends(&self) -> &[u32] {
        self.vocab.ends()
    }

    /// The ids with a role of their own.
    pub fn special_ids(&self) -> &SpecialIds {
        self.vocab.special_ids()
    }

    /// Whether a space at the start of a text is the tokenizer's own addition.
    fn adds_leading_space(&self) -> bool {
        match &self.family {
            Family::ByteLevel(_) => false,
            Family::SentencePieceBpe(bpe) => bpe.adds_leading_space(),
            Family::Unigram(unigram) => unigram.adds_leading_space(),
            Family::WordPiece(_) => true,
        }
    }
}
