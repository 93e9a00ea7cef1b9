//! Products, and which of them start together.
//!
//! Decides by the number of rows which kernel multiplies. The order of parameters is that of the kernels' sources.

use super::super::driver::GpuError;
use super::launch::{Run, Value};
use super::names;
use crate::op::Op;

/// Threads of a block whose groups have weight rows or blocks of activations, and how many groups that is.
const GROUP_THREADS: u32 = 256;
const GROUPS: usize = 8;
/// Rows of activations that a group takes together, and products that start together, as `matmul.cu` says.
const TOGETHER: usize = 8;
const TARGETS: usize = 3;
/// Weight rows and rows of activations of a tile, as `tile.cu` says, and from how many of the latter on tiles pay: then
/// weights would be read three times.
const TILE: [usize; 2] = [128, 64];
const TILES_FROM: usize = 2 * TOGETHER + 1;

/// What one product writes, and by which weight.
#[derive(Clone, Copy)]
struct Target {
    out: Value,
    bias: u64,
    weight: u64,
    row_bytes: u64,
    weight_rows: usize,
}

impl Run<'_> {
    /// The product of op `index`, and those right behind it that multiply the same rows by weights of the same type. Yields
    /// how many ops that is.
    pub(super) fn products(
        &mut self,
        index: usize,
        x: u32,
        weight: u32,
    ) -> Result<usize, GpuError> {
        let dtype = self.graph.weights[weight as usize].dtype();
        let mut targets = Vec::with_capacity(TARGETS);
        for (place, op) in self.graph.ops.iter().enumerate().skip(index).take(TARGETS) {
            match op {
                Op::Matmul {
                    x: input,
                    weight,
                    bias,
                } if *input == x && self.graph.weights[*weight as usize].dtype() == dtype => {
                    targets.push(self.target(place, *weight, *bias));
                }
                _ => break,
            }
        }
        let input = self.value(x);
        let apart = !dtype.is_quantised()
            || input.rows >= TILES_FROM
            || !self.engine.card.driver().has_planes();
        if apart {
            targets.truncate(1);
        }
        if dtype.is_quantised() {
            self.rounded_products(x, names::matmul(dtype), names::tile(dtype), &targets)?;
        } else {
            let [target] = targets[..] else { return Ok(1) };
            let columns = self.graph.weights[weight as usize].columns();
            let mut parameters = [
                target.out.at,
                target.out.stride,
                target.bias,
                target.weight,
                target.row_bytes,
                target.weight_rows as u64,
                u64::from(columns),
                input.at,
                input.stride,
                input.rows as u64,
            ];
            let blocks = [
                target.weight_rows.div_ceil(GROUPS),
                input.rows.div_ceil(TOGETHER),
                1,
            ];
            self.launch(names::matmul(dtype), blocks, GROUP_THREADS, &mut parameters)?;
        }
        Ok(targets.len())
    }

    fn target(&self, op: usize, weight: u32, bias: Option<u32>) -> Target {
        let [at, row_bytes] = self.weight(weight);
        Target {
            out: self.value(op as u32),
            bias: self.engine.vector(bias),
            weight: at,
            row_bytes,
            weight_rows: self.graph.weights[weight as usize].rows() as usize,
        }
    }

    /// Products by weights of bytes and less, of rows that are rounded first.
    fn rounded_products(
        &mut self,
        x: u32,
        few: &'static str,
        many: Option<&'static str>,
        targets: &[Target],
    ) -> Result<(), GpuError> {
        let input = self.value(x);
        let parts = input.width / 32;
        let [bytes, scales, sums] = self.engine.rounded.each_ref().map(|memory| memory.at(0));
        if self.rounded != Some(x) {
            let mut parameters = [bytes, scales, sums, input.at, input.stride, parts as u64];
            let blocks = [input.rows, parts.div_ceil(GROUPS), 1];
            self.launch("round_rows", blocks, GROUP_THREADS, &mut parameters)?;
            self.rounded = Some(x);
        }
        let [first, others @ ..] = targets else {
            return Ok(());
        };
        let mut parameters = [0; 11 + 5 * (TARGETS - 1)];
        parameters[..11].copy_from_slice(&[
            first.out.at,
            first.out.stride,
            first.bias,
            first.weight,
            first.row_bytes,
            first.weight_rows as u64,
            parts as u64,
            bytes,
            scales,
            sums,
            input.rows as u64,
        ]);
        let widest = targets.iter().map(|target| target.weight_rows).max();
        let widest = widest.unwrap_or_default();
        if let Some(many) = many
            && input.rows >= TILES_FROM
            && self.engine.card.driver().has_planes()
        {
            let blocks = [widest.div_ceil(TILE[0]), input.rows.div_ceil(TILE[1]), 1];
            return self.launch(many, blocks, GROUP_THREADS, &mut parameters[..11]);
        }
        for (more, target) in parameters[11..].chunks_exact_mut(5).zip(others) {
            more.copy_from_slice(&[
                target.out.at,
                target.out.stride,
                target.bias,
                target.weight,
                target.weight_rows as u64,
            ]);
        }
        let blocks = [
            widest.div_ceil(GROUPS),
            input.rows.div_ceil(TOGETHER),
            targets.len(),
        ];
        self.launch(few, blocks, GROUP_THREADS, &mut parameters)
    }
}
