//! One row per op: how to record it over random numbers, and how close kernels must come.

use skep_hw::{Activation, CacheLayer, Dtype, Index, Op, Pairing, Pooling, Weight};

use super::support::{Fed, Random, weight};

/// An op (or a variant of one) to compare.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Of the largest number of a row.
    pub(crate) tolerance: f32,
    pub(crate) pooled: bool,
    /// Records ops over input 0 of `rows` rows; `size` varies widths.
    pub(crate) record: fn(&mut Random, rows: usize, size: usize) -> Fed,
}

const FUNCTIONS: [Activation; 7] = [
    Activation::Silu,
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::GeluQuick,
    Activation::Relu,
    Activation::Tanh,
    Activation::Sigmoid,
];

/// Every op of the contract but matmul and attention, which have tables of their own below.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "embed",
        tolerance: 0.0,
        pooled: false,
        record: |r, n, s| plain(r, n, s, |_, _| ()),
    },
    Case {
        name: "embed positions",
        tolerance: 1e-7,
        pooled: false,
        record: |r, n, s| {
            plain(r, n, s, |fed, s| {
                let mut random = Random::new(s as u64);
                let table = Weight::from_values(random.normals(64 * s), 64, s as u32).unwrap();
                let table = fed.weight(table);
                let b = fed.then(Op::Embed {
                    table,
                    index: Index::Positions,
                });
                fed.then(Op::Add { a: 0, b });
            })
        },
    },
    Case {
        name: "rms-norm",
        tolerance: 1e-6,
        pooled: false,
        record: |r, n, s| {
            plain(r, n, s, |fed, s| {
                let weight = Some(fed.vector(Random::new(1).normals(s)));
                fed.then(Op::RmsNorm {
                    x: 0,
                    weight,
                    epsilon: 1e-6,
                    group: s as u32,
                });
            })
        },
    },
    Case {
        name: "rms-norm by group",
        tolerance: 1e-6,
        pooled: false,
        record: |r, n, s| {
            plain(r, n, 3 * s, |fed, s| {
                let weight = Some(fed.vector(Random::new(1).normals(s / 3)));
                let x = fed.then(Op::RmsNorm {
                    x: 0,
                    weight,
                    epsilon: 1e-5,
                    group: s as u32 / 3,
                });
                fed.then(Op::RmsNorm {
                    x,
                    weight: None,
                    epsilon: 0.0,
                    group: s as u32,
                });
            })
        },
    },
    Case {
        name: "layer-norm",
        tolerance: 2e-6,
        pooled: false,
        record: |r, n, s| {
            plain(r, n, s.max(2), |fed, s| {
                let weight = fed.vector(Random::new(1).normals(s));
                let bias = Some(fed.vector(Random::new(2).normals(s)));
                let x = fed.then(Op::LayerNorm {
                    x: 0,
                    weight,
                    bias,
                    epsilon: 1e-3,
                });
                fed.then(Op::LayerNorm {
                    x,
                    weight,
                    bias: None,
                    epsilon: 1e-3,
                });
            })
        },
    },
    Case {
        name: "rope adjacent",
        tolerance: 1e-6,
        pooled: false,
        record: |r, n, s| rope(r, n, s, Pairing::Adjacent),
    },
    Case {
        name: "rope halves",
        tolerance: 1e-6,
        pooled: false,
        record: |r, n, s| rope(r, n, s, Pairing::Halves),
    },
    Case {
        name: "activate",
        tolerance: 1e-6,
        pooled: false,
        record: |r, n, s| {
            let function = FUNCTIONS[r.below(7) as usize];
            let mut fed = wide_range(r, n, s);
            fed.then(Op::Activate { x: 0, function });
            fed
        },
    },
    Case {
        name: "gated",
        tolerance: 1e-6,
        pooled: false,
        record: |r, n, s| {
            let function = FUNCTIONS[r.below(7) as usize];
            let mut fed = wide_range(r, n, s);
            let up = fed.then(Op::Scale { x: 0, by: -0.5 });
            fed.then(Op::Gated {
                gate: 0,
                up,
                function,
            });
            fed
        },
    },
    Case {
        name: "add, mul, scale",
        tolerance: 0.0,
        pooled: false,
        record: |r, n, s| {
            plain(r, n, s, |fed, _| {
                let b = fed.then(Op::Scale { x: 0, by: 1.7 });
                let b = fed.then(Op::Mul { a: 0, b });
                fed.then(Op::Add { a: 0, b });
            })
        },
    },
    Case {
        name: "softcap",
        tolerance: 1e-6,
        pooled: false,
        record: |r, n, s| {
            let mut fed = wide_range(r, n, s);
            fed.then(Op::Softcap { x: 0, by: 3.0 });
            fed
        },
    },
    Case {
        name: "add-vector",
        tolerance: 0.0,
        pooled: false,
        record: |r, n, s| {
            plain(r, n, s, |fed, s| {
                let by = fed.vector(Random::new(3).normals(s));
                fed.then(Op::AddVector { x: 0, by });
            })
        },
    },
    Case {
        name: "slice",
        tolerance: 0.0,
        pooled: false,
        record: |r, n, s| {
            plain(r, n, s + 5, |fed, s| {
                let a = fed.then(Op::Slice {
                    x: 0,
                    start: 2,
                    columns: s as u32 - 5,
                });
                let b = fed.then(Op::Slice {
                    x: 0,
                    start: 5,
                    columns: s as u32 - 5,
                });
                let sum = fed.then(Op::Add { a, b });
                fed.then(Op::Mul { a: sum, b });
            })
        },
    },
    Case {
        name: "softmax",
        tolerance: 2e-6,
        pooled: false,
        record: |r, n, s| {
            let mut fed = wide_range(r, n, s);
            fed.then(Op::Softmax { x: 0 });
            fed
        },
    },
    Case {
        name: "normalise",
        tolerance: 1e-6,
        pooled: false,
        record: |r, n, s| {
            plain(r, n, s, |fed, _| {
                fed.then(Op::Normalise { x: 0 });
            })
        },
    },
    Case {
        name: "pool mean",
        tolerance: 2e-6,
        pooled: true,
        record: |r, n, s| pool(r, n, s, Pooling::Mean),
    },
    Case {
        name: "pool first",
        tolerance: 0.0,
        pooled: true,
        record: |r, n, s| pool(r, n, s, Pooling::First),
    },
    Case {
        name: "pool last",
        tolerance: 0.0,
        pooled: true,
        record: |r, n, s| pool(r, n, s, Pooling::Last),
    },
];

fn plain(random: &mut Random, rows: usize, width: usize, record: fn(&mut Fed, usize)) -> Fed {
    let mut fed = Fed::with(&random.normals(rows * width), width);
    record(&mut fed, width);
    fed
}

/// Numbers of every size, signs and zeros.
fn wide_range(random: &mut Random, rows: usize, width: usize) -> Fed {
    let x: Vec<f32> = (0..rows * width)
        .map(|_| match random.below(8) {
            0 => 0.0,
            1 => random.normal() * 1e-6,
            2 => random.normal() * 30.0,
            3 => random.normal() * 200.0,
            _ => random.normal(),
        })
        .collect();
    Fed::with(&x, width)
}

fn rope(random: &mut Random, rows: usize, size: usize, pairing: Pairing) -> Fed {
    let pairs = size.div_ceil(2);
    let head_width = 2 * pairs + size % 3;
    let mut fed = Fed::with(&random.normals(rows * head_width * 3), head_width * 3);
    let frequencies = (0..pairs)
        .map(|i| 10_000_f32.powf(-(i as f32) / pairs as f32))
        .collect();
    fed.then(Op::Rope {
        x: 0,
        head_width: head_width as u32,
        pairing,
        frequencies,
        magnitude: 1.1,
    });
    fed
}

fn pool(random: &mut Random, rows: usize, width: usize, mode: Pooling) -> Fed {
    let mut fed = Fed::with(&random.normals(rows * width), width);
    fed.then(Op::Pool { x: 0, mode });
    fed
}

/// A product with weights of `dtype`, with a second one of the same input.
pub(crate) fn matmul(
    random: &mut Random,
    rows: usize,
    columns: usize,
    outputs: usize,
    dtype: Dtype,
) -> Fed {
    let mut fed = Fed::with(&random.normals(rows * columns), columns);
    let (k, n) = (columns as u32, outputs as u32);
    let first = weight(random, dtype, n, k);
    let first = fed.weight(first);
    let other = weight(random, dtype, n, k);
    let other = fed.weight(other);
    let bias = fed.vector(random.normals(outputs));
    let a = fed.then(Op::Matmul {
        x: 0,
        weight: first,
        bias: None,
    });
    let b = fed.then(Op::Matmul {
        x: 0,
        weight: other,
        bias: Some(bias),
    });
    fed.then(Op::Add { a, b });
    fed
}

/// What attention may look like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attention {
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) key_width: usize,
    pub(crate) value_width: usize,
    pub(crate) cached: Option<Dtype>,
    pub(crate) causal: bool,
    pub(crate) window: Option<u32>,
    pub(crate) softcap: Option<f32>,
}

pub(crate) const ATTENTION: &[Attention] = &[
    Attention {
        heads: 4,
        kv_heads: 4,
        key_width: 16,
        value_width: 16,
        cached: Some(Dtype::F32),
        causal: true,
        window: None,
        softcap: None,
    },
    Attention {
        heads: 8,
        kv_heads: 2,
        key_width: 32,
        value_width: 32,
        cached: Some(Dtype::F16),
        causal: true,
        window: None,
        softcap: None,
    },
    Attention {
        heads: 6,
        kv_heads: 2,
        key_width: 20,
        value_width: 12,
        cached: Some(Dtype::F16),
        causal: true,
        window: Some(7),
        softcap: Some(5.0),
    },
    Attention {
        heads: 7,
        kv_heads: 1,
        key_width: 5,
        value_width: 33,
        cached: Some(Dtype::F32),
        causal: true,
        window: Some(1),
        softcap: None,
    },
    Attention {
        heads: 3,
        kv_heads: 3,
        key_width: 24,
        value_width: 24,
        cached: None,
        causal: false,
        window: None,
        softcap: None,
    },
    Attention {
        heads: 4,
        kv_heads: 2,
        key_width: 17,
        value_width: 9,
        cached: None,
        causal: true,
        window: None,
        softcap: None,
    },
    Attention {
        heads: 2,
        kv_heads: 1,
        key_width: 8,
        value_width: 8,
        cached: None,
        causal: false,
        window: Some(5),
        softcap: Some(2.0),
    },
    Attention {
        heads: 2,
        kv_heads: 2,
        key_width: 40,
        value_width: 70,
        cached: Some(Dtype::F16),
        causal: true,
        window: None,
        softcap: None,
    },
    Attention {
        heads: 8,
        kv_heads: 2,
        key_width: 32,
        value_width: 32,
        cached: Some(Dtype::Q8_0),
        causal: true,
        window: None,
        softcap: None,
    },
    Attention {
        heads: 5,
        kv_heads: 1,
        key_width: 64,
        value_width: 160,
        cached: Some(Dtype::Q8_0),
        causal: true,
        window: Some(7),
        softcap: Some(5.0),
    },
    Attention {
        heads: 3,
        kv_heads: 3,
        key_width: 96,
        value_width: 96,
        cached: Some(Dtype::Q8_0),
        causal: true,
        window: None,
        softcap: None,
    },
];

/// Attention over one input cut into query, key and value.
pub(crate) fn attention(random: &mut Random, rows: usize, shape: Attention) -> Fed {
    let query = shape.heads * shape.key_width;
    let key = shape.kv_heads * shape.key_width;
    let value = shape.kv_heads * shape.value_width;
    let width = query + key + value;
    let mut fed = Fed::with(&random.normals(rows * width), width);
    let cut = |fed: &mut Fed, start: usize, columns: usize| {
        fed.then(Op::Slice {
            x: 0,
            start: start as u32,
            columns: columns as u32,
        })
    };
    let q = cut(&mut fed, 0, query);
    let k = cut(&mut fed, query, key);
    let v = cut(&mut fed, query + key, value);
    fed.cache = shape.cached.map(|dtype| {
        let layer = CacheLayer {
            kv_heads: shape.kv_heads as u32,
            key_width: shape.key_width as u32,
            value_width: shape.value_width as u32,
        };
        (vec![layer], dtype)
    });
    fed.then(Op::Attention {
        query: q,
        key: k,
        value: v,
        heads: shape.heads as u32,
        kv_heads: shape.kv_heads as u32,
        layer: shape.cached.map(|_| 0),
        causal: shape.causal,
        window: shape.window,
        scale: 0.7,
        softcap: shape.softcap,
    });
    fed
}
