//! Continuous batching: which answers run, who waits, and what each step gives to whom.
//!
//! Requests are admitted in the order they came, as soon as their prompt has a place in the cache. When running
//! answers outgrow the cache, the youngest gives its pages back and is computed again later, so that the oldest always
//! gets through. What an answer says never depends on any of this: rows are independent of their batch, and
//! sampling is its own.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

mod compose;
mod draft;
mod embed;
mod guess;
mod job;
mod pages;
mod sequence;
mod settle;
#[cfg(test)]
mod tests;

pub use compose::Bounds;
pub use draft::{Draft, DraftBounds};
pub use embed::Embedder;
pub use job::Job;
#[cfg(test)]
pub(crate) use tests::{byte_tokenizer, byte_tokenizer_of, first};

use compose::compose;
use job::Living;
use pages::Pages;
use sequence::Sequence;

use crate::contract::{Error, Event, Finish, Gain, Load};
use crate::device::Plan;
use crate::error::{exhausted, invalid};
use crate::limits::{PROMPT_TOKENS_MAX, REQUESTS_MAX};
use crate::speculate::Speculation;
use crate::tokenizer::Tokenizer;

/// Everything that generates text with one model.
#[derive(Debug)]
pub struct Batcher<P> {
    plan: P,
    tokenizer: Rc<Tokenizer>,
    bounds: Bounds,
    pages: Pages,
    living: BTreeMap<u64, Living>,
    /// In the order of admission.
    waiting: VecDeque<Waiting>,
    /// Oldest first.
    running: Vec<Sequence>,
    admitted: u64,
    /// For the next step to return.
    ready: Vec<Event>,
    /// None: nothing is guessed.
    speculation: Option<Speculation>,
    /// Guesses too, if there is one.
    draft: Option<Draft<P>>,
}

/// An answer without a place.
#[derive(Debug)]
enum Waiting {
    Fresh { request: u64, choice: u32 },
    Interrupted(Box<Sequence>),
}

impl Waiting {
    fn request(&self) -> u64 {
        match self {
            Self::Fresh { request, .. } => *request,
            Self::Interrupted(sequence) => sequence.request,
        }
    }

    fn choice(&self) -> u32 {
        match self {
            Self::Fresh { choice, .. } => *choice,
            Self::Interrupted(sequence) => sequence.choice,
        }
    }
}

impl<P: Plan> Batcher<P> {
    /// Nothing runs. One sequence of the whole context fits into `pages` pages.
    pub fn new(
        plan: P,
        tokenizer: Rc<Tokenizer>,
        bounds: Bounds,
        pages: u32,
        page_tokens: usize,
    ) -> Self {
        Self {
            plan,
            tokenizer,
            bounds,
            pages: Pages::new(pages, page_tokens),
            living: BTreeMap::new(),
            waiting: VecDeque::new(),
            running: Vec::new(),
            admitted: 0,
            ready: Vec::new(),
            speculation: None,
            draft: None,
        }
    }

    /// From now on, guesses tokens ahead where that pays. No answer changes by it.
    pub fn speculate(&mut self, draft: Option<Draft<P>>) {
        self.speculation = Some(Speculation::default());
        self.draft = draft;
    }

    /// Takes a request that has been checked. Nothing is kept of a refused one.
    pub fn submit(&mut self, request: u64, job: Job) -> Result<(), Error> {
        if self.living.contains_key(&request) {
            return Err(invalid(
                "request",
                format!("request {request} is already living"),
            ));
        }
        let given = |job: &Job| job.prompt.len() + job.continued_tokens();
        let held: usize = self.living.values().map(|living| given(&living.job)).sum();
        if self.living.len() >= REQUESTS_MAX || held + given(&job) > PROMPT_TOKENS_MAX {
            return Err(exhausted(format!(
                "{} requests with {held} given tokens are living, which is as many as there may be",
                self.living.len()
            )));
        }
        let living = Living::new(job);
        if living.job.tokens_max == Some(0) && !living.job.scores_prompt() {
            self.answer_without_computing(request, &living);
            return Ok(());
        }
        let sequences = self.resumed(request, &living.job)?;
        if living.unfinished == 0 {
            // All of it was over, and only that was not said any more.
            self.ready.push(Event::Started((request, living.usage)));
            self.ready.push(Event::Done((request, living.usage)));
            return Ok(());
        }
        self.waiting.extend(sequences);
        self.living.insert(request, living);
        Ok(())
    }

    /// Ends a request; the next step says so.
    pub fn cancel(&mut self, request: u64) {
        let Some(living) = self.living.remove(&request) else {
            return;
        };
        for choice in self.drop_sequences(request) {
            self.ready.push(Event::Gained(Gain {
                finish: Some(Finish::Cancelled),
                ..no_gain(request, choice)
            }));
        }
        self.ready.push(Event::Done((request, living.usage)));
    }

    /// One forward pass over all that runs.
    pub fn step(&mut self) -> Result<Vec<Event>, Error> {
        self.admit();
        self.make_room();
        let decodes = self.guess()?;
        let living = &self.living;
        let turn = compose(&self.running, &self.bounds, |request| {
            let found = living.get(&request);
            found.and_then(|living| living.job.logprobs).unwrap_or(0)
        });
        if !turn.parts.is_empty() {
            let outputs = self.plan.run(&turn.batch)?;
            if outputs.len() != turn.asks.len() {
                return Err(Error::Other(format!(
                    "the host returned {} outputs for {} asked",
                    outputs.len(),
                    turn.asks.len()
                )));
            }
            if decodes && let Some(speculation) = &mut self.speculation {
                let rows = turn.batch.tokens.len();
                speculation.steps.observe(rows, self.plan.last_run_ns());
            }
            self.settle(&turn, &outputs);
        }
        if self.ready.is_empty()
            && let Some(sequence) = self.running.first()
        {
            // A step inside a long prompt: nothing to show for it, but not nothing to do.
            let event = no_gain(sequence.request, sequence.choice);
            self.ready.push(Event::Gained(event));
        }
        Ok(std::mem::take(&mut self.ready))
    }

    /// How full it is.
    pub fn load(&self) -> Load {
        let speculation = self.speculation.as_ref();
        Load {
            guessed: speculation.map_or(0, |all| all.guessed),
            guesses_kept: speculation.map_or(0, |all| all.kept),
            running: self.running.len() as u32,
            waiting: self.waiting.len() as u32,
            cache_pages: self.pages.count() as u32,
            cache_pages_used: (self.pages.count() - self.pages.available()) as u32,
        }
    }

    /// The answers of a request as they enter the line: new ones, or those that were begun elsewhere.
    fn resumed(&mut self, request: u64, job: &Job) -> Result<Vec<Waiting>, Error> {
        if job.continued.is_empty() {
            let choices = 0..job.choices;
            return Ok(choices
                .map(|choice| Waiting::Fresh { request, choice })
                .collect());
        }
        let unfinished = job.unfinished().map(|choice| {
            let mut sequence = self.sequence(job, request, choice);
            if let Some(there) = job.continued.get(choice as usize) {
                sequence.resume(there, job.scores_prompt(), &self.tokenizer)?;
            }
            Ok(Waiting::Interrupted(Box::new(sequence)))
        });
        let sequences = unfinished.collect::<Result<Vec<_>, Error>>()?;
        self.admitted += 1;
        Ok(sequences)
    }

    /// A new answer, younger than all that were admitted.
    fn sequence(&self, job: &Job, request: u64, choice: u32) -> Sequence {
        let vocabulary = self.tokenizer.vocab_len() as u32;
        let (age, context) = (self.admitted, self.bounds.context);
        Sequence::new(job, request, choice, age, context, vocabulary)
    }

    fn answer_without_computing(&mut self, request: u64, living: &Living) {
        self.ready.push(Event::Started((request, living.usage)));
        for choice in living.job.unfinished() {
            self.ready.push(Event::Gained(Gain {
                text: living.job.echo.as_deref().unwrap_or_default().to_owned(),
                finish: Some(Finish::Length),
                ..no_gain(request, choice)
            }));
        }
        self.ready.push(Event::Done((request, living.usage)));
    }

    /// Gives places to waiting answers, the first first.
    fn admit(&mut self) {
        while self.running.len() < self.bounds.sequences {
            // Further answers to one prompt wait until one has computed it, and then share its pages.
            let next = self.waiting.iter().position(|waiting| {
                let may =
                    |living: &Living| living.prompt_known || waiting.choice() == living.leader;
                self.living.get(&waiting.request()).is_none_or(may)
            });
            let Some(waiting) = next.and_then(|index| self.waiting.remove(index).zip(Some(index)))
            else {
                return;
            };
            if !self.place(waiting) {
                return;
            }
        }
    }

    /// Gives one answer its pages, or puts it back where it was.
    fn place(&mut self, (waiting, index): (Waiting, usize)) -> bool {
        let request = waiting.request();
        let Some(living) = self.living.get(&request) else {
            return true;
        };
        let mut sequence = match waiting {
            Waiting::Interrupted(sequence) => sequence,
            Waiting::Fresh { request, choice } => {
                let sequence = self.sequence(&living.job, request, choice);
                self.admitted += 1;
                Box::new(sequence)
            }
        };
        // Those that run will soon want a page each; without it somebody would be interrupted at once.
        if !sequence.take_pages(&mut self.pages, self.running.len()) {
            self.waiting.insert(index, Waiting::Interrupted(sequence));
            return false;
        }
        if let Some(living) = self.living.get_mut(&request)
            && !living.started
        {
            living.started = true;
            living.usage.cached_tokens = sequence.computed.min(living.job.prompt.len()) as u32;
            self.ready.push(Event::Started((request, living.usage)));
        }
        let at = self
            .running
            .partition_point(|other| other.age < sequence.age);
        self.running.insert(at, *sequence);
        true
    }

    /// Gives a page to each answer that outgrew its own; interrupts the youngest where there is none.
    fn make_room(&mut self) {
        let mut index = 0;
        while let Some(sequence) = self.running.get_mut(index) {
            if sequence.pages.len() * self.pages.page_tokens() >= sequence.len() {
                index += 1;
            } else if let Some(page) = self.pages.allocate() {
                sequence.pages.push(page);
            } else if let Some(mut youngest) = self.running.pop() {
                youngest.drop_pages(&mut self.pages);
                self.waiting
                    .push_front(Waiting::Interrupted(Box::new(youngest)));
            }
        }
    }

    /// Forgets all answers of a request and returns which of them were unfinished.
    fn drop_sequences(&mut self, request: u64) -> Vec<u32> {
        let mut choices = Vec::new();
        for sequence in self
            .running
            .extract_if(.., |sequence| sequence.request == request)
        {
            self.pages.release(&sequence.pages);
            choices.push(sequence.choice);
        }
        self.waiting.retain(|waiting| {
            let ours = waiting.request() == request;
            if ours {
                choices.push(waiting.choice());
            }
            !ours
        });
        choices.sort_unstable();
        choices
    }
}

fn no_gain(request: u64, choice: u32) -> Gain {
    Gain {
        request,
        choice,
        text: String::new(),
        tokens: Vec::new(),
        logprobs: Vec::new(),
        finish: None,
    }
}
