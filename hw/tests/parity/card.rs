//! What every card must be able to do, whoever made it: each op against the reference, and the same bits however rows are
//! batched and launches are recorded.

use skep_hw::{Activation, Batch, Device, Dtype, Isa, Op, Sequence};

use super::ops::{self, ATTENTION, CASES, Case};
use super::support::{self, Fed, Random, all_rows, assert_close, bits, bounds, device};

/// Opens the card.
pub(crate) type Card = fn() -> Device;

/// Ends a token graph.
pub(crate) fn finish(mut fed: Fed, pooled: bool) -> Fed {
    if !pooled {
        let x = fed.ops.len() as u32 - 1;
        fed.then(Op::Outputs { x });
    }
    fed
}

/// Sums are taken in another order than the reference's, and in single precision.
fn compare(card: Card, what: &str, fed: &Fed, lengths: &[u32], pooled: bool, tolerance: f32) {
    let tokens = lengths.iter().sum::<u32>() as usize;
    let mut plan = fed.compile(&device(Isa::Reference, 1), bounds(tokens));
    let expect = all_rows(&mut plan, lengths, pooled);
    let mut plan = fed.compile(&card(), bounds(tokens));
    let found = all_rows(&mut plan, lengths, pooled);
    assert_close(what, &found, &expect, tolerance);
}

pub(crate) fn ops_agree_with_the_reference(card: Card) {
    for Case {
        name,
        tolerance,
        pooled,
        record,
    } in CASES
    {
        for seed in 0..6 {
            let mut random = Random::new(seed);
            let lengths: Vec<u32> = (0..1 + random.below(3))
                .map(|_| 1 + random.below(7))
                .collect();
            let tokens = lengths.iter().sum::<u32>() as usize;
            let size = [1, 2, 15, 16, 17, 33, 64, 100, 257][random.below(9) as usize];
            let fed = finish(record(&mut random, tokens, size), *pooled);
            let what = format!("{name}, seed {seed}, size {size}");
            compare(card, &what, &fed, &lengths, *pooled, tolerance * 2.0);
        }
    }
}

pub(crate) fn matmul_agrees_with_the_reference(card: Card) {
    for dtype in Dtype::ALL {
        for seed in 0..5 {
            let mut random = Random::new(seed);
            let rows = 1 + random.below(if seed % 2 == 0 { 17 } else { 80 });
            let blocks = 1 + random.below(if dtype.block_len() == 256 { 3 } else { 70 }) as usize;
            let columns = match dtype.block_len() {
                1 => 1 + random.below(150) as usize,
                block => block * blocks,
            };
            let outputs = 1 + random.below(70) as usize;
            let made = ops::matmul(&mut random, rows as usize, columns, outputs, dtype);
            let what = format!(
                "matmul {}, seed {seed}, {rows} x {columns} x {outputs}",
                dtype.name()
            );
            compare(card, &what, &finish(made, false), &[rows], false, 4e-6);
        }
    }
}

/// Products of one input that may start together, and those that may not.
pub(crate) fn products_of_one_input_agree_with_the_reference(card: Card) {
    for rows in [1_u32, 3, 9, 30] {
        let mut random = Random::new(u64::from(rows));
        let columns = 256;
        let mut fed = Fed::with(&random.normals(rows as usize * columns), columns);
        let mut made = Vec::new();
        for (dtype, outputs) in [
            (Dtype::Q4_0, 40),
            (Dtype::Q4_0, 9),
            (Dtype::Q4_0, 40),
            (Dtype::Q4_0, 40),
            (Dtype::Q8_0, 40),
            (Dtype::F16, 40),
        ] {
            let weight = support::weight(&mut random, dtype, outputs, columns as u32);
            let weight = fed.weight(weight);
            made.push(fed.ops.len() as u32);
            fed.then(Op::Matmul {
                x: 0,
                weight,
                bias: None,
            });
        }
        for b in [made[2], made[3], made[4], made[5]] {
            let a = match b == made[2] {
                true => made[0],
                false => fed.ops.len() as u32 - 1,
            };
            fed.then(Op::Add { a, b });
        }
        let what = format!("six products of {rows} rows");
        compare(card, &what, &finish(fed, false), &[rows], false, 1e-5);
    }
}

pub(crate) fn embedding_rows_of_every_type_agree(card: Card) {
    for dtype in Dtype::ALL {
        let mut random = Random::new(7);
        let columns = dtype.block_len().max(2) * 3;
        let mut fed = Fed::with(&random.normals(5), 1);
        fed.weights[0] = support::weight(&mut random, dtype, 5, columns as u32);
        compare(card, dtype.name(), &finish(fed, false), &[5], false, 0.0);
    }
}

pub(crate) fn attention_agrees_with_the_reference(card: Card) {
    for (case, shape) in ATTENTION.iter().enumerate() {
        for lengths in [&[1][..], &[16, 1, 40], &[5, 140]] {
            let mut random = Random::new(case as u64);
            let tokens = lengths.iter().sum::<u32>() as usize;
            let fed = finish(ops::attention(&mut random, tokens, *shape), false);
            let what = format!("attention {shape:?} of {lengths:?}");
            compare(card, &what, &fed, lengths, false, 1e-5);
        }
    }
}

/// What caches make of numbers that are tiny, huge or none; each token sees itself alone.
pub(crate) fn numbers_that_caches_cannot_hold_agree_with_the_reference(card: Card) {
    for cached in [Dtype::Q8_0, Dtype::F16] {
        let shape = ops::Attention {
            heads: 2,
            kv_heads: 1,
            key_width: 32,
            value_width: 64,
            cached: Some(cached),
            causal: true,
            window: Some(1),
            softcap: None,
        };
        let (query, width) = (64, 64 + 32 + 64);
        for factor in [1.0, 3e-5, 1e-7, 1e6, 1e8, f32::INFINITY, f32::NAN] {
            let mut random = Random::new(21);
            let mut fed = ops::attention(&mut random, 3, shape);
            let mut x = random.normals(3 * width);
            for value in &mut x[width + query + 32..][..32] {
                *value *= factor;
            }
            fed.weights[0] = skep_hw::Weight::from_values(x, 3, width as u32).unwrap();
            let what = format!("values by {factor} in {}", cached.name());
            compare(card, &what, &finish(fed, false), &[3], false, 1e-6);
        }
    }
}

pub(crate) fn extreme_numbers_agree_with_the_reference(card: Card) {
    let x = [
        0.0,
        -0.0,
        1e-40,
        1e-38,
        1e30,
        -1e30,
        3e38,
        -3e38,
        88.0,
        89.0,
        -87.0,
        -104.0,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        0.625,
        -0.625,
        17.0,
        1e-20,
    ];
    for function in [
        Activation::Silu,
        Activation::Gelu,
        Activation::GeluTanh,
        Activation::GeluQuick,
        Activation::Relu,
        Activation::Tanh,
        Activation::Sigmoid,
    ] {
        // One number a row, so that each is judged by its own size.
        let mut fed = Fed::with(&x, 1);
        fed.then(Op::Activate { x: 0, function });
        compare(
            card,
            &format!("{function:?}"),
            &finish(fed, false),
            &[x.len() as u32],
            false,
            2e-6,
        );
    }
}

/// A row's bits do not depend on what else is in the batch, nor on how its sequence is cut into runs.
pub(crate) fn a_row_alone_is_the_same_row(card: Card) {
    let shape = ops::Attention {
        heads: 4,
        kv_heads: 2,
        key_width: 32,
        value_width: 32,
        cached: Some(Dtype::F16),
        causal: true,
        window: None,
        softcap: None,
    };
    let mut random = Random::new(3);
    let mut fed = ops::attention(&mut random, 40, shape);
    let x = fed.ops.len() as u32 - 1;
    let weight = fed.weight(support::weight(&mut random, Dtype::Q4_0, 24, 128));
    fed.then(Op::Matmul {
        x,
        weight,
        bias: None,
    });
    let fed = finish(fed, false);
    let mut plan = fed.compile(&card(), bounds(40));
    let together = bits(&all_rows(&mut plan, &[40], false));
    let mut plan = fed.compile(&card(), bounds(40));
    let pages: Vec<u32> = (0..8).collect();
    let mut found = Vec::new();
    for (start, count) in [(0, 7), (7, 1), (8, 32)] {
        let tokens: Vec<u32> = (start..start + count).collect();
        let outputs: Vec<u32> = (0..count).collect();
        let sequences = [Sequence {
            tokens: count,
            start,
            pages: &pages,
        }];
        plan.run(&Batch {
            tokens: &tokens,
            sequences: &sequences,
            outputs: &outputs,
        })
        .unwrap();
        found.extend((0..count as usize).map(|row| plan.row(row).unwrap().unwrap().to_vec()));
    }
    assert!(bits(&found) == together);
}

/// Token after token, most of them by what the second recorded: the same bits as together.
pub(crate) fn recorded_launches_are_the_same_launches(
    card: Card,
    recorded: impl FnOnce(&mut dyn FnMut()),
) {
    let shape = ops::Attention {
        heads: 4,
        kv_heads: 2,
        key_width: 32,
        value_width: 32,
        cached: Some(Dtype::Q8_0),
        causal: true,
        window: Some(9),
        softcap: None,
    };
    let mut random = Random::new(4);
    let mut fed = ops::attention(&mut random, 40, shape);
    let x = fed.ops.len() as u32 - 1;
    fed.then(Op::Rope {
        x,
        head_width: 32,
        pairing: skep_hw::Pairing::Halves,
        frequencies: (0..16).map(|i| 0.7 / (i + 1) as f32).collect(),
        magnitude: 1.0,
    });
    let fed = finish(fed, false);
    let mut plan = fed.compile(&card(), bounds(40));
    let together = bits(&all_rows(&mut plan, &[40], false));
    let mut plan = fed.compile(&card(), bounds(40));
    let mut found = Vec::new();
    recorded(&mut || {
        for token in 0..40 {
            let sequences = [Sequence {
                tokens: 1,
                start: token,
                pages: &[0, 1, 2],
            }];
            plan.run(&Batch {
                tokens: &[token],
                sequences: &sequences,
                outputs: &[0],
            })
            .unwrap();
            found.push(plan.row(0).unwrap().unwrap().to_vec());
        }
    });
    assert!(bits(&found) == together);
}

/// More places than a span has: a row's spans may be computed by one block of threads or by several, with the same bits.
pub(crate) fn long_attention_is_the_same_however_it_is_shared(card: Card) {
    for (cached, window) in [(Dtype::F16, None), (Dtype::Q8_0, Some(290))] {
        let shape = ops::Attention {
            heads: 6,
            kv_heads: 1,
            key_width: 32,
            value_width: 32,
            cached: Some(cached),
            causal: true,
            window,
            softcap: None,
        };
        let mut random = Random::new(17);
        let (tokens, pages) = (530_u32, (0..34).collect::<Vec<u32>>());
        let fed = finish(ops::attention(&mut random, tokens as usize, shape), false);
        let run = |device: &Device, parts: &[u32]| {
            let mut plan = fed.compile(device, bounds(tokens as usize));
            let mut found = Vec::new();
            let mut start = 0;
            for count in parts {
                let all: Vec<u32> = (start..start + count).collect();
                let last = [count - 1];
                let sequences = [Sequence {
                    tokens: *count,
                    start,
                    pages: &pages,
                }];
                plan.run(&Batch {
                    tokens: &all,
                    sequences: &sequences,
                    outputs: &last,
                })
                .unwrap();
                found.push(plan.row(0).unwrap().unwrap().to_vec());
                start += count;
            }
            found
        };
        let card = card();
        let shared = run(&card, &[513, 1, 15, 1]);
        let together = run(&card, &[530]);
        assert!(bits(&shared[3..]) == bits(&together), "{}", cached.name());
        let expect = run(&device(Isa::Reference, 1), &[530]);
        let what = format!("530 places in {}", cached.name());
        assert_close(&what, &shared[3..], &expect, 1e-5);
    }
}

pub(crate) fn ranks_agree_with_the_processor(card: Card) {
    let card = card();
    for (seed, width) in [1, 5, 255, 256, 257, 1000, 9000].into_iter().enumerate() {
        let mut random = Random::new(seed as u64);
        let rows = 4;
        let mut x = random.normals(rows * width);
        // Equal numbers, zeros of both signs, and what is no number.
        for (i, value) in x.iter_mut().enumerate() {
            let row = i / width;
            *value = match (row, i % 7) {
                (1, _) => (*value * 3.0).round(),
                (2, 3) => f32::NAN,
                (3, 2) if width > 300 => f32::NEG_INFINITY,
                (3, 5) if i % width == 5 && width == 257 => f32::INFINITY,
                _ => *value,
            };
        }
        let fed = finish(Fed::with(&x, width), false);
        let outputs: Vec<u32> = (0..rows as u32).collect();
        let temperatures = [1.0, 0.3, 2.0, 0.7];
        let top = |device: &Device, count: usize, asked: &[f32]| {
            let mut plan = fed.compile(device, bounds(rows));
            let sequences = [Sequence {
                tokens: rows as u32,
                start: 0,
                pages: &[],
            }];
            let batch = Batch {
                tokens: &outputs,
                sequences: &sequences,
                outputs: &outputs,
            };
            plan.run_ranked(&batch, asked).unwrap();
            let mut found = Vec::new();
            for (row, temperature) in temperatures.iter().enumerate() {
                let mut largest = Vec::new();
                let sum = plan.top(row, count, *temperature, &mut largest);
                let largest: Vec<_> = largest.iter().map(|(c, x)| (*c, x.to_bits())).collect();
                found.push((largest, sum.unwrap().unwrap()));
            }
            found
        };
        for count in [1, 40, 256, 300] {
            let expect = top(&device(Isa::Reference, 1), count, &[]);
            // As asked, and otherwise.
            for asked in [&temperatures[..], &[0.5; 4], &[]] {
                let found = top(&card, count, asked);
                for (found, expect) in found.iter().zip(&expect) {
                    assert_eq!(found.0, expect.0, "{count} of {width}");
                    let (found, expect) = (found.1, expect.1);
                    let same = found.to_bits() == expect.to_bits()
                        || (found.is_nan() && expect.is_nan())
                        || (found - expect).abs() <= 3e-6 * expect.abs().max(1.0);
                    assert!(same, "{count} of {width}: {found} for {expect}");
                }
            }
        }
    }
}
