//! Graphs and batches that do not fit: each is refused with its reason, and nothing panics.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that meets the unexpected has failed"
)]

use std::io::Write as _;

use skep_hw::{
    Activation, Batch, Bounds, Cache, CacheLayer, CpuSettings, Device, Dtype, Graph, Index, Isa,
    Op, Pairing, Plan, Pooling, Region, Sequence, Weight,
};

fn device() -> Device {
    let settings = CpuSettings {
        isa: Some(Isa::Portable),
        threads: None,
    };
    Device::cpu(settings).unwrap()
}

/// 0: table 10 x 8; 1: matrix 6 x 8; 2: vector of 8; 3: vector of 6; 4: matrix 2 x 4.
fn weights() -> Vec<Weight> {
    let of = |rows: u32, columns: u32| {
        Weight::from_values(vec![0.5; (rows * columns) as usize], rows, columns).unwrap()
    };
    vec![of(10, 8), of(6, 8), of(1, 8), of(1, 6), of(2, 4)]
}

fn cache() -> Cache {
    let layer = CacheLayer {
        kv_heads: 1,
        key_width: 4,
        value_width: 4,
    };
    Cache::create(&device(), &[layer], 4, 16, Dtype::F32).unwrap()
}

const BOUNDS: Bounds = Bounds {
    tokens: 8,
    sequences: 2,
    outputs: 8,
};

/// Op 0 is 8 wide; `op` comes next, then outputs.
fn refusal(op: Op, with_cache: bool) -> String {
    let ops = vec![
        Op::Embed {
            table: 0,
            index: Index::Tokens,
        },
        op,
        Op::Outputs { x: 1 },
    ];
    let cache = with_cache.then(cache);
    match Graph::check(ops, weights(), cache, BOUNDS) {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn attention(change: impl FnOnce(&mut Op)) -> Op {
    let mut op = Op::Attention {
        query: 0,
        key: 0,
        value: 0,
        heads: 2,
        kv_heads: 2,
        layer: None,
        causal: true,
        window: None,
        scale: 1.0,
        softcap: None,
    };
    change(&mut op);
    op
}

#[test]
fn ops_that_do_not_fit_are_refused_by_name() {
    let rope = |head_width, count: usize, first: f32| Op::Rope {
        x: 0,
        head_width,
        pairing: Pairing::Halves,
        frequencies: vec![first; count],
        magnitude: 1.0,
    };
    let norm = |group, epsilon| Op::RmsNorm {
        x: 0,
        weight: None,
        epsilon,
        group,
    };
    let slice = |start, columns| Op::Slice {
        x: 0,
        start,
        columns,
    };
    let table: Vec<(Op, &str)> = vec![
        (
            Op::Scale { x: 1, by: 1.0 },
            "op 1 (scale): `x` refers to value 1, which is not before it",
        ),
        (
            Op::Scale {
                x: u32::MAX,
                by: 1.0,
            },
            "op 1 (scale): `x` refers to value 4294967295, which is not before it",
        ),
        (
            Op::Scale { x: 0, by: f32::NAN },
            "op 1 (scale): `by` is NaN; it must be finite",
        ),
        (
            Op::Softcap { x: 0, by: 0.0 },
            "op 1 (softcap): `by` is 0; it must be finite and above zero",
        ),
        (
            Op::Add { a: 0, b: 7 },
            "op 1 (add): `b` refers to value 7, which is not before it",
        ),
        (
            Op::Embed {
                table: 9,
                index: Index::Tokens,
            },
            "op 1 (embed): `table` refers to weight 9, but there are 5",
        ),
        (
            Op::Matmul {
                x: 0,
                weight: 4,
                bias: None,
            },
            "op 1 (matmul): the weight's columns is 4, expected 8",
        ),
        (
            Op::Matmul {
                x: 0,
                weight: 1,
                bias: Some(2),
            },
            "op 1 (matmul): the vector's length is 8, expected 6",
        ),
        (
            Op::Matmul {
                x: 0,
                weight: 1,
                bias: Some(1),
            },
            "op 1 (matmul): weight 1 for `bias` has 6 rows; a vector has one",
        ),
        (
            norm(0, 0.0),
            "op 1 (rms-norm): group is 0; it must be from 1 to 8",
        ),
        (
            norm(3, 0.0),
            "op 1 (rms-norm): the width is 8, not a multiple of 3",
        ),
        (
            norm(8, -1.0),
            "op 1 (rms-norm): `epsilon` is -1; it must be finite and not negative",
        ),
        (
            Op::LayerNorm {
                x: 0,
                weight: 3,
                bias: None,
                epsilon: 0.0,
            },
            "op 1 (layer-norm): the vector's length is 6, expected 8",
        ),
        (
            rope(0, 1, 1.0),
            "op 1 (rope): head-width is 0; it must be from 1 to 1024",
        ),
        (
            rope(3, 1, 1.0),
            "op 1 (rope): the width is 8, not a multiple of 3",
        ),
        (
            rope(4, 0, 1.0),
            "op 1 (rope): twice the number of frequencies is 0; it must be from 1 to 4",
        ),
        (
            rope(4, 3, 1.0),
            "op 1 (rope): twice the number of frequencies is 6; it must be from 1 to 4",
        ),
        (
            rope(4, 2, f32::INFINITY),
            "op 1 (rope): `frequencies` is inf; it must be finite",
        ),
        (
            slice(0, 0),
            "op 1 (slice): columns is 0; it must be from 1 to 8",
        ),
        (
            slice(u32::MAX, 2),
            "op 1 (slice): the end of the slice is 4294967297; it must be from 1 to 8",
        ),
        (
            slice(7, 2),
            "op 1 (slice): the end of the slice is 9; it must be from 1 to 8",
        ),
        (
            Op::AddVector { x: 0, by: 3 },
            "op 1 (add-vector): the vector's length is 6, expected 8",
        ),
        (
            attention(|op| {
                if let Op::Attention { heads, .. } = op {
                    *heads = 0
                }
            }),
            "op 1 (attention): heads is 0; it must be from 1 to 4096",
        ),
        (
            attention(|op| {
                if let Op::Attention { kv_heads, .. } = op {
                    *kv_heads = 0
                }
            }),
            "op 1 (attention): kv-heads is 0; it must be from 1 to 2",
        ),
        (
            attention(|op| {
                if let Op::Attention { heads, .. } = op {
                    *heads = 3
                }
            }),
            "op 1 (attention): heads is 3, not a multiple of 2",
        ),
        (
            attention(|op| {
                if let Op::Attention { window, .. } = op {
                    *window = Some(0)
                }
            }),
            "op 1 (attention): window is 0; it must be from 1 to 4294967295",
        ),
        (
            attention(|op| {
                if let Op::Attention { layer, .. } = op {
                    *layer = Some(0)
                }
            }),
            "op 1 (attention): `layer` is 0, but the graph has no cache",
        ),
        (
            attention(|op| {
                if let Op::Attention { scale, .. } = op {
                    *scale = f32::NAN
                }
            }),
            "op 1 (attention): `scale` is NaN; it must be finite",
        ),
        (
            attention(|op| {
                if let Op::Attention { kv_heads, .. } = op {
                    *kv_heads = 1
                }
            }),
            "op 1 (attention): the width of `key` is 8, expected 4",
        ),
    ];
    for (op, expect) in table {
        assert_eq!(refusal(op, false), expect);
    }
    let layer = |number| {
        attention(move |op| {
            if let Op::Attention { layer, .. } = op {
                *layer = Some(number)
            }
        })
    };
    assert_eq!(
        refusal(layer(0), true),
        "op 1 (attention): the cache layer's kv-heads is 1, expected 2"
    );
    assert_eq!(
        refusal(layer(1), true),
        "op 1 (attention): `layer` + 1 is 2; it must be from 1 to 1"
    );
    assert_eq!(
        refusal(
            Op::Activate {
                x: 0,
                function: Activation::Relu
            },
            false
        ),
        "accepted"
    );
}

#[test]
fn ends_and_bounds_that_do_not_fit_are_refused() {
    let embed = || Op::Embed {
        table: 0,
        index: Index::Tokens,
    };
    let check = |ops: Vec<Op>, bounds: Bounds| match Graph::check(ops, weights(), None, bounds) {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error.to_string(),
    };
    assert_eq!(check(vec![], BOUNDS), "the graph has no ops");
    assert_eq!(
        check(vec![embed()], BOUNDS),
        "op 0 (embed) is the last and yields a row per token; end in outputs or pool"
    );
    let mixed = vec![
        embed(),
        Op::Outputs { x: 0 },
        Op::Pool {
            x: 0,
            mode: Pooling::Mean,
        },
    ];
    assert_eq!(
        check(mixed, BOUNDS),
        "op 1 (outputs) cannot stand in a graph that ends in one row per sequence"
    );
    let twice = vec![embed(), Op::Outputs { x: 0 }, Op::Outputs { x: 1 }];
    assert_eq!(
        check(twice, BOUNDS),
        "op 2 (outputs): `x` has one row per output, expected one per token"
    );
    let rows = vec![embed(), Op::Outputs { x: 0 }, Op::Add { a: 0, b: 1 }];
    assert_eq!(
        check(rows, BOUNDS),
        "op 2 (add): `b` has one row per output, expected one per token"
    );
    for bounds in [
        Bounds {
            tokens: 0,
            ..BOUNDS
        },
        Bounds {
            sequences: 0,
            ..BOUNDS
        },
        Bounds {
            outputs: u32::MAX,
            ..BOUNDS
        },
    ] {
        assert!(check(vec![embed(), Op::Outputs { x: 0 }], bounds).starts_with("bounds allow"));
    }
    let many = vec![embed(); skep_hw::limits::MAX_OPS + 1];
    assert!(check(many, BOUNDS).contains("are more than"));
}

#[test]
fn weights_that_leave_their_file_are_refused() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&[0; 1000]).unwrap();
    let region = Region::map(&file).unwrap();
    let weight = |offset, dtype, rows, columns| {
        Weight::from_region(&region, offset, dtype, rows, columns)
            .map(|w| w.bytes())
            .map_err(|e| e.to_string())
    };
    assert_eq!(weight(0, Dtype::F32, 10, 25), Ok(1000));
    assert_eq!(weight(2, Dtype::Q8_0, 2, 32), Ok(68));
    for (offset, dtype, rows, columns) in [
        (0, Dtype::F32, 0, 4),
        (0, Dtype::F32, 4, 0),
        (0, Dtype::F32, u32::MAX, u32::MAX),
        (4, Dtype::F32, 10, 25),
        (2, Dtype::F32, 1, 4),
        (1, Dtype::F16, 1, 4),
        (0, Dtype::Q8_0, 1, 33),
        (0, Dtype::Q4K, 1, 128),
        (u64::MAX - 1, Dtype::F16, 1, 4),
        (1000, Dtype::F16, 1, 1),
    ] {
        assert!(
            weight(offset, dtype, rows, columns).is_err(),
            "{offset} {dtype:?} {rows} {columns}"
        );
    }
    assert!(Weight::from_values(vec![0.0; 5], 2, 3).is_err());
    assert!(Weight::from_values(vec![], 0, 0).is_err());
}

#[test]
fn batches_that_do_not_fit_are_refused() {
    let layer = attention(|op| {
        if let Op::Attention {
            layer,
            heads,
            kv_heads,
            ..
        } = op
        {
            (*layer, *heads, *kv_heads) = (Some(0), 1, 1);
        }
    });
    let cut = |start| Op::Slice {
        x: 0,
        start,
        columns: 4,
    };
    let mut ops = vec![
        Op::Embed {
            table: 0,
            index: Index::Tokens,
        },
        cut(0),
        layer,
        Op::Outputs { x: 2 },
    ];
    if let Op::Attention {
        query, key, value, ..
    } = &mut ops[2]
    {
        (*query, *key, *value) = (1, 1, 1);
    }
    let graph = Graph::check(ops, weights(), Some(cache()), BOUNDS).unwrap();
    let mut plan = Plan::compile(&device(), graph).unwrap();
    let mut refused =
        |tokens: &[u32], sequences: &[Sequence<'_>], outputs: &[u32]| match plan.run(&Batch {
            tokens,
            sequences,
            outputs,
        }) {
            Ok(()) => "ran".to_owned(),
            Err(error) => {
                assert!(
                    plan.row(0).unwrap().is_none(),
                    "rows of a run that did not happen"
                );
                error.to_string()
            }
        };
    let one = |tokens, start, pages: &'static [u32]| Sequence {
        tokens,
        start,
        pages,
    };
    assert_eq!(refused(&[1, 2], &[one(2, 15, &[3, 0])], &[1]), "ran");
    assert_eq!(refused(&[], &[], &[]), "the batch has no tokens");
    assert_eq!(
        refused(&[0; 9], &[one(9, 0, &[0])], &[]),
        "the batch has 9 tokens; the plan was compiled for at most 8"
    );
    assert_eq!(
        refused(&[10], &[one(1, 0, &[0])], &[]),
        "token 10 has no row in a table of 10"
    );
    assert_eq!(
        refused(&[1], &[one(2, 0, &[0])], &[]),
        "the sequences have 2 tokens, the batch has 1"
    );
    assert_eq!(
        refused(&[1], &[one(0, 0, &[]), one(1, 0, &[0])], &[]),
        "sequence 0 has no tokens"
    );
    assert_eq!(
        refused(&[1], &[one(1, u32::MAX, &[0])], &[]),
        "sequence 0 starts at 4294967295 and would end beyond all positions"
    );
    assert_eq!(
        refused(&[1, 1], &[one(2, 15, &[0])], &[]),
        "sequence 0 has 1 pages and needs 2"
    );
    assert_eq!(
        refused(&[1], &[one(1, u32::MAX - 1, &[0])], &[]),
        "sequence 0 has 1 pages and needs 268435456"
    );
    assert_eq!(
        refused(&[1], &[one(1, 0, &[4])], &[]),
        "sequence 0 names page 4 of a cache of 4"
    );
    assert_eq!(
        refused(&[1, 1], &[one(1, 0, &[2]), one(1, 3, &[2])], &[]),
        "sequence 1 writes to page 2, to which this batch writes already"
    );
    assert_eq!(
        refused(&[1, 1], &[one(2, 15, &[2, 2])], &[]),
        "sequence 0 writes to page 2, to which this batch writes already"
    );
    assert_eq!(
        refused(&[1], &[one(1, 0, &[0])], &[1]),
        "output 0 asks for row 1 of 1"
    );
    // A page of the past may be shared: it is only read.
    assert_eq!(
        refused(
            &[1, 1],
            &[one(1, 16, &[0, 1]), one(1, 16, &[0, 2])],
            &[0, 1]
        ),
        "ran"
    );
}

#[test]
fn pooled_outputs_are_sequences() {
    let ops = vec![
        Op::Embed {
            table: 0,
            index: Index::Positions,
        },
        Op::Pool {
            x: 0,
            mode: Pooling::Last,
        },
    ];
    let table: Vec<f32> = (0..10_u8).map(f32::from).collect();
    let table = Weight::from_values(table, 10, 1).unwrap();
    let graph = Graph::check(ops, vec![table], None, BOUNDS).unwrap();
    let mut plan = Plan::compile(&device(), graph).unwrap();
    let sequences = [
        Sequence {
            tokens: 3,
            start: 0,
            pages: &[],
        },
        Sequence {
            tokens: 2,
            start: 5,
            pages: &[],
        },
    ];
    plan.run(&Batch {
        tokens: &[7; 5],
        sequences: &sequences,
        outputs: &[1, 0],
    })
    .unwrap();
    assert_eq!(plan.row(0).unwrap(), Some(&[6.0][..]));
    assert_eq!(plan.row(1).unwrap(), Some(&[2.0][..]));
    assert_eq!(plan.row(2).unwrap(), None);
    let late = [Sequence {
        tokens: 1,
        start: 10,
        pages: &[],
    }];
    let error = plan
        .run(&Batch {
            tokens: &[0],
            sequences: &late,
            outputs: &[],
        })
        .unwrap_err();
    assert_eq!(error.to_string(), "position 10 has no row in a table of 10");
}
