//! The sampler against a naive one that always sees the whole vocabulary, sorted; and against what the host returns
//! of it, which must not make a difference.

use std::cell::Cell;

use super::*;
use crate::batch::first;

/// Every step of the contract in its order, nothing saved.
fn naive(sampler: &Sampler, logits: &[f32], fraction: f64) -> u32 {
    let sampling = &sampler.sampling;
    let mut all: Vec<(u32, f64)> = (0..).zip(logits.iter().map(|&x| f64::from(x))).collect();
    for (token, logit) in &mut all {
        for (biased, by) in &sampling.logit_bias {
            if biased == token {
                *logit += f64::from(*by);
            }
        }
        let count = sampler.generated.get(token).copied().unwrap_or(0);
        if count > 0 || sampler.prompt.contains(token) {
            let penalty = f64::from(sampling.repetition_penalty);
            *logit = if *logit > 0.0 {
                *logit / penalty
            } else {
                *logit * penalty
            };
        }
        if count > 0 {
            *logit -= f64::from(sampling.presence_penalty);
            *logit -= f64::from(count) * f64::from(sampling.frequency_penalty);
        }
    }
    all.sort_by(|a, b| b.1.partial_cmp(&a.1).unwrap().then(a.0.cmp(&b.0)));
    if sampling.temperature == 0.0 {
        return all[0].0;
    }
    if sampling.top_k > 0 {
        all.truncate(sampling.top_k as usize);
    }
    let largest = all[0].1;
    for pair in &mut all {
        pair.1 = ((pair.1 - largest) / f64::from(sampling.temperature)).exp();
    }
    let total = |all: &[(u32, f64)]| all.iter().map(|pair| pair.1).sum::<f64>();
    if sampling.top_p < 1.0 {
        let whole = total(&all);
        let mut sum = 0.0;
        let mut kept = 0;
        for pair in &all {
            sum += pair.1;
            kept += 1;
            if sum >= f64::from(sampling.top_p) * whole {
                break;
            }
        }
        all.truncate(kept);
    }
    if sampling.min_p > 0.0 {
        let first = all[0];
        all.retain(|pair| pair.1 >= f64::from(sampling.min_p) || *pair == first);
    }
    let target = fraction * total(&all);
    let mut sum = 0.0;
    for pair in &all {
        sum += pair.1;
        if sum > target {
            return pair.0;
        }
    }
    all.last().unwrap().0
}

struct Draw(Random);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        (self.0.fraction() * bound as f64) as usize
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn sampling(&mut self, vocabulary: usize) -> Sampling {
        let biases = self.of(&[0, 0, 1, 3]);
        Sampling {
            logit_bias: (0..biases)
                .map(|_| {
                    (
                        self.below(vocabulary) as u32,
                        self.of(&[-100.0, -1.0, 1.5, -0.5]),
                    )
                })
                .collect(),
            repetition_penalty: self.of(&[1.0, 1.0, 1.3, 0.8]),
            presence_penalty: self.of(&[0.0, 0.0, 0.7, -0.4]),
            frequency_penalty: self.of(&[0.0, 0.0, 0.3, -0.2]),
            temperature: self.of(&[0.0, 0.05, 0.7, 1.0, 1.5]),
            top_k: self.of(&[0, 0, 1, 7, 40, 600]),
            top_p: self.of(&[1.0, 1.0, 0.0, 0.3, 0.95]),
            min_p: self.of(&[0.0, 0.0, 0.02, 0.5, 1.0]),
            seed: Some(self.below(1 << 30) as u64),
            entropy: 0,
        }
    }

    /// Flat or steep, with or without ties.
    fn logits(&mut self, vocabulary: usize) -> Vec<f32> {
        let (scale, step) = (self.of(&[0.5, 3.0, 20.0]), self.of(&[0.0, 0.25]));
        let each = (0..vocabulary).map(|_| {
            let uniform = self.0.fraction() as f32;
            let logit = scale * (uniform * uniform * uniform - 0.3);
            if step > 0.0 {
                (logit / step).round() * step
            } else {
                logit
            }
        });
        each.collect()
    }
}

#[test]
fn same_as_naive() {
    let mut draw = Draw(Random::new(5, 0));
    let (mut short, mut fetched) = (0, 0);
    for round in 0..3000 {
        let vocabulary = draw.of(&[3, 40, 256, 1000]);
        let sampling = draw.sampling(vocabulary);
        let prompt: Vec<u32> = (0..draw.below(6))
            .map(|_| draw.below(vocabulary) as u32)
            .collect();
        let logprobs = draw.of(&[None, None, Some(0), Some(3)]);
        let mut sampler = Sampler::new(&sampling, logprobs, 0, vocabulary as u32, &prompt);
        for _ in 0..draw.below(5) {
            sampler.accept(draw.below(vocabulary) as u32);
        }
        let logits = draw.logits(vocabulary);
        let fraction = match sampling.temperature == 0.0 {
            true => 0.0,
            false => sampler.random.clone().fraction(),
        };
        let expected = naive(&sampler, &logits, fraction);
        let want = sampler.want();
        let top = first(&logits, want.count as usize, want.temperature);
        short += usize::from(!sampler.needs_row());
        let certain = sampler.needs_row();
        let asked = Cell::new(0);
        let row = || {
            asked.set(asked.get() + 1);
            Ok(logits.clone())
        };
        let chosen = sampler.choose(&top, row).unwrap();
        fetched += asked.get() - usize::from(certain);
        assert_eq!(chosen.token, expected, "round {round}: {sampling:?}");
        check_logprobs(&logits, &chosen, logprobs);
    }
    // Both ways are taken, and the short one mostly suffices.
    assert!(
        short > 750 && fetched > 20 && fetched * 2 < short,
        "{fetched} of {short}"
    );
}

fn check_logprobs(logits: &[f32], chosen: &Chosen, asked: Option<u32>) {
    assert_eq!(chosen.logprobs.is_some(), asked.is_some());
    let Some(found) = &chosen.logprobs else {
        return;
    };
    let total = logits.iter().map(|&x| f64::from(x).exp()).sum::<f64>().ln();
    let logprob = |token: u32| f64::from(logits[token as usize]) - total;
    assert!((f64::from(found.chosen) - logprob(chosen.token)).abs() < 1e-4);
    let count = (asked.unwrap() as usize).min(logits.len());
    let expected = first(logits, count, 1.0).indices;
    let tokens: Vec<u32> = found.alternatives.iter().map(|pair| pair.0).collect();
    assert_eq!(tokens, expected);
    for &(token, found) in &found.alternatives {
        assert!((f64::from(found) - logprob(token)).abs() < 1e-4);
    }
}

/// Drawn shares come near the probabilities.
#[test]
fn draws_are_fair() {
    let logits = [1.0_f32, 0.0, 0.5, -1.0];
    let sampling = Sampling {
        logit_bias: Vec::new(),
        repetition_penalty: 1.0,
        presence_penalty: 0.0,
        frequency_penalty: 0.0,
        temperature: 0.8,
        top_k: 0,
        top_p: 1.0,
        min_p: 0.0,
        seed: Some(3),
        entropy: 0,
    };
    let mut sampler = Sampler::new(&sampling, None, 0, 4, &[]);
    let mut counts = [0_u32; 4];
    for _ in 0..20_000 {
        let top = first(&logits, 4, 0.8);
        let chosen = sampler.choose(&top, || panic!("all are listed")).unwrap();
        counts[chosen.token as usize] += 1;
    }
    let weights = logits.map(|x| (f64::from(x) / 0.8).exp());
    let total: f64 = weights.iter().sum();
    for (count, weight) in counts.iter().zip(weights) {
        let (found, expected) = (f64::from(*count) / 20_000.0, weight / total);
        assert!((found - expected).abs() < 0.01, "{found} is not {expected}");
    }
}

#[test]
fn refuses_settings_that_mean_nothing() {
    let good = Sampling {
        logit_bias: vec![(3, -100.0)],
        repetition_penalty: 1.1,
        presence_penalty: -2.0,
        frequency_penalty: 2.0,
        temperature: 2.0,
        top_k: 40,
        top_p: 0.9,
        min_p: 0.05,
        seed: None,
        entropy: 0,
    };
    let wrong = |change: fn(&mut Sampling)| {
        let mut sampling = good.clone();
        change(&mut sampling);
        match check(&sampling, 10) {
            Err(Error::Invalid(invalid)) => invalid.field.unwrap(),
            other => panic!("{other:?}"),
        }
    };
    assert!(check(&good, 10).is_ok());
    assert_eq!(wrong(|s| s.temperature = f32::NAN), "temperature");
    assert_eq!(wrong(|s| s.temperature = -1.0), "temperature");
    assert_eq!(wrong(|s| s.top_p = 1.1), "top_p");
    assert_eq!(wrong(|s| s.min_p = -0.1), "min_p");
    assert_eq!(wrong(|s| s.repetition_penalty = 0.0), "repetition_penalty");
    assert_eq!(
        wrong(|s| s.presence_penalty = f32::INFINITY),
        "presence_penalty"
    );
    assert_eq!(
        wrong(|s| s.frequency_penalty = f32::NEG_INFINITY),
        "frequency_penalty"
    );
    assert_eq!(wrong(|s| s.logit_bias = vec![(10, 1.0)]), "logit_bias");
    assert_eq!(wrong(|s| s.logit_bias = vec![(1, f32::NAN)]), "logit_bias");
}
