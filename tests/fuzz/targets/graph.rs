//! Graphs of operations, as guests record them: one that is taken can be compiled and run, and what comes out is as large as
//! was said; nothing panics.
#![no_main]

use std::sync::LazyLock;

use arbitrary::{Arbitrary, Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use skep_hw::{
    Activation, Batch, Bounds, CpuSettings, Device, Graph, Index, Op, Pairing, Plan, Sequence,
    Weight,
};

static DEVICE: LazyLock<Device> = LazyLock::new(|| {
    let threads = std::num::NonZeroUsize::new(1);
    Device::cpu(CpuSettings { threads, isa: None }).expect("a processor")
});

/// Most numbers are small, so that they mean something; some are anything.
fn number(u: &mut Unstructured<'_>) -> Result<u32> {
    Ok(match u.int_in_range(0..=15)? {
        0 => u32::arbitrary(u)?,
        _ => u.int_in_range(0..=8)?,
    })
}

fn maybe(u: &mut Unstructured<'_>) -> Result<Option<u32>> {
    Ok(if bool::arbitrary(u)? {
        Some(number(u)?)
    } else {
        None
    })
}

fn op(u: &mut Unstructured<'_>, before: u32) -> Result<Op> {
    // Mostly what has come just before.
    let x = if u.ratio(7, 8)? {
        before.saturating_sub(1)
    } else {
        number(u)?
    };
    Ok(match u.int_in_range(0..=16)? {
        0 => Op::Embed {
            table: number(u)?,
            index: Index::Tokens,
        },
        1 | 2 => Op::Matmul {
            x,
            weight: number(u)?,
            bias: maybe(u)?,
        },
        3 => Op::RmsNorm {
            x,
            weight: maybe(u)?,
            epsilon: f32::arbitrary(u)?,
            group: number(u)?,
        },
        4 => Op::LayerNorm {
            x,
            weight: number(u)?,
            bias: maybe(u)?,
            epsilon: f32::arbitrary(u)?,
        },
        5 => Op::Rope {
            x,
            head_width: number(u)?,
            pairing: if bool::arbitrary(u)? {
                Pairing::Adjacent
            } else {
                Pairing::Halves
            },
            frequencies: (0..u.int_in_range(0..=4)?)
                .map(|_| f32::arbitrary(u))
                .collect::<Result<_>>()?,
            magnitude: f32::arbitrary(u)?,
        },
        6 => Op::Attention {
            query: x,
            key: number(u)?,
            value: number(u)?,
            heads: number(u)?,
            kv_heads: number(u)?,
            layer: maybe(u)?,
            causal: bool::arbitrary(u)?,
            window: maybe(u)?,
            scale: f32::arbitrary(u)?,
            softcap: bool::arbitrary(u)?.then_some(f32::arbitrary(u)?),
        },
        7 => Op::Activate {
            x,
            function: Activation::Silu,
        },
        8 => Op::Gated {
            gate: x,
            up: number(u)?,
            function: Activation::Gelu,
        },
        9 => Op::Add {
            a: x,
            b: number(u)?,
        },
        10 => Op::Mul {
            a: x,
            b: number(u)?,
        },
        11 => Op::Scale {
            x,
            by: f32::arbitrary(u)?,
        },
        12 => Op::Softcap {
            x,
            by: f32::arbitrary(u)?,
        },
        13 => Op::AddVector { x, by: number(u)? },
        14 => Op::Slice {
            x,
            start: number(u)?,
            columns: number(u)?,
        },
        15 => Op::Softmax { x },
        _ => Op::Outputs { x },
    })
}

fn weights() -> Vec<Weight> {
    let of = |rows: u32, columns: u32| {
        let values = (0..rows * columns)
            .map(|at| at as f32 / 8.0 - 1.0)
            .collect();
        Weight::from_values(values, rows, columns).expect("a weight")
    };
    vec![of(8, 4), of(4, 4), of(1, 4), of(8, 8), of(1, 8), of(4, 8)]
}

fuzz_target!(|bytes: &[u8]| {
    let mut u = Unstructured::new(bytes);
    let Ok(bounds) = (|| -> Result<Bounds> {
        Ok(Bounds {
            tokens: number(&mut u)?,
            sequences: number(&mut u)?,
            outputs: number(&mut u)?,
        })
    })() else {
        return;
    };
    let mut ops = vec![Op::Embed {
        table: 0,
        index: Index::Tokens,
    }];
    while ops.len() < 40
        && !u.is_empty()
        && let Ok(op) = op(&mut u, ops.len() as u32)
    {
        ops.push(op);
    }
    ops.push(Op::Outputs {
        x: ops.len() as u32 - 1,
    });
    let Ok(graph) = Graph::check(ops, weights(), None, bounds) else {
        return;
    };
    // What a model would be refused for its size is not compiled here.
    if bounds.tokens > 64 || bounds.sequences > 64 || bounds.outputs > 64 {
        return;
    }
    let Ok(mut plan) = Plan::compile(&DEVICE, graph) else {
        return;
    };
    let sequences = [Sequence {
        tokens: 1,
        start: 0,
        pages: &[],
    }];
    let batch = Batch {
        tokens: &[1],
        sequences: &sequences,
        outputs: &[0],
    };
    let _ = plan.run(&batch);
});
