//! The oracle: one naive, safe file per op, and the meaning of every storage type.
//!
//! Decides what each op means; everything faster is checked against it. Refuses to be fast: one
//! thread, plain loops, double precision wherever the meaning is a real number.

#![allow(
    clippy::indexing_slicing,
    reason = "the graph's check proved every shape; a wrong index here is a bug that tests must hit"
)]

use crate::cache::LayerMemory;
use crate::graph::Graph;
use crate::matrix::{Matrix, MatrixMut};
use crate::op::Op;
use crate::plan::Facts;
use crate::weight::Weight;

mod activation;
mod attention;
pub(crate) mod blocks;
mod elementwise;
mod embed;
mod matmul;
mod norm;
mod rope;
mod rows;
mod softmax;

/// What an op reads besides values.
pub(crate) struct Surroundings<'a> {
    pub(crate) graph: &'a Graph,
    pub(crate) facts: &'a Facts<'a>,
    /// The layers of the plan's cache, empty without one.
    pub(crate) cache: &'a mut [LayerMemory],
}

/// Computes `op` from `inputs` (in the order of its fields) into `out`.
pub(crate) fn execute(
    op: &Op,
    inputs: &[Matrix<'_>],
    out: &mut MatrixMut<'_>,
    around: &mut Surroundings<'_>,
) {
    let weights = around.graph.weights.as_slice();
    let weight = |index: u32| &weights[index as usize];
    match op {
        Op::Embed { table, index } => {
            embed::embed(weight(*table), *index, around.facts, out);
        }
        Op::Matmul {
            weight: index,
            bias,
            ..
        } => {
            let bias = vector(weights, *bias);
            matmul::matmul(inputs[0], weight(*index), bias.as_deref(), out);
        }
        Op::RmsNorm {
            weight,
            epsilon,
            group,
            ..
        } => {
            let weight = vector(weights, *weight);
            norm::rms(inputs[0], weight.as_deref(), *epsilon, *group as usize, out);
        }
        Op::LayerNorm {
            weight: index,
            bias,
            epsilon,
            ..
        } => {
            let bias = vector(weights, *bias);
            let weight = blocks::row_values(weight(*index), 0);
            norm::layer(inputs[0], &weight, bias.as_deref(), *epsilon, out);
        }
        Op::Rope { .. } => rope::rope(op, inputs[0], around.facts, out),
        Op::Attention { .. } => attention::attention(op, inputs, around, out),
        Op::Activate { function, .. } => activation::activate(inputs[0], *function, out),
        Op::Gated { function, .. } => activation::gated(inputs[0], inputs[1], *function, out),
        Op::Add { .. } => elementwise::add(inputs[0], inputs[1], out),
        Op::Mul { .. } => elementwise::mul(inputs[0], inputs[1], out),
        Op::Scale { by, .. } => elementwise::scale(inputs[0], *by, out),
        Op::Softcap { by, .. } => elementwise::softcap(inputs[0], *by, out),
        Op::AddVector { by, .. } => {
            let by = blocks::row_values(weight(*by), 0);
            elementwise::add_vector(inputs[0], &by, out);
        }
        Op::Slice { start, .. } => rows::slice(inputs[0], *start as usize, out),
        Op::Softmax { .. } => softmax::softmax(inputs[0], out),
        Op::Outputs { .. } => rows::outputs(inputs[0], around.facts, out),
        Op::Pool { mode, .. } => rows::pool(inputs[0], *mode, around.facts, out),
        Op::Normalise { .. } => norm::normalise(inputs[0], out),
    }
}

fn vector(weights: &[Weight], index: Option<u32>) -> Option<Vec<f32>> {
    index.map(|index| blocks::row_values(&weights[index as usize], 0))
}
