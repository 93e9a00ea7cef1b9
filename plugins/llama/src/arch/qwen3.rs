//! `qwen3`: without Qwen2's biases, with a norm of each query and key head (Qwen3 technical report, arXiv 2505.09388).

use super::decoder::Style;
use super::keys::Keys;
use super::rope::Rope;
use super::shape::Shape;
use crate::contract::Error;

/// How this architecture differs from the plain decoder.
pub(super) fn style(keys: &Keys<'_>, shape: &Shape, rope: Rope) -> Result<Style, Error> {
    Ok(Style {
        head_norms: true,
        ..Style::plain(keys, shape, rope)?
    })
}
