//! In which order ops run, and which run together.
//!
//! Decides that products of one input form one job: its rows are rounded once, and threads meet
//! once for all of them. An op that only they read joins them: its rows are rounded as they are made. So
//! do rotations that only an attention with a cache reads join the writing of its keys and values. The
//! oracle takes ops one by one.

use crate::cpu::MOST_TARGETS;
use crate::graph::Graph;
use crate::op::Op;

/// Groups of ops, in order. A group of several is one of matmuls with one input, perhaps behind the op
/// that makes it, or an attention behind the rotations of its query and key.
pub(crate) type Groups = Vec<Vec<usize>>;

/// The op whose rows the products of `group` round as it makes them, so that they lie nowhere.
pub(crate) fn never_written(graph: &Graph, group: &[usize]) -> Option<usize> {
    let Some(Op::Matmul { x, .. }) = graph.ops.get(*group.last()?) else {
        return None;
    };
    group.first().copied().filter(|first| *first == *x as usize)
}

/// Every op on its own.
pub(crate) fn single(graph: &Graph) -> Groups {
    (0..graph.ops.len()).map(|op| vec![op]).collect()
}

/// Matmuls of one input together, at the place of the first: they need nothing but the input.
/// Rotations at the place of the attention that they are for, and what only products read at theirs.
pub(crate) fn grouped(graph: &Graph) -> Groups {
    let mut groups: Groups = Vec::new();
    let mut open: Vec<(u32, usize)> = Vec::new();
    let readers = readers(graph);
    let rotators = rotators(graph, &readers);
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
    let mut joined = vec![false; graph.ops.len()];
    for group in &mut groups {
        if let Some(input) = input_of(graph, group, &readers)
            && let Some(joined) = joined.get_mut(input)
        {
            *joined = true;
            group.insert(0, input);
        }
    }
    let alone = |group: &[usize]| match group {
        [op] => joined.get(*op) != Some(&true),
        _ => true,
    };
    groups.retain(|group| alone(group));
    groups
}

/// The op that makes the input of `group`, if it makes rows of it one by one, all weights of the group
/// take them rounded, and no one else reads them.
fn input_of(graph: &Graph, group: &[usize], readers: &[u32]) -> Option<usize> {
    let mut input = None;
    for op in group {
        let Some(Op::Matmul { x, weight, .. }) = graph.ops.get(*op) else {
            return None;
        };
        if !graph.weights.get(*weight as usize)?.dtype().is_quantised() {
            return None;
        }
        input = Some(*x as usize);
    }
    let input = input?;
    let made = match graph.ops.get(input)? {
        Op::Matmul { .. } | Op::Attention { .. } | Op::Slice { .. } => false,
        _ => *readers.get(input)? as usize == group.len(),
    };
    made.then_some(input)
}

/// How often each value is read.
fn readers(graph: &Graph) -> Vec<u32> {
    let mut readers = vec![0; graph.ops.len()];
    for value in graph.ops.iter().flat_map(Op::inputs).flatten() {
        if let Some(readers) = readers.get_mut(value as usize) {
            *readers += 1;
        }
    }
    readers
}

/// Of each op, the attention that rotates in its place: head by head, query or key, and with a cache, so
/// that nothing else needs what it yields.
fn rotators(graph: &Graph, readers: &[u32]) -> Vec<Option<usize>> {
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
    use crate::weight::{Region, Weight};

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

    /// An input of 32 columns, a norm of it, two products of the norm with the weights `weights`, of bytes
    /// and of floats, and an op that reads `also`.
    fn products(weights: [u32; 2], also: u32) -> Groups {
        let norm = Op::RmsNorm {
            x: 0,
            weight: None,
            epsilon: 1e-5,
            group: 16,
        };
        let matmul = |weight| Op::Matmul {
            x: 1,
            weight,
            bias: None,
        };
        let ops = vec![
            Op::Embed {
                table: 0,
                index: Index::Tokens,
            },
            norm,
            matmul(weights[0]),
            Op::Scale { x: also, by: 2.0 },
            matmul(weights[1]),
            Op::Add { a: 2, b: 4 },
            Op::Outputs { x: 5 },
        ];
        let floats =
            |rows: u32| Weight::from_values(vec![0.0; rows as usize * 32], rows, 32).unwrap();
        let file = tempfile::tempfile().unwrap();
        file.set_len(32 * 34).unwrap();
        let region = Region::map(&file).unwrap();
        let bytes = Weight::from_region(&region, 0, Dtype::Q8_0, 32, 32).unwrap();
        let bounds = Bounds {
            tokens: 1,
            sequences: 1,
            outputs: 1,
        };
        let weights = vec![floats(1), bytes, floats(32)];
        grouped(&Graph::check(ops, weights, None, bounds).unwrap())
    }

    #[test]
    fn what_only_the_products_of_one_group_read_joins_them() {
        let check = |weights, also, expect: &[&[usize]]| {
            assert_eq!(products(weights, also), expect);
        };
        check([1, 1], 0, &[&[0], &[1, 2, 4], &[3], &[5], &[6]]);
        let apart: &[&[usize]] = &[&[0], &[1], &[2, 4], &[3], &[5], &[6]];
        check([1, 1], 1, apart);
        check([1, 2], 0, apart);
        check([2, 2], 0, apart);
    }
}
