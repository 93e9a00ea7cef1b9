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

/// A token of a whole vocabulary.
struct Weighed {
    token: u32,
    logit: f64,
    /// Its probability over that of the likeliest.
    weight: f64,
}

/// The chosen token for a random number from 0 to 1, from all tokens in any order; none if there are none. What comes
/// before what is found only as far as the answer needs it: sorting a large vocabulary costs more than a step of a
/// small model.
pub(super) fn choose_whole(all: &[(u32, f64)], cuts: &Cuts, fraction: f64) -> Option<u32> {
    let largest = all
        .iter()
        .map(|&(_, logit)| logit)
        .fold(f64::NEG_INFINITY, f64::max);
    let mut kept: Vec<Weighed> = all
        .iter()
        .map(|&(token, logit)| Weighed {
            token,
            logit,
            weight: ((logit - largest) / cuts.temperature).exp(),
        })
        .collect();
    if (1..kept.len()).contains(&cuts.top_k) {
        kept.select_nth_unstable_by(cuts.top_k, by_rank);
        kept.truncate(cuts.top_k);
    }
    if cuts.top_p < 1.0 {
        let target = cuts.top_p * total(&kept);
        let count = gather(&mut kept, |sum| sum >= target);
        kept.truncate(count);
    }
    if cuts.min_p > 0.0 {
        // The largest weight is 1, and `min_p` no larger.
        kept.retain(|each| each.weight >= cuts.min_p);
    }
    let target = fraction * total(&kept);
    let count = gather(&mut kept, |sum| sum > target);
    kept.get(count.checked_sub(1)?).map(|each| each.token)
}

fn total(all: &[Weighed]) -> f64 {
    all.iter().map(|each| each.weight).sum()
}

/// Brings the likeliest tokens to the front, as many as it takes until their sum `suffices`, and returns how many; all
/// if rounding leaves even their sum short. The last of them stands last.
fn gather(all: &mut [Weighed], suffices: impl Fn(f64) -> bool) -> usize {
    // Those before `low` stand before all others and do not suffice; those before `high` do.
    let (mut low, mut high, mut before) = (0, all.len(), 0.0);
    while high - low > 1 {
        let middle = usize::midpoint(low, high);
        let Some(open) = all.get_mut(low..high) else {
            break;
        };
        let (left, ..) = open.select_nth_unstable_by(middle - low, by_rank);
        let sum = before + total(left);
        match suffices(sum) {
            true => high = middle,
            false => (low, before) = (middle, sum),
        }
    }
    high
}

/// Larger first, then lower index.
fn by_rank(a: &Weighed, b: &Weighed) -> std::cmp::Ordering {
    super::by_rank(&(a.token, a.logit), &(b.token, b.logit))
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
