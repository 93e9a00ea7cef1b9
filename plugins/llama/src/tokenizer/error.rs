//! Why a model file's tokenizer cannot be used, or a text cannot be tokenized.

use super::limits::*;
use crate::gguf::GgufError;

/// Why there is no tokenizer, or no tokens. Nothing is kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenizerError {
    /// A key is missing or has the wrong type.
    #[error(transparent)]
    Metadata(#[from] GgufError),
    #[error("unknown tokenizer model `{0}`; known are gpt2, llama, t5 and bert")]
    Model(String),
    #[error("unknown pre-tokenizer `{0}` in `tokenizer.ggml.pre`")]
    PreTokenizer(String),
    #[error("the vocabulary has {0} tokens, more than the {TOKENS_MAX} allowed")]
    TooManyTokens(usize),
    #[error("the vocabulary is empty")]
    NoTokens,
    #[error("token {id} has {bytes} bytes, more than the {TOKEN_BYTES_MAX} allowed")]
    TokenTooLong { id: usize, bytes: usize },
    #[error("the tokens have {0} bytes together, more than the {VOCAB_BYTES_MAX} allowed")]
    VocabTooLong(usize),
    #[error("key `{key}` has {found} entries for {tokens} tokens")]
    Length {
        key: &'static str,
        found: usize,
        tokens: usize,
    },
    #[error("the score of token {0} is not a finite number")]
    Score(usize),
    #[error("the vocabulary has {0} merges, more than the {MERGES_MAX} allowed")]
    TooManyMerges(usize),
    #[error("merge {index} (`{merge}`) is not two tokens that make a third")]
    Merge { index: usize, merge: String },
    #[error("`{flag}` is set, but the file names no such token")]
    AddedToken { flag: &'static str },
    #[error("the vocabulary has no token for unknown text")]
    NoUnknown,
    #[error("the normalisation table in `tokenizer.ggml.precompiled_charsmap` is damaged: {0}")]
    Charsmap(&'static str),
    #[error("the text has {0} bytes, more than the {TEXT_BYTES_MAX} allowed")]
    TextTooLong(usize),
}
