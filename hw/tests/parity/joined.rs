//! Ops that a plan runs in one pass yield what they yield one by one.

use skep_hw::{Activation, Dtype, Op, Pairing};

use super::support::{Fed, Random, all_rows, bits, bounds, device, fast, weight};

/// Rows that products round as they are made, and those that lie in a buffer since another op reads them,
/// too: the same bits.
#[test]
fn rows_rounded_as_they_are_made_change_nothing() {
    const WIDTH: usize = 288;
    let (x, y, vector) = (0, 1, 1);
    let norm = |weight, group| Op::RmsNorm {
        x,
        weight,
        epsilon: 1e-5,
        group,
    };
    let function = Activation::Silu;
    let made = [
        norm(Some(vector), WIDTH as u32),
        norm(None, 96),
        Op::LayerNorm {
            x,
            weight: vector,
            bias: Some(vector),
            epsilon: 1e-5,
        },
        Op::Rope {
            x,
            head_width: 96,
            pairing: Pairing::Halves,
            frequencies: vec![0.9; 48],
            magnitude: 1.1,
        },
        Op::Gated {
            gate: x,
            up: y,
            function,
        },
        Op::Activate { x, function },
        Op::Add { a: x, b: y },
        Op::Mul { a: x, b: y },
        Op::Scale { x, by: 3.0 },
        Op::Softcap { x, by: 0.5 },
        Op::AddVector { x, by: vector },
        Op::Softmax { x },
        Op::Normalise { x },
        Op::Outputs { x },
    ];
    for made in made {
        let make = |read_twice: bool| {
            let mut random = Random::new(17);
            let mut fed = Fed::with(&random.normals(57 * WIDTH), WIDTH);
            assert_eq!(fed.vector(random.normals(WIDTH)), vector);
            let after = |x| Op::Scale { x, by: 0.7 };
            assert_eq!(fed.then(after(x)), y);
            let input = fed.then(made.clone());
            let mut product = |random: &mut Random, dtype| {
                let weight = weight(random, dtype, 37, WIDTH as u32);
                let weight = fed.weight(weight);
                fed.then(Op::Matmul {
                    x: input,
                    weight,
                    bias: None,
                })
            };
            let a = product(&mut random, Dtype::Q8_0);
            let b = product(&mut random, Dtype::Q4_0);
            if read_twice {
                fed.then(after(input));
            }
            fed.then(Op::Add { a, b });
            crate::finish(fed, matches!(made, Op::Outputs { .. }))
        };
        for (isa, threads) in fast().into_iter().flat_map(|isa| [(isa, 1), (isa, 3)]) {
            for lengths in [&[1][..], &[40, 17]] {
                let rows = |fed: &Fed| {
                    let mut plan = fed.compile(&device(isa, threads), bounds(57));
                    bits(&all_rows(&mut plan, lengths, false))
                };
                let (found, expect) = (rows(&make(false)), rows(&make(true)));
                assert!(found == expect, "{} on {isa:?}, {threads}", made.name());
            }
        }
    }
}
