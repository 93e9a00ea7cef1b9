//! `qwen2`: the plain decoder with biases on queries, keys and values (Qwen2 technical report, arXiv 2407.10671). The
//! biases are found by their tensors.

use super::decoder::Style;
use super::keys::Keys;
use super::rope::Rope;
use super::shape::Shape;
use crate::contract::Error;

/// How this architecture differs from the plain decoder.
pub(super) fn style(keys: &Keys<'_>, shape: &Shape, rope: Rope) -> Result<Style, Error> {
    Style::plain(keys, shape, rope)
}
