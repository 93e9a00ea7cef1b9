//! A smaller model that says what may come next, token after token, each after the one it said before.
//!
//! Its keys and values lie in pages of the same numbers as the model's own, in a cache of its own, so that nobody
//! counts pages twice. What it has not computed of an answer yet it computes when it is asked, in pieces.

use std::collections::BTreeSet;

use super::pages::Pages;
use super::sequence::Sequence;
use crate::contract::{Batch, Error, Output, OutputWant, RunSequence, Want};
use crate::device::Plan;
use crate::sample::Sampler;
use crate::speculate::Costs;

/// The smaller model.
#[derive(Debug)]
pub struct Draft<P> {
    pub(super) plan: P,
    bounds: DraftBounds,
    /// What a run costs by how many answers take part.
    pub(super) costs: Costs,
}

/// What the smaller model can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DraftBounds {
    /// It and the model share the first so many tokens of their vocabularies.
    pub vocabulary: u32,
    /// The longest sequence, in tokens.
    pub context: usize,
    /// Tokens in one run; at least as many as answers may run.
    pub run_tokens: usize,
}

/// An answer that is being guessed for.
struct Guesser {
    /// Place among the running sequences.
    sequence: usize,
    /// How many guesses are wanted in all.
    wanted: usize,
    /// Chooses as the answer's own will, draws included, so that it often chooses the same.
    sampler: Sampler,
}

impl<P: Plan> Draft<P> {
    /// Nothing is computed. Its cache has as many pages of the same size as the model's.
    pub fn new(plan: P, bounds: DraftBounds) -> Self {
        Self {
            plan,
            bounds,
            costs: Costs::default(),
        }
    }

    /// How many tokens ahead of a sequence it can guess.
    pub(super) fn reach(&self, sequence: &Sequence) -> usize {
        match sequence.foreign {
            true => 0,
            false => self.bounds.context.saturating_sub(sequence.len()),
        }
    }

    /// Guesses up to so many tokens for each of the running sequences, for which there are pages; none where it
    /// has not computed enough yet.
    ///
    /// Fails when the device does.
    pub(super) fn guess(
        &mut self,
        running: &mut [Sequence],
        wanted: &[usize],
        pages: &mut Pages,
    ) -> Result<(), Error> {
        let (batch, mut guessers) = self.catch_up(running, wanted, pages);
        if batch.tokens.is_empty() {
            return Ok(());
        }
        let mut outputs = self.plan.run(&batch)?;
        loop {
            let mut places = (0..).zip(&outputs);
            guessers.retain_mut(|guesser| {
                let sequence = running.get_mut(guesser.sequence);
                let found = places.next().zip(sequence);
                found.is_some_and(|((place, output), sequence)| {
                    self.choose(guesser, place, output, sequence)
                })
            });
            if guessers.is_empty() {
                return Ok(());
            }
            outputs = self.plan.run(&further(&guessers, running))?;
            self.costs.observe(guessers.len(), self.plan.last_run_ns());
        }
    }

    /// What is to be computed before anything can be guessed, and for whom that is all of it.
    fn catch_up(
        &self,
        running: &mut [Sequence],
        wanted: &[usize],
        pages: &mut Pages,
    ) -> (Batch, Vec<Guesser>) {
        let (mut batch, mut guessers) = (no_batch(), Vec::new());
        let mut computed = Vec::new();
        let mut room = self.bounds.run_tokens;
        // Those who share a page must not write to it at once.
        let mut written = BTreeSet::new();
        for (index, (sequence, &wanted)) in running.iter_mut().zip(wanted).enumerate() {
            if wanted == 0 || room == 0 {
                continue;
            }
            sequence.follow_others(pages);
            let (start, len) = (sequence.followed, sequence.len());
            let end = len.min(start + room);
            let tokens: Vec<u32> = sequence.tokens(start, end).collect();
            let size = pages.page_tokens();
            let touched = sequence.pages.get(start / size..end.div_ceil(size));
            let free =
                touched.is_some_and(|pages| !pages.iter().any(|page| written.contains(page)));
            let known = |token: &u32| *token < self.bounds.vocabulary;
            sequence.foreign = !tokens.iter().all(known);
            if sequence.foreign || !free {
                continue;
            }
            written.extend(touched.into_iter().flatten().copied());
            room -= tokens.len();
            if end == len {
                let guesser = Guesser {
                    sequence: index,
                    wanted,
                    sampler: sequence.sampler.guesser(self.bounds.vocabulary),
                };
                add(&mut batch, sequence, start, &tokens, Some(&guesser));
                guessers.push(guesser);
            } else {
                add(&mut batch, sequence, start, &tokens, None);
            }
            computed.push((index, tokens.len()));
        }
        for (index, count) in computed {
            if let Some(sequence) = running.get_mut(index) {
                sequence.follow(count, pages);
            }
        }
        (batch, guessers)
    }

    /// Takes a guess from an output. Returns whether another one is wanted after it.
    fn choose(
        &self,
        guesser: &mut Guesser,
        place: u32,
        output: &Output,
        sequence: &mut Sequence,
    ) -> bool {
        let Output::Top(top) = output else {
            return false;
        };
        let chosen = guesser.sampler.choose(top, || self.plan.row(place));
        // A draft whose weights are damaged guesses nothing, and harms nobody.
        let Ok(chosen) = chosen else {
            return false;
        };
        if chosen.token >= self.bounds.vocabulary {
            return false;
        }
        guesser.sampler.accept(chosen.token);
        sequence.guess.add(chosen.token);
        sequence.guess.len() < guesser.wanted
    }
}

/// One more token for each.
fn further(guessers: &[Guesser], running: &[Sequence]) -> Batch {
    let mut batch = no_batch();
    for guesser in guessers {
        let sequence = running.get(guesser.sequence);
        if let Some((sequence, last)) = sequence.and_then(|s| Some((s, s.guess.last()?))) {
            let start = sequence.len() + sequence.guess.len() - 1;
            add(&mut batch, sequence, start, &[last], Some(guesser));
        }
    }
    batch
}

fn add(
    batch: &mut Batch,
    sequence: &Sequence,
    start: usize,
    tokens: &[u32],
    guesser: Option<&Guesser>,
) {
    batch.tokens.extend(tokens);
    batch.sequences.push(RunSequence {
        tokens: tokens.len() as u32,
        start: start as u32,
        pages: sequence.pages.clone(),
    });
    batch.outputs.extend(guesser.map(|guesser| OutputWant {
        row: (batch.tokens.len() - 1) as u32,
        want: Want::Top(guesser.sampler.want()),
    }));
}

fn no_batch() -> Batch {
    Batch {
        tokens: Vec::new(),
        sequences: Vec::new(),
        outputs: Vec::new(),
    }
}
