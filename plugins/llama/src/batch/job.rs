//! One request for text, ready to run: its prompt is tokens and everything in it has been checked. And what a living
//! request remembers while its answers run.

use std::rc::Rc;

use crate::contract::{Continued, Sampling, Usage};
use crate::sample::Sampler;
use crate::text::Writer;
use crate::tokenizer::LeadingSpace;

/// What to generate.
#[derive(Debug, Clone)]
pub struct Job {
    /// At least one token, and room in the context for what is asked.
    pub prompt: Rc<[u32]>,
    /// The prompt's text, if it is to be returned first.
    pub echo: Option<Rc<str>>,
    pub sampling: Sampling,
    /// None: until the context is full.
    pub tokens_max: Option<u32>,
    pub stops: Rc<[String]>,
    pub ignore_end: bool,
    pub choices: u32,
    pub logprobs: Option<u32>,
    /// Whether the answer is a text of its own.
    pub leading: LeadingSpace,
    /// What is there already of each answer; empty for a new request.
    pub continued: Rc<[Continued]>,
}

impl Job {
    /// Whether each token of the prompt is to be scored.
    pub(super) fn scores_prompt(&self) -> bool {
        self.echo.is_some() && self.logprobs.is_some()
    }

    /// The answers that are not over yet.
    pub(super) fn unfinished(&self) -> impl Iterator<Item = u32> {
        (0..self.choices).filter(|choice| {
            let there = self.continued.get(*choice as usize);
            there.is_none_or(|there| there.finish.is_none())
        })
    }

    /// How many tokens are there of all answers.
    pub(super) fn continued_tokens(&self) -> usize {
        self.continued.iter().map(|there| there.tokens.len()).sum()
    }

    pub(super) fn writer(&self) -> Writer {
        Writer::new(self.stops.clone(), self.leading)
    }

    pub(super) fn sampler(&self, choice: u32, vocabulary: u32) -> Sampler {
        Sampler::new(
            &self.sampling,
            self.logprobs,
            choice,
            vocabulary,
            &self.prompt,
        )
    }
}

/// A living request.
#[derive(Debug)]
pub(super) struct Living {
    pub job: Job,
    pub usage: Usage,
    /// An answer has its place.
    pub started: bool,
    /// The answer that computes the prompt for all: the first that is not over.
    pub leader: u32,
    /// It has computed the whole prompt, so that the others can share it.
    pub prompt_known: bool,
    /// Answers that are not finished.
    pub unfinished: u32,
}

impl Living {
    pub(super) fn new(job: Job) -> Self {
        let leader = job.unfinished().next().unwrap_or(0);
        let unfinished = job.unfinished().count() as u32;
        Self {
            usage: Usage {
                prompt_tokens: job.prompt.len() as u32,
                cached_tokens: 0,
                completion_tokens: job.continued_tokens() as u32,
            },
            started: false,
            leader,
            prompt_known: false,
            unfinished,
            job,
        }
    }
}
