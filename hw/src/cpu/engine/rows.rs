//! Ops that make each row of their result from a row or two.

use super::{Around, Engine, matrix};
use crate::cpu::mapping::Zeroed;
use crate::cpu::matmul::rounded;
use crate::cpu::pool::Lead;
use crate::cpu::split::{Split, for_each_row, for_each_row_on};
use crate::cpu::{elementwise, norm};
use crate::matrix::Matrix;
use crate::op::{Index, Op, Pooling};
use crate::plan::{Facts, Values};
use crate::reference::blocks;

impl Engine {
    pub(super) fn by_rows(
        &mut self,
        lead: &mut Lead<'_>,
        op: &Op,
        index: usize,
        values: &mut Values<'_>,
        around: &Around<'_>,
    ) {
        let mut out = Zeroed::empty();
        std::mem::swap(&mut out, values.buffer_of(index));
        let view = values.layout.views[index];
        let inputs = inputs(op, values, around);
        let shape = [around.facts.rows(view.rows), view.width, view.stride];
        let cost = row_ns(op, &inputs, view.width);
        let work = |row: usize, out: &mut [f32]| self.row(op, index, &inputs, around, row, out);
        for_each_row(lead, out.f32_mut(), shape, cost, &work);
        std::mem::swap(&mut out, values.buffer_of(index));
    }

    /// The rows that op `index` makes, rounded into rows of `stride` words; `scratch` has a row of floats
    /// for each thread.
    pub(super) fn rounded_rows(
        &self,
        lead: &mut Lead<'_>,
        index: usize,
        values: &Values<'_>,
        around: &Around<'_>,
        (words, stride): (&mut [u32], usize),
        scratch: &mut [f32],
    ) {
        let op = &around.graph.ops[index];
        let view = values.layout.views[index];
        let inputs = inputs(op, values, around);
        let shape = [around.facts.rows(view.rows), stride, stride];
        let cost = row_ns(op, &inputs, view.width) + rounded::row_ns(view.width);
        let scratch = Split::of(scratch, self.room.row_words);
        for_each_row_on(lead, words, shape, cost, &|row, thread, words| {
            // SAFETY: a thread makes one row at a time, and only it asks for its part.
            let out = unsafe { scratch.part(thread, 0..view.width) };
            self.row(op, index, &inputs, around, row, out);
            rounded::round(self.level, out, words);
        });
    }

    fn row(
        &self,
        op: &Op,
        index: usize,
        inputs: &[Matrix<'_>; 2],
        around: &Around<'_>,
        row: usize,
        out: &mut [f32],
    ) {
        let level = self.level;
        let x = || inputs[0].row(row);
        match op {
            Op::Embed { table, index } => {
                let pick = match index {
                    Index::Tokens => around.facts.batch.tokens[row],
                    Index::Positions => around.facts.positions[row],
                };
                let table = &around.graph.weights[*table as usize];
                blocks::read_row(table.dtype(), table.row(pick as usize), out);
            }
            Op::RmsNorm {
                weight,
                epsilon,
                group,
                ..
            } => {
                let weight = weight.map(|w| self.vector(w));
                norm::rms(level, x(), weight, *epsilon, *group as usize, out);
            }
            Op::LayerNorm {
                weight,
                bias,
                epsilon,
                ..
            } => {
                let bias = bias.map(|b| self.vector(b));
                norm::layer(level, x(), self.vector(*weight), bias, *epsilon, out);
            }
            Op::Rope { .. } => {
                if let Some(rotation) = self.rotation(around.graph, index) {
                    rotation.turn(level, row, x(), out);
                }
            }
            Op::Activate { function, .. } => elementwise::activate(level, x(), *function, out),
            Op::Gated { function, .. } => {
                elementwise::gated(level, x(), inputs[1].row(row), *function, out);
            }
            Op::Add { .. } => elementwise::add(level, x(), inputs[1].row(row), out),
            Op::Mul { .. } => elementwise::mul(level, x(), inputs[1].row(row), out),
            Op::Scale { by, .. } => elementwise::scale(level, x(), *by, out),
            Op::Softcap { by, .. } => elementwise::softcap(level, x(), *by, out),
            Op::AddVector { by, .. } => elementwise::add(level, x(), self.vector(*by), out),
            Op::Softmax { .. } => norm::softmax(level, x(), out),
            Op::Normalise { .. } => norm::normalise(level, x(), out),
            Op::Outputs { .. } => {
                let pick = around.facts.batch.outputs[row] as usize;
                out.copy_from_slice(inputs[0].row(pick));
            }
            Op::Pool { mode, .. } => pool(inputs[0], *mode, around.facts, row, out),
            Op::Matmul { .. } | Op::Attention { .. } | Op::Slice { .. } => {}
        }
    }
}

/// The values that `op` reads.
fn inputs<'a>(op: &Op, values: &'a Values<'_>, around: &Around<'_>) -> [Matrix<'a>; 2] {
    let mut inputs = [EMPTY; 2];
    for (input, value) in inputs.iter_mut().zip(op.inputs()) {
        if let Some(value) = value {
            *input = matrix(values.layout, values.buffers, around.facts, value);
        }
    }
    inputs
}

const EMPTY: Matrix<'static> = Matrix {
    data: &[],
    rows: 0,
    width: 0,
    stride: 0,
};

/// One sequence's rows as one: sums in order of rows.
fn pool(x: Matrix<'_>, mode: Pooling, facts: &Facts<'_>, sequence: usize, out: &mut [f32]) {
    let first = facts.firsts[sequence] as usize;
    let count = facts.batch.sequences[sequence].tokens as usize;
    match mode {
        Pooling::First => out.copy_from_slice(x.row(first)),
        Pooling::Last => out.copy_from_slice(x.row(first + count - 1)),
        Pooling::Mean => {
            out.fill(0.0);
            for row in first..first + count {
                for (out, x) in out.iter_mut().zip(x.row(row)) {
                    *out += x;
                }
            }
            let factor = 1.0 / count as f32;
            for out in out {
                *out *= factor;
            }
        }
    }
}

/// About how long a row takes on one thread.
fn row_ns(op: &Op, inputs: &[Matrix<'_>; 2], width: usize) -> usize {
    let per_sixteen = match op {
        Op::Gated { .. } | Op::Activate { .. } | Op::Softmax { .. } | Op::Softcap { .. } => 10,
        Op::Embed { .. } => 16,
        Op::Pool { .. } => 2 * inputs[0].rows.max(1),
        _ => 3,
    };
    width * per_sixteen / 16 + 20
}
