//! Runs a graph on a card.
//!
//! Decides what memory a graph needs there beside the plan's buffers, which lie as the plan's layout says, and that only output
//! rows cross back.

use std::collections::HashMap;
use std::sync::Arc;

use super::card::Card;
use super::driver::GpuError;
use super::facts::Lists;
use super::memory::Memory;
use super::recording::Recording;
use super::room::{Room, partial_bytes, ranked_rows};
use crate::cpu::mapping::Zeroed;
use crate::graph::Graph;
use crate::op::Op;
use crate::plan::{Facts, Layout};
use crate::turn::Turn;

mod attend;
mod launch;
mod multiply;
mod names;
mod rank;

pub(super) use self::attend::SPAN;
use self::launch::{Run, Value};
pub(crate) use self::rank::Ranks;

/// A graph on a card.
#[derive(Debug)]
pub(crate) struct Engine {
    card: Arc<Card>,
    buffers: Vec<Memory>,
    /// By their place in the graph's list.
    weights: Vec<Option<Arc<Memory>>>,
    /// Vectors as floats, by their place in the graph's list.
    vectors: Vec<Option<Memory>>,
    turns: Vec<Turn>,
    /// Of each op: its turn.
    turn_of: Vec<Option<usize>>,
    lists: Lists,
    /// Rounded activations: bytes, scales, sums.
    rounded: [Memory; 3],
    /// What blocks of threads that share a row's attention give.
    partials: Memory,
    /// None if the card does not rank.
    ranks: Option<Ranks>,
    /// By numbers of tokens, sequences, outputs and spans, on which alone the launches depend; none of what came once.
    recordings: HashMap<[usize; 4], Option<Recording>>,
}

/// Recordings of one plan. Steps that decode have as many kinds as there are sequences at once.
const RECORDINGS_MAX: usize = 64;

impl Engine {
    /// Brings what `graph` needs onto the card.
    ///
    /// # Errors
    /// What the driver says, above all when its memory does not suffice.
    pub(crate) fn compile(
        card: &Arc<Card>,
        graph: &Graph,
        layout: &Layout,
    ) -> Result<Self, GpuError> {
        let (turns, turn_of) = Turn::all(graph);
        let Room { words, rounded } = Room::of(graph, &turns);
        let allocate = |bytes| Memory::allocate(card, bytes);
        let [bytes, scales, sums] = rounded;
        let mut weights = vec![None; graph.weights.len()];
        let mut vectors: Vec<Option<Memory>> = graph.weights.iter().map(|_| None).collect();
        for op in &graph.ops {
            if let Op::Matmul { weight: index, .. } | Op::Embed { table: index, .. } = op {
                let index = *index as usize;
                weights[index] = Some(card.weight(&graph.weights[index])?);
            }
            for index in op.vectors().into_iter().flatten() {
                let index = index as usize;
                let values = crate::reference::blocks::row_values(&graph.weights[index], 0);
                let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_ne_bytes()).collect();
                let memory = allocate(bytes.len())?;
                memory.write(0, &bytes)?;
                vectors[index] = Some(memory);
            }
        }
        card.wait()?;
        let capacities = layout.capacities.iter();
        Ok(Self {
            buffers: capacities
                .map(|words| allocate(words * 4))
                .collect::<Result<_, _>>()?,
            weights,
            vectors,
            turns,
            turn_of,
            lists: Lists::with_room(card, words)?,
            rounded: [allocate(bytes)?, allocate(scales)?, allocate(sums)?],
            partials: allocate(partial_bytes(card, graph))?,
            ranks: ranked_rows(card, graph)
                .map(|rows| Ranks::with_room(card, rows))
                .transpose()?,
            recordings: HashMap::new(),
            card: Arc::clone(card),
        })
    }

    /// Runs all ops of `graph`, and ranks the rows of the last value if there is a temperature for each.
    pub(crate) fn run(
        &mut self,
        graph: &Graph,
        layout: &Layout,
        facts: &Facts<'_>,
        temperatures: &[f32],
    ) -> Result<(), GpuError> {
        let (places, moved) = self.lists.send(&self.card, facts, &self.turns)?;
        if moved || self.recordings.len() > RECORDINGS_MAX {
            self.recordings.clear();
        }
        let batch = facts.batch;
        let kind = [
            batch.tokens.len(),
            batch.sequences.len(),
            batch.outputs.len(),
            self.spans_of(facts),
        ];
        if let Some(None) = self.recordings.get(&kind) {
            let launches = || Run::of(self, graph, layout, facts, &places).all();
            let recording = Recording::of(&self.card, launches)?;
            self.recordings.insert(kind, recording);
        }
        if let Some(recording) = self.recordings.get(&kind).and_then(Option::as_ref) {
            // SAFETY: its launches were of this plan's own memory, which has stayed where it was, and of a batch of as many
            // tokens, sequences and outputs.
            unsafe { recording.start() }?;
        } else {
            Run::of(self, graph, layout, facts, &places).all()?;
            self.recordings.insert(kind, None);
        }
        let (Some(ranks), Some(view)) = (self.ranks.as_mut(), layout.views.last()) else {
            return self.card.wait();
        };
        ranks.clear();
        if temperatures.is_empty() || temperatures.len() != facts.rows(view.rows) {
            return self.card.wait();
        }
        let x = Value {
            at: self.buffers[view.buffer].at(view.start * 4),
            stride: view.stride as u64,
            width: view.width,
            rows: temperatures.len(),
        };
        ranks.make(&self.card, x, temperatures)
    }

    /// Copies `rows` rows of the last value into `out`.
    pub(crate) fn fetch(
        &self,
        layout: &Layout,
        rows: usize,
        out: &mut Zeroed,
    ) -> Result<(), GpuError> {
        let Some(view) = layout.views.last() else {
            return Ok(());
        };
        let to = out.f32_mut();
        let words = (rows * view.stride).min(to.len());
        self.buffers[view.buffer].read(0, &mut to[..words])
    }

    /// What the last run ranked.
    pub(crate) fn ranks(&self) -> Option<&Ranks> {
        self.ranks.as_ref()
    }

    /// Spans of places that the longest sequence of a batch may see, to the next power of two, so that recordings are few.
    fn spans_of(&self, facts: &Facts<'_>) -> usize {
        let sequences = facts.batch.sequences.iter();
        let longest = sequences.map(|sequence| sequence.start.saturating_add(sequence.tokens));
        let spans = longest.max().unwrap_or_default().div_ceil(SPAN);
        (spans as usize).next_power_of_two()
    }

    fn vector(&self, index: Option<u32>) -> u64 {
        let memory = index.and_then(|index| self.vectors[index as usize].as_ref());
        memory.map_or(0, |memory| memory.at(0))
    }
}
