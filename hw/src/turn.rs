//! Cosines and sines of rotary position embeddings.
//!
//! Decides that angles are made in double precision, once per token and run, and shared by all heads and layers with the
//! same frequencies: at position 131,072 a single-precision angle would be wrong by up to 0.004 radians.

use crate::graph::Graph;
use crate::op::Op;

/// What one row of a table is made from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Turn {
    pub(crate) frequencies: Vec<f32>,
    pub(crate) magnitude: f32,
}

impl Turn {
    /// The different turns of a graph, and of each op which of them it makes.
    pub(crate) fn all(graph: &Graph) -> (Vec<Self>, Vec<Option<usize>>) {
        let mut turns: Vec<Self> = Vec::new();
        let of = graph.ops.iter().map(|op| {
            let Op::Rope {
                frequencies,
                magnitude,
                ..
            } = op
            else {
                return None;
            };
            let turn = Self {
                frequencies: frequencies.clone(),
                magnitude: *magnitude,
            };
            let known = turns.iter().position(|known| *known == turn);
            Some(known.unwrap_or_else(|| {
                turns.push(turn);
                turns.len() - 1
            }))
        });
        let of = of.collect();
        (turns, of)
    }

    /// Cosines, then sines, of all pairs at `position`, times the magnitude.
    pub(crate) fn fill(&self, position: u32, row: &mut [f32]) {
        let (cosines, sines) = row.split_at_mut(row.len() / 2);
        let position = f64::from(position);
        let magnitude = f64::from(self.magnitude);
        for ((frequency, cos), sin) in self.frequencies.iter().zip(cosines).zip(sines) {
            let (s, c) = (position * f64::from(*frequency)).sin_cos();
            *cos = (c * magnitude) as f32;
            *sin = (s * magnitude) as f32;
        }
    }
}
