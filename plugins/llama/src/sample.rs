//! How the next token is chosen: bias and penalties change logits, then the likeliest is taken or one is drawn.
//!
//! The host returns the first few candidates; they decide wherever they provably suffice, and the whole row is asked
//! for where they do not, so that what is chosen never depends on how many were returned. Log probabilities are of
//! the model's own distribution, before any of this.

use std::collections::{BTreeMap, BTreeSet};

mod check;
mod cut;
mod random;
#[cfg(test)]
mod tests;

pub use check::check;

use crate::contract::{Error, Sampling, Top, TopWant};
use crate::error::malformed;
use crate::limits::{CANDIDATES_GREEDY, CANDIDATES_MAX};
use cut::{Candidates, Cuts, Rest, choose, choose_whole};
use random::Random;

/// What chooses the tokens of one answer.
#[derive(Debug, Clone)]
pub struct Sampler {
    sampling: Sampling,
    bias: BTreeMap<u32, f32>,
    vocabulary: u32,
    logprobs: Option<u32>,
    random: Random,
    /// How often each token was generated.
    generated: BTreeMap<u32, u32>,
    /// The prompt's tokens, if they are penalised.
    prompt: BTreeSet<u32>,
}

/// A chosen token.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    pub token: u32,
    /// If asked for.
    pub logprobs: Option<Logprobs>,
}

/// Log probabilities at one place.
#[derive(Debug, Clone, PartialEq)]
pub struct Logprobs {
    /// Of the token that stands there.
    pub chosen: f32,
    /// The likeliest tokens with theirs.
    pub alternatives: Vec<(u32, f32)>,
}

/// Below this the host's sum over scaled logits loses too many digits to place a cut by it.
const TEMPERATURE_EXACT_MIN: f32 = 0.1;

impl Sampler {
    /// `sampling` has passed `check`; `prompt` is what counts as seen before the first token.
    pub fn new(
        sampling: &Sampling,
        logprobs: Option<u32>,
        choice: u32,
        vocabulary: u32,
        prompt: &[u32],
    ) -> Self {
        let mut bias = BTreeMap::new();
        for &(token, by) in &sampling.logit_bias {
            *bias.entry(token).or_insert(0.0) += by;
        }
        let penalised = sampling.repetition_penalty != 1.0;
        Self {
            random: Random::new(sampling.seed.unwrap_or(sampling.entropy), choice),
            prompt: prompt.iter().copied().filter(|_| penalised).collect(),
            sampling: sampling.clone(),
            bias,
            vocabulary,
            logprobs,
            generated: BTreeMap::new(),
        }
    }

    /// What to ask of the host for the next token. Never whole rows: those of a full batch would not fit into one call.
    pub fn want(&self) -> TopWant {
        let sampling = &self.sampling;
        let whole = !self.is_greedy() && self.needs_total();
        let few = match (self.is_greedy(), self.changes()) {
            _ if self.needs_row() => 1,
            (true, false) => 1,
            (true, true) => CANDIDATES_GREEDY,
            (false, false) if !whole && sampling.top_k > 0 => sampling.top_k,
            (false, true) if !whole && sampling.top_k > 0 => {
                sampling.top_k.saturating_add(CANDIDATES_GREEDY)
            }
            (false, _) => CANDIDATES_MAX,
        };
        let count = few.max(self.logprobs.unwrap_or(0));
        TopWant {
            count: count.clamp(1, CANDIDATES_MAX).min(self.vocabulary),
            temperature: match whole && self.logprobs.is_none() && !self.needs_row() {
                true => sampling.temperature,
                false => 1.0,
            },
        }
    }

    /// Whether the first candidates will not suffice, whatever they are: changes may bring others before them, or
    /// the sum over all tokens is needed at another temperature than the host gives it for or to more digits.
    fn needs_row(&self) -> bool {
        let sampling = &self.sampling;
        if self.changes() && self.may_raise() {
            return true;
        }
        let whole = !self.is_greedy() && self.needs_total();
        let inexact = sampling.temperature < TEMPERATURE_EXACT_MIN;
        let scored_apart = self.logprobs.is_some() && sampling.temperature != 1.0;
        whole && (self.changes() || inexact || scored_apart)
    }

    fn is_greedy(&self) -> bool {
        self.sampling.temperature == 0.0
    }

    /// Chooses. `top` is the host's answer to `want`; `row` fetches all logits of the same place.
    pub fn choose(
        &mut self,
        top: &Top,
        row: impl FnOnce() -> Result<Vec<f32>, Error>,
    ) -> Result<Chosen, Error> {
        let fraction = match self.is_greedy() {
            true => 0.0,
            false => self.random.fraction(),
        };
        refuse_not_numbers(&top.values)?;
        if !self.needs_row()
            && let Some(first) = self.first_of(top)
            && let Some(token) = self.take(&first, fraction)
        {
            let logprobs = self.logprobs.map(|count| score_top(top, token, count));
            let logprobs = logprobs.transpose()?;
            return Ok(Chosen { token, logprobs });
        }
        let logits = row()?;
        refuse_not_numbers(&logits)?;
        let token = self
            .pick_of(&logits, fraction)
            .ok_or_else(|| malformed("the model gave no logits to choose from"))?;
        let logprobs = self.logprobs.map(|count| score_row(&logits, token, count));
        Ok(Chosen { token, logprobs })
    }

    /// Takes a chosen token into account for what follows.
    pub fn accept(&mut self, token: u32) {
        *self.generated.entry(token).or_insert(0) += 1;
    }

    /// Spends the draw of a token that was chosen elsewhere under the same settings.
    pub fn spend(&mut self) {
        if !self.is_greedy() {
            self.random.fraction();
        }
    }

    /// The same for a model that guesses what this one will choose, of another `vocabulary` size.
    pub fn guesser(&self, vocabulary: u32) -> Self {
        Self {
            logprobs: None,
            vocabulary,
            ..self.clone()
        }
    }

    /// Whether any logit differs from the model's own.
    fn changes(&self) -> bool {
        let sampling = &self.sampling;
        let repeats = !self.prompt.is_empty() || !self.generated.is_empty();
        !self.bias.is_empty()
            || sampling.repetition_penalty != 1.0 && repeats
            || (sampling.presence_penalty != 0.0 || sampling.frequency_penalty != 0.0)
                && !self.generated.is_empty()
    }

    /// Whether a token that the host did not return may end up before those that it did.
    fn may_raise(&self) -> bool {
        let sampling = &self.sampling;
        sampling.repetition_penalty < 1.0
            || sampling.presence_penalty < 0.0
            || sampling.frequency_penalty < 0.0
            || self.bias.values().any(|&by| by > 0.0)
    }

    /// Whether the draw depends on the sum over all tokens.
    fn needs_total(&self) -> bool {
        let sampling = &self.sampling;
        let few = (1..=CANDIDATES_MAX).contains(&sampling.top_k);
        !few && (sampling.top_p < 1.0 || sampling.min_p == 0.0)
    }

    /// A token's logit after bias and penalties, in the order of the contract.
    fn changed(&self, token: u32, logit: f32) -> f64 {
        let sampling = &self.sampling;
        let mut logit = f64::from(logit);
        if let Some(&by) = self.bias.get(&token) {
            logit += f64::from(by);
        }
        let count = self.generated.get(&token).copied().unwrap_or(0);
        if sampling.repetition_penalty != 1.0 && (count > 0 || self.prompt.contains(&token)) {
            let penalty = f64::from(sampling.repetition_penalty);
            logit = match logit > 0.0 {
                true => logit / penalty,
                false => logit * penalty,
            };
        }
        if count > 0 {
            logit -= f64::from(sampling.presence_penalty);
            logit -= f64::from(sampling.frequency_penalty) * f64::from(count);
        }
        logit
    }

    /// The host's candidates after changes, as far as their order is certain.
    fn first_of(&self, top: &Top) -> Option<Candidates> {
        let pairs = top.indices.iter().zip(&top.values);
        let complete = top.indices.len() >= self.vocabulary as usize;
        if !self.changes() {
            let rest = match (complete, self.needs_total()) {
                (true, _) => Rest::Empty,
                // The sum is of the temperature that `want` asked for.
                (false, true) => Rest::Total(f64::from(top.log_sum_exp)),
                (false, false) => Rest::Unknown,
            };
            let first = pairs
                .map(|(&token, &logit)| (token, f64::from(logit)))
                .collect();
            return Some(Candidates { first, rest });
        }
        let last = f64::from(*top.values.last()?);
        let mut first: Vec<_> = pairs
            .map(|(&token, &logit)| (token, self.changed(token, logit)))
            .collect();
        first.sort_by(by_rank);
        if complete {
            let rest = Rest::Empty;
            return Some(Candidates { first, rest });
        }
        // Changes only lower here, so what was not returned is at most the last of what was.
        first.retain(|&(_, logit)| logit > last);
        let rest = Rest::Unknown;
        Some(Candidates { first, rest })
    }

    /// Chooses from all logits.
    fn pick_of(&self, logits: &[f32], fraction: f64) -> Option<u32> {
        let all = logits.iter().zip(0..);
        let first: Vec<(u32, f64)> = match self.changes() {
            true => all
                .map(|(&logit, token)| (token, self.changed(token, logit)))
                .collect(),
            false => all
                .map(|(&logit, token)| (token, f64::from(logit)))
                .collect(),
        };
        if self.is_greedy() {
            return first.into_iter().min_by(by_rank).map(|(token, _)| token);
        }
        choose_whole(&first, &self.cuts(), fraction)
    }

    fn take(&self, candidates: &Candidates, fraction: f64) -> Option<u32> {
        if self.is_greedy() {
            return candidates.first.first().map(|&(token, _)| token);
        }
        choose(candidates, &self.cuts(), fraction)
    }

    fn cuts(&self) -> Cuts {
        let sampling = &self.sampling;
        Cuts {
            temperature: f64::from(sampling.temperature),
            top_k: sampling.top_k as usize,
            top_p: f64::from(sampling.top_p),
            min_p: f64::from(sampling.min_p),
        }
    }
}

/// The log probabilities of a given token, from the host's answer at temperature 1; `row` fetches all logits in case
/// the token is not among the first.
pub fn score(
    top: &Top,
    token: u32,
    count: u32,
    row: impl FnOnce() -> Result<Vec<f32>, Error>,
) -> Result<Logprobs, Error> {
    refuse_not_numbers(&top.values)?;
    if top.indices.contains(&token) {
        return score_top(top, token, count);
    }
    let logits = row()?;
    refuse_not_numbers(&logits)?;
    Ok(score_row(&logits, token, count))
}

fn score_top(top: &Top, token: u32, count: u32) -> Result<Logprobs, Error> {
    let scored = |(&token, &logit): (&u32, &f32)| (token, logit - top.log_sum_exp);
    let pairs = || top.indices.iter().zip(&top.values).map(scored);
    let chosen = pairs()
        .find(|&(listed, _)| listed == token)
        .ok_or_else(|| Error::Other(format!("token {token} is not among the host's candidates")))?;
    Ok(Logprobs {
        chosen: chosen.1,
        alternatives: pairs().take(count as usize).collect(),
    })
}

fn score_row(logits: &[f32], token: u32, count: u32) -> Logprobs {
    let mut all: Vec<(u32, f64)> = logits
        .iter()
        .zip(0..)
        .map(|(&x, t)| (t, f64::from(x)))
        .collect();
    let total = log_sum_exp(&all, 1.0);
    let chosen = logits
        .get(token as usize)
        .map_or(f64::NEG_INFINITY, |&x| f64::from(x));
    let count = (count as usize).min(all.len());
    if count < all.len() {
        all.select_nth_unstable_by(count, by_rank);
    }
    all.truncate(count);
    all.sort_by(by_rank);
    Logprobs {
        chosen: (chosen - total) as f32,
        alternatives: all
            .into_iter()
            .map(|(t, x)| (t, (x - total) as f32))
            .collect(),
    }
}

/// Larger first, then lower index.
fn by_rank(a: &(u32, f64), b: &(u32, f64)) -> std::cmp::Ordering {
    let order = b.1.partial_cmp(&a.1).unwrap_or(std::cmp::Ordering::Equal);
    order.then(a.0.cmp(&b.0))
}

fn log_sum_exp(all: &[(u32, f64)], temperature: f64) -> f64 {
    let largest = all
        .iter()
        .map(|&(_, x)| x)
        .fold(f64::NEG_INFINITY, f64::max)
        / temperature;
    let sum: f64 = all
        .iter()
        .map(|&(_, x)| (x / temperature - largest).exp())
        .sum();
    largest + sum.ln()
}

/// A file's weights may be anything; what they give may then be no number.
fn refuse_not_numbers(logits: &[f32]) -> Result<(), Error> {
    match logits
        .iter()
        .all(|logit| !logit.is_nan() && *logit < f32::INFINITY)
    {
        true => Ok(()),
        false => Err(malformed(
            "the model computes logits that are not numbers: its weights are damaged",
        )),
    }
}
