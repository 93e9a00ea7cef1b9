//! Runs the groups of a plan.
//!
//! Decides which kernel an op becomes and what memory it needs beside the plan's buffers. All of
//! it is made when the plan is compiled; a run allocates nothing.

use std::collections::HashMap;
use std::io;

use super::attention;
use super::level::Level;
use super::mapping::Zeroed;
use super::matmul::{rounded, tall};
use super::packed::Packed;
use super::pool::Lead;
use super::rope::Rotation;
use super::split::for_each_row;
use crate::cache::LayerMemory;
use crate::graph::Graph;
use crate::matrix::Matrix;
use crate::op::Op;
use crate::plan::{Facts, Groups, Layout, Values, View};
use crate::turn::Turn;
use crate::weight::Weight;

mod attend;
mod multiply;
mod rows;

/// What kernels need beside a plan's buffers.
#[derive(Debug)]
pub(crate) struct Engine {
    level: Level,
    /// Weights that are vectors, as floats, by their place in the graph's list.
    vectors: Vec<Option<Vec<f32>>>,
    /// Weights of products, by their place in the graph's list.
    packed: Vec<Option<Packed>>,
    turns: Vec<Turn>,
    /// Of each op: its turn.
    turn_of: Vec<Option<usize>>,
    /// Of each turn: a row of cosines and sines for each token.
    tables: Vec<Zeroed>,
    room: Room,
}

/// Memory that ops use one after the other.
#[derive(Debug)]
struct Room {
    /// Rounded activations.
    rounded: Zeroed,
    /// A row for each thread: activations that are rounded as they are made.
    rows: Zeroed,
    row_words: usize,
    /// The same in tiles.
    tall: Zeroed,
    /// A row for each thread: what tiles of a strip need.
    tiles: Zeroed,
    tile_words: usize,
    /// A row for each thread: unfinished attention.
    scratch: Zeroed,
    scratch_words: usize,
    /// Segments of heads that several threads share.
    partials: Zeroed,
    partial_rows: usize,
    /// Keys of a batch without a cache.
    packed: Zeroed,
}

/// One run's surroundings.
pub(crate) struct Around<'a> {
    pub(crate) graph: &'a Graph,
    pub(crate) facts: &'a Facts<'a>,
    pub(crate) cache: &'a mut [LayerMemory],
}

impl Engine {
    /// Makes what `graph` needs on the threads of `lead`, and packs weights that are not yet.
    ///
    /// # Errors
    /// What the system says when it has no memory.
    pub(crate) fn compile(graph: &Graph, level: Level, lead: &mut Lead<'_>) -> io::Result<Self> {
        let (turns, turn_of) = Turn::all(graph);
        let tokens = graph.bounds.tokens as usize;
        let tables = turns
            .iter()
            .map(|turn| Zeroed::words(tokens * turn.frequencies.len() * 2))
            .collect::<io::Result<_>>()?;
        Ok(Self {
            level,
            vectors: vectors(graph),
            packed: packed(graph, lead)?,
            turns,
            turn_of,
            tables,
            room: Room::for_graph(graph, level, lead.threads())?,
        })
    }

    /// Runs all groups over `values`.
    pub(crate) fn run(
        &mut self,
        lead: &mut Lead<'_>,
        groups: &Groups,
        values: &mut Values<'_>,
        around: &mut Around<'_>,
    ) {
        self.fill_tables(lead, around.facts);
        for group in groups {
            let Some(last) = group.last() else {
                continue;
            };
            match &around.graph.ops[*last] {
                Op::Matmul { .. } => self.multiply(lead, group, values, around),
                op @ Op::Attention { .. } => self.attend(lead, op, group, values, around),
                Op::Slice { .. } => {}
                op => self.by_rows(lead, op, *last, values, around),
            }
        }
    }

    /// The rotation of a rope op.
    fn rotation(&self, graph: &Graph, index: usize) -> Option<Rotation<'_>> {
        let Op::Rope {
            head_width,
            pairing,
            frequencies,
            ..
        } = &graph.ops[index]
        else {
            return None;
        };
        Some(Rotation {
            head_width: *head_width as usize,
            pairing: *pairing,
            table: self.turn_of[index].map_or(&[][..], |turn| self.tables[turn].f32()),
            width: frequencies.len() * 2,
        })
    }

    fn fill_tables(&mut self, lead: &mut Lead<'_>, facts: &Facts<'_>) {
        for (turn, table) in self.turns.iter().zip(&mut self.tables) {
            let width = turn.frequencies.len() * 2;
            let shape = [facts.positions.len(), width, width];
            for_each_row(lead, table.f32_mut(), shape, width * 20, &|row, out| {
                turn.fill(facts.positions[row], out);
            });
        }
    }

    fn vector(&self, index: u32) -> &[f32] {
        self.vectors[index as usize].as_deref().unwrap_or_default()
    }
}

impl Room {
    fn for_graph(graph: &Graph, level: Level, threads: usize) -> io::Result<Self> {
        let mut rounded_words = 0;
        let mut row_words = 0;
        let mut tall_words = 0;
        let mut tile_words = 0;
        let mut scratch_words = 0;
        let mut partials = (0, 0);
        let mut packed_words = 0;
        let input = |value: u32| graph.shapes[value as usize];
        for op in &graph.ops {
            match op {
                Op::Matmul { x, weight, .. }
                    if graph.weights[*weight as usize].dtype().is_quantised() =>
                {
                    let columns = input(*x).width as usize;
                    let rows = crate::plan::most_rows(graph.bounds, input(*x).rows);
                    let stride = rounded::blocks_of(columns) * rounded::BLOCK_WORDS;
                    rounded_words = rounded_words.max(rows * stride);
                    row_words = row_words.max(columns.next_multiple_of(16));
                    tall_words = tall_words.max(tall::words(level, rows, columns));
                    tile_words = tile_words.max(tall::scratch_words(level, rows));
                }
                Op::Attention { layer, .. } => {
                    let shape = attend::shape_of(op, graph);
                    scratch_words = scratch_words.max(shape.scratch_width());
                    if layer.is_none() {
                        let blocks = graph.bounds.tokens / 16 + graph.bounds.sequences + 1;
                        let width = shape.kv_heads * shape.key_width * 16;
                        packed_words = packed_words.max(blocks as usize * width);
                    }
                    let rows = partial_rows(graph, &shape, threads);
                    partials.0 = partials.0.max(rows);
                    partials.1 = partials.1.max(rows * shape.partial_width());
                }
                _ => {}
            }
        }
        let scratch_words = scratch_words.next_multiple_of(16);
        Ok(Self {
            rounded: Zeroed::words(rounded_words)?,
            rows: Zeroed::words(row_words * threads)?,
            row_words,
            tall: Zeroed::words(tall_words)?,
            tiles: Zeroed::words(tile_words * threads)?,
            tile_words,
            scratch: Zeroed::words(scratch_words * threads)?,
            scratch_words,
            partials: Zeroed::words(partials.1)?,
            partial_rows: partials.0,
            packed: Zeroed::words(packed_words)?,
        })
    }
}

/// Rows for segments: a job is only cut up when it has fewer items than there are threads.
fn partial_rows(graph: &Graph, shape: &attention::Shape, threads: usize) -> usize {
    let places = graph
        .cache
        .as_ref()
        .map_or(graph.bounds.tokens as usize, |cache| {
            cache.pages() as usize * cache.page_tokens() as usize
        });
    let segments = places.div_ceil(attention::SEGMENT) + 1;
    let items = threads
        .saturating_sub(1)
        .min(graph.bounds.tokens as usize * shape.kv_heads);
    items * segments * (shape.heads / shape.kv_heads)
}

fn packed(graph: &Graph, lead: &mut Lead<'_>) -> io::Result<Vec<Option<Packed>>> {
    let weights: Vec<&Weight> = graph.unpacked().collect();
    let made = Packed::all(&weights, lead)?;
    let mut known = HashMap::new();
    for (weight, packed) in weights.into_iter().zip(made) {
        weight.keep(packed.clone());
        known.insert(weight.identity(), packed);
    }
    let of = |weight: &Weight| known.get(&weight.identity()).cloned();
    let all = graph.weights.iter();
    Ok(all
        .map(|weight| of(weight).or_else(|| weight.packed()))
        .collect())
}

fn vectors(graph: &Graph) -> Vec<Option<Vec<f32>>> {
    let mut vectors = vec![None; graph.weights.len()];
    for op in &graph.ops {
        for index in op.vectors().into_iter().flatten() {
            let place = &mut vectors[index as usize];
            if place.is_none() {
                let weight = &graph.weights[index as usize];
                *place = Some(crate::reference::blocks::row_values(weight, 0));
            }
        }
    }
    vectors
}

/// A value of this run.
fn matrix<'a>(layout: &Layout, buffers: &'a [Zeroed], facts: &Facts<'_>, value: u32) -> Matrix<'a> {
    let view: &View = &layout.views[value as usize];
    view.matrix(&buffers[view.buffer], facts.rows(view.rows))
}
