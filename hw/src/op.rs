//! The closed list of operations.
//!
//! Decides what can be recorded. Refuses to know shapes (see `graph.rs`) and how an op is computed
//! (see `reference/` for the meaning of each, `cpu/` for speed).
//!
//! The value that an op yields is named by the op's index; an op refers only to earlier values.

/// Which numbers pick the rows of an embedding table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Index {
    /// The batch's token ids.
    Tokens,
    /// The position of each token in its sequence, from 0.
    Positions,
}

/// Which elements of a head are rotated together (Su et al. 2021, section 3.4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairing {
    /// Elements 2i and 2i + 1.
    Adjacent,
    /// Elements i and i + half of the rotated width.
    Halves,
}

/// Elementwise functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x * sigmoid(x)
    Silu,
    /// x * Phi(x), with the error function (Hendrycks and Gimpel 2016).
    Gelu,
    /// The tanh form of the same paper.
    GeluTanh,
    /// x * sigmoid(1.702 x), the third form of the same paper.
    GeluQuick,
    /// max(x, 0)
    Relu,
    /// tanh(x)
    Tanh,
    /// 1 / (1 + exp(-x))
    Sigmoid,
}

/// How a sequence's rows become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// The first.
    First,
    /// The last.
    Last,
}

/// One operation. Fields named `x`, `a`, `b`, `gate`, `up`, `query`, `key` and `value` are earlier
/// values; `table`, `weight`, `bias` and a vector's `by` are places in the list of weights.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Rows of a table, picked by the batch: one row per token.
    Embed {
        /// The table.
        table: u32,
        /// What picks.
        index: Index,
    },
    /// `x * transpose(weight) + bias`.
    Matmul {
        /// (r, k)
        x: u32,
        /// (n, k)
        weight: u32,
        /// n numbers.
        bias: Option<u32>,
    },
    /// Root mean square norm over each group of `group` columns (Zhang and Sennrich 2019).
    RmsNorm {
        /// The value.
        x: u32,
        /// `group` numbers, used for each group.
        weight: Option<u32>,
        /// Added to the mean of squares.
        epsilon: f32,
        /// Columns of a group.
        group: u32,
    },
    /// Layer norm over the whole row (Ba et al. 2016).
    LayerNorm {
        /// The value.
        x: u32,
        /// As wide as a row.
        weight: u32,
        /// As wide as a row.
        bias: Option<u32>,
        /// Added to the variance.
        epsilon: f32,
    },
    /// Rotary position embedding of the first `2 * frequencies.len()` elements of each head.
    Rope {
        /// The value, one row per token.
        x: u32,
        /// Columns of a head.
        head_width: u32,
        /// Which elements turn together.
        pairing: Pairing,
        /// Radians per position, for each pair.
        frequencies: Vec<f32>,
        /// Multiplies the rotated part.
        magnitude: f32,
    },
    /// Grouped-query attention.
    Attention {
        /// (tokens, heads * key width)
        query: u32,
        /// (tokens, kv heads * key width)
        key: u32,
        /// (tokens, kv heads * value width)
        value: u32,
        /// Query heads.
        heads: u32,
        /// Key/value heads; divides `heads`.
        kv_heads: u32,
        /// The layer of the cache to write to and read from; without, the batch alone is seen.
        layer: Option<u32>,
        /// Whether a token sees only itself and what is before it.
        causal: bool,
        /// Hides what lies so many or more positions back.
        window: Option<u32>,
        /// Multiplies the scores.
        scale: f32,
        /// Then `c * tanh(score / c)`.
        softcap: Option<f32>,
    },
    /// An elementwise function.
    Activate {
        /// The value.
        x: u32,
        /// The function.
        function: Activation,
    },
    /// `function(gate) * up`.
    Gated {
        /// Goes through the function.
        gate: u32,
        /// Is multiplied.
        up: u32,
        /// The function.
        function: Activation,
    },
    /// a + b
    Add {
        /// A value.
        a: u32,
        /// Another of the same shape.
        b: u32,
    },
    /// a * b, element by element.
    Mul {
        /// A value.
        a: u32,
        /// Another of the same shape.
        b: u32,
    },
    /// x * by
    Scale {
        /// The value.
        x: u32,
        /// The factor.
        by: f32,
    },
    /// by * tanh(x / by)
    Softcap {
        /// The value.
        x: u32,
        /// The cap.
        by: f32,
    },
    /// Adds a vector to each row.
    AddVector {
        /// The value.
        x: u32,
        /// As wide as a row.
        by: u32,
    },
    /// `columns` columns from column `start`.
    Slice {
        /// The value.
        x: u32,
        /// First column.
        start: u32,
        /// How many.
        columns: u32,
    },
    /// Softmax over each row.
    Softmax {
        /// The value.
        x: u32,
    },
    /// Keeps the rows that the batch asks outputs for.
    Outputs {
        /// The value, one row per token.
        x: u32,
    },
    /// One row per sequence.
    Pool {
        /// The value, one row per token.
        x: u32,
        /// How.
        mode: Pooling,
    },
    /// Divides each row by its Euclidean length.
    Normalise {
        /// The value.
        x: u32,
    },
}

impl Op {
    /// The name as the contract spells it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Embed { .. } => "embed",
            Self::Matmul { .. } => "matmul",
            Self::RmsNorm { .. } => "rms-norm",
            Self::LayerNorm { .. } => "layer-norm",
            Self::Rope { .. } => "rope",
            Self::Attention { .. } => "attention",
            Self::Activate { .. } => "activate",
            Self::Gated { .. } => "gated",
            Self::Add { .. } => "add",
            Self::Mul { .. } => "mul",
            Self::Scale { .. } => "scale",
            Self::Softcap { .. } => "softcap",
            Self::AddVector { .. } => "add-vector",
            Self::Slice { .. } => "slice",
            Self::Softmax { .. } => "softmax",
            Self::Outputs { .. } => "outputs",
            Self::Pool { .. } => "pool",
            Self::Normalise { .. } => "normalise",
        }
    }

    /// The weights that it reads as vectors.
    pub(crate) fn vectors(&self) -> [Option<u32>; 2] {
        match *self {
            Self::Matmul { bias, .. } => [bias, None],
            Self::RmsNorm { weight, .. } => [weight, None],
            Self::LayerNorm { weight, bias, .. } => [Some(weight), bias],
            Self::AddVector { by, .. } => [Some(by), None],
            _ => [None, None],
        }
    }

    /// The values that it reads, in the order of its fields.
    pub(crate) fn inputs(&self) -> [Option<u32>; 3] {
        match *self {
            Self::Embed { .. } => [None; 3],
            Self::Matmul { x, .. }
            | Self::RmsNorm { x, .. }
            | Self::LayerNorm { x, .. }
            | Self::Rope { x, .. }
            | Self::Activate { x, .. }
            | Self::Scale { x, .. }
            | Self::Softcap { x, .. }
            | Self::AddVector { x, .. }
            | Self::Slice { x, .. }
            | Self::Softmax { x }
            | Self::Outputs { x }
            | Self::Pool { x, .. }
            | Self::Normalise { x } => [Some(x), None, None],
            Self::Gated { gate, up, .. } => [Some(gate), Some(up), None],
            Self::Add { a, b } | Self::Mul { a, b } => [Some(a), Some(b), None],
            Self::Attention {
                query, key, value, ..
            } => [Some(query), Some(key), Some(value)],
        }
    }
}
