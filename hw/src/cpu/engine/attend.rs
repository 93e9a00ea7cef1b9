//! One attention op.

use super::{Around, Engine, matrix};
use crate::cache::{Cache, LayerMemory};
use crate::cpu::attention::{self, Brought, Memory, Room, Score, Shape, Source};
use crate::cpu::mapping::Zeroed;
use crate::cpu::pool::Lead;
use crate::cpu::split::Split;
use crate::dtype::Dtype;
use crate::graph::Graph;
use crate::op::Op;
use crate::plan::Values;

/// The shape of an attention op of a checked graph.
pub(super) fn shape_of(op: &Op, graph: &Graph) -> Shape {
    let Op::Attention {
        query,
        value,
        heads,
        kv_heads,
        causal,
        window,
        scale,
        softcap,
        ..
    } = op
    else {
        return NOTHING;
    };
    Shape {
        heads: *heads as usize,
        kv_heads: *kv_heads as usize,
        key_width: (graph.shapes[*query as usize].width / heads) as usize,
        value_width: (graph.shapes[*value as usize].width / kv_heads) as usize,
        causal: *causal,
        window: *window,
        score: Score {
            scale: *scale,
            softcap: *softcap,
        },
    }
}

const NOTHING: Shape = Shape {
    heads: 1,
    kv_heads: 1,
    key_width: 0,
    value_width: 0,
    causal: true,
    window: None,
    score: Score {
        scale: 1.0,
        softcap: None,
    },
};

impl Engine {
    /// The last op of `group`; those before it are rotations of its query and key.
    pub(super) fn attend(
        &mut self,
        lead: &mut Lead<'_>,
        op: &Op,
        group: &[usize],
        values: &mut Values<'_>,
        around: &mut Around<'_>,
    ) {
        let (
            Some(index),
            &Op::Attention {
                query,
                key,
                value,
                layer,
                ..
            },
        ) = (group.last(), op)
        else {
            return;
        };
        let shape = shape_of(op, around.graph);
        let facts = around.facts;
        let rotated = |value: u32| group.contains(&(value as usize)).then_some(value as usize);
        // What is written leaves the plan's list for the time being.
        let mut out = std::mem::replace(values.buffer_of(*index), Zeroed::empty());
        let mut turned = Zeroed::empty();
        if let Some(query) = rotated(query) {
            std::mem::swap(&mut turned, values.buffer_of(query));
        }
        let level = self.level;
        let of = |value| matrix(values.layout, values.buffers, facts, value);
        let before = |value: u32| match &around.graph.ops[value as usize] {
            Op::Rope { x, .. } if rotated(value).is_some() => of(*x),
            _ => of(value),
        };
        let paged = around.graph.cache.as_ref().zip(layer);
        if let Some((cache, layer)) = paged {
            let rotation = |value| self.rotation(around.graph, rotated(value)?);
            let brought = Brought {
                key: before(key),
                value: of(value),
                key_rotation: rotation(key),
                query: rotation(query).map(|rotation| {
                    let stride = values.layout.views[query as usize].stride;
                    (before(query), rotation, Split::of(turned.f32_mut(), stride))
                }),
            };
            let memory = writable(cache.dtype(), &mut around.cache[layer as usize]);
            attention::write(lead, level, &shape, cache, &brought, facts, &memory);
        }
        if let Some(query) = rotated(query) {
            std::mem::swap(&mut turned, values.buffer_of(query));
        }
        let of = |value| matrix(values.layout, values.buffers, facts, value);
        let room = &mut self.room;
        let source = if let Some((cache, layer)) = paged {
            readable(cache, &around.cache[layer as usize])
        } else {
            attention::pack(lead, &shape, of(key), facts, room.packed.f32_mut());
            Source::Rows(room.packed.f32(), of(value))
        };
        let room = Room {
            scratch: Split::of(room.scratch.f32_mut(), room.scratch_words),
            partials: Split::of(room.partials.f32_mut(), shape.partial_width()),
            partial_rows: room.partial_rows,
        };
        let split = Split::of(out.f32_mut(), values.layout.views[*index].stride);
        attention::attend(lead, level, &shape, of(query), source, facts, &room, &split);
        std::mem::swap(&mut out, values.buffer_of(*index));
    }
}

fn writable(dtype: Dtype, memory: &mut LayerMemory) -> Memory<'_> {
    let (keys, values) = (&mut memory.keys, &mut memory.values);
    match dtype {
        Dtype::F32 => Memory::Single(Split::of(keys.f32_mut(), 0), Split::of(values.f32_mut(), 0)),
        Dtype::F16 => Memory::Half(Split::of(keys.u16_mut(), 0), Split::of(values.u16_mut(), 0)),
        _ => Memory::Bytes(
            Split::of(keys.bytes_mut(), 0),
            Split::of(values.bytes_mut(), 0),
        ),
    }
}

fn readable<'a>(cache: &'a Cache, memory: &'a LayerMemory) -> Source<'a> {
    let (keys, values) = (&memory.keys, &memory.values);
    match cache.dtype() {
        Dtype::F32 => Source::Pages(cache, keys.f32(), values.f32()),
        Dtype::F16 => Source::HalfPages(cache, keys.u16(), values.u16()),
        _ => Source::BytePages(
            cache,
            keys.as_bytes().as_chunks().0,
            values.as_bytes().as_chunks().0,
        ),
    }
}
