//! What of a step goes to guesses: which answers have any, how many are computed, and what is learnt when they are
//! judged. Guesses take rows and pages that nobody else wants in this step.

use super::sequence::Sequence;
use super::{Batcher, Bounds};
use crate::device::Plan;
use crate::limits::{GUESS_ROWS_MAX, GUESSES_MAX};
use crate::speculate::{Acceptance, Class, Costs, Offer, Prices, Speculation, allot};

/// What may come next in one answer.
#[derive(Debug, Default)]
pub(super) struct Guess {
    tokens: Vec<u32>,
    /// How many tokens before them stood before what followed there.
    matched: usize,
    /// How many of them this step computes.
    computed: usize,
    /// How many have been compared with what was chosen.
    judged: usize,
}

impl Guess {
    /// The guesses that this step computes.
    pub(super) fn computed(&self) -> &[u32] {
        self.tokens.get(..self.computed).unwrap_or_default()
    }

    fn class(&self, index: usize) -> Class {
        Class::Matched(self.matched + index)
    }

    fn offer(&self, acceptance: &Acceptance) -> Offer {
        let all = 0..self.tokens.len();
        Offer {
            chances: all.map(|index| acceptance.of(self.class(index))).collect(),
            modelled: false,
        }
    }
}

impl Sequence {
    /// Whether all that is missing is the last token, for the next to be chosen.
    pub(super) fn decodes(&self) -> bool {
        self.missing() == 1 && self.wants_token()
    }

    /// Looks for what may come next.
    fn look_up(&mut self, whole: &Acceptance) -> Offer {
        let mut lookup = std::mem::take(&mut self.lookup);
        let most = GUESSES_MAX.min(self.room_left().saturating_sub(1));
        let found = lookup.find(self.len(), most, |place| self.token(place));
        self.lookup = lookup;
        self.guess = Guess {
            tokens: found.tokens,
            matched: found.matched,
            ..Guess::default()
        };
        let acceptance = self.acceptance.get_or_insert_with(|| whole.clone());
        self.guess.offer(acceptance)
    }

    /// Compares a chosen token with what was guessed in its place. Returns whether the step computed what follows it.
    pub(super) fn judge(&mut self, token: u32, speculation: &mut Speculation) -> bool {
        let index = self.guess.judged;
        let Some(&guessed) = self.guess.tokens.get(index) else {
            return false;
        };
        self.guess.judged += 1;
        let (class, came_true) = (self.guess.class(index), guessed == token);
        // Also a guess that was not computed tells how good guesses are.
        speculation.acceptance.observe(class, came_true);
        if let Some(acceptance) = &mut self.acceptance {
            acceptance.observe(class, came_true);
        }
        let kept = came_true && index < self.guess.computed;
        speculation.kept += u64::from(kept);
        kept
    }
}

impl<P: Plan> Batcher<P> {
    /// Gives each running answer its guesses. Returns whether this step only decodes, so that its cost is one to learn from.
    pub(super) fn guess(&mut self) -> bool {
        for sequence in &mut self.running {
            sequence.guess = Guess::default();
        }
        let answers = self.running.len();
        let Some(speculation) = &mut self.speculation else {
            return false;
        };
        // Beside a prompt every row is needed, and what a row costs is another matter.
        if answers == 0 || !self.running.iter().all(Sequence::decodes) {
            return false;
        }
        let most = most_guesses(&self.bounds, answers);
        if most == 0 || !speculation.steps.knows(answers) {
            return true;
        }
        let whole = &speculation.acceptance;
        let running = self.running.iter_mut();
        let offers: Vec<Offer> = running.map(|sequence| sequence.look_up(whole)).collect();
        let counts = allot(&offers, answers, most, &Measured(&speculation.steps));
        for (sequence, count) in self.running.iter_mut().zip(counts) {
            // Those that run will soon want a page each.
            let count = sequence.reserve(count, &mut self.pages, answers);
            sequence.guess.computed = count;
            speculation.guessed += count as u64;
        }
        true
    }
}

/// How many guesses fit into a step beside one row for each answer.
fn most_guesses(bounds: &Bounds, answers: usize) -> usize {
    let rows = bounds.output_rows.min(bounds.step_tokens);
    rows.min(GUESS_ROWS_MAX).saturating_sub(answers)
}

struct Measured<'a>(&'a Costs);

impl Prices for Measured<'_> {
    fn step(&self, rows: usize) -> Option<f64> {
        self.0.of(rows)
    }

    fn draft(&self, _answers: usize) -> f64 {
        0.0
    }
}
