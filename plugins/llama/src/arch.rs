//! Turns a model file's metadata and tensors into a recorded network: which architecture, which sizes, which
//! operations. Adding an architecture is one file here and one line in `record`.

mod bert;
mod decoder;
mod gemma2;
mod gemma3;
mod keys;
mod llama;
mod network;
mod phi3;
mod qwen2;
mod qwen3;
mod rope;
mod scaling;
mod shape;
mod tensors;
#[cfg(test)]
mod tests;

pub use keys::Keys;
pub use network::{Network, WeightSource, WeightSpec, Yields};

use decoder::Style;
use shape::Shape;
use tensors::Tensors;

use crate::contract::Error;
use crate::error::{malformed, unsupported};
use crate::gguf::{Gguf, GgufError, Source};

/// What a file names, in the order of the folder.
const SUPPORTED: &str = "bert, gemma2, gemma3, llama, mistral, phi3, qwen2, qwen3";

/// Records the model of a file. `vocabulary` is the tokenizer's number of tokens; `context` is how long sequences may
/// become, or the trained context where that is not yet known.
pub fn record(
    gguf: &Gguf,
    source: &dyn Source,
    vocabulary: u32,
    context: Option<u32>,
) -> Result<Network, Error> {
    let keys = Keys::new(gguf)?;
    let arch = keys.arch();
    let style: StyleOf = match arch {
        "bert" => {
            return bert::record(
                &keys,
                Tensors::new(gguf, source),
                &Shape::read(&keys, vocabulary)?,
            );
        }
        "gemma2" => gemma2::style,
        "gemma3" => gemma3::style,
        "llama" | "mistral" => llama::style,
        "phi3" => phi3::style,
        "qwen2" => qwen2::style,
        "qwen3" => qwen3::style,
        _ => {
            return Err(unsupported(format!(
                "architecture `{arch}` is not supported ({SUPPORTED} are)"
            )));
        }
    };
    if keys.optional::<u32>("expert_count")?.unwrap_or(0) > 0 {
        return Err(unsupported(format!(
            "a mixture of experts (`{}`) is not supported",
            keys.name("expert_count")
        )));
    }
    let shape = Shape::read(&keys, vocabulary)?;
    let mut tensors = Tensors::new(gguf, source);
    let context = context.unwrap_or(shape.trained_context);
    let rope = scaling::rope(&keys, &mut tensors, &shape, context)?;
    let style = style(&keys, &shape, rope)?;
    decoder::record(&keys, tensors, &shape, &style)
}

type StyleOf = fn(&Keys<'_>, &Shape, rope::Rope) -> Result<Style, Error>;

/// The number that norms add to variances: small and above zero.
fn epsilon(keys: &Keys<'_>, key: &str) -> Result<f32, Error> {
    let epsilon = keys
        .positive(key)?
        .ok_or_else(|| GgufError::MissingKey(keys.name(key)))?;
    match epsilon < 1.0 {
        true => Ok(epsilon),
        false => Err(malformed(format!(
            "key `{}` is {epsilon}, expected a number below 1",
            keys.name(key)
        ))),
    }
}
