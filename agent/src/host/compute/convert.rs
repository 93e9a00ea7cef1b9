//! The contract's types in `skep_hw`'s, case by case. Decides nothing.

use skep_hw as hw;

use crate::host::engine::generated::skep::plugin::compute as wit;

pub(super) fn dtype(dtype: wit::Dtype) -> hw::Dtype {
    match dtype {
        wit::Dtype::F32 => hw::Dtype::F32,
        wit::Dtype::F16 => hw::Dtype::F16,
        wit::Dtype::Bf16 => hw::Dtype::Bf16,
        wit::Dtype::Q80 => hw::Dtype::Q8_0,
        wit::Dtype::Q40 => hw::Dtype::Q4_0,
        wit::Dtype::Q41 => hw::Dtype::Q4_1,
        wit::Dtype::Q50 => hw::Dtype::Q5_0,
        wit::Dtype::Q51 => hw::Dtype::Q5_1,
        wit::Dtype::Q4K => hw::Dtype::Q4K,
        wit::Dtype::Q5K => hw::Dtype::Q5K,
        wit::Dtype::Q6K => hw::Dtype::Q6K,
    }
}

pub(super) fn layer(layer: &wit::CacheLayer) -> hw::CacheLayer {
    hw::CacheLayer {
        kv_heads: layer.kv_heads,
        key_width: layer.key_width,
        value_width: layer.value_width,
    }
}

pub(super) fn bounds(bounds: wit::Bounds) -> hw::Bounds {
    hw::Bounds {
        tokens: bounds.tokens,
        sequences: bounds.sequences,
        outputs: bounds.outputs,
    }
}

pub(super) fn op(op: wit::Op) -> hw::Op {
    use wit::Op as From;
    match op {
        From::Embed(op) => hw::Op::Embed {
            table: op.table,
            index: index(op.index),
        },
        From::Matmul(op) => hw::Op::Matmul {
            x: op.x,
            weight: op.weight,
            bias: op.bias,
        },
        From::RmsNorm(op) => hw::Op::RmsNorm {
            x: op.x,
            weight: op.weight,
            epsilon: op.epsilon,
            group: op.group,
        },
        From::LayerNorm(op) => hw::Op::LayerNorm {
            x: op.x,
            weight: op.weight,
            bias: op.bias,
            epsilon: op.epsilon,
        },
        From::Rope(op) => hw::Op::Rope {
            x: op.x,
            head_width: op.head_width,
            pairing: pairing(op.pairing),
            frequencies: op.frequencies,
            magnitude: op.magnitude,
        },
        From::Attention(op) => hw::Op::Attention {
            query: op.query,
            key: op.key,
            value: op.value,
            heads: op.heads,
            kv_heads: op.kv_heads,
            layer: op.layer,
            causal: op.causal,
            window: op.window,
            scale: op.scale,
            softcap: op.softcap,
        },
        From::Activate(op) => hw::Op::Activate {
            x: op.x,
            function: activation(op.function),
        },
        From::Gated(op) => hw::Op::Gated {
            gate: op.gate,
            up: op.up,
            function: activation(op.function),
        },
        From::Add(op) => hw::Op::Add { a: op.a, b: op.b },
        From::Mul(op) => hw::Op::Mul { a: op.a, b: op.b },
        From::Scale(op) => hw::Op::Scale { x: op.x, by: op.by },
        From::Softcap(op) => hw::Op::Softcap { x: op.x, by: op.by },
        From::AddVector(op) => hw::Op::AddVector { x: op.x, by: op.by },
        From::Slice(op) => hw::Op::Slice {
            x: op.x,
            start: op.start,
            columns: op.columns,
        },
        From::Softmax(x) => hw::Op::Softmax { x },
        From::Outputs(x) => hw::Op::Outputs { x },
        From::Pool(op) => hw::Op::Pool {
            x: op.x,
            mode: pooling(op.mode),
        },
        From::Normalise(x) => hw::Op::Normalise { x },
    }
}

fn index(index: wit::Index) -> hw::Index {
    match index {
        wit::Index::Tokens => hw::Index::Tokens,
        wit::Index::Positions => hw::Index::Positions,
    }
}

fn pairing(pairing: wit::Pairing) -> hw::Pairing {
    match pairing {
        wit::Pairing::Adjacent => hw::Pairing::Adjacent,
        wit::Pairing::Halves => hw::Pairing::Halves,
    }
}

fn activation(activation: wit::Activation) -> hw::Activation {
    match activation {
        wit::Activation::Silu => hw::Activation::Silu,
        wit::Activation::Gelu => hw::Activation::Gelu,
        wit::Activation::GeluTanh => hw::Activation::GeluTanh,
        wit::Activation::GeluQuick => hw::Activation::GeluQuick,
        wit::Activation::Relu => hw::Activation::Relu,
        wit::Activation::Tanh => hw::Activation::Tanh,
        wit::Activation::Sigmoid => hw::Activation::Sigmoid,
    }
}

fn pooling(pooling: wit::Pooling) -> hw::Pooling {
    match pooling {
        wit::Pooling::Mean => hw::Pooling::Mean,
        wit::Pooling::First => hw::Pooling::First,
        wit::Pooling::Last => hw::Pooling::Last,
    }
}
