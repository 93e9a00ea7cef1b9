//! Which buffer holds which value, and for how long.
//!
//! Decides from when values are last read, so that a plan's memory does not grow with its depth. What
//! products round as it is made lies in no buffer.

use super::schedule::{Groups, never_written};
use crate::graph::{Bounds, Graph, Rows};
use crate::op::Op;

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
    /// Group after group, each value into the buffer that was free and fits best. With
    /// `slices_are_views`, a slice takes no room: it is a part of the rows that it was cut from.
    pub(crate) fn of(graph: &Graph, groups: &Groups, slices_are_views: bool) -> Self {
        let owners = owners(graph, slices_are_views);
        let last_use = last_uses(graph, groups, &owners);
        let empty = View {
            buffer: 0,
            start: 0,
            width: 0,
            stride: 0,
            rows: Rows::Tokens,
        };
        let mut layout = Self {
            views: vec![empty; graph.ops.len()],
            capacities: Vec::new(),
        };
        let mut free: Vec<usize> = Vec::new();
        for (time, group) in groups.iter().enumerate() {
            let unwritten = never_written(graph, group);
            for index in group {
                layout.place(graph, *index, &owners, unwritten, &mut free);
            }
            for index in group {
                let op = graph.ops.get(*index);
                let read = op.map_or([None; 3], Op::inputs).into_iter().flatten();
                let values = read.map(|v| v as usize).chain([*index]);
                for owner in values.filter_map(|v| owners.get(v).copied()) {
                    if last_use.get(owner) != Some(&time) || unwritten == Some(owner) {
                        continue;
                    }
                    let buffer = layout.views.get(owner).map(|v| v.buffer);
                    if let Some(buffer) = buffer.filter(|b| !free.contains(b)) {
                        free.push(buffer);
                    }
                }
            }
        }
        layout
    }

    /// Bytes of all buffers.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.capacities.iter().map(|words| *words as u64 * 4).sum()
    }

    fn place(
        &mut self,
        graph: &Graph,
        index: usize,
        owners: &[usize],
        unwritten: Option<usize>,
        free: &mut Vec<usize>,
    ) {
        let (Some(op), Some(shape)) = (graph.ops.get(index), graph.shapes.get(index)) else {
            return;
        };
        let width = shape.width as usize;
        let view = match op {
            Op::Slice { x, start, .. } if owners.get(index) != Some(&index) => {
                let Some(source) = self.views.get(*x as usize) else {
                    return;
                };
                View {
                    start: source.start + *start as usize,
                    width,
                    ..*source
                }
            }
            _ if unwritten == Some(index) => View {
                buffer: 0,
                start: 0,
                width,
                stride: 0,
                rows: shape.rows,
            },
            _ => {
                let stride = width.next_multiple_of(LINE);
                let words = stride * most_rows(graph.bounds, shape.rows);
                View {
                    buffer: self.take(free, words),
                    start: 0,
                    width,
                    stride,
                    rows: shape.rows,
                }
            }
        };
        if let Some(place) = self.views.get_mut(index) {
            *place = view;
        }
    }

    /// A free buffer of `words`: the tightest that fits, else the largest, grown; else a new one.
    fn take(&mut self, free: &mut Vec<usize>, words: usize) -> usize {
        let size = |place: &usize| {
            let buffer = free.get(*place).copied().unwrap_or(0);
            self.capacities.get(buffer).copied().unwrap_or(0)
        };
        let fitting = (0..free.len())
            .filter(|place| size(place) >= words)
            .min_by_key(size);
        let best = fitting.or_else(|| (0..free.len()).max_by_key(size));
        let Some(place) = best else {
            self.capacities.push(words);
            return self.capacities.len() - 1;
        };
        let buffer = free.swap_remove(place);
        if let Some(capacity) = self.capacities.get_mut(buffer) {
            *capacity = (*capacity).max(words);
        }
        buffer
    }
}

/// Rows start at a multiple of a cache line's 16 floats.
const LINE: usize = 16;

/// Whose rows each value is a part of: its own, but for slices.
fn owners(graph: &Graph, slices_are_views: bool) -> Vec<usize> {
    let mut owners: Vec<usize> = (0..graph.ops.len()).collect();
    for (index, op) in graph.ops.iter().enumerate() {
        if let Op::Slice { x, .. } = op
            && slices_are_views
        {
            let owner = owners.get(*x as usize).copied();
            if let (Some(place), Some(owner)) = (owners.get_mut(index), owner) {
                *place = owner;
            }
        }
    }
    owners
}

/// The group that reads each owner's rows last; its own where none does, never for the last value.
fn last_uses(graph: &Graph, groups: &Groups, owners: &[usize]) -> Vec<usize> {
    let mut last = vec![0; graph.ops.len()];
    let mut used = |value: usize, time: usize| {
        let owner = owners.get(value).copied().unwrap_or(value);
        if let Some(last) = last.get_mut(owner) {
            *last = time.max(*last);
        }
    };
    for (time, group) in groups.iter().enumerate() {
        for index in group {
            used(*index, time);
            let op = graph.ops.get(*index);
            for value in op.map_or([None; 3], Op::inputs).into_iter().flatten() {
                used(value as usize, time);
            }
        }
    }
    used(graph.ops.len().saturating_sub(1), usize::MAX);
    last
}

pub(crate) fn most_rows(bounds: Bounds, rows: Rows) -> usize {
    let most = match rows {
        Rows::Tokens => bounds.tokens,
        Rows::Outputs => bounds.outputs,
        Rows::Sequences => bounds.sequences,
    };
    most as usize
}
