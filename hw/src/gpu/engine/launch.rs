//! Which launches an op becomes.
//!
//! Decides how many threads each kernel gets, and the order of its parameters, which is that of its source.

use super::super::driver::GpuError;
use super::super::facts::Places;
use super::{Engine, names};
use crate::graph::Graph;
use crate::op::{Index, Op, Pairing, Pooling};
use crate::plan::{Facts, Layout};

/// Threads of a block that works on a row.
const ROW_THREADS: u32 = 256;
/// A value as a kernel takes it.
#[derive(Clone, Copy)]
pub(super) struct Value {
    pub(super) at: u64,
    pub(super) stride: u64,
    pub(super) width: usize,
    pub(super) rows: usize,
}

/// One run.
pub(super) struct Run<'a> {
    pub(super) engine: &'a Engine,
    pub(super) graph: &'a Graph,
    layout: &'a Layout,
    pub(super) facts: &'a Facts<'a>,
    pub(super) places: &'a Places,
    /// The value whose rounded rows are at hand.
    pub(super) rounded: Option<u32>,
}

impl<'a> Run<'a> {
    pub(super) fn of(
        engine: &'a Engine,
        graph: &'a Graph,
        layout: &'a Layout,
        facts: &'a Facts<'a>,
        places: &'a Places,
    ) -> Self {
        Self {
            engine,
            graph,
            layout,
            facts,
            places,
            rounded: None,
        }
    }

    /// All ops in order.
    pub(super) fn all(&mut self) -> Result<(), GpuError> {
        let mut index = 0;
        while index < self.graph.ops.len() {
            index += match &self.graph.ops[index] {
                Op::Matmul { x, weight, .. } => self.products(index, *x, *weight)?,
                _ => {
                    self.op(index)?;
                    1
                }
            };
        }
        Ok(())
    }

    pub(super) fn value(&self, index: u32) -> Value {
        let view = &self.layout.views[index as usize];
        Value {
            at: self.engine.buffers[view.buffer].at(view.start * 4),
            stride: view.stride as u64,
            width: view.width,
            rows: self.facts.rows(view.rows),
        }
    }

    pub(super) fn launch(
        &self,
        name: &'static str,
        blocks: [usize; 3],
        threads: u32,
        parameters: &mut [u64],
    ) -> Result<(), GpuError> {
        // SAFETY: each call below gives a kernel its parameters in the order of its source, values within the buffers that
        // the layout made for them, weights of the checked shapes and lists of the checked batch; all of them belong to the
        // engine, whose memory is freed after the card has been waited for.
        unsafe { self.engine.card.launch(name, blocks, threads, parameters) }
    }

    /// A kernel that takes the output, one value and some more, a block for each row.
    fn by_rows(
        &self,
        name: &'static str,
        out: Value,
        x: Value,
        more: &[u64],
    ) -> Result<(), GpuError> {
        let mut parameters = vec![out.at, out.stride, x.at, x.stride, out.width as u64];
        parameters.extend(more);
        self.launch(name, [out.rows, 1, 1], ROW_THREADS, &mut parameters)
    }

    /// The same of two values.
    fn by_pairs(
        &self,
        name: &'static str,
        out: Value,
        [a, b]: [Value; 2],
        more: &[u64],
    ) -> Result<(), GpuError> {
        let mut parameters = vec![
            out.at,
            out.stride,
            a.at,
            a.stride,
            b.at,
            b.stride,
            out.width as u64,
        ];
        parameters.extend(more);
        self.launch(name, [out.rows, 1, 1], ROW_THREADS, &mut parameters)
    }

    fn op(&mut self, index: usize) -> Result<(), GpuError> {
        let out = self.value(index as u32);
        let places = self.places;
        match &self.graph.ops[index] {
            Op::Embed { table, index } => {
                let picks = match index {
                    Index::Tokens => places.tokens,
                    Index::Positions => places.positions,
                };
                let weight = &self.graph.weights[*table as usize];
                let [at, row_bytes] = self.weight(*table);
                let columns = u64::from(weight.columns());
                let rows = u64::from(weight.rows());
                let mut parameters = [out.at, out.stride, at, row_bytes, columns, picks, rows];
                self.launch(
                    names::embed(weight.dtype()),
                    [out.rows, 1, 1],
                    ROW_THREADS,
                    &mut parameters,
                )
            }
            // Of several at once, see `products`.
            Op::Matmul { .. } => Ok(()),
            Op::RmsNorm {
                x,
                weight,
                epsilon,
                group,
            } => {
                let x = self.value(*x);
                let weight = self.engine.vector(*weight);
                let blocks = [out.width / *group as usize, out.rows, 1];
                let mut parameters = [
                    out.at,
                    out.stride,
                    x.at,
                    x.stride,
                    weight,
                    float(*epsilon),
                    u64::from(*group),
                ];
                self.launch("rms_norm", blocks, ROW_THREADS, &mut parameters)
            }
            Op::LayerNorm {
                x,
                weight,
                bias,
                epsilon,
            } => {
                let (weight, bias) = (self.engine.vector(Some(*weight)), self.engine.vector(*bias));
                self.by_rows(
                    "layer_norm",
                    out,
                    self.value(*x),
                    &[weight, bias, float(*epsilon)],
                )
            }
            Op::Rope {
                x,
                head_width,
                pairing,
                frequencies,
                ..
            } => {
                let turn = self.engine.turn_of[index];
                let table = turn.map_or(0, |turn| places.tables[turn]);
                let neighbours = u64::from(*pairing == Pairing::Adjacent);
                let more = [
                    u64::from(*head_width),
                    frequencies.len() as u64,
                    neighbours,
                    table,
                ];
                self.by_rows("rope", out, self.value(*x), &more)
            }
            op @ Op::Attention { .. } => self.attention(op, out),
            Op::Activate { x, function } => {
                self.by_rows("activate", out, self.value(*x), &[*function as u64])
            }
            Op::Gated { gate, up, function } => {
                let pair = [self.value(*gate), self.value(*up)];
                self.by_pairs("gated", out, pair, &[*function as u64])
            }
            Op::Add { a, b } => self.by_pairs("add", out, [self.value(*a), self.value(*b)], &[]),
            Op::Mul { a, b } => {
                self.by_pairs("multiply", out, [self.value(*a), self.value(*b)], &[])
            }
            Op::Scale { x, by } => self.by_rows("scale", out, self.value(*x), &[float(*by)]),
            Op::Softcap { x, by } => self.by_rows("softcap", out, self.value(*x), &[float(*by)]),
            Op::AddVector { x, by } => {
                let by = self.engine.vector(Some(*by));
                self.by_rows("add_vector", out, self.value(*x), &[by])
            }
            // A part of the rows that it was cut from.
            Op::Slice { .. } => Ok(()),
            Op::Softmax { x } => self.by_rows("softmax", out, self.value(*x), &[]),
            Op::Outputs { x } => self.by_rows("gather", out, self.value(*x), &[places.outputs]),
            Op::Pool { x, mode } => {
                let mode = match mode {
                    Pooling::Mean => 0,
                    Pooling::First => 1,
                    Pooling::Last => 2,
                };
                self.by_rows(
                    "pool",
                    out,
                    self.value(*x),
                    &[places.firsts, places.counts, mode],
                )
            }
            Op::Normalise { x } => self.by_rows("normalise", out, self.value(*x), &[]),
        }
    }

    /// Where a weight is, and the bytes of its rows.
    pub(super) fn weight(&self, index: u32) -> [u64; 2] {
        let memory = self.engine.weights[index as usize].as_ref();
        let weight = &self.graph.weights[index as usize];
        [
            memory.map_or(0, |memory| memory.at(0)),
            weight.bytes() / u64::from(weight.rows()),
        ]
    }
}

/// A float as a parameter.
pub(super) fn float(x: f32) -> u64 {
    u64::from(x.to_bits())
}
