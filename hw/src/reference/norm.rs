//! Norms over rows.

use crate::matrix::{Matrix, MatrixMut};

/// Root mean square norm over each group of columns.
pub(super) fn rms(
    x: Matrix<'_>,
    weight: Option<&[f32]>,
    epsilon: f32,
    group: usize,
    out: &mut MatrixMut<'_>,
) {
    for row in 0..x.rows {
        let groups = x.row(row).chunks(group).zip(out.row(row).chunks_mut(group));
        for (x, out) in groups {
            let mean = x.iter().map(|v| square(*v)).sum::<f64>() / group as f64;
            let factor = 1.0 / (mean + f64::from(epsilon)).sqrt();
            for (i, (x, out)) in x.iter().zip(out).enumerate() {
                let weight = weight.map_or(1.0, |w| f64::from(w[i]));
                *out = (f64::from(*x) * factor * weight) as f32;
            }
        }
    }
}

/// Layer norm over the whole row.
pub(super) fn layer(
    x: Matrix<'_>,
    weight: &[f32],
    bias: Option<&[f32]>,
    epsilon: f32,
    out: &mut MatrixMut<'_>,
) {
    let width = x.width as f64;
    for row in 0..x.rows {
        let x = x.row(row);
        let mean = x.iter().map(|v| f64::from(*v)).sum::<f64>() / width;
        let variance = x.iter().map(|v| (f64::from(*v) - mean).powi(2));
        let variance = variance.sum::<f64>() / width;
        let factor = 1.0 / (variance + f64::from(epsilon)).sqrt();
        for (i, (x, out)) in x.iter().zip(out.row(row)).enumerate() {
            let bias = bias.map_or(0.0, |b| f64::from(b[i]));
            *out = ((f64::from(*x) - mean) * factor * f64::from(weight[i]) + bias) as f32;
        }
    }
}

/// Divides each row by its Euclidean length; a row of zeros stays.
pub(super) fn normalise(x: Matrix<'_>, out: &mut MatrixMut<'_>) {
    for row in 0..x.rows {
        let length = x.row(row).iter().map(|v| square(*v)).sum::<f64>().sqrt();
        let factor = if length == 0.0 { 0.0 } else { 1.0 / length };
        for (x, out) in x.row(row).iter().zip(out.row(row)) {
            *out = (f64::from(*x) * factor) as f32;
        }
    }
}

fn square(x: f32) -> f64 {
    f64::from(x) * f64::from(x)
}
