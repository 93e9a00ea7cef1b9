//! `bert`: an encoder whose norms follow each half (Devlin et al. 2019), pooled to one embedding of length 1 per
//! sequence (Reimers and Gurevych 2019). Token type 0 throughout, as for single texts.

use super::keys::Keys;
use super::network::{Attention, Network, Recorder, Value, Yields};
use super::shape::Shape;
use super::tensors::Tensors;
use crate::contract::{Activation, Error, Index, Pooling};
use crate::error::unsupported;

/// Records the whole encoder.
pub(super) fn record(
    keys: &Keys<'_>,
    mut tensors: Tensors<'_>,
    shape: &Shape,
) -> Result<Network, Error> {
    if keys.optional::<bool>("attention.causal")? == Some(true) {
        return Err(unsupported("`bert` with causal attention"));
    }
    let pooling = pooling(keys)?;
    let epsilon = super::epsilon(keys, "attention.layer_norm_epsilon")?;
    let mut graph = Recorder::default();
    let width = shape.width;
    let words = tensors.matrix("token_embd.weight", shape.vocabulary, width)?;
    let places = tensors.matrix("position_embd.weight", shape.trained_context, width)?;
    let words = graph.embed(words, Index::Tokens);
    let places = graph.embed(places, Index::Positions);
    let mut x = graph.add(words, places);
    if tensors.has("token_types.weight") {
        let kind = tensors.first_row("token_types.weight", width)?;
        x = graph.add_vector(x, kind);
    }
    let mut encoder = Encoder {
        tensors: &mut tensors,
        graph: &mut graph,
        shape,
        epsilon,
    };
    x = encoder.norm(x, "token_embd_norm")?;
    for layer in 0..shape.layers {
        x = encoder.block(x, layer)?;
    }
    let pooled = graph.pool(x, pooling);
    graph.normalise(pooled);
    Ok(Network {
        ops: graph.finish(),
        weights: tensors.finish()?,
        cache: Vec::new(),
        yields: Yields::Embedding { width },
        trained_context: shape.trained_context,
    })
}

/// llama.cpp's numbers of pooling types.
fn pooling(keys: &Keys<'_>) -> Result<Pooling, Error> {
    match keys.optional::<u32>("pooling_type")? {
        None | Some(1) => Ok(Pooling::Mean),
        Some(2) => Ok(Pooling::First),
        Some(3) => Ok(Pooling::Last),
        Some(other) => Err(unsupported(format!(
            "pooling type {other} is not supported (1, mean, 2, first token, and 3, last token, are)"
        ))),
    }
}

struct Encoder<'a, 'f> {
    tensors: &'a mut Tensors<'f>,
    graph: &'a mut Recorder,
    shape: &'a Shape,
    epsilon: f32,
}

impl Encoder<'_, '_> {
    fn block(&mut self, x: Value, layer: u32) -> Result<Value, Error> {
        let (width, heads) = (self.shape.width, self.shape.heads);
        let (kv_heads, inner) = self.shape.layer(layer);
        let keys = kv_heads * self.shape.key_width;
        let values = kv_heads * self.shape.value_width;
        let name = |part: &str| format!("blk.{layer}.{part}");
        let q = self.linear(x, &name("attn_q"), self.shape.query_columns(), width)?;
        let k = self.linear(x, &name("attn_k"), keys, width)?;
        let v = self.linear(x, &name("attn_v"), values, width)?;
        let how = Attention {
            heads,
            kv_heads,
            layer: None,
            window: None,
            scale: 1.0 / (self.shape.key_width as f32).sqrt(),
            softcap: None,
        };
        let mixed = self.graph.attention(q, k, v, how);
        let mixed_width = heads * self.shape.value_width;
        let y = self.linear(mixed, &name("attn_output"), width, mixed_width)?;
        let x = self.graph.add(x, y);
        let x = self.norm(x, &name("attn_output_norm"))?;
        let y = self.linear(x, &name("ffn_up"), inner, width)?;
        let y = self.graph.activate(y, Activation::Gelu);
        let y = self.linear(y, &name("ffn_down"), width, inner)?;
        let x = self.graph.add(x, y);
        self.norm(x, &name("layer_output_norm"))
    }

    fn linear(&mut self, x: Value, name: &str, rows: u32, columns: u32) -> Result<Value, Error> {
        let weight = self
            .tensors
            .matrix(&format!("{name}.weight"), rows, columns)?;
        let bias = self
            .tensors
            .optional_vector(&format!("{name}.bias"), rows)?;
        Ok(self.graph.matmul(x, weight, bias))
    }

    fn norm(&mut self, x: Value, name: &str) -> Result<Value, Error> {
        let width = self.shape.width;
        let weight = self.tensors.vector(&format!("{name}.weight"), width)?;
        let bias = self
            .tensors
            .optional_vector(&format!("{name}.bias"), width)?;
        Ok(self.graph.layer_norm(x, weight, bias, self.epsilon))
    }
}
