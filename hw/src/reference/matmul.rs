//! `x * transpose(weight) + bias`.
//!
//! Decides what a product with quantised weights is: activations are rounded to bytes per 32
//! columns with one scale, products are summed in whole numbers per block, and scaled sums are
//! added in single precision in a fixed order, so that every kernel can agree to the bit.

use super::blocks;
use crate::matrix::{Matrix, MatrixMut};
use crate::weight::Weight;

pub(super) fn matmul(
    x: Matrix<'_>,
    weight: &Weight,
    bias: Option<&[f32]>,
    out: &mut MatrixMut<'_>,
) {
    for row in 0..x.rows {
        let rounded = weight
            .dtype()
            .is_quantised()
            .then(|| round_to_bytes(x.row(row)));
        for column in 0..weight.rows() as usize {
            let sum = match &rounded {
                Some(rounded) => quantised_dot(rounded, weight, column),
                None => plain_dot(x.row(row), weight, column),
            };
            let bias = bias.map_or(0.0, |b| b[column]);
            out.row(row)[column] = if rounded.is_some() {
                sum as f32 + bias
            } else {
                (sum + f64::from(bias)) as f32
            };
        }
    }
}

/// 32 activations as bytes: `scale * quants[i]`.
struct Rounded {
    quants: [i32; 32],
    scale: f32,
}

/// The largest magnitude becomes 127; halves go to the even neighbour. A block of vanishing numbers
/// is zero; one with an infinity or a NaN gets a NaN scale, and so makes its row NaN.
fn round_to_bytes(x: &[f32]) -> Vec<Rounded> {
    x.chunks(32)
        .map(|chunk| {
            let finite = chunk.iter().all(|v| v.is_finite());
            let most = chunk.iter().fold(0.0_f32, |most, v| most.max(v.abs()));
            let mut quants = [0; 32];
            if !finite {
                let scale = f32::NAN;
                return Rounded { quants, scale };
            }
            if most < SMALLEST {
                return Rounded { quants, scale: 0.0 };
            }
            let inverse = 127.0 / most;
            for (quant, v) in quants.iter_mut().zip(chunk) {
                *quant = (v * inverse).round_ties_even() as i32;
            }
            let scale = most * (1.0 / 127.0);
            Rounded { quants, scale }
        })
        .collect()
}

/// Below it, the inverse of the scale would overflow.
const SMALLEST: f32 = 1e-30;

/// Block after block, each half by itself where it has a scale of its own.
fn quantised_dot(x: &[Rounded], weight: &Weight, row: usize) -> f64 {
    let mut sum = 0.0_f32;
    for (index, x) in x.iter().enumerate() {
        let block = blocks::unpack(weight.dtype(), weight.row(row), index);
        let mut dots = [0; 2];
        for i in 0..32 {
            dots[i / 16] += block.quants[i] * x.quants[i];
        }
        if block.halved {
            for (dot, scale) in dots.iter().zip(block.scales) {
                sum = (*dot as f32).mul_add(scale * x.scale, sum);
            }
        } else {
            let dot = dots[0] + dots[1];
            sum = (dot as f32).mul_add(block.scales[0] * x.scale, sum);
        }
        let total: i32 = x.quants.iter().sum();
        sum = block.minimum.mul_add(x.scale * total as f32, sum);
    }
    f64::from(sum)
}

fn plain_dot(x: &[f32], weight: &Weight, row: usize) -> f64 {
    let values = blocks::row_values(weight, row);
    x.iter()
        .zip(values)
        .map(|(x, w)| f64::from(*x) * f64::from(w))
        .sum()
}
