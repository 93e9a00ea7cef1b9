//! A recorded model: the operations in order and the weights that they name, as plain data. Whoever holds a device
//! maps and compiles it; nothing here touches one.

use crate::contract::{
    Activation, AttentionOp, CacheLayer, Dtype, EmbedOp, GatedOp, Index, LayerNormOp, MatmulOp, Op,
    PairOp, Pairing, PoolOp, Pooling, RmsNormOp, RopeOp, ScalarOp, VectorOp,
};

use super::rope::Rope;

/// What a file's model computes.
#[derive(Debug, Clone)]
pub struct Network {
    /// The operations; the last yields logits or embeddings.
    pub ops: Vec<Op>,
    /// The weights that operations name by index.
    pub weights: Vec<WeightSpec>,
    /// Keys and values of each layer; empty for an encoder.
    pub cache: Vec<CacheLayer>,
    /// What the result is.
    pub yields: Yields,
    /// The context that the model was trained on, in tokens.
    pub trained_context: u32,
}

/// What a network's last operation gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Yields {
    /// Logits over the vocabulary, one row for each output asked for.
    Logits,
    /// One embedding of this width for each sequence.
    Embedding { width: u32 },
}

/// One weight: what it is called, where its numbers are, and its size.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightSpec {
    /// The tensor's name in the file.
    pub name: String,
    /// Where the numbers are.
    pub source: WeightSource,
    /// Rows; 1 for a vector.
    pub rows: u32,
    /// Columns.
    pub columns: u32,
}

/// Where the numbers of a weight are.
#[derive(Debug, Clone, PartialEq)]
pub enum WeightSource {
    /// In the file, at an absolute offset.
    File { offset: u64, dtype: Dtype },
    /// Here.
    Values(Vec<f32>),
}

/// The index of an operation, whose result it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Value(u32);

/// Collects operations in order.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    ops: Vec<Op>,
}

/// One attention over queries, keys and values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attention {
    pub heads: u32,
    pub kv_heads: u32,
    /// The layer of the cache; none sees the batch alone, in both directions.
    pub layer: Option<u32>,
    pub window: Option<u32>,
    pub scale: f32,
    pub softcap: Option<f32>,
}

impl Recorder {
    pub(super) fn embed(&mut self, table: u32, index: Index) -> Value {
        self.push(Op::Embed(EmbedOp { table, index }))
    }

    pub(super) fn matmul(&mut self, x: Value, weight: u32, bias: Option<u32>) -> Value {
        self.push(Op::Matmul(MatmulOp {
            x: x.0,
            weight,
            bias,
        }))
    }

    /// RMS norm over groups of `group` columns.
    pub(super) fn rms_norm(&mut self, x: Value, weight: u32, epsilon: f32, group: u32) -> Value {
        self.push(Op::RmsNorm(RmsNormOp {
            x: x.0,
            weight: Some(weight),
            epsilon,
            group,
        }))
    }

    pub(super) fn layer_norm(
        &mut self,
        x: Value,
        weight: u32,
        bias: Option<u32>,
        epsilon: f32,
    ) -> Value {
        self.push(Op::LayerNorm(LayerNormOp {
            x: x.0,
            weight,
            bias,
            epsilon,
        }))
    }

    pub(super) fn rope(
        &mut self,
        x: Value,
        head_width: u32,
        pairing: Pairing,
        rope: &Rope,
    ) -> Value {
        self.push(Op::Rope(RopeOp {
            x: x.0,
            head_width,
            pairing,
            frequencies: rope.frequencies.clone(),
            magnitude: rope.magnitude,
        }))
    }

    pub(super) fn attention(
        &mut self,
        query: Value,
        key: Value,
        value: Value,
        how: Attention,
    ) -> Value {
        self.push(Op::Attention(AttentionOp {
            query: query.0,
            key: key.0,
            value: value.0,
            heads: how.heads,
            kv_heads: how.kv_heads,
            layer: how.layer,
            causal: how.layer.is_some(),
            window: how.window,
            scale: how.scale,
            softcap: how.softcap,
        }))
    }

    pub(super) fn activate(&mut self, x: Value, function: Activation) -> Value {
        self.push(Op::Activate(crate::contract::ActivateOp {
            x: x.0,
            function,
        }))
    }

    pub(super) fn gated(&mut self, gate: Value, up: Value, function: Activation) -> Value {
        self.push(Op::Gated(GatedOp {
            gate: gate.0,
            up: up.0,
            function,
        }))
    }

    pub(super) fn add(&mut self, a: Value, b: Value) -> Value {
        self.push(Op::Add(PairOp { a: a.0, b: b.0 }))
    }

    pub(super) fn scale(&mut self, x: Value, by: f32) -> Value {
        self.push(Op::Scale(ScalarOp { x: x.0, by }))
    }

    pub(super) fn softcap(&mut self, x: Value, by: f32) -> Value {
        self.push(Op::Softcap(ScalarOp { x: x.0, by }))
    }

    pub(super) fn add_vector(&mut self, x: Value, by: u32) -> Value {
        self.push(Op::AddVector(VectorOp { x: x.0, by }))
    }

    pub(super) fn outputs(&mut self, x: Value) -> Value {
        self.push(Op::Outputs(x.0))
    }

    pub(super) fn pool(&mut self, x: Value, mode: Pooling) -> Value {
        self.push(Op::Pool(PoolOp { x: x.0, mode }))
    }

    pub(super) fn normalise(&mut self, x: Value) -> Value {
        self.push(Op::Normalise(x.0))
    }

    /// The operations recorded.
    pub(super) fn finish(self) -> Vec<Op> {
        self.ops
    }

    fn push(&mut self, op: Op) -> Value {
        let value = Value(self.ops.len() as u32);
        self.ops.push(op);
        value
    }
}
