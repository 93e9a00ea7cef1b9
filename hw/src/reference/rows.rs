//! Picking columns and rows.

use crate::matrix::{Matrix, MatrixMut};
use crate::op::Pooling;
use crate::plan::Facts;

pub(super) fn slice(x: Matrix<'_>, start: usize, out: &mut MatrixMut<'_>) {
    for row in 0..x.rows {
        let width = out.width;
        out.row(row).copy_from_slice(&x.row(row)[start..][..width]);
    }
}

pub(super) fn outputs(x: Matrix<'_>, facts: &Facts<'_>, out: &mut MatrixMut<'_>) {
    for (row, pick) in facts.batch.outputs.iter().enumerate() {
        out.row(row).copy_from_slice(x.row(*pick as usize));
    }
}

pub(super) fn pool(x: Matrix<'_>, mode: Pooling, facts: &Facts<'_>, out: &mut MatrixMut<'_>) {
    for (row, sequence) in facts.batch.sequences.iter().enumerate() {
        let first = facts.firsts[row] as usize;
        let count = sequence.tokens as usize;
        match mode {
            Pooling::First => out.row(row).copy_from_slice(x.row(first)),
            Pooling::Last => out.row(row).copy_from_slice(x.row(first + count - 1)),
            Pooling::Mean => {
                for (column, out) in out.row(row).iter_mut().enumerate() {
                    let sum: f64 = (first..first + count)
                        .map(|r| f64::from(x.row(r)[column]))
                        .sum();
                    *out = (sum / count as f64) as f32;
                }
            }
        }
    }
}
