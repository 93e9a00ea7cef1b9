//! Softmax over each row.

use crate::matrix::{Matrix, MatrixMut};

pub(super) fn softmax(x: Matrix<'_>, out: &mut MatrixMut<'_>) {
    for row in 0..x.rows {
        let most = x.row(row).iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let exp = |v: f32| (f64::from(v) - f64::from(most)).exp();
        let sum: f64 = x.row(row).iter().map(|v| exp(*v)).sum();
        for (x, out) in x.row(row).iter().zip(out.row(row)) {
            *out = (exp(*x) / sum) as f32;
        }
    }
}
