//! What of a step goes to guesses: which answers have any, how many are computed, and what is learnt when they are
//! judged. Guesses take rows and pages that nobody else wants in this step.

use super::pages::Pages;
use super::sequence::Sequence;
use super::{Batcher, Bounds};
use crate::contract::Error;
use crate::device::Plan;
use crate::limits::{GUESS_ROWS_MAX, GUESSES_MAX};
use crate::speculate::{Acceptance, Class, Costs, Offer, Prices, Speculation, allot};

/// What may come next in one answer.
#[derive(Debug, Default)]
pub(super) struct Guess {
    tokens: Vec<u32>,
    /// How many tokens before them stood before what followed there; none: the smaller model says them.
    matched: Option<usize>,
    /// How many of them this step computes.
    computed: usize,
    /// How many have been compared with what was chosen.
    judged: usize,
    /// What was found for the first of them where the smaller model is asked instead.
    instead_of: Option<(Class, u32)>,
}

impl Guess {
    /// The guesses that this step computes.
    pub(super) fn computed(&self) -> &[u32] {
        self.tokens.get(..self.computed).unwrap_or_default()
    }

    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    pub(super) fn last(&self) -> Option<u32> {
        self.tokens.last().copied()
    }

    /// Adds a guess behind those there are.
    pub(super) fn add(&mut self, token: u32) {
        self.tokens.push(token);
    }

    fn class(&self, index: usize) -> Class {
        match self.matched {
            Some(matched) => Class::Matched(matched + index),
            None => Class::Modelled,
        }
    }
}

impl Sequence {
    /// Whether all that is missing is the last token, for the next to be chosen.
    pub(super) fn decodes(&self) -> bool {
        self.missing() == 1 && self.wants_token()
    }

    /// Looks for what may come next. `reach` is how far the smaller model can guess.
    fn offer(&mut self, reach: usize, whole: &Acceptance) -> Offer {
        let mut lookup = std::mem::take(&mut self.lookup);
        let most = GUESSES_MAX.min(self.room_left().saturating_sub(1));
        let found = lookup.find(self.len(), most, |place| self.token(place));
        self.lookup = lookup;
        let acceptance = self.acceptance.get_or_insert_with(|| whole.clone());
        let class = |index| Class::Matched(found.matched + index);
        let looked_up = Offer {
            chances: (0..found.tokens.len())
                .map(|index| acceptance.of(class(index)))
                .collect(),
            modelled: false,
        };
        let modelled = Offer {
            chances: vec![acceptance.of(Class::Modelled); most.min(reach)],
            modelled: true,
        };
        // What is found costs nothing to find.
        if looked_up.expected() >= modelled.expected() {
            self.guess.tokens = found.tokens;
            self.guess.matched = Some(found.matched);
            looked_up
        } else {
            let first = found.tokens.first();
            self.guess.instead_of = first.map(|&token| (class(0), token));
            modelled
        }
    }

    /// Compares a chosen token with what was guessed in its place. Returns whether the step computed what follows it,
    /// which then counts as computed.
    pub(super) fn judge(
        &mut self,
        token: u32,
        speculation: &mut Speculation,
        pages: &mut Pages,
    ) -> bool {
        let mut observe = |class, came_true| {
            speculation.acceptance.observe(class, came_true);
            if let Some(acceptance) = &mut self.acceptance {
                acceptance.observe(class, came_true);
            }
        };
        if let Some((class, found)) = self.guess.instead_of.take() {
            observe(class, found == token);
        }
        let index = self.guess.judged;
        let Some(&guessed) = self.guess.tokens.get(index) else {
            return false;
        };
        self.guess.judged += 1;
        // Also a guess that was not computed tells how good guesses are.
        observe(self.guess.class(index), guessed == token);
        if guessed != token || index >= self.guess.computed {
            return false;
        }
        speculation.kept += 1;
        self.advance(1, pages);
        // The smaller model has computed each of its guesses but the last.
        if self.guess.matched.is_none() && index + 1 < self.guess.tokens.len() {
            self.follow(1, pages);
        }
        true
    }
}

impl<P: Plan> Batcher<P> {
    /// Gives each running answer its guesses. Returns whether this step only decodes, so that its cost is one to learn from.
    ///
    /// Fails when the device does.
    pub(super) fn guess(&mut self) -> Result<bool, Error> {
        for sequence in &mut self.running {
            sequence.guess = Guess::default();
        }
        let answers = self.running.len();
        let Some(speculation) = &mut self.speculation else {
            return Ok(false);
        };
        // Beside a prompt every row is needed, and what a row costs is another matter.
        if answers == 0 || !self.running.iter().all(Sequence::decodes) {
            return Ok(false);
        }
        let most = most_guesses(&self.bounds, answers);
        if most == 0 || !speculation.steps.knows(answers) {
            return Ok(true);
        }
        let (whole, draft) = (&speculation.acceptance, &self.draft);
        let offers: Vec<Offer> = (self.running.iter_mut())
            .map(|sequence| {
                let reach = draft.as_ref().map_or(0, |draft| draft.reach(sequence));
                sequence.offer(reach, whole)
            })
            .collect();
        let prices = Measured {
            steps: &speculation.steps,
            draft: draft.as_ref().map(|draft| &draft.costs),
        };
        let mut counts = allot(&offers, answers, most, &prices);
        for (sequence, count) in self.running.iter_mut().zip(&mut counts) {
            // Those that run will soon want a page each.
            *count = sequence.reserve(*count, &mut self.pages, answers);
        }
        if let Some(draft) = &mut self.draft {
            let asked: Vec<usize> = offers
                .iter()
                .zip(&counts)
                .map(|(offer, &count)| if offer.modelled { count } else { 0 })
                .collect();
            if asked.iter().all(|&count| count == 0) {
                speculation.acceptance.drift(Class::Modelled);
            }
            for (sequence, _) in self
                .running
                .iter_mut()
                .zip(&asked)
                .filter(|(_, n)| **n == 0)
            {
                if let Some(acceptance) = &mut sequence.acceptance {
                    acceptance.drift(Class::Modelled);
                }
            }
            draft.guess(&mut self.running, &asked, &mut self.pages)?;
        }
        for (sequence, count) in self.running.iter_mut().zip(counts) {
            sequence.guess.computed = count.min(sequence.guess.len());
            speculation.guessed += sequence.guess.computed as u64;
        }
        Ok(true)
    }
}

/// How many guesses fit into a step beside one row for each answer.
fn most_guesses(bounds: &Bounds, answers: usize) -> usize {
    let rows = bounds.output_rows.min(bounds.step_tokens);
    rows.min(GUESS_ROWS_MAX).saturating_sub(answers)
}

struct Measured<'a> {
    steps: &'a Costs,
    draft: Option<&'a Costs>,
}

impl Prices for Measured<'_> {
    fn step(&self, rows: usize) -> Option<f64> {
        self.steps.of(rows)
    }

    fn draft(&self, answers: usize) -> f64 {
        // What is not known is tried.
        self.draft
            .and_then(|costs| costs.of(answers))
            .unwrap_or(0.0)
    }
}
