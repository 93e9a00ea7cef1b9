//! What is tried of requests that make no sense, of prompts that are too long, and of vectors and tokens.

use super::Suite;
use super::requests::{FIRST, SECOND};
use crate::conformance::{Checks, Outcome};
use crate::protocol::{Error, Generation, Prompt, Work};

/// Models whose longest prompt is made here; longer ones take too long.
const CONTEXT_TRIED: u32 = 1 << 15;

pub(super) fn run(suite: &mut Suite<'_>, checks: &mut Checks) {
    let can = suite.info.abilities;
    if can.chat || can.complete {
        let long = suite.too_long();
        checks.note("it refuses a prompt that is too long", long);
        let odd = suite.odd();
        checks.note("it takes nonsense for what it is", odd);
    }
    let vectors = suite.vectors();
    checks.note("it embeds, or says that it does not", vectors);
    let texts = suite.texts();
    checks.note("it makes tokens of texts and texts of tokens", texts);
}

impl Suite<'_> {
    fn too_long(&mut self) -> Result<Outcome, String> {
        let context = self.info.context_tokens;
        if context > CONTEXT_TRIED {
            return Ok(Outcome::LeftOut(format!("it takes {context} tokens")));
        }
        let mut work = self.say(FIRST);
        if let Work::Generate(generation) = &mut work {
            generation.prompt = Prompt::Tokens(vec![1; context as usize + 1]);
        }
        let mut model = self.fresh()?;
        let came = self.all(&mut model, vec![work])?.pop();
        let end = match came {
            Some(Err(error)) => Some(Err(error)),
            Some(Ok(came)) => came.end,
            None => None,
        };
        match end {
            Some(Err(Error::TooLong(_) | Error::Invalid(_) | Error::Unsupported(_))) => {
                Ok(Outcome::Fine)
            }
            other => Err(format!("of {context} tokens and one more came {other:?}")),
        }
    }

    /// Requests that no client should send: refused or answered, whatever the plugin thinks of them.
    fn odd(&mut self) -> Result<Outcome, String> {
        type Make = fn(&mut Generation);
        let odd: [(&str, Make); 12] = [
            ("no choices", |it| it.choices = 0),
            ("many choices", |it| it.choices = 1_000),
            ("no tokens", |it| it.max_tokens = Some(0)),
            ("an empty stop", |it| it.stop = vec![String::new()]),
            ("a temperature that is no number", |it| {
                it.sampling.temperature = f32::NAN;
            }),
            ("an endless temperature", |it| {
                it.sampling.temperature = f32::INFINITY;
            }),
            ("a negative top_p", |it| it.sampling.top_p = -1.0),
            ("an endless penalty", |it| {
                it.sampling.repetition_penalty = f32::NEG_INFINITY;
            }),
            ("a bias of no token", |it| {
                it.sampling.logit_bias = vec![(u32::MAX, 1.0)];
            }),
            ("many log probabilities", |it| it.logprobs = Some(u32::MAX)),
            ("a token that is none", |it| {
                it.prompt = Prompt::Tokens(vec![u32::MAX]);
            }),
            ("an empty chat", |it| it.prompt = Prompt::Chat(Vec::new())),
        ];
        for (what, make) in odd {
            let mut work = self.say(FIRST);
            if let Work::Generate(generation) = &mut work {
                make(generation);
            }
            let mut model = self.fresh()?;
            self.all(&mut model, vec![work])
                .map_err(|fault| format!("{what}: {fault}"))?;
            // Whoever comes after it is served.
            let [after] = self
                .some(&mut model, [self.say(SECOND)])
                .map_err(|fault| format!("after {what}: {fault}"))?;
            after
                .whole()
                .map_err(|fault| format!("after {what}: {fault}"))?;
        }
        Ok(Outcome::Fine)
    }

    fn vectors(&mut self) -> Result<Outcome, String> {
        let inputs = vec![Prompt::Text(FIRST.into()), Prompt::Text(SECOND.into())];
        let mut model = self.fresh()?;
        let came = self.all(&mut model, vec![Work::Embed(inputs)])?.pop();
        match came {
            Some(Ok(came)) if self.info.abilities.embed => {
                came.whole()?;
                let width = self.info.embedding_width as usize;
                let fits = |values: &Option<Vec<f32>>| {
                    values.as_ref().is_some_and(|values| {
                        values.len() == width && values.iter().all(|value| value.is_finite())
                    })
                };
                let all = came.embeddings.iter().all(fits);
                all.then_some(Outcome::Fine)
                    .ok_or_else(|| format!("a vector is not of {width} numbers"))
            }
            Some(Err(Error::Unsupported(why))) if !self.info.abilities.embed => {
                Ok(Outcome::LeftOut(format!("it does not: {why}")))
            }
            Some(Ok(came)) => match came.end {
                Some(Err(Error::Unsupported(why))) => {
                    Ok(Outcome::LeftOut(format!("it does not: {why}")))
                }
                other => Err(format!(
                    "it says that it does not embed, and came to {other:?}"
                )),
            },
            other => Err(format!("what it can and what it does differ: {other:?}")),
        }
    }

    fn texts(&mut self) -> Result<Outcome, String> {
        let mut model = self.fresh()?;
        let fault = |fault: crate::host::Fault| fault.to_string();
        for text in ["", FIRST, "\u{6a21}\u{578b} \u{1f41d} \u{e9}\u{0}\n"] {
            let tokens = model.tokenize(text).map_err(fault)?;
            let tokens = tokens.map_err(|error| format!("{text:?}: {error}"))?;
            if let Some(wrong) = tokens.iter().find(|token| **token >= self.info.vocabulary) {
                return Err(format!("{text:?} has token {wrong}, which the model lacks"));
            }
            let back = model.detokenize(&tokens).map_err(fault)?;
            back.map_err(|error| format!("the tokens of {text:?}: {error}"))?;
        }
        if let Ok(text) = model.detokenize(&[u32::MAX]).map_err(fault)? {
            return Err(format!("a token that is none is {text:?}"));
        }
        Ok(Outcome::Fine)
    }
}
