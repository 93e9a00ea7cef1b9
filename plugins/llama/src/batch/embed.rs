//! Embeddings in batches: inputs of all requests in the order they came, as many as fit into one step.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use crate::contract::{
    Batch, Embedding, Error, Event, Load, Output, OutputWant, RunSequence, Usage, Want,
};
use crate::device::Plan;
use crate::error::{exhausted, invalid, malformed};
use crate::limits::{PROMPT_TOKENS_MAX, REQUESTS_MAX};

/// Everything that embeds with one model.
#[derive(Debug)]
pub struct Embedder<P> {
    plan: P,
    step_tokens: usize,
    sequences: usize,
    living: BTreeMap<u64, Living>,
    waiting: VecDeque<Input>,
    ready: Vec<Event>,
}

#[derive(Debug)]
struct Living {
    usage: Usage,
    left: usize,
    started: bool,
}

#[derive(Debug)]
struct Input {
    request: u64,
    index: u32,
    tokens: Rc<[u32]>,
}

impl<P: Plan> Embedder<P> {
    /// Nothing waits. Every input fits into `step_tokens`.
    pub fn new(plan: P, step_tokens: usize, sequences: usize) -> Self {
        Self {
            plan,
            step_tokens,
            sequences,
            living: BTreeMap::new(),
            waiting: VecDeque::new(),
            ready: Vec::new(),
        }
    }

    /// Takes inputs of at least one token each. Nothing is kept of a refused request.
    pub fn submit(&mut self, request: u64, inputs: Vec<Vec<u32>>) -> Result<(), Error> {
        if self.living.contains_key(&request) {
            return Err(invalid(
                "request",
                format!("request {request} is already living"),
            ));
        }
        let held: usize = self.waiting.iter().map(|input| input.tokens.len()).sum();
        let tokens: usize = inputs.iter().map(Vec::len).sum();
        if self.living.len() >= REQUESTS_MAX || held + tokens > PROMPT_TOKENS_MAX {
            return Err(exhausted(format!(
                "{} requests with {held} tokens are living, which is as many as there may be",
                self.living.len()
            )));
        }
        let living = Living {
            usage: Usage {
                prompt_tokens: tokens as u32,
                cached_tokens: 0,
                completion_tokens: 0,
            },
            left: inputs.len(),
            started: false,
        };
        self.living.insert(request, living);
        let inputs = inputs.into_iter().zip(0..);
        self.waiting.extend(inputs.map(|(tokens, index)| Input {
            request,
            index,
            tokens: tokens.into(),
        }));
        Ok(())
    }

    /// Ends a request; the next step says so.
    pub fn cancel(&mut self, request: u64) {
        if let Some(living) = self.living.remove(&request) {
            self.waiting.retain(|input| input.request != request);
            self.ready.push(Event::Done((request, living.usage)));
        }
    }

    /// One forward pass.
    pub fn step(&mut self) -> Result<Vec<Event>, Error> {
        let inputs = self.take();
        if !inputs.is_empty() {
            let outputs = self.plan.run(&batch(&inputs))?;
            if outputs.len() != inputs.len() {
                return Err(Error::Other(format!(
                    "the host returned {} embeddings for {} inputs",
                    outputs.len(),
                    inputs.len()
                )));
            }
            for (input, output) in inputs.iter().zip(outputs) {
                self.settle(input, output);
            }
        }
        Ok(std::mem::take(&mut self.ready))
    }

    /// How full it is.
    pub fn load(&self) -> Load {
        Load {
            running: 0,
            waiting: self.waiting.len() as u32,
            cache_pages: 0,
            cache_pages_used: 0,
            guessed: 0,
            guesses_kept: 0,
        }
    }

    /// As many inputs, in order, as one step holds.
    fn take(&mut self) -> Vec<Input> {
        let (mut taken, mut tokens) = (Vec::new(), 0);
        while taken.len() < self.sequences
            && let Some(input) = self.waiting.pop_front_if(|input| {
                tokens += input.tokens.len();
                tokens <= self.step_tokens
            })
        {
            if let Some(living) = self.living.get_mut(&input.request)
                && !living.started
            {
                living.started = true;
                self.ready
                    .push(Event::Started((input.request, living.usage)));
            }
            taken.push(input);
        }
        taken
    }

    fn settle(&mut self, input: &Input, output: Output) {
        let Some(living) = self.living.get_mut(&input.request) else {
            return;
        };
        let values = match output {
            Output::Row(values) if values.iter().all(|value| value.is_finite()) => values,
            _ => {
                self.living.remove(&input.request);
                self.waiting.retain(|other| other.request != input.request);
                let error = malformed("the model computes embeddings that are not numbers");
                self.ready.push(Event::Failed((input.request, error)));
                return;
            }
        };
        self.ready.push(Event::Embedded(Embedding {
            request: input.request,
            index: input.index,
            values,
        }));
        living.left -= 1;
        if living.left == 0 {
            let usage = living.usage;
            self.living.remove(&input.request);
            self.ready.push(Event::Done((input.request, usage)));
        }
    }
}

fn batch(inputs: &[Input]) -> Batch {
    let tokens = inputs.iter().flat_map(|input| input.tokens.iter().copied());
    let sequences = inputs.iter().map(|input| RunSequence {
        tokens: input.tokens.len() as u32,
        start: 0,
        pages: Vec::new(),
    });
    let outputs = (0..inputs.len() as u32).map(|row| OutputWant {
        row,
        want: Want::Row,
    });
    Batch {
        tokens: tokens.collect(),
        sequences: sequences.collect(),
        outputs: outputs.collect(),
    }
}
