//! What is tried of requests to an open model.

use std::collections::BTreeMap;

use super::{Suite, listener};
use crate::conformance::listener::{Answer, Listener};
use crate::conformance::{Checks, Outcome};
use crate::limits::TRIAL_REQUESTS;
use crate::protocol::{Continued, Error, Generation, Message, Prompt, Sampling, Work};

/// Tokens that are asked for where nothing else matters.
const TOKENS: u32 = 16;

pub(super) fn run(suite: &mut Suite<'_>, checks: &mut Checks) {
    let can = suite.info.abilities;
    if can.chat || can.complete {
        let answers = suite.answers();
        checks.note("it answers, and says the end", answers);
        let same = suite.same();
        checks.note("the same request has the same answer", same);
        let alone = suite.alone();
        checks.note("two at once have the answers that each has alone", alone);
        let short = suite.short();
        checks.note("it says no more than it is asked for", short);
        let cancelled = suite.cancelled();
        checks.note("what is cancelled ends with the next step", cancelled);
        let many = suite.many();
        checks.note("it takes many requests, or says when it is full", many);
        let goes_on = suite.goes_on();
        checks.note("it goes on where another instance left off", goes_on);
    }
}

impl Suite<'_> {
    fn answers(&mut self) -> Result<Outcome, String> {
        let mut model = self.fresh()?;
        let [came] = self.some(&mut model, [self.say(FIRST)])?;
        let usage = came.whole()?;
        let tokens = came.answer().tokens.len();
        if usage.completion_tokens as usize != tokens {
            return Err(format!(
                "it gained {tokens} tokens and used {}",
                usage.completion_tokens
            ));
        }
        if usage.prompt_tokens == 0 {
            return Err("its prompt had no tokens".to_owned());
        }
        let load = model.load().map_err(|fault| fault.to_string())?;
        if (load.running, load.waiting) != (0, 0) {
            return Err(format!("nothing is under way, and it says {load:?}"));
        }
        Ok(Outcome::Fine)
    }

    fn same(&mut self) -> Result<Outcome, String> {
        let drawn = || {
            let mut work = self.say(FIRST);
            if let Work::Generate(generation) = &mut work {
                generation.sampling.temperature = 1.0;
                generation.sampling.seed = Some(7);
            }
            work
        };
        for work in [self.say(FIRST), drawn()] {
            let mut answers = Vec::new();
            for _ in 0..2 {
                let mut model = self.fresh()?;
                let [came] = self.some(&mut model, [work.clone()])?;
                came.whole()?;
                answers.push(came.answer());
                let [again] = self.some(&mut model, [work.clone()])?;
                answers.push(again.answer());
            }
            all_same(&answers)?;
        }
        Ok(Outcome::Fine)
    }

    fn alone(&mut self) -> Result<Outcome, String> {
        let mut model = self.fresh()?;
        let [first] = self.some(&mut model, [self.say(FIRST)])?;
        let [second] = self.some(&mut model, [self.say(SECOND)])?;
        let mut model = self.fresh()?;
        let both = self.some(&mut model, [self.say(FIRST), self.say(SECOND)])?;
        for (alone, beside) in [first, second].iter().zip(&both) {
            beside.whole()?;
            all_same(&[alone.answer(), beside.answer()])?;
        }
        Ok(Outcome::Fine)
    }

    fn short(&mut self) -> Result<Outcome, String> {
        for most in [1, 3] {
            let mut work = self.say(FIRST);
            if let Work::Generate(generation) = &mut work {
                generation.max_tokens = Some(most);
                generation.ignore_end = true;
            }
            let mut model = self.fresh()?;
            let [came] = self.some(&mut model, [work])?;
            let used = came.whole()?.completion_tokens;
            if used > most {
                return Err(format!("{most} were asked for, and it made {used} tokens"));
            }
        }
        Ok(Outcome::Fine)
    }

    fn cancelled(&mut self) -> Result<Outcome, String> {
        let mut model = self.fresh()?;
        let fault = |fault: crate::host::Fault| fault.to_string();
        model.cancel(404).map_err(fault)?;
        let works = [self.long(), self.say(SECOND)];
        let mut living = BTreeMap::new();
        for (id, work) in (1_u64..).zip(works) {
            living.insert(id, listener(&work));
            let submitted = model.submit(id, work).map_err(fault)?;
            submitted.map_err(|error| error.to_string())?;
        }
        self.step(&mut model, &mut living)?;
        model.cancel(1).map_err(fault)?;
        self.step(&mut model, &mut living)?;
        match living.get(&1).map(|one| &one.end) {
            Some(Some(Ok(_))) => {}
            Some(Some(Err(error))) => return Err(format!("it failed instead: {error}")),
            _ => return Err("it was not done after the next step".to_owned()),
        }
        self.steps(&mut model, &mut living)?;
        if let Some(other) = living.get(&2) {
            other
                .whole()
                .map_err(|what| format!("the other request: {what}"))?;
        }
        Ok(Outcome::Fine)
    }

    fn many(&mut self) -> Result<Outcome, String> {
        let mut model = self.fresh()?;
        let works = (0..TRIAL_REQUESTS).map(|_| self.say(FIRST)).collect();
        let all = self.all(&mut model, works)?;
        let mut answers = Vec::new();
        for came in all {
            match came {
                Ok(came) => {
                    came.whole()?;
                    answers.push(came.answer());
                }
                Err(Error::Exhausted(_)) => {}
                Err(error) => return Err(format!("it was refused otherwise: {error:?}")),
            }
        }
        if answers.is_empty() {
            return Err("it took none".to_owned());
        }
        all_same(&answers)?;
        Ok(Outcome::Fine)
    }

    /// An answer that another instance brought so far is finished as it would have been there.
    fn goes_on(&mut self) -> Result<Outcome, String> {
        let mut model = self.fresh()?;
        let work = self.say(FIRST);
        let mut living = BTreeMap::from([(1, listener(&work))]);
        let submitted = model
            .submit(1, work.clone())
            .map_err(|fault| fault.to_string())?;
        submitted.map_err(|error| error.to_string())?;
        // Until it has said something, and is not at its end.
        let so_far = loop {
            self.step(&mut model, &mut living)?;
            let one = living.get(&1).map(Listener::answer).unwrap_or_default();
            if one.finish.is_some() {
                return Ok(Outcome::LeftOut("its answer is one token".to_owned()));
            }
            if !one.tokens.is_empty() {
                break one;
            }
        };
        self.steps(&mut model, &mut living)?;
        let whole = living.get(&1).map(Listener::answer).unwrap_or_default();
        let mut rest = work;
        if let Work::Generate(generation) = &mut rest {
            generation.continued = vec![Continued {
                tokens: so_far.tokens.clone(),
                text_bytes: so_far.text.len() as u64,
                logprobs: 0,
                finish: None,
            }];
        }
        let mut model = self.fresh()?;
        let came = match self.all(&mut model, vec![rest])?.pop() {
            Some(Ok(came)) => came,
            Some(Err(Error::Unsupported(why))) => {
                return Ok(Outcome::LeftOut(format!("it does not: {why}")));
            }
            Some(Err(error)) => return Err(error.to_string()),
            None => return Err("there was no request".to_owned()),
        };
        let usage = came.whole()?;
        let joined = Answer {
            text: so_far.text + &came.answer().text,
            tokens: [so_far.tokens, came.answer().tokens].concat(),
            finish: came.answer().finish,
        };
        all_same(&[whole, joined.clone()])?;
        if usage.completion_tokens as usize != joined.tokens.len() {
            return Err(format!(
                "what was there counts as generated: of {} tokens it used {}",
                joined.tokens.len(),
                usage.completion_tokens
            ));
        }
        Ok(Outcome::Fine)
    }

    /// Requests none of which may be refused.
    pub(super) fn some<const COUNT: usize>(
        &mut self,
        model: &mut crate::host::Model,
        works: [Work; COUNT],
    ) -> Result<[Listener; COUNT], String> {
        let all = self.all(model, works.into())?;
        let all: Result<Vec<Listener>, Error> = all.into_iter().collect();
        let all = all.map_err(|error| format!("it was refused: {error}"))?;
        all.try_into().map_err(|_| "a request was lost".to_owned())
    }

    /// A request for some tokens, the likeliest each time.
    pub(super) fn say(&self, text: &str) -> Work {
        let prompt = if self.info.abilities.chat {
            Prompt::Chat(vec![Message {
                role: "user".to_owned(),
                content: text.to_owned(),
                name: None,
            }])
        } else {
            Prompt::Text(text.to_owned())
        };
        Work::Generate(Generation {
            prompt,
            sampling: Sampling {
                temperature: 0.0,
                ..Sampling::default()
            },
            max_tokens: Some(TOKENS),
            stop: Vec::new(),
            ignore_end: false,
            choices: 1,
            logprobs: None,
            echo: false,
            continued: Vec::new(),
        })
    }

    /// The same without an end of its own for a while.
    fn long(&self) -> Work {
        let mut work = self.say(FIRST);
        if let Work::Generate(generation) = &mut work {
            generation.max_tokens = Some(4 * TOKENS);
            generation.ignore_end = true;
        }
        work
    }
}

fn all_same(answers: &[Answer]) -> Result<(), String> {
    match answers {
        [first, rest @ ..] => match rest.iter().find(|other| *other != first) {
            Some(other) => Err(format!("of one request came {first:?} and {other:?}")),
            None => Ok(()),
        },
        [] => Ok(()),
    }
}

pub(super) const FIRST: &str = "one two three four five six seven eight";
pub(super) const SECOND: &str = "red green blue yellow orange";
