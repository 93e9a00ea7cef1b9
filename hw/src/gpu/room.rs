//! How much of a card's memory a graph takes beside its cache and the plan's buffers.
//!
//! Decides the sizes of everything that the engine allocates, so that what does not fit is refused before anything is copied.

use std::collections::HashSet;

use super::card::Card;
use super::engine::{Ranks, SPAN};
use crate::graph::Graph;
use crate::op::Op;
use crate::plan::most_rows;
use crate::turn::Turn;

/// Sizes of what one graph needs.
#[derive(Debug)]
pub(crate) struct Room {
    /// Words of the lists of a batch.
    pub(super) words: usize,
    /// Bytes of rounded activations, of their scales and of their sums.
    pub(super) rounded: [usize; 3],
}

impl Room {
    pub(super) fn of(graph: &Graph, turns: &[Turn]) -> Self {
        let mut rounded = [0; 3];
        for op in &graph.ops {
            if let Op::Matmul { x, weight, .. } = op
                && graph.weights[*weight as usize].dtype().is_quantised()
            {
                let shape = graph.shapes[*x as usize];
                let blocks = shape.width as usize / 32 * most_rows(graph.bounds, shape.rows);
                for (most, bytes) in rounded.iter_mut().zip([32, 4, 4]) {
                    *most = (*most).max(blocks * bytes);
                }
            }
        }
        let bounds = graph.bounds;
        let pages = graph
            .cache
            .as_ref()
            .map_or(0, |cache| cache.pages() as usize);
        let angles: usize = turns.iter().map(|turn| turn.frequencies.len() * 2).sum();
        let words = bounds.tokens as usize * (3 + angles)
            + bounds.sequences as usize * 3
            + bounds.outputs as usize
            + pages
            + 32 * (8 + turns.len());
        Self { words, rounded }
    }

    /// Bytes that a graph needs on a card which are not there yet: weights, vectors, lists and rounded activations.
    pub(crate) fn bytes(card: &Card, graph: &Graph) -> u64 {
        let (turns, _) = Turn::all(graph);
        let Self { words, rounded } = Self::of(graph, &turns);
        let mut sum = whole(words * 4) + rounded.map(whole).iter().sum::<u64>();
        sum += whole(partial_bytes(card, graph));
        let rows = ranked_rows(card, graph).unwrap_or_default();
        sum += Ranks::bytes(rows).map(whole).iter().sum::<u64>();
        let mut largest = 0;
        let (mut weights, mut vectors) = (HashSet::new(), HashSet::new());
        for op in &graph.ops {
            if let Op::Matmul { weight: index, .. } | Op::Embed { table: index, .. } = op {
                let weight = &graph.weights[*index as usize];
                if weights.insert(weight.identity()) && !card.holds(weight) {
                    sum += whole(weight.data().len());
                    largest = largest.max(card.stage_bytes(weight));
                }
            }
            for index in op.vectors().into_iter().flatten() {
                if vectors.insert(index) {
                    sum += whole(graph.weights[index as usize].columns() as usize * 4);
                }
            }
        }
        sum + whole(largest)
    }
}

/// Rows that the card may have to rank; none if it does not, or if a graph's rows are not logits.
pub(super) fn ranked_rows(card: &Card, graph: &Graph) -> Option<usize> {
    let logits = card.driver().has_planes() && !graph.ends_in_sequences();
    logits.then_some(graph.bounds.outputs as usize)
}

/// Bytes of what is given to be joined, at most.
const PARTIALS_MAX: usize = 32 << 20;
/// Rows of a batch whose attention is shared, for as long as there is room.
const ROWS_SHARED: usize = 16;

/// Bytes for what blocks of threads that share a row's attention give.
pub(super) fn partial_bytes(card: &Card, graph: &Graph) -> usize {
    let Some(cache) = graph.cache.as_ref().filter(|_| card.driver().has_planes()) else {
        return 0;
    };
    let places = cache.pages() as usize * cache.page_tokens() as usize;
    let spans = places.div_ceil(SPAN as usize).next_power_of_two();
    let widths = graph
        .ops
        .iter()
        .enumerate()
        .filter_map(|(index, op)| match op {
            Op::Attention { heads, .. } => {
                Some(graph.shapes[index].width as usize + 2 * *heads as usize)
            }
            _ => None,
        });
    let widest = widths.max().unwrap_or_default();
    (widest * spans * 4 * ROWS_SHARED).min(PARTIALS_MAX)
}

/// As much as an allocation takes: addresses are multiples of 256 (CUDA Programming Guide, "Device Memory Accesses").
fn whole(bytes: usize) -> u64 {
    bytes.max(1).next_multiple_of(256) as u64
}
