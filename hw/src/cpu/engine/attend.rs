//! One attention op.

use super::{Around, Engine, matrix};
use crate::cpu::attention::{self, Room, Score, Shape, Source};
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
    pub(super) fn attend(
        &mut self,
        lead: &mut Lead<'_>,
        op: &Op,
        index: usize,
        values: &mut Values<'_>,
        around: &mut Around<'_>,
    ) {
        let Op::Attention {
            query,
            key,
            value,
            layer,
            ..
        } = *op
        else {
            return;
        };
        let shape = shape_of(op, around.graph);
        let facts = around.facts;
        let mut out = Zeroed::empty();
        std::mem::swap(&mut out, values.buffer_of(index));
        let of = |value| matrix(values.layout, values.buffers, facts, value);
        let (query, key, value) = (of(query), of(key), of(value));
        let level = self.level;
        let room = &mut self.room;
        let split = Split::of(out.f32_mut(), values.layout.views[index].stride);
        let paged = around.graph.cache.as_ref().zip(layer);
        let source = if let Some((cache, layer)) = paged {
            let memory = &mut around.cache[layer as usize];
            store(lead, level, &shape, cache, [key, value], facts, memory);
            if cache.dtype() == Dtype::F32 {
                Source::Pages(cache, memory.keys.f32(), memory.values.f32())
            } else {
                Source::HalfPages(cache, memory.keys.u16(), memory.values.u16())
            }
        } else {
            attention::pack(lead, &shape, key, facts, room.packed.f32_mut());
            Source::Rows(room.packed.f32(), value)
        };
        let room = Room {
            scratch: Split::of(room.scratch.f32_mut(), room.scratch_words),
            partials: Split::of(room.partials.f32_mut(), shape.partial_width()),
            partial_rows: room.partial_rows,
        };
        attention::attend(lead, level, &shape, query, source, facts, &room, &split);
        std::mem::swap(&mut out, values.buffer_of(index));
    }
}

fn store(
    lead: &mut Lead<'_>,
    level: crate::cpu::level::Level,
    shape: &Shape,
    cache: &crate::cache::Cache,
    inputs: [crate::matrix::Matrix<'_>; 2],
    facts: &crate::plan::Facts<'_>,
    memory: &mut crate::cache::LayerMemory,
) {
    let (keys, values) = (&mut memory.keys, &mut memory.values);
    let memory = if cache.dtype() == Dtype::F32 {
        attention::Memory::Single(Split::of(keys.f32_mut(), 0), Split::of(values.f32_mut(), 0))
    } else {
        attention::Memory::Half(Split::of(keys.u16_mut(), 0), Split::of(values.u16_mut(), 0))
    };
    attention::write(lead, level, shape, cache, inputs, facts, &memory);
}
