//! A set of byte strings with an id each, for finding those that start at a given place in a text.

use std::collections::VecDeque;
use std::ops::Range;

/// Strings by their bytes. Children of a node are neighbours in `nodes`, in the order of their labels.
#[derive(Debug, Default)]
pub(super) struct Trie {
    nodes: Vec<Node>,
    labels: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    first_child: u32,
    children: u16,
    id: u32,
}

const NO_ID: u32 = u32::MAX;

impl Trie {
    /// Holds `entries`; of two with equal bytes the first is kept. Empty strings are left out.
    pub(super) fn new<'a>(entries: impl IntoIterator<Item = (&'a [u8], u32)>) -> Self {
        let mut entries: Vec<_> = entries
            .into_iter()
            .filter(|(bytes, _)| !bytes.is_empty())
            .collect();
        entries.sort_by_key(|(bytes, _)| *bytes);
        entries.dedup_by_key(|(bytes, _)| *bytes);
        let mut trie = Self::default();
        if entries.is_empty() {
            return trie;
        }
        // Breadth first, so that a node's children get neighbouring places.
        let mut waiting: VecDeque<(Range<usize>, usize)> = VecDeque::from([(0..entries.len(), 0)]);
        trie.labels.push(0);
        while let Some((mut range, depth)) = waiting.pop_front() {
            let mut id = NO_ID;
            if let Some((bytes, found)) = entries.get(range.start)
                && bytes.len() == depth
            {
                id = *found;
                range.start += 1;
            }
            let first_child = trie.labels.len() as u32;
            while let Some(label) =
                label_at(&entries, range.start, depth).filter(|_| !range.is_empty())
            {
                let rest = entries.get(range.clone()).unwrap_or_default();
                let same = rest.partition_point(|(bytes, _)| bytes.get(depth) <= Some(&label));
                waiting.push_back((range.start..range.start + same, depth + 1));
                trie.labels.push(label);
                range.start += same;
            }
            let children = (trie.labels.len() as u32 - first_child) as u16;
            trie.nodes.push(Node {
                first_child,
                children,
                id,
            });
        }
        trie
    }

    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Every string that `bytes` starts with, as (length, id), shortest first.
    pub(super) fn prefixes<'t>(
        &'t self,
        bytes: &'t [u8],
    ) -> impl Iterator<Item = (usize, u32)> + 't {
        let mut node = self.nodes.first();
        bytes
            .iter()
            .map_while(move |&byte| {
                node = self.child(node?, byte);
                node
            })
            .enumerate()
            .filter(|(_, node)| node.id != NO_ID)
            .map(|(index, node)| (index + 1, node.id))
    }

    /// The longest string that `bytes` starts with, as (length, id).
    pub(super) fn longest(&self, bytes: &[u8]) -> Option<(usize, u32)> {
        self.prefixes(bytes).last()
    }

    fn child(&self, node: &Node, byte: u8) -> Option<&Node> {
        let first = node.first_child as usize;
        let labels = self.labels.get(first..first + usize::from(node.children))?;
        let index = labels.binary_search(&byte).ok()?;
        self.nodes.get(first + index)
    }
}

fn label_at(entries: &[(&[u8], u32)], index: usize, depth: usize) -> Option<u8> {
    entries.get(index)?.0.get(depth).copied()
}
