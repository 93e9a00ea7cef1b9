//! Chooses one token from candidates in order: temperature, top-k, top-p, min-p, and the draw. Each cut sees what the
//! one before it left, as probabilities that sum to 1 again.
//!
//! The candidates may be only the first few of a vocabulary. Then the answer is given only where it cannot depend on
//! the rest, and otherwise withheld.

/// The numbers of the cuts, checked to be in range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cuts {
    /// Above zero.
    pub temperature: f64,
    /// 0 is off.
    pub top_k: usize,
    /// 1 is off.
    pub top_p: f64,
    /// 0 is off.
    pub min_p: f64,
}

/// Tokens with their logits, the largest first, equal ones by lower index.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Candidates {
    /// Every token not listed comes after all of these.
    pub first: Vec<(u32, f64)>,
    pub rest: Rest,
}

/// What is known of the tokens that are not listed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Rest {
    /// There are none.
    Empty,
    /// The logarithm of the sum of `exp(logit / temperature)` over all tokens, listed or not.
    Total(f64),
    /// Nothing.
    Unknown,
}

/// The chosen token for a random number from 0 to 1; none if it depends on tokens that are not listed.
pub(super) fn choose(candidates: &Candidates, cuts: &Cuts, fraction: f64) -> Option<u32> {
    let (mut first, mut rest) = (candidates.first.as_slice(), candidates.rest);
    let largest = first.first()?.1;
    if cuts.top_k > 0 {
        match first.get(..cuts.top_k) {
            Some(kept) => (first, rest) = (kept, Rest::Empty),
            None if rest == Rest::Empty => {}
            None => return None,
        }
    }
    let weights: Vec<f64> = first
        .iter()
        .map(|&(_, logit)| ((logit - largest) / cuts.temperature).exp())
        .collect();
    let mut weights = weights.as_slice();
    let mut total = match rest {
        Rest::Empty => Some(weights.iter().sum()),
        Rest::Total(log) => Some((log - largest / cuts.temperature).exp()),
        Rest::Unknown => None,
    };
    if cuts.top_p < 1.0 {
        let kept = reach(weights, cuts.top_p * total?);
        if kept.is_none() && rest != Rest::Empty {
            return None;
        }
        weights = weights.get(..kept.unwrap_or(weights.len()))?;
        (rest, total) = (Rest::Empty, Some(weights.iter().sum()));
    }
    if cuts.min_p > 0.0 {
        // The largest weight is 1, so each weight is the share that `min_p` speaks of.
        let kept = weights.iter().position(|&weight| weight < cuts.min_p);
        if kept.is_none() && rest != Rest::Empty {
            return None;
        }
        weights = weights.get(..kept.unwrap_or(weights.len()).max(1))?;
        (rest, total) = (Rest::Empty, Some(weights.iter().sum()));
    }
    let place = match past(weights, fraction * total?) {
        Some(place) => place,
        // Rounding may leave the sum a hair below the target.
        None if rest == Rest::Empty => weights.len() - 1,
        None => return None,
    };
    first.get(place).map(|&(token, _)| token)
}

/// How many weights from the first sum to at least `target`; at least one.
fn reach(weights: &[f64], target: f64) -> Option<usize> {
    let mut sum = 0.0;
    weights
        .iter()
        .position(|weight| {
            sum += weight;
            sum >= target
        })
        .map(|place| place + 1)
}

/// The first place at which the sum from the first weight exceeds `target`.
fn past(weights: &[f64], target: f64) -> Option<usize> {
    let mut sum = 0.0;
    weights.iter().position(|weight| {
        sum += weight;
        sum > target
    })
}
