//! `phi3`: queries, keys and values in one matrix, gate and up in another (Phi-3 technical report, arXiv 2404.14219).
//! The parts are mapped as weights of their own, so nothing is copied. LongRoPE comes from the file's factor tensors.

use super::decoder::Style;
use super::keys::Keys;
use super::rope::Rope;
use super::shape::Shape;
use crate::contract::Error;

/// How this architecture differs from the plain decoder.
pub(super) fn style(keys: &Keys<'_>, shape: &Shape, rope: Rope) -> Result<Style, Error> {
    Ok(Style {
        fused: true,
        ..Style::plain(keys, shape, rope)?
    })
}
