//! A group of matmuls with one input.

use super::{Around, Engine, matrix};
use crate::cpu::mapping::Zeroed;
use crate::cpu::matmul::{self, Input, MOST_TARGETS, Target, rounded};
use crate::cpu::pool::Lead;
use crate::cpu::split::{Split, for_each_row};
use crate::op::Op;
use crate::plan::Values;

impl Engine {
    pub(super) fn multiply(
        &mut self,
        lead: &mut Lead<'_>,
        group: &[usize],
        values: &mut Values<'_>,
        around: &Around<'_>,
    ) {
        let graph = around.graph;
        let Some(Op::Matmul { x, .. }) = group.first().map(|op| &graph.ops[*op]) else {
            return;
        };
        // The results leave the plan's list for the time being, so that they can be written while
        // the input is read.
        let mut outs = [const { Zeroed::empty() }; MOST_TARGETS];
        for (out, op) in outs.iter_mut().zip(group) {
            std::mem::swap(out, values.buffer_of(*op));
        }
        let input = matrix(values.layout, values.buffers, around.facts, *x);
        let weight_of = |op: usize| match graph.ops[op] {
            Op::Matmul { weight, bias, .. } => Some((&graph.weights[weight as usize], bias)),
            _ => None,
        };
        let quantised = group
            .iter()
            .filter_map(|op| weight_of(*op))
            .any(|(weight, _)| weight.dtype().is_quantised());
        let stride = rounded::blocks_of(input.width) * rounded::BLOCK_WORDS;
        if quantised {
            let shape = [input.rows, stride, stride];
            let level = self.level;
            let words = self.room.rounded.u32_mut();
            for_each_row(lead, words, shape, input.width / 8 + 1, &|row, out| {
                rounded::round(level, input.row(row), out);
            });
        }
        let panel_words = self.room.panel_words;
        let mut panels = std::mem::replace(&mut self.room.panels, Zeroed::empty());
        {
            let scratch = Split::of(panels.u32_mut(), panel_words);
            let input = Input {
                x: input,
                rounded: self.room.rounded.u32(),
                rounded_stride: if quantised { stride } else { 0 },
            };
            let mut targets: [Option<Target<'_>>; MOST_TARGETS] = [const { None }; MOST_TARGETS];
            for ((target, out), op) in targets.iter_mut().zip(&mut outs).zip(group) {
                let view = &values.layout.views[*op];
                *target = weight_of(*op).map(|(weight, bias)| Target {
                    weight,
                    bias: bias.map(|bias| self.vector(bias)),
                    out: Split::of(out.f32_mut(), view.stride),
                });
            }
            matmul::run(lead, self.level, input, &targets, &scratch, panel_words);
        }
        self.room.panels = panels;
        for (out, op) in outs.iter_mut().zip(group) {
            std::mem::swap(out, values.buffer_of(*op));
        }
    }
}
