//! In which order ops run, and which run together.
//!
//! Decides that products of one input form one job: its rows are rounded once, and threads meet
//! once for all of them. The oracle takes ops one by one.

use crate::cpu::MOST_TARGETS;
use crate::graph::Graph;
use crate::op::Op;

/// Groups of ops, in order. A group of several is one of matmuls with one input.
pub(crate) type Groups = Vec<Vec<usize>>;

/// Every op on its own.
pub(crate) fn single(graph: &Graph) -> Groups {
    (0..graph.ops.len()).map(|op| vec![op]).collect()
}

/// Matmuls of one input together, at the place of the first: they need nothing but the input.
pub(crate) fn grouped(graph: &Graph) -> Groups {
    let mut groups: Groups = Vec::new();
    let mut open: Vec<(u32, usize)> = Vec::new();
    for (index, op) in graph.ops.iter().enumerate() {
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
        groups.push(vec![index]);
    }
    groups
}
