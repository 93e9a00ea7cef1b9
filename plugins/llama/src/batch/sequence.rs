//! One answer: its tokens, how many of them the cache holds and where, and what turns outputs into more of them.

use std::rc::Rc;

mod resume;

use super::guess::Guess;
use super::job::Job;
use super::pages::{Name, Pages};
use crate::contract::{Candidate, Finish, TokenLogprob};
use crate::sample::{Chosen, Logprobs, Sampler};
use crate::speculate::{Acceptance, Lookup};
use crate::text::{Progress, Writer};
use crate::tokenizer::Tokenizer;
use resume::Owed;

/// A running or interrupted answer.
#[derive(Debug)]
pub(super) struct Sequence {
    pub request: u64,
    pub choice: u32,
    /// Order of first admission: the older one keeps its pages.
    pub age: u64,
    pub sampler: Sampler,
    /// Tokens whose keys and values the cache holds.
    pub computed: usize,
    /// Where they are, first to last.
    pub pages: Vec<u32>,
    /// What may come next, for one step.
    pub guess: Guess,
    pub lookup: Lookup,
    /// Tokens whose keys and values the smaller model has computed.
    pub followed: usize,
    /// Whether a token of it is not one of the smaller model's.
    pub foreign: bool,
    /// How good its guesses are; none before the first.
    pub acceptance: Option<Acceptance>,
    /// The prompt's text, until it is returned.
    pub echo: Option<Rc<str>>,
    /// Tokens of the prompt that need no log probability any more.
    pub scored: usize,
    prompt: Rc<[u32]>,
    generated: Vec<u32>,
    /// Most tokens to generate.
    room: usize,
    ignore_end: bool,
    writer: Writer,
    /// Of an answer that was begun elsewhere: text that is still to be returned, and bytes to come that were already.
    owed: Owed,
    /// Pages that can be found by others, and the name of the last of them.
    published: usize,
    name: Name,
}

/// What one more token meant.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Accepted {
    pub text: String,
    pub finish: Option<Finish>,
}

impl Sequence {
    /// A new answer without any page. `context` is the longest sequence.
    pub(super) fn new(
        job: &Job,
        request: u64,
        choice: u32,
        age: u64,
        context: usize,
        vocabulary: u32,
    ) -> Self {
        let room = context - job.prompt.len().min(context);
        Self {
            request,
            choice,
            age,
            sampler: job.sampler(choice, vocabulary),
            computed: 0,
            pages: Vec::new(),
            guess: Guess::default(),
            lookup: Lookup::default(),
            followed: 0,
            foreign: false,
            acceptance: None,
            echo: job.echo.clone(),
            scored: match job.scores_prompt() {
                true => 0,
                false => job.prompt.len(),
            },
            prompt: job.prompt.clone(),
            generated: Vec::new(),
            room: job.tokens_max.map_or(room, |most| room.min(most as usize)),
            ignore_end: job.ignore_end,
            writer: job.writer(),
            owed: Owed::default(),
            published: 0,
            name: Name::START,
        }
    }

    /// Tokens in all.
    pub(super) fn len(&self) -> usize {
        self.prompt.len() + self.generated.len()
    }

    /// Tokens that the cache does not hold yet.
    pub(super) fn missing(&self) -> usize {
        self.len().saturating_sub(self.computed)
    }

    /// Whether a token is to be chosen once everything is computed.
    pub(super) fn wants_token(&self) -> bool {
        self.room_left() > 0
    }

    /// How many more tokens may be chosen.
    pub(super) fn room_left(&self) -> usize {
        self.room.saturating_sub(self.generated.len())
    }

    /// The token at a place.
    pub(super) fn token(&self, place: usize) -> Option<u32> {
        let after = place.checked_sub(self.prompt.len());
        let found = match after {
            None => self.prompt.get(place),
            Some(place) => self.generated.get(place),
        };
        found.copied()
    }

    /// The tokens from `start` to before `end`.
    pub(super) fn tokens(&self, start: usize, end: usize) -> impl Iterator<Item = u32> {
        (start..end).filter_map(|place| self.token(place))
    }

    /// Whether the token at `place` is one of the prompt that still needs its log probability.
    pub(super) fn needs_score(&self, place: usize) -> bool {
        (self.scored.max(1)..self.prompt.len()).contains(&place)
    }

    /// The first place after the next token that still needs its log probability.
    pub(super) fn first_score(&self) -> Option<usize> {
        let place = self.scored.max(self.computed + 1);
        (place < self.prompt.len()).then_some(place)
    }

    /// Takes pages for all tokens, sharing those that others have computed. False and none held if there are not
    /// enough, `spare` of them left.
    pub(super) fn take_pages(&mut self, pages: &mut Pages, spare: usize) -> bool {
        // At least the last token is computed anew, because what follows it is wanted; and so is every token
        // whose log probability is wanted.
        let reusable = match self.scored < self.prompt.len() {
            true => 0,
            false => self.len() - 1,
        };
        let tokens: Vec<u32> = self.tokens(0, reusable).collect();
        let (found, name) = pages.find(&tokens);
        let wanted = self.len().div_ceil(pages.page_tokens()) - found.len();
        if pages.available() < wanted + spare {
            pages.release(&found);
            return false;
        }
        self.published = found.len();
        self.computed = found.len() * pages.page_tokens();
        self.name = name;
        self.pages = found;
        self.pages
            .extend((0..wanted).map_while(|_| pages.allocate()));
        true
    }

    /// Makes room for `count` guesses behind all tokens, with `spare` pages left, and says for how many there is.
    pub(super) fn reserve(&mut self, count: usize, pages: &mut Pages, spare: usize) -> usize {
        loop {
            let room = (self.pages.len() * pages.page_tokens()).saturating_sub(self.len());
            if room >= count || pages.available() <= spare {
                return count.min(room);
            }
            self.pages.extend(pages.allocate());
        }
    }

    /// Counts `count` more tokens as computed by the smaller model.
    pub(super) fn follow(&mut self, count: usize, pages: &mut Pages) {
        let size = pages.page_tokens();
        let before = self.followed / size;
        self.followed += count;
        let full = self.pages.get(before..self.followed / size);
        full.into_iter()
            .flatten()
            .for_each(|&page| pages.follow(page));
    }

    /// Counts as computed by the smaller model what it has computed of the same pages for others.
    pub(super) fn follow_others(&mut self, pages: &Pages) {
        let size = pages.page_tokens();
        while let Some(&page) = self.pages.get(self.followed / size)
            && pages.is_followed(page)
        {
            self.followed = (self.followed / size + 1) * size;
        }
    }

    /// Gives all pages back, and what can be had again from the tokens.
    pub(super) fn drop_pages(&mut self, pages: &mut Pages) {
        pages.release(&self.pages);
        self.pages.clear();
        self.guess = Guess::default();
        self.lookup.clear();
        self.followed = 0;
        self.computed = 0;
        self.published = 0;
        self.name = Name::START;
    }

    /// Counts `count` more tokens as computed, and lets others find the pages that are full now.
    pub(super) fn advance(&mut self, count: usize, pages: &mut Pages) {
        self.computed += count;
        let size = pages.page_tokens();
        while (self.published + 1) * size <= self.computed {
            let start = self.published * size;
            let tokens: Vec<u32> = self.tokens(start, start + size).collect();
            let Some(&page) = self.pages.get(self.published) else {
                return;
            };
            self.name = pages.publish(page, self.name, &tokens);
            self.published += 1;
        }
    }

    /// Counts the last token as not computed, though it is.
    pub(super) fn compute_last_again(&mut self) {
        self.computed = self.computed.min(self.len().saturating_sub(1));
    }

    /// Adds a chosen token.
    pub(super) fn accept(&mut self, token: u32, tokenizer: &Tokenizer) -> Accepted {
        let accepted = self.read(token, tokenizer);
        Accepted {
            text: self.owed.settle(accepted.text),
            ..accepted
        }
    }

    fn read(&mut self, token: u32, tokenizer: &Tokenizer) -> Accepted {
        self.generated.push(token);
        self.sampler.accept(token);
        if !self.ignore_end && tokenizer.is_end(token) {
            return Accepted {
                text: self.writer.finish(),
                finish: Some(Finish::Stop),
            };
        }
        match self.writer.push(tokenizer, token) {
            Progress::Stopped(text) => Accepted {
                text,
                finish: Some(Finish::Stop),
            },
            Progress::More(text) if self.wants_token() => Accepted { text, finish: None },
            Progress::More(text) => Accepted {
                text: text + &self.writer.finish(),
                finish: Some(Finish::Length),
            },
        }
    }
}

/// A chosen token's log probabilities as the contract has them, if they were asked for.
pub(super) fn logprob_of(chosen: &Chosen, tokenizer: &Tokenizer) -> Option<TokenLogprob> {
    let logprobs = chosen.logprobs.as_ref()?;
    Some(token_logprob(chosen.token, logprobs, tokenizer))
}

/// The log probabilities of `token`.
pub(super) fn token_logprob(
    token: u32,
    logprobs: &Logprobs,
    tokenizer: &Tokenizer,
) -> TokenLogprob {
    let alternatives = logprobs.alternatives.iter();
    TokenLogprob {
        chosen: candidate(token, logprobs.chosen, tokenizer),
        alternatives: alternatives
            .map(|&(token, logprob)| candidate(token, logprob, tokenizer))
            .collect(),
        predicted: true,
    }
}

/// The entry of a prompt's first token, which nothing predicts.
pub(super) fn unpredicted(token: u32, tokenizer: &Tokenizer) -> TokenLogprob {
    TokenLogprob {
        chosen: candidate(token, 0.0, tokenizer),
        alternatives: Vec::new(),
        predicted: false,
    }
}

fn candidate(token: u32, logprob: f32, tokenizer: &Tokenizer) -> Candidate {
    Candidate {
        token,
        bytes: tokenizer.token_bytes(token).to_vec(),
        logprob,
    }
}
