//! Every op, every instruction set, every type, against the reference; and every row alone against
//! the same row in company, to the bit.
//!
//! Infinities and NaNs: each function makes of them what the reference does. A row with one, rounded
//! for quantised weights, becomes NaN.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that meets the unexpected has failed"
)]

#[path = "parity/joined.rs"]
mod joined;
#[path = "parity/ops.rs"]
mod ops;
#[path = "parity/support.rs"]
mod support;

use skep_hw::{Activation, Batch, Dtype, Isa, Op, Pairing, Sequence};

use self::ops::{ATTENTION, CASES, Case};
use self::support::{Fed, Random, all_rows, assert_close, bits, bounds, device, fast};

/// Whoever emulates a processor says in `SKEP_EXPECT_ISA` what is to be used on it.
#[cfg(target_arch = "aarch64")]
#[test]
fn the_best_instructions_are_used() {
    let found = skep_hw::Device::cpu(skep_hw::CpuSettings::default())
        .unwrap()
        .isa();
    let expect = std::env::var("SKEP_EXPECT_ISA").unwrap_or_else(|_| {
        let dot_products = std::arch::is_aarch64_feature_detected!("dotprod");
        let isa = if dot_products {
            Isa::NeonDot
        } else {
            Isa::Neon
        };
        isa.name().to_owned()
    });
    assert_eq!(found.name(), expect);
    assert_eq!(fast().last(), Some(&found));
}

/// Ends a token graph.
fn finish(mut fed: Fed, pooled: bool) -> Fed {
    if !pooled {
        let x = fed.ops.len() as u32 - 1;
        fed.then(Op::Outputs { x });
    }
    fed
}

fn compare(what: &str, fed: &Fed, lengths: &[u32], pooled: bool, tolerance: f32) {
    let tokens = lengths.iter().sum::<u32>() as usize;
    let mut plan = fed.compile(&device(Isa::Reference, 1), bounds(tokens));
    let expect = all_rows(&mut plan, lengths, pooled);
    let mut plan = fed.compile(&device(Isa::Portable, 1), bounds(tokens));
    let portable = bits(&all_rows(&mut plan, lengths, pooled));
    for isa in fast() {
        for threads in [1, 3] {
            let mut plan = fed.compile(&device(isa, threads), bounds(tokens));
            let found = all_rows(&mut plan, lengths, pooled);
            let what = format!("{what} on {isa:?}, {threads} threads");
            assert_close(&what, &found, &expect, tolerance);
            assert_eq!(bits(&found), portable, "{what}: not what plain loops give");
        }
    }
}

#[test]
fn ops_agree_with_the_reference() {
    for Case {
        name,
        tolerance,
        pooled,
        record,
    } in CASES
    {
        for seed in 0..12 {
            let mut random = Random::new(seed);
            let lengths: Vec<u32> = (0..1 + random.below(3))
                .map(|_| 1 + random.below(7))
                .collect();
            let tokens = lengths.iter().sum::<u32>() as usize;
            let size = [1, 2, 15, 16, 17, 33, 64, 100, 257][random.below(9) as usize];
            let fed = finish(record(&mut random, tokens, size), *pooled);
            compare(
                &format!("{name}, seed {seed}, size {size}"),
                &fed,
                &lengths,
                *pooled,
                *tolerance,
            );
        }
    }
}

#[test]
fn matmul_agrees_with_the_reference() {
    for dtype in Dtype::ALL {
        for seed in 0..10 {
            let mut random = Random::new(seed);
            let rows = 1 + random.below(17);
            let blocks = 1 + random.below(if dtype.block_len() == 256 { 3 } else { 9 }) as usize;
            let columns = match dtype.block_len() {
                1 => 1 + random.below(150) as usize,
                block => block * blocks,
            };
            let outputs = 1 + random.below(70) as usize;
            let fed = finish(
                ops::matmul(&mut random, rows as usize, columns, outputs, dtype),
                false,
            );
            let what = format!(
                "matmul {}, seed {seed}, {rows} x {columns} x {outputs}",
                dtype.name()
            );
            // Rounding and whole sums are exact and the order of the rest is defined.
            let tolerance = if dtype.is_quantised() { 2e-7 } else { 2e-6 };
            compare(&what, &fed, &[rows], false, tolerance);
        }
    }
}

#[test]
fn embedding_rows_of_every_type_agree() {
    for dtype in Dtype::ALL {
        let mut random = Random::new(7);
        let columns = dtype.block_len().max(2) * 3;
        let mut fed = Fed::with(&random.normals(5), 1);
        let table = support::weight(&mut random, dtype, 5, columns as u32);
        fed.weights[0] = table;
        compare(dtype.name(), &finish(fed, false), &[5], false, 0.0);
    }
}

#[test]
fn attention_agrees_with_the_reference() {
    for (case, shape) in ATTENTION.iter().enumerate() {
        for lengths in [&[1][..], &[17], &[16, 1, 40], &[5, 64]] {
            let mut random = Random::new(case as u64);
            let tokens = lengths.iter().sum::<u32>() as usize;
            let fed = finish(ops::attention(&mut random, tokens, *shape), false);
            let what = format!("attention {shape:?} of {lengths:?}");
            compare(&what, &fed, lengths, false, 3e-6);
        }
    }
}

/// Every instruction set yields the same bits, whatever a cache keeps.
#[test]
fn attention_is_the_same_everywhere() {
    for (case, shape) in ATTENTION.iter().enumerate() {
        let mut random = Random::new(case as u64);
        let fed = finish(ops::attention(&mut random, 57, *shape), false);
        let mut expect = None;
        for isa in fast() {
            let mut plan = fed.compile(&device(isa, 2), bounds(57));
            let found = bits(&all_rows(&mut plan, &[16, 1, 40], false));
            let expect = expect.get_or_insert_with(|| found.clone());
            assert!(*expect == found, "{shape:?} on {isa:?}");
        }
    }
}

/// What a cache of bytes makes of numbers that are tiny, huge or none; each token sees itself alone.
#[test]
fn numbers_that_bytes_cannot_hold_agree_with_the_reference() {
    let shape = ops::Attention {
        heads: 2,
        kv_heads: 1,
        key_width: 32,
        value_width: 64,
        cached: Some(Dtype::Q8_0),
        causal: true,
        window: Some(1),
        softcap: None,
    };
    let (query, width) = (64, 64 + 32 + 64);
    for (factor, kept) in [
        (1.0, Some(1.0)),
        // The scale is a small whole number of the smallest half.
        (3e-5, Some(0.4)),
        (1e-7, Some(0.0)),
        (1e6, Some(1.0)),
        (1e8, None),
        (f32::INFINITY, None),
        (f32::NAN, None),
    ] {
        let mut random = Random::new(21);
        let mut fed = ops::attention(&mut random, 3, shape);
        let mut x = random.normals(3 * width);
        // Token 1's values, of which the first block is the strange one.
        for value in &mut x[width + query + 32..][..32] {
            *value *= factor;
        }
        let block = x[width + query + 32..][..32].to_vec();
        fed.weights[0] = skep_hw::Weight::from_values(x, 3, width as u32).unwrap();
        let fed = finish(fed, false);
        compare(&format!("values by {factor}"), &fed, &[3], false, 1e-6);
        let mut plan = fed.compile(&device(Isa::Reference, 1), bounds(3));
        let rows = all_rows(&mut plan, &[3], false);
        assert!(rows[0].iter().chain(&rows[2]).all(|x| x.is_finite()));
        let most = block.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
        for (found, x) in rows[1].iter().zip(&block) {
            match kept {
                Some(0.0) => assert!(*found == 0.0, "{found} of {x}"),
                Some(share) => {
                    assert!((found - x).abs() <= most * (1.01 - share), "{found} of {x}")
                }
                None => assert!(found.is_nan(), "{found} of {x}"),
            }
        }
        assert!(rows[1][32..64].iter().all(|x| x.is_finite()));
    }
}

/// Queries and keys that are turned on their way into the cache, and beforehand since others read them,
/// too: the same bits.
#[test]
fn rotations_on_the_way_into_a_cache_change_nothing() {
    let shape = ops::Attention {
        heads: 6,
        kv_heads: 2,
        key_width: 32,
        value_width: 64,
        cached: None,
        causal: true,
        window: None,
        softcap: None,
    };
    for (dtype, pairing, pairs, threads) in [
        (Dtype::F32, Pairing::Halves, 16, 1),
        (Dtype::F16, Pairing::Adjacent, 16, 3),
        (Dtype::Q8_0, Pairing::Halves, 12, 3),
    ] {
        let shape = ops::Attention {
            cached: Some(dtype),
            ..shape
        };
        let make = |read_twice: &[u32]| {
            let mut random = Random::new(13);
            let mut fed = ops::attention(&mut random, 80, shape);
            let Some(Op::Attention {
                query, key, value, ..
            }) = fed.ops.pop()
            else {
                panic!("attention comes last");
            };
            let mut attention = ops::attention(&mut random, 80, shape).ops.pop().unwrap();
            let mut turned = |x| {
                fed.then(Op::Rope {
                    x,
                    head_width: 32,
                    pairing,
                    frequencies: (0..pairs).map(|i| 0.9 / (i + 1) as f32).collect(),
                    magnitude: 1.1,
                })
            };
            let (q, k) = (turned(query), turned(key));
            if let Op::Attention {
                query,
                key,
                value: v,
                ..
            } = &mut attention
            {
                (*query, *key, *v) = (q, k, value);
            }
            for place in read_twice {
                let x = [q, k][*place as usize];
                fed.then(Op::Scale { x, by: 2.0 });
            }
            fed.then(attention);
            finish(fed, false)
        };
        let fused = make(&[]);
        if dtype == Dtype::F32 {
            compare("attention of turned rows", &fused, &[17, 63], false, 3e-6);
        }
        for isa in fast() {
            let rows = |fed: &Fed| {
                let mut plan = fed.compile(&device(isa, threads), bounds(80));
                bits(&all_rows(&mut plan, &[17, 63], false))
            };
            let expect = rows(&make(&[0, 1]));
            for read_twice in [&[][..], &[0], &[1]] {
                let found = rows(&make(read_twice));
                assert!(found == expect, "{dtype:?} on {isa:?}, {read_twice:?}");
            }
        }
    }
}

/// Numbers at the edges of their range.
#[test]
fn extreme_numbers_agree_with_the_reference() {
    let x = [
        0.0,
        -0.0,
        1e-40,
        -1e-40,
        1e-38,
        1e30,
        -1e30,
        3e38,
        -3e38,
        88.0,
        89.0,
        -87.0,
        -88.0,
        -104.0,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        0.625,
        -0.625,
        17.0,
        1e-20,
    ];
    // One number a row, so that each is judged by its own size.
    for function in [
        Activation::Silu,
        Activation::Gelu,
        Activation::GeluTanh,
        Activation::GeluQuick,
        Activation::Relu,
        Activation::Tanh,
        Activation::Sigmoid,
    ] {
        let mut fed = Fed::with(&x, 1);
        fed.then(Op::Activate { x: 0, function });
        let fed = finish(fed, false);
        let mut plan = fed.compile(&device(Isa::Reference, 1), bounds(x.len()));
        let expect = all_rows(&mut plan, &[x.len() as u32], false);
        for isa in fast() {
            let mut plan = fed.compile(&device(isa, 1), bounds(x.len()));
            let found = all_rows(&mut plan, &[x.len() as u32], false);
            for ((x, found), expect) in x.iter().zip(&found).zip(&expect) {
                let (f, e) = (found[0], expect[0]);
                let close = (f - e).abs() <= 3e-6 * e.abs() + 1e-37;
                assert!(
                    close || f == e || f.is_nan() && e.is_nan(),
                    "{function:?}({x}) on {isa:?}: {f}, expected {e}"
                );
            }
        }
    }
}

#[test]
fn a_row_that_is_not_finite_becomes_nan_and_spares_the_others() {
    for dtype in [Dtype::Q8_0, Dtype::Q4K, Dtype::Q6K, Dtype::F16] {
        for bad in [f32::NAN, f32::INFINITY] {
            let mut random = Random::new(3);
            let mut x = random.normals(9 * 256);
            x[4 * 256 + 77] = bad;
            let mut fed = Fed::with(&x, 256);
            let weight = support::weight(&mut random, dtype, 20, 256);
            let weight = fed.weight(weight);
            fed.then(Op::Matmul {
                x: 0,
                weight,
                bias: None,
            });
            let fed = finish(fed, false);
            for isa in Isa::available() {
                let mut plan = fed.compile(&device(isa, 1), bounds(9));
                let rows = all_rows(&mut plan, &[9], false);
                for (index, row) in rows.iter().enumerate() {
                    let finite = row.iter().all(|x| x.is_finite());
                    assert_eq!(
                        finite,
                        index != 4,
                        "{} with {bad}, row {index} on {isa:?}",
                        dtype.name()
                    );
                }
            }
        }
    }
}

#[test]
fn vanishing_activations_give_zero() {
    for isa in Isa::available() {
        let mut random = Random::new(3);
        let mut fed = Fed::with(&vec![1e-35; 64], 64);
        let weight = support::weight(&mut random, Dtype::Q8_0, 3, 64);
        let weight = fed.weight(weight);
        fed.then(Op::Matmul {
            x: 0,
            weight,
            bias: None,
        });
        let mut plan = finish(fed, false).compile(&device(isa, 1), bounds(1));
        let rows = all_rows(&mut plan, &[1], false);
        assert!(rows[0].iter().all(|x| *x == 0.0), "{isa:?}: {rows:?}");
    }
}

/// Rows of a product alone, in pairs, in company of up to 64: the same bits.
#[test]
fn a_row_does_not_depend_on_its_batch() {
    for dtype in Dtype::ALL {
        let columns = if dtype.block_len() == 256 { 512 } else { 288 };
        let mut random = Random::new(11);
        let fed = finish(ops::matmul(&mut random, 64, columns, 37, dtype), false);
        for isa in fast() {
            let mut plan = fed.compile(&device(isa, 2), bounds(64));
            let all = bits(&all_rows(&mut plan, &[64], false));
            for count in [1_usize, 2, 3, 4, 5, 7, 8, 9, 16, 17, 31, 64] {
                for start in (0..64).step_by(count) {
                    let tokens: Vec<u32> =
                        (start..(start + count).min(64)).map(|t| t as u32).collect();
                    let outputs: Vec<u32> = (0..tokens.len() as u32).collect();
                    let sequences = [Sequence {
                        tokens: tokens.len() as u32,
                        start: 0,
                        pages: &[],
                    }];
                    plan.run(&Batch {
                        tokens: &tokens,
                        sequences: &sequences,
                        outputs: &outputs,
                    })
                    .unwrap();
                    for (row, token) in tokens.iter().enumerate() {
                        let found = bits(&[plan.row(row).unwrap().unwrap().to_vec()]);
                        assert_eq!(
                            found[0],
                            all[*token as usize],
                            "{} on {isa:?}: row {token} in {count}",
                            dtype.name()
                        );
                    }
                }
            }
        }
    }
}

/// A sequence in one run, cut into chunks, token by token, beside others: the same bits.
#[test]
fn a_sequence_does_not_depend_on_its_chunks() {
    const LENGTH: usize = 1100;
    for (threads, dtype, widths) in [
        (1, Dtype::F16, (12, 20)),
        (3, Dtype::F32, (12, 20)),
        (2, Dtype::Q8_0, (32, 64)),
    ] {
        for (heads, kv_heads, window) in [(4, 1, None), (2, 2, Some(600)), (7, 1, None)] {
            let shape = ops::Attention {
                heads,
                kv_heads,
                key_width: widths.0,
                value_width: widths.1,
                cached: Some(dtype),
                causal: true,
                window,
                softcap: None,
            };
            let mut random = Random::new(5);
            let mut fed = ops::attention(&mut random, LENGTH, shape);
            let width = (heads * widths.1) as u32;
            let weight = support::weight(&mut random, Dtype::Q8_0, 19, 32);
            let weight = fed.weight(weight);
            let x = fed.ops.len() as u32 - 1;
            let x = fed.then(Op::Slice {
                x,
                start: width - 32,
                columns: 32,
            });
            let x = fed.then(Op::Rope {
                x,
                head_width: 16,
                pairing: Pairing::Halves,
                frequencies: vec![0.5; 8],
                magnitude: 1.0,
            });
            fed.then(Op::Matmul {
                x,
                weight,
                bias: None,
            });
            let fed = finish(fed, false);
            for isa in fast() {
                let mut plan = fed.compile(&device(isa, threads), bounds(LENGTH));
                let all = bits(&all_rows(&mut plan, &[LENGTH as u32], false));
                for step in [1_usize, 37, 512] {
                    // Single steps over everything would take long without vectors.
                    let from = if step == 1 { LENGTH - 10 } else { 0 };
                    chunked(
                        &mut plan,
                        step,
                        from,
                        &all,
                        &format!("{isa:?} {shape:?} by {step}"),
                    );
                }
            }
        }
    }
}

fn chunked(plan: &mut skep_hw::Plan, step: usize, from: usize, all: &[Vec<u32>], what: &str) {
    let pages: Vec<u32> = (0..80).rev().collect();
    let other: Vec<u32> = (100..120).collect();
    let mut starts: Vec<usize> = (from..all.len()).step_by(step).collect();
    if from > 0 {
        starts.insert(0, 0);
    }
    for (place, start) in starts.iter().enumerate() {
        let end = starts.get(place + 1).copied().unwrap_or(all.len());
        // A stranger comes first in every other batch.
        let strangers = if place % 2 == 1 && end - start < 1000 {
            3_u32
        } else {
            0
        };
        let mut tokens: Vec<u32> = (0..strangers).collect();
        tokens.extend(*start as u32..end as u32);
        let mine = Sequence {
            tokens: (end - start) as u32,
            start: *start as u32,
            pages: &pages,
        };
        let theirs = Sequence {
            tokens: strangers,
            start: 9,
            pages: &other,
        };
        let both = [theirs, mine];
        let sequences = if strangers > 0 { &both[..] } else { &both[1..] };
        let outputs: Vec<u32> = (strangers..tokens.len() as u32).collect();
        plan.run(&Batch {
            tokens: &tokens,
            sequences,
            outputs: &outputs,
        })
        .unwrap();
        for (output, place) in (*start..end).enumerate() {
            let found = bits(&[plan.row(output).unwrap().unwrap().to_vec()]);
            assert_eq!(found[0], all[place], "{what}: position {place}");
        }
    }
}
