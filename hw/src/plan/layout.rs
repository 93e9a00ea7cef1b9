//! Which buffer holds which value, and for how long.
//!
//! Decides from when values are last read, so that a plan's memory does not grow with its depth.

use crate::graph::{Bounds, Graph, Rows};

/// Where a value lies in its buffer, counted in floats.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    pub(crate) buffer: usize,
    pub(crate) start: usize,
    pub(crate) width: usize,
    pub(crate) stride: usize,
    pub(crate) rows: Rows,
}

/// The places of all values.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) views: Vec<View>,
    /// Floats of each buffer.
    pub(crate) capacities: Vec<usize>,
}

impl Layout {
    /// One value after the other, each into the buffer that was free and fits best.
    pub(crate) fn of(graph: &Graph) -> Self {
        let last_use = last_uses(graph);
        let mut layout = Self {
            views: Vec::with_capacity(graph.ops.len()),
            capacities: Vec::new(),
        };
        let mut free: Vec<usize> = Vec::new();
        for (index, (op, shape)) in graph.ops.iter().zip(&graph.shapes).enumerate() {
            let width = shape.width as usize;
            let stride = width.next_multiple_of(LINE);
            let words = stride * most_rows(graph.bounds, shape.rows);
            let buffer = layout.take(&mut free, words);
            layout.views.push(View {
                buffer,
                start: 0,
                width,
                stride,
                rows: shape.rows,
            });
            let mut freed = [None; 4];
            let read = op.inputs().into_iter().flatten().map(|v| v as usize);
            for (slot, value) in freed.iter_mut().zip(read.chain([index])) {
                if last_use.get(value) == Some(&index) {
                    *slot = layout.views.get(value).map(|v| v.buffer);
                }
            }
            for buffer in freed.into_iter().flatten() {
                if !free.contains(&buffer) {
                    free.push(buffer);
                }
            }
        }
        layout
    }

    /// Bytes of all buffers.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.capacities.iter().map(|words| *words as u64 * 4).sum()
    }

    /// A free buffer of `words`: the tightest that fits, else the largest, grown; else a new one.
    fn take(&mut self, free: &mut Vec<usize>, words: usize) -> usize {
        let size = |buffer: usize| self.capacities.get(buffer).copied().unwrap_or(0);
        let fitting = (0..free.len())
            .filter(|i| free.get(*i).is_some_and(|b| size(*b) >= words))
            .min_by_key(|i| free.get(*i).map(|b| size(*b)));
        let best =
            fitting.or_else(|| (0..free.len()).max_by_key(|i| free.get(*i).map(|b| size(*b))));
        match best {
            Some(place) => {
                let buffer = free.swap_remove(place);
                if let Some(capacity) = self.capacities.get_mut(buffer) {
                    *capacity = (*capacity).max(words);
                }
                buffer
            }
            None => {
                self.capacities.push(words);
                self.capacities.len() - 1
            }
        }
    }
}

/// Rows start at a multiple of a cache line's 16 floats.
const LINE: usize = 16;

/// The op that reads each value last; a value that none reads ends with its own op, the last value
/// never.
fn last_uses(graph: &Graph) -> Vec<usize> {
    let mut last: Vec<usize> = (0..graph.ops.len()).collect();
    for (index, op) in graph.ops.iter().enumerate() {
        for value in op.inputs().into_iter().flatten() {
            if let Some(last) = last.get_mut(value as usize) {
                *last = index;
            }
        }
    }
    if let Some(last) = last.last_mut() {
        *last = usize::MAX;
    }
    last
}

fn most_rows(bounds: Bounds, rows: Rows) -> usize {
    let most = match rows {
        Rows::Tokens => bounds.tokens,
        Rows::Outputs => bounds.outputs,
        Rows::Sequences => bounds.sequences,
    };
    most as usize
}
