//! Sums, products, factors and caps, element by element.

use crate::matrix::{Matrix, MatrixMut};

pub(super) fn add(a: Matrix<'_>, b: Matrix<'_>, out: &mut MatrixMut<'_>) {
    pairs(a, b, out, |a, b| a + b);
}

pub(super) fn mul(a: Matrix<'_>, b: Matrix<'_>, out: &mut MatrixMut<'_>) {
    pairs(a, b, out, |a, b| a * b);
}

pub(super) fn scale(x: Matrix<'_>, by: f32, out: &mut MatrixMut<'_>) {
    pairs(x, x, out, |x, _| x * by);
}

pub(super) fn softcap(x: Matrix<'_>, by: f32, out: &mut MatrixMut<'_>) {
    let by = f64::from(by);
    pairs(x, x, out, |x, _| (by * (f64::from(x) / by).tanh()) as f32);
}

pub(super) fn add_vector(x: Matrix<'_>, by: &[f32], out: &mut MatrixMut<'_>) {
    for row in 0..x.rows {
        for ((x, by), out) in x.row(row).iter().zip(by).zip(out.row(row)) {
            *out = x + by;
        }
    }
}

fn pairs(a: Matrix<'_>, b: Matrix<'_>, out: &mut MatrixMut<'_>, f: impl Fn(f32, f32) -> f32) {
    for row in 0..a.rows {
        for ((a, b), out) in a.row(row).iter().zip(b.row(row)).zip(out.row(row)) {
            *out = f(*a, *b);
        }
    }
}
