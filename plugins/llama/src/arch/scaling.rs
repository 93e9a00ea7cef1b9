//! Which rotary scaling a file asks for, in llama.cpp's keys and tensors. The formulas are `rope`'s.

use super::keys::Keys;
use super::rope::{Rope, Scaling, Yarn};
use super::shape::Shape;
use super::tensors::Tensors;
use crate::contract::Error;
use crate::error::{malformed, unsupported};
use crate::limits::CONTEXT_MAX;

/// RoFormer's base, which holds where a file names none.
const BASE_DEFAULT: f32 = 10000.0;
/// The paper's recommendation for Llama (YaRN, section 3.2), and what every published file uses.
const BETA_FAST: f32 = 32.0;
const BETA_SLOW: f32 = 1.0;

/// The rotation of a model's layers. `context` is how long sequences may become: Phi-3 has one set of factors up to
/// the context it was first trained on and one beyond, and keys that are cached cannot change from one to the other.
pub(super) fn rope(
    keys: &Keys<'_>,
    tensors: &mut Tensors<'_>,
    shape: &Shape,
    context: u32,
) -> Result<Rope, Error> {
    let base = keys.positive("rope.freq_base")?.unwrap_or(BASE_DEFAULT);
    let scaling = scaling(keys, tensors, shape, context)?;
    let rope = Rope::new(shape.rope_dims, base, &scaling);
    match rope.frequencies.iter().all(|turn| turn.is_finite()) && rope.magnitude.is_finite() {
        true => Ok(rope),
        false => Err(malformed("the rotary scaling gives no finite frequencies")),
    }
}

fn scaling(
    keys: &Keys<'_>,
    tensors: &mut Tensors<'_>,
    shape: &Shape,
    context: u32,
) -> Result<Scaling, Error> {
    let pairs = shape.rope_dims / 2;
    let original = keys
        .optional_count("rope.scaling.original_context_length", CONTEXT_MAX)?
        .unwrap_or(shape.trained_context);
    let attention_factor = keys.positive("rope.scaling.attn_factor")?.unwrap_or(1.0);
    let kind: Option<&str> = keys.optional("rope.scaling.type")?;
    let long = match context > original {
        true => "rope_factors_long.weight",
        false => "rope_factors_short.weight",
    };
    if let Some(divisors) = tensors.optional_values(long, pairs)? {
        return Ok(Scaling::Long {
            divisors,
            magnitude: attention_factor,
        });
    }
    if let Some(divisors) = tensors.optional_values("rope_freqs.weight", pairs)? {
        return Ok(Scaling::Divisors(divisors));
    }
    // Before there was a type, files gave a linear factor alone, under one name or the other.
    let factor = match keys.positive_or_zero("rope.scaling.factor")? {
        Some(factor) => Some(factor),
        None => keys.positive_or_zero("rope.scale_linear")?,
    };
    match (kind, factor) {
        (Some("none"), _) | (None | Some("linear"), None) => Ok(Scaling::None),
        (None | Some("linear"), Some(factor)) => Ok(Scaling::Linear(factor)),
        (Some("yarn"), Some(factor)) => Ok(Scaling::Yarn(Yarn {
            factor,
            original_context: original,
            beta_fast: keys
                .positive("rope.scaling.yarn_beta_fast")?
                .unwrap_or(BETA_FAST),
            beta_slow: keys
                .positive("rope.scaling.yarn_beta_slow")?
                .unwrap_or(BETA_SLOW),
            attention_factor,
        })),
        (Some("yarn"), None) => Err(malformed(format!(
            "missing key `{}`",
            keys.name("rope.scaling.factor")
        ))),
        (Some("longrope"), _) => Err(malformed(format!("missing tensor `{long}`"))),
        (Some(other), _) => Err(unsupported(format!(
            "rotary scaling `{other}` is not supported (none, linear, yarn and longrope are)"
        ))),
    }
}
