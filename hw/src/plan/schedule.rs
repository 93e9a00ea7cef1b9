//! In which order ops run, and which run together.
//!
//! Decides that products of one input form one job: its rows are rounded once, and threads meet
//! once for all of them. So do rotations that only an attention with a cache reads, and the writing of
//! its keys and values. The oracle takes ops one by one.

use crate::cpu::MOST_TARGETS;
use crate::graph::Graph;
use crate::op::Op;

/// Groups of ops, in order. A group of several is one of matmuls with one input, or an attention
/// behind the rotations of its query and key.
pub(crate) type Groups = Vec<Vec<usize>>;

/// Every op on its own.
pub(crate) fn single(graph: &Graph) -> Groups {
    (0..graph.ops.len()).map(|op| vec![op]).collect()
}

/// Matmuls of one input together, at the place of the first: they need nothing but the input.
/// Rotations at the place of the attention that they are for.
pub(crate) fn grouped(graph: &Graph) -> Groups {
    let mut groups: Groups = Vec::new();
    let mut open: Vec<(u32, usize)> = Vec::new();
    let rotators = rotators(graph);
    let rotator = |op: usize| rotators.get(op).copied().flatten();
    for (index, op) in graph.ops.iter().enumerate() {
        if rotator(index).is_some() {
            continue;
        }
        if let Op::Matmul { x, .. } = op {
            let group = open
                .iter()
                .find(|(input, _)| input == x)
                .map(|(_, group)| *group);
            if let Some(group) = group.and_then(|g| groups.get_mut(g))
                && group.len() < MOST_TARGETS
            {
                group.push(index);
                continue;
            }
            open.retain(|(input, _)| input != x);
            open.push((*x, groups.len()));
        }
        let inputs = op.inputs().into_iter().flatten();
        let mut group: Vec<usize> = inputs
            .map(|value| value as usize)
            .filter(|value| rotator(*value) == Some(index))
            .collect();
        group.push(index);
        groups.push(group);
    }
    groups
}

/// Of each op, the attention that rotates in its place: head by head, query or key, and with a cache, so
/// that nothing else needs what it yields.
fn rotators(graph: &Graph) -> Vec<Option<usize>> {
    let mut readers = vec![0_u32; graph.ops.len()];
    for value in graph.ops.iter().flat_map(Op::inputs).flatten() {
        if let Some(readers) = readers.get_mut(value as usize) {
            *readers += 1;
        }
    }
    let mut rotators = vec![None; graph.ops.len()];
    for (index, op) in graph.ops.iter().enumerate() {
        let Op::Attention {
            query,
            key,
            heads,
            layer: Some(_),
            ..
        } = op
        else {
            continue;
        };
        let query_width = graph.shapes.get(*query as usize).map(|shape| shape.width);
        let key_width = query_width.and_then(|width| width.checked_div(*heads));
        for value in [*query as usize, *key as usize] {
            if let Some(Op::Rope { head_width, .. }) = graph.ops.get(value)
                && Some(*head_width) == key_width
                && readers.get(value) == Some(&1)
                && let Some(rotator) = rotators.get_mut(value)
            {
                *rotator = Some(index);
            }
        }
    }
    rotators
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        reason = "a test that meets the unexpected has failed"
    )]

    use super::*;
    use crate::cache::{Cache, CacheLayer};
    use crate::device::{CpuSettings, Device};
    use crate::dtype::Dtype;
    use crate::graph::Bounds;
    use crate::op::{Index, Pairing};
    use crate::weight::Weight;

    /// An input of 32 columns, turned twice by heads of `head_width`, attention of heads of 16, and an op that
    /// reads `also`.
    fn groups(head_width: u32, layer: Option<u32>, also: u32) -> Groups {
        let rope = || Op::Rope {
            x: 0,
            head_width,
            pairing: Pairing::Halves,
            frequencies: vec![1.0; 4],
            magnitude: 1.0,
        };
        let ops = vec![
            Op::Embed {
                table: 0,
                index: Index::Tokens,
            },
            rope(),
            rope(),
            Op::Attention {
                query: 1,
                key: 2,
                value: 0,
                heads: 2,
                kv_heads: 2,
                layer,
                causal: true,
                window: None,
                scale: 1.0,
                softcap: None,
            },
            Op::Add { a: 3, b: also },
            Op::Outputs { x: 4 },
        ];
        let device = Device::cpu(CpuSettings::default()).unwrap();
        let cached = CacheLayer {
            kv_heads: 2,
            key_width: 16,
            value_width: 16,
        };
        let cache = Cache::create(&device, &[cached], 1, 16, Dtype::F32).unwrap();
        let weights = vec![Weight::from_values(vec![0.0; 32], 1, 32).unwrap()];
        let bounds = Bounds {
            tokens: 1,
            sequences: 1,
            outputs: 1,
        };
        grouped(&Graph::check(ops, weights, Some(cache), bounds).unwrap())
    }

    #[test]
    fn rotations_join_the_attention_that_alone_reads_them() {
        let check = |head_width, layer, also, expect: &[&[usize]]| {
            assert_eq!(groups(head_width, layer, also), expect);
        };
        check(16, Some(0), 0, &[&[0], &[1, 2, 3], &[4], &[5]]);
        check(16, Some(0), 1, &[&[0], &[1], &[2, 3], &[4], &[5]]);
        check(16, Some(0), 2, &[&[0], &[2], &[1, 3], &[4], &[5]]);
        let alone: &[&[usize]] = &[&[0], &[1], &[2], &[3], &[4], &[5]];
        check(32, Some(0), 0, alone);
        check(16, None, 0, alone);
    }
}
