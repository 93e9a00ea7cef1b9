//! What all decoder architectures have in common: blocks of attention and a gated feed-forward part, each behind an
//! RMS norm and added to the residual stream (Touvron et al. 2023, section 2.2). How an architecture differs is said
//! by its `Style`, and nothing here asks which architecture it is.

use super::keys::Keys;
use super::network::{Attention, Network, Recorder, Value, Yields};
use super::rope::Rope;
use super::shape::Shape;
use super::tensors::Tensors;
use crate::contract::{Activation, CacheLayer, Error, Index, Pairing};
use crate::error::{malformed, unsupported};

/// What sets one decoder architecture apart from another.
#[derive(Debug, Clone)]
pub(super) struct Style {
    /// Which elements of a head turn together.
    pub pairing: Pairing,
    /// The feed-forward gate's function.
    pub activation: Activation,
    /// RMS norm of each query and key head before rotation.
    pub head_norms: bool,
    /// RMS norm of each half's output before it is added.
    pub output_norms: bool,
    /// Queries, keys and values in one matrix, gate and up in another.
    pub fused: bool,
    /// Multiplies the embeddings.
    pub embedding_scale: Option<f32>,
    /// Multiplies the attention scores.
    pub query_scale: f32,
    /// Bounds attention scores and final logits: `c * tanh(x / c)`.
    pub attention_softcap: Option<f32>,
    pub final_softcap: Option<f32>,
    /// How far each layer sees; none sees everything.
    pub windows: Vec<Option<u32>>,
    /// The rotation of layers with a window and of those without.
    pub rope_local: Rope,
    pub rope_global: Rope,
    /// Added to variances.
    pub epsilon: f32,
}

impl Style {
    /// What most architectures have: halves rotated, SiLU, one rotation, the same window everywhere if there is one.
    pub(super) fn plain(keys: &Keys<'_>, shape: &Shape, rope: Rope) -> Result<Self, Error> {
        let window = keys.optional::<u32>("attention.sliding_window")?;
        let query_scale = keys
            .positive_or_zero("attention.scale")?
            .unwrap_or_else(|| (shape.key_width as f32).sqrt().recip());
        Ok(Self {
            pairing: Pairing::Halves,
            activation: Activation::Silu,
            head_norms: false,
            output_norms: false,
            fused: false,
            embedding_scale: None,
            query_scale,
            attention_softcap: keys.positive_or_zero("attn_logit_softcapping")?,
            final_softcap: keys.positive_or_zero("final_logit_softcapping")?,
            windows: vec![window.filter(|&width| width > 0); shape.layers as usize],
            rope_local: rope.clone(),
            rope_global: rope,
            epsilon: super::epsilon(keys, "attention.layer_norm_rms_epsilon")?,
        })
    }

    /// Leaves the window to `pattern - 1` of every `pattern` layers; the last of them sees everything. A file may say
    /// otherwise, by a number or layer by layer.
    pub(super) fn local_layers(&mut self, keys: &Keys<'_>, pattern: u32) -> Result<(), Error> {
        let key = "attention.sliding_window_pattern";
        let listed = keys.optional::<Vec<bool>>(key).unwrap_or_default();
        if let Some(list) = &listed
            && list.len() != self.windows.len()
        {
            return Err(malformed(format!(
                "key `{}` has {} elements for {} layers",
                keys.name(key),
                list.len(),
                self.windows.len()
            )));
        }
        let pattern = match listed {
            Some(_) => pattern,
            None => keys.optional_count(key, u32::MAX)?.unwrap_or(pattern),
        };
        for (layer, window) in self.windows.iter_mut().enumerate() {
            let local = match &listed {
                Some(list) => list.get(layer).copied().unwrap_or(false),
                None => layer as u64 % u64::from(pattern) < u64::from(pattern) - 1,
            };
            if !local {
                *window = None;
            }
        }
        Ok(())
    }
}

/// Records the whole decoder.
pub(super) fn record(
    keys: &Keys<'_>,
    mut tensors: Tensors<'_>,
    shape: &Shape,
    style: &Style,
) -> Result<Network, Error> {
    if keys.optional::<bool>("attention.causal")? == Some(false) {
        return Err(unsupported(
            "a decoder architecture without causal attention",
        ));
    }
    let mut graph = Recorder::default();
    let table = tensors.matrix("token_embd.weight", shape.vocabulary, shape.width)?;
    let mut x = graph.embed(table, Index::Tokens);
    if let Some(by) = style.embedding_scale {
        x = graph.scale(x, by);
    }
    let mut cache = Vec::with_capacity(shape.layers as usize);
    for layer in 0..shape.layers {
        let mut block = Block {
            tensors: &mut tensors,
            graph: &mut graph,
            shape,
            style,
            layer,
        };
        x = block.record(x)?;
        cache.push(CacheLayer {
            kv_heads: shape.layer(layer).0,
            key_width: shape.key_width,
            value_width: shape.value_width,
        });
    }
    let norm = tensors.vector("output_norm.weight", shape.width)?;
    let last = graph.outputs(x);
    let last = graph.rms_norm(last, norm, style.epsilon, shape.width);
    // Without an output matrix of its own, a model uses its embeddings again.
    let name = ["output.weight", "token_embd.weight"]
        .into_iter()
        .find(|name| tensors.has(name))
        .unwrap_or("output.weight");
    let output = tensors.matrix(name, shape.vocabulary, shape.width)?;
    let bias = tensors.optional_vector("output.bias", shape.vocabulary)?;
    let logits = graph.matmul(last, output, bias);
    if let Some(by) = style.final_softcap {
        graph.softcap(logits, by);
    }
    Ok(Network {
        ops: graph.finish(),
        weights: tensors.finish()?,
        cache,
        yields: Yields::Logits,
        trained_context: shape.trained_context,
    })
}

struct Block<'a, 'f> {
    tensors: &'a mut Tensors<'f>,
    graph: &'a mut Recorder,
    shape: &'a Shape,
    style: &'a Style,
    layer: u32,
}

impl Block<'_, '_> {
    fn record(&mut self, x: Value) -> Result<Value, Error> {
        let h = self.norm(x, "attn_norm")?;
        let mut y = self.attention(h)?;
        if self.style.output_norms {
            y = self.norm(y, "post_attention_norm")?;
        }
        let x = self.graph.add(x, y);
        let h = self.norm(x, "ffn_norm")?;
        let mut y = self.feed_forward(h)?;
        if self.style.output_norms {
            y = self.norm(y, "post_ffw_norm")?;
        }
        Ok(self.graph.add(x, y))
    }

    fn attention(&mut self, h: Value) -> Result<Value, Error> {
        let (shape, style) = (self.shape, self.style);
        let (kv_heads, _) = shape.layer(self.layer);
        let (mut q, mut k, v) = self.projections(h, kv_heads)?;
        if style.head_norms {
            q = self.head_norm(q, "attn_q_norm")?;
            k = self.head_norm(k, "attn_k_norm")?;
        }
        let window = style.windows.get(self.layer as usize).copied().flatten();
        let rope = match window {
            Some(_) => &style.rope_local,
            None => &style.rope_global,
        };
        q = self.graph.rope(q, shape.key_width, style.pairing, rope);
        k = self.graph.rope(k, shape.key_width, style.pairing, rope);
        let how = Attention {
            heads: shape.heads,
            kv_heads,
            layer: Some(self.layer),
            window,
            scale: style.query_scale,
            softcap: style.attention_softcap,
        };
        let mixed = self.graph.attention(q, k, v, how);
        self.linear(
            mixed,
            "attn_output",
            shape.width,
            shape.heads * shape.value_width,
        )
    }

    fn projections(&mut self, h: Value, kv_heads: u32) -> Result<(Value, Value, Value), Error> {
        let shape = self.shape;
        let columns = [
            shape.query_columns(),
            kv_heads * shape.key_width,
            kv_heads * shape.value_width,
        ];
        let [q, k, v] = columns;
        if self.style.fused {
            let name = "attn_qkv";
            return Ok((
                self.part(h, name, q + k + v, 0, q)?,
                self.part(h, name, q + k + v, q, k)?,
                self.part(h, name, q + k + v, q + k, v)?,
            ));
        }
        Ok((
            self.linear(h, "attn_q", q, shape.width)?,
            self.linear(h, "attn_k", k, shape.width)?,
            self.linear(h, "attn_v", v, shape.width)?,
        ))
    }

    fn feed_forward(&mut self, h: Value) -> Result<Value, Error> {
        let (_, inner) = self.shape.layer(self.layer);
        let width = self.shape.width;
        let (gate, up) = match self.style.fused {
            true => (
                self.part(h, "ffn_up", 2 * inner, 0, inner)?,
                self.part(h, "ffn_up", 2 * inner, inner, inner)?,
            ),
            false => (
                self.linear(h, "ffn_gate", inner, width)?,
                self.linear(h, "ffn_up", inner, width)?,
            ),
        };
        let y = self.graph.gated(gate, up, self.style.activation);
        self.linear(y, "ffn_down", width, inner)
    }

    /// A matrix with its bias, if the file has one.
    fn linear(&mut self, x: Value, name: &str, rows: u32, columns: u32) -> Result<Value, Error> {
        let weight = self
            .tensors
            .matrix(&self.tensor(name, "weight"), rows, columns)?;
        let bias = self
            .tensors
            .optional_vector(&self.tensor(name, "bias"), rows)?;
        Ok(self.graph.matmul(x, weight, bias))
    }

    /// Rows `start..start + count` of a matrix that is several in one.
    fn part(
        &mut self,
        x: Value,
        name: &str,
        rows: u32,
        start: u32,
        count: u32,
    ) -> Result<Value, Error> {
        let width = self.shape.width;
        let weight = self
            .tensors
            .rows(&self.tensor(name, "weight"), rows, width, start, count)?;
        let bias = self
            .tensors
            .optional_part(&self.tensor(name, "bias"), rows, start, count)?;
        Ok(self.graph.matmul(x, weight, bias))
    }

    fn norm(&mut self, x: Value, name: &str) -> Result<Value, Error> {
        let weight = self
            .tensors
            .vector(&self.tensor(name, "weight"), self.shape.width)?;
        Ok(self
            .graph
            .rms_norm(x, weight, self.style.epsilon, self.shape.width))
    }

    fn head_norm(&mut self, x: Value, name: &str) -> Result<Value, Error> {
        let weight = self
            .tensors
            .vector(&self.tensor(name, "weight"), self.shape.key_width)?;
        Ok(self
            .graph
            .rms_norm(x, weight, self.style.epsilon, self.shape.key_width))
    }

    fn tensor(&self, name: &str, suffix: &str) -> String {
        format!("blk.{}.{name}.{suffix}", self.layer)
    }
}
