//! Rotary position embedding.

use crate::matrix::{Matrix, MatrixMut};
use crate::op::{Op, Pairing};
use crate::plan::Facts;

pub(super) fn rope(op: &Op, x: Matrix<'_>, facts: &Facts<'_>, out: &mut MatrixMut<'_>) {
    let Op::Rope {
        head_width,
        pairing,
        frequencies,
        magnitude,
        ..
    } = op
    else {
        return;
    };
    let head_width = *head_width as usize;
    let pairs = frequencies.len();
    for row in 0..x.rows {
        let position = f64::from(facts.positions[row]);
        let heads = x.row(row).chunks(head_width);
        for (x, out) in heads.zip(out.row(row).chunks_mut(head_width)) {
            out.copy_from_slice(x);
            for (pair, frequency) in frequencies.iter().enumerate() {
                let (i, j) = match pairing {
                    Pairing::Adjacent => (2 * pair, 2 * pair + 1),
                    Pairing::Halves => (pair, pair + pairs),
                };
                let (sin, cos) = (position * f64::from(*frequency)).sin_cos();
                let (a, b) = (f64::from(x[i]), f64::from(x[j]));
                let magnitude = f64::from(*magnitude);
                out[i] = ((a * cos - b * sin) * magnitude) as f32;
                out[j] = ((a * sin + b * cos) * magnitude) as f32;
            }
        }
    }
}
