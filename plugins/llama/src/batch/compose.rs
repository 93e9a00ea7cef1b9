//! What one step computes: the next token of every answer that is decoding, and with what is left of the step's
//! tokens the prompts of the oldest others.

use super::sequence::Sequence;
use crate::contract::{Batch, OutputWant, RunSequence, TopWant, Want};

/// How much a step and the model may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The longest sequence in tokens.
    pub context: usize,
    /// Answers that run at once.
    pub sequences: usize,
    /// Tokens in one step; at least `sequences`.
    pub step_tokens: usize,
    /// Prompt tokens in a step that also decodes.
    pub step_tokens_beside_decode: usize,
    /// Output rows in one step; at least `sequences`.
    pub output_rows: usize,
}

/// A composed step.
#[derive(Debug)]
pub(super) struct Turn {
    pub batch: Batch,
    pub parts: Vec<Part>,
    /// One for each output of the batch, part by part.
    pub asks: Vec<Ask>,
}

/// One sequence's share of a step.
#[derive(Debug)]
pub(super) struct Part {
    /// Place among the running sequences.
    pub sequence: usize,
    /// Tokens computed, without guesses.
    pub tokens: usize,
    /// How many of the turn's asks are its own.
    pub asks: usize,
}

/// What an output row is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// To choose the sequence's next token; all but the first hold only while what was chosen is what was guessed.
    Next,
    /// To score the prompt's token at this place.
    Score(usize),
}

/// Composes a step over `running`, oldest first.
pub(super) fn compose(
    running: &[Sequence],
    bounds: &Bounds,
    logprobs: impl Fn(u64) -> u32,
) -> Turn {
    let mut turn = Turn {
        batch: Batch {
            tokens: Vec::new(),
            sequences: Vec::new(),
            outputs: Vec::new(),
        },
        parts: Vec::new(),
        asks: Vec::new(),
    };
    let decoding = running
        .iter()
        .filter(|sequence| sequence.missing() == 1)
        .count();
    let mut tokens_left = bounds.step_tokens.saturating_sub(decoding);
    if decoding > 0 {
        tokens_left = tokens_left.min(bounds.step_tokens_beside_decode);
    }
    // Each sequence may need one row for its next token; what is beyond that may score prompts.
    let mut rows_left = bounds.output_rows.saturating_sub(running.len());
    for (index, sequence) in running.iter().enumerate() {
        let missing = sequence.missing();
        let scored = sequence.first_score();
        let mut count = match missing {
            // Guesses beside it are within what the step has room for.
            1 => 1,
            _ => missing.min(tokens_left),
        };
        if let Some(place) = scored {
            // What was scored before an interruption is computed again without a row.
            let unscored = place - (sequence.computed + 1);
            count = count.min(unscored + rows_left + 1);
        }
        if count == 0 {
            continue;
        }
        if missing > 1 {
            tokens_left -= count;
        }
        let asked = turn.add(index, sequence, count, logprobs(sequence.request));
        if scored.is_some() {
            rows_left -= asked.saturating_sub(1).min(rows_left);
        }
    }
    turn
}

impl Turn {
    /// Adds a part and returns how many rows it asks for.
    fn add(&mut self, index: usize, sequence: &Sequence, count: usize, logprobs: u32) -> usize {
        let (start, end) = (sequence.computed, sequence.computed + count);
        let first_row = self.batch.tokens.len();
        let before = self.asks.len();
        let guesses = sequence.guess.computed();
        self.batch.tokens.extend(sequence.tokens(start, end));
        self.batch.tokens.extend(guesses);
        self.batch.sequences.push(RunSequence {
            tokens: (count + guesses.len()) as u32,
            start: start as u32,
            pages: sequence.pages.clone(),
        });
        for place in start..end {
            let row = (first_row + place - start) as u32;
            if sequence.needs_score(place + 1) {
                let want = Want::Top(TopWant {
                    count: logprobs.max(1),
                    temperature: 1.0,
                });
                self.batch.outputs.push(OutputWant { row, want });
                self.asks.push(Ask::Score(place + 1));
            } else if place + 1 == sequence.len() && sequence.wants_token() {
                let want = Want::Top(sequence.sampler.want());
                self.batch.outputs.push(OutputWant { row, want });
                self.asks.push(Ask::Next);
            }
        }
        for place in 0..guesses.len() {
            let row = (first_row + count + place) as u32;
            let want = Want::Top(sequence.sampler.want());
            self.batch.outputs.push(OutputWant { row, want });
            self.asks.push(Ask::Next);
        }
        let asks = self.asks.len() - before;
        self.parts.push(Part {
            sequence: index,
            tokens: count,
            asks,
        });
        asks
    }
}
