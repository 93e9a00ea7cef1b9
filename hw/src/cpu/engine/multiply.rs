//! A group of matmuls with one input, perhaps behind the op that makes it.

use super::{Around, Engine, matrix};
use crate::cpu::mapping::Zeroed;
use crate::cpu::matmul::{self, Input, MOST_TARGETS, Target, rounded, tall};
use crate::cpu::pool::Lead;
use crate::cpu::split::{Split, for_each_row};
use crate::op::Op;
use crate::plan::{Values, never_written};

impl Engine {
    pub(super) fn multiply(
        &mut self,
        lead: &mut Lead<'_>,
        group: &[usize],
        values: &mut Values<'_>,
        around: &Around<'_>,
    ) {
        let graph = around.graph;
        let Some(Op::Matmul { x, .. }) = group.last().map(|op| &graph.ops[*op]) else {
            return;
        };
        let made = never_written(graph, group);
        let group = &group[usize::from(made.is_some())..];
        // The results leave the plan's list for the time being, so that they can be written while
        // the input is read.
        let mut outs = [const { Zeroed::empty() }; MOST_TARGETS];
        for (out, op) in outs.iter_mut().zip(group) {
            std::mem::swap(out, values.buffer_of(*op));
        }
        let input = matrix(values.layout, values.buffers, around.facts, *x);
        let weight_of = |op: usize| match graph.ops[op] {
            Op::Matmul { weight, bias, .. } => Some((self.packed[weight as usize].as_ref()?, bias)),
            _ => None,
        };
        let quantised = group
            .iter()
            .filter_map(|op| weight_of(*op))
            .any(|(weight, _)| weight.dtype().is_quantised());
        let stride = rounded::blocks_of(input.width) * rounded::BLOCK_WORDS;
        let level = self.level;
        let mut rounded_words = std::mem::replace(&mut self.room.rounded, Zeroed::empty());
        let words = rounded_words.u32_mut();
        if let Some(made) = made {
            let mut rows = std::mem::replace(&mut self.room.rows, Zeroed::empty());
            let to = (words, stride);
            self.rounded_rows(lead, made, values, around, to, rows.f32_mut());
            self.room.rows = rows;
        } else if quantised {
            let shape = [input.rows, stride, stride];
            let cost = rounded::row_ns(input.width);
            for_each_row(lead, words, shape, cost, &|row, out| {
                rounded::round(level, input.row(row), out);
            });
        }
        let rounded = rounded_words.u32();
        let mut tall_words = std::mem::replace(&mut self.room.tall, Zeroed::empty());
        let mut tiles = std::mem::replace(&mut self.room.tiles, Zeroed::empty());
        {
            let tall = quantised
                .then(|| tall::fill(lead, level, rounded, stride, input.rows, &mut tall_words))
                .flatten();
            let scratch = Split::of(tiles.u32_mut(), self.room.tile_words);
            let input = Input {
                x: input,
                rounded,
                rounded_stride: if quantised { stride } else { 0 },
                tall,
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
            matmul::run(lead, level, input, &targets, &scratch, self.room.tile_words);
        }
        self.room.rounded = rounded_words;
        self.room.tiles = tiles;
        self.room.tall = tall_words;
        for (out, op) in outs.iter_mut().zip(group) {
            std::mem::swap(out, values.buffer_of(*op));
        }
    }
}
