//! `gemma2`: scaled embeddings, norms before and after each half, capped scores and logits, and a sliding window in
//! every other layer (Gemma 2, arXiv 2408.00118, section 2).

use super::decoder::Style;
use super::keys::Keys;
use super::rope::Rope;
use super::shape::Shape;
use crate::contract::{Activation, Error};

/// Layers of the 27B model, which alone divides queries by the width of the residual stream per head
/// (`query_pre_attn_scalar` in its configuration; GGUF has no key for it).
const LAYERS_27B: u32 = 46;

/// `attn_logit_softcapping`, `final_logit_softcapping` and `sliding_window` of the published configurations.
const ATTENTION_SOFTCAP: f32 = 50.0;
const FINAL_SOFTCAP: f32 = 30.0;
const WINDOW: u32 = 4096;

/// How this architecture differs from the plain decoder.
pub(super) fn style(keys: &Keys<'_>, shape: &Shape, rope: Rope) -> Result<Style, Error> {
    let mut style = gemma(keys, shape, rope, LAYERS_27B)?;
    // The first converters wrote none of these; all sizes have the same.
    style.attention_softcap.get_or_insert(ATTENTION_SOFTCAP);
    style.final_softcap.get_or_insert(FINAL_SOFTCAP);
    for window in &mut style.windows {
        window.get_or_insert(WINDOW);
    }
    style.local_layers(keys, 2)?;
    Ok(style)
}

/// What both Gemmas share.
pub(super) fn gemma(
    keys: &Keys<'_>,
    shape: &Shape,
    rope: Rope,
    layers_27b: u32,
) -> Result<Style, Error> {
    let mut style = Style {
        activation: Activation::GeluTanh,
        output_norms: true,
        embedding_scale: Some((shape.width as f32).sqrt()),
        ..Style::plain(keys, shape, rope)?
    };
    if shape.layers == layers_27b && keys.positive_or_zero("attention.scale")?.is_none() {
        style.query_scale = (shape.heads as f32 / shape.width as f32).sqrt();
    }
    Ok(style)
}
