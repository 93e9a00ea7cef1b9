//! `gemma3`: Gemma 2 with norms of query and key heads instead of caps, and five local layers to each global one;
//! local layers keep the plain rotation at base 10,000 (Gemma 3, arXiv 2503.19786, section 2).

use super::decoder::Style;
use super::gemma2::gemma;
use super::keys::Keys;
use super::rope::{Rope, Scaling};
use super::shape::Shape;
use crate::contract::Error;

/// Layers of the 27B model: see `gemma2`.
const LAYERS_27B: u32 = 62;
/// The base of local layers where the file names none.
const BASE_LOCAL: f32 = 10000.0;

/// How this architecture differs from the plain decoder.
pub(super) fn style(keys: &Keys<'_>, shape: &Shape, rope: Rope) -> Result<Style, Error> {
    let base = keys.positive("rope.freq_base_swa")?.unwrap_or(BASE_LOCAL);
    let mut style = Style {
        head_norms: true,
        rope_local: Rope::new(shape.rope_dims, base, &Scaling::None),
        ..gemma(keys, shape, rope, LAYERS_27B)?
    };
    style.local_layers(keys, 6)?;
    Ok(style)
}
