//! The machine that stands in for the host's kernels, and a tokenizer of single bytes.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use crate::batch::Bounds;
use crate::contract::{Batch, Error, Output, Top, Want};
use crate::device::Plan;
use crate::gguf::{Array, Gguf, Metadata, Value};
use crate::tokenizer::Tokenizer;

pub(super) const END: u32 = 256;
/// A token after which no logit is a number.
pub(super) const POISON: u32 = 257;
pub(super) const VOCABULARY: u32 = 258;

/// Keeps tokens where a real machine keeps keys and values.
#[derive(Debug)]
pub(super) struct Machine {
    cache: Vec<Option<u32>>,
    page_tokens: usize,
    bounds: Bounds,
    rows: Vec<Vec<f32>>,
    /// Tokens computed in all.
    pub(super) computed: usize,
    /// Of the last run.
    pub(super) largest_run: usize,
    /// Whether one token is likely to follow another wherever that stands, so that texts repeat themselves.
    pub(super) habits: bool,
    /// Another one gives a machine of the same habits that is not quite of the same mind.
    pub(super) mind: u32,
    /// What a run of so many rows is said to take.
    pub(super) ns: fn(usize) -> u64,
}

impl Machine {
    pub(super) fn new(pages: u32, page_tokens: usize, bounds: Bounds) -> Self {
        Self {
            cache: vec![None; pages as usize * page_tokens],
            page_tokens,
            bounds,
            rows: Vec::new(),
            computed: 0,
            largest_run: 0,
            habits: false,
            mind: 0,
            ns: |_| 0,
        }
    }

    /// The token that the cache holds at a place of a sequence with these pages.
    pub(super) fn cached(&self, pages: &[u32], place: usize) -> Option<u32> {
        let page = pages[place / self.page_tokens] as usize;
        self.cache[page * self.page_tokens + place % self.page_tokens]
    }

    /// The logits of a machine with habits.
    fn habitual(&self, tokens: &[u32]) -> Vec<f32> {
        let mut logits = Self::logits(tokens);
        if self.mind > 0 {
            let other = Self::logits(&[tokens, &[self.mind]].concat());
            let both = logits.iter_mut().zip(other);
            both.for_each(|(logit, other)| *logit = 0.8 * *logit + 0.2 * other);
        }
        let last = tokens.last().copied().unwrap_or_default();
        logits[mix(u64::from(last)) as usize % 200] += 8.0;
        logits
    }

    /// The logits after `tokens`.
    pub(super) fn logits(tokens: &[u32]) -> Vec<f32> {
        if tokens.contains(&POISON) {
            return vec![f32::NAN; VOCABULARY as usize];
        }
        let past = tokens
            .iter()
            .fold(17_u64, |past, &token| mix(past ^ u64::from(token)));
        let each = (0..u64::from(VOCABULARY)).map(|token| {
            // Few distinct values, so that ties occur.
            (mix(past ^ (token << 32)) % 800) as f32 / 100.0 - 4.0
        });
        let mut logits: Vec<f32> = each.collect();
        logits[POISON as usize] = -60.0;
        logits
    }
}

fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word ^ (word >> 29)
}

impl Plan for Machine {
    fn run(&mut self, batch: &Batch) -> Result<Vec<Output>, Error> {
        assert!(batch.tokens.len() <= self.bounds.step_tokens);
        assert!(batch.sequences.len() <= self.bounds.sequences);
        assert!(batch.outputs.len() <= self.bounds.output_rows);
        self.computed += batch.tokens.len();
        self.largest_run = batch.tokens.len();
        let mut written = BTreeSet::new();
        for sequence in &batch.sequences {
            let (start, end) = (sequence.start, sequence.start + sequence.tokens);
            let places =
                start as usize / self.page_tokens..(end as usize).div_ceil(self.page_tokens);
            for page in &sequence.pages[places] {
                assert!(written.insert(page), "two write to page {page}");
            }
        }
        let mut tokens = batch.tokens.iter();
        let mut logits = Vec::new();
        for sequence in &batch.sequences {
            let place = |at: u32| {
                let page = sequence.pages[at as usize / self.page_tokens] as usize;
                page * self.page_tokens + at as usize % self.page_tokens
            };
            for at in sequence.start..sequence.start + sequence.tokens {
                self.cache[place(at)] = Some(*tokens.next().unwrap());
                let past: Vec<u32> = (0..=at).map(|at| self.cache[place(at)].unwrap()).collect();
                logits.push(match self.habits {
                    true => self.habitual(&past),
                    false => Self::logits(&past),
                });
            }
        }
        assert_eq!(tokens.next(), None);
        self.rows.clear();
        let mut outputs = Vec::new();
        for output in &batch.outputs {
            let row = logits[output.row as usize].clone();
            outputs.push(match output.want {
                Want::Row => Output::Row(row.clone()),
                Want::Top(top) => Output::Top(first(&row, top.count as usize, top.temperature)),
            });
            self.rows.push(row);
        }
        Ok(outputs)
    }

    fn row(&self, output: u32) -> Result<Vec<f32>, Error> {
        Ok(self.rows[output as usize].clone())
    }

    fn last_run_ns(&self) -> u64 {
        (self.ns)(self.largest_run)
    }
}

/// What the contract says that `top` returns.
pub(crate) fn first(row: &[f32], count: usize, temperature: f32) -> Top {
    let mut all: Vec<(u32, f32)> = (0..).zip(row.iter().copied()).collect();
    let order = |a: &(u32, f32), b: &(u32, f32)| b.1.partial_cmp(&a.1).unwrap_or(Ordering::Equal);
    all.sort_by(|a, b| order(a, b).then(a.0.cmp(&b.0)));
    let sum: f64 = row.iter().map(|&x| f64::from(x / temperature).exp()).sum();
    all.truncate(count);
    Top {
        indices: all.iter().map(|pair| pair.0).collect(),
        values: all.iter().map(|pair| pair.1).collect(),
        log_sum_exp: sum.ln() as f32,
    }
}

/// 256 bytes, an end token and a control token.
pub(crate) fn tokenizer() -> Tokenizer {
    tokenizer_of(&["<|end|>", "<|poison|>"])
}

/// 256 bytes and these control tokens, the first of which ends.
pub(crate) fn tokenizer_of(controls: &[&str]) -> Tokenizer {
    let prints = |byte: u32| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let mut spare = 256..;
    let mut names: Vec<String> = (0..256_u32)
        .map(|byte| match prints(byte) {
            true => char::from_u32(byte).unwrap().to_string(),
            false => char::from_u32(spare.next().unwrap()).unwrap().to_string(),
        })
        .collect();
    names.extend(controls.iter().map(|&control| control.to_owned()));
    let mut kinds = vec![1; 256];
    kinds.extend(controls.iter().map(|_| 3));
    let text = |text: &str| Value::String(text.to_owned());
    let metadata: Metadata = [
        ("tokenizer.ggml.model".to_owned(), text("gpt2")),
        ("tokenizer.ggml.pre".to_owned(), text("gpt-2")),
        (
            "tokenizer.ggml.tokens".to_owned(),
            Value::Array(Array::Strings(names.iter().collect())),
        ),
        (
            "tokenizer.ggml.token_type".to_owned(),
            Value::Array(Array::I32(kinds)),
        ),
        (
            "tokenizer.ggml.merges".to_owned(),
            Value::Array(Array::Strings(std::iter::empty::<&str>().collect())),
        ),
        ("tokenizer.ggml.eos_token_id".to_owned(), Value::U32(END)),
    ]
    .into_iter()
    .collect();
    let gguf = Gguf {
        version: 3,
        alignment: 32,
        data_offset: 0,
        metadata,
        tensors: Default::default(),
    };
    Tokenizer::from_gguf(&gguf).unwrap()
}
