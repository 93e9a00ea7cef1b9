//! The sizes that every architecture has, read from metadata and checked against each other before any tensor is
//! looked at. What an architecture does with them is its own file's business.

use super::keys::Keys;
use crate::contract::Error;
use crate::error::malformed;
use crate::limits::{
    CONTEXT_MAX, HEAD_WIDTH_MAX, HEADS_MAX, LAYERS_MAX, VOCABULARY_MAX, WIDTH_MAX,
};

/// Sizes of a model.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shape {
    /// Number of blocks.
    pub layers: u32,
    /// Width of the residual stream.
    pub width: u32,
    /// Query heads of each layer.
    pub heads: u32,
    /// Key and value heads, layer by layer.
    pub kv_heads: Vec<u32>,
    /// Columns of a query or key head.
    pub key_width: u32,
    /// Columns of a value head.
    pub value_width: u32,
    /// Width inside the feed-forward part, layer by layer.
    pub inner: Vec<u32>,
    /// Tokens of the vocabulary.
    pub vocabulary: u32,
    /// The context that the model was trained on, in tokens.
    pub trained_context: u32,
    /// Elements of a head that rotary embedding turns: even, at most `key_width`.
    pub rope_dims: u32,
}

impl Shape {
    /// Reads and checks. `vocabulary` is the tokenizer's number of tokens.
    pub(super) fn read(keys: &Keys<'_>, vocabulary: u32) -> Result<Self, Error> {
        let layers = keys.required_count("block_count", LAYERS_MAX)?;
        let width = keys.required_count("embedding_length", WIDTH_MAX)?;
        let heads = keys.required_count("attention.head_count", HEADS_MAX)?;
        let kv_heads = match keys.counts("attention.head_count_kv", layers, HEADS_MAX)? {
            Some(list) => list,
            None => vec![heads; layers as usize],
        };
        if let Some(kv) = kv_heads.iter().find(|&&kv| !heads.is_multiple_of(kv)) {
            return Err(malformed(format!(
                "{heads} attention heads cannot share {kv} key and value heads evenly"
            )));
        }
        let shared = (width / heads).max(1);
        let head = |key: &str| -> Result<u32, Error> {
            match keys.optional_count(key, HEAD_WIDTH_MAX)? {
                Some(width) => Ok(width),
                None if width % heads == 0 && shared <= HEAD_WIDTH_MAX => Ok(shared),
                None => Err(malformed(format!(
                    "a width of {width} cannot be divided among {heads} heads, and key `{}` is missing",
                    keys.name(key)
                ))),
            }
        };
        let key_width = head("attention.key_length")?;
        let value_width = head("attention.value_length")?;
        let inner = keys
            .counts("feed_forward_length", layers, WIDTH_MAX)?
            .ok_or_else(|| {
                malformed(format!(
                    "missing key `{}`",
                    keys.name("feed_forward_length")
                ))
            })?;
        check_vocabulary(vocabulary)?;
        Ok(Self {
            layers,
            width,
            heads,
            kv_heads,
            key_width,
            value_width,
            inner,
            vocabulary,
            trained_context: keys.required_count("context_length", CONTEXT_MAX)?,
            rope_dims: rope_dims(keys, key_width)?,
        })
    }

    /// Columns of all query heads.
    pub(super) fn query_columns(&self) -> u32 {
        self.heads * self.key_width
    }

    /// Numbers of one layer, all of which exist once the shape is read.
    pub(super) fn layer(&self, layer: u32) -> (u32, u32) {
        let at = |list: &[u32]| list.get(layer as usize).copied().unwrap_or(1);
        (at(&self.kv_heads), at(&self.inner))
    }
}

fn check_vocabulary(tokens: u32) -> Result<(), Error> {
    if tokens == 0 || tokens > VOCABULARY_MAX {
        return Err(malformed(format!(
            "the tokenizer has {tokens} tokens, expected 1 to {VOCABULARY_MAX}"
        )));
    }
    Ok(())
}

fn rope_dims(keys: &Keys<'_>, key_width: u32) -> Result<u32, Error> {
    let dims = keys
        .optional_count("rope.dimension_count", HEAD_WIDTH_MAX)?
        .unwrap_or(key_width);
    if dims > key_width || (dims % 2 == 1 && keys.arch() != "bert") {
        return Err(malformed(format!(
            "key `{}` is {dims}, expected an even number of at most {key_width}",
            keys.name("rope.dimension_count")
        )));
    }
    Ok(dims)
}
