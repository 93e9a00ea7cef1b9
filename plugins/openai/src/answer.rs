//! What the pieces of an answer say, put into the contract's events. Knows no connection: what it is given may be cut anywhere,
//! wrong or hostile, and an answer counts as whole only when the service said how each part of it ended.

use std::collections::VecDeque;

use serde::Deserialize;
use serde_json::Value;
use skep_sdk::http::quoted;
use skep_sdk::upstream::{Error, Event, Finish, Gain, Usage};

use crate::logprobs::Logprobs;
use crate::refusal::{Asked, Refusal};

/// One answer on its way.
#[derive(Debug)]
pub(crate) struct Answer {
    request: u64,
    /// Which of the choices are over.
    over: Vec<bool>,
    usage: Usage,
    is_done: bool,
}

/// A piece of a streamed answer, or an answer that came whole: a chat's or a completion's.
#[derive(Deserialize)]
struct Chunk {
    choices: Option<Vec<Choice>>,
    usage: Option<Used>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    index: Option<u32>,
    #[serde(alias = "message")]
    delta: Option<Delta>,
    text: Option<String>,
    logprobs: Option<Logprobs>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Delta {
    content: Option<String>,
    refusal: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Used {
    prompt_tokens: Option<u32>,
    completion_tokens: Option<u32>,
    prompt_tokens_details: Option<UsedPrompt>,
}

#[derive(Deserialize)]
struct UsedPrompt {
    cached_tokens: Option<u32>,
}

impl Answer {
    /// Nothing has come yet of so many choices.
    pub(crate) fn new(request: u64, choices: u32) -> Self {
        Self {
            request,
            over: vec![false; choices as usize],
            usage: NOTHING,
            is_done: false,
        }
    }

    /// Takes one event's data and adds what it says.
    pub(crate) fn take(&mut self, data: &str, events: &mut VecDeque<Event>) -> Result<(), Error> {
        if self.is_done {
            return Ok(());
        }
        if data.trim() == "[DONE]" {
            return self.end(events);
        }
        let chunk: Chunk = serde_json::from_str(data).map_err(|error| {
            Error::Malformed(format!(
                "the service sent what is no piece of an answer ({error}): {}",
                quoted(data)
            ))
        })?;
        if let Some(error) = chunk.error.filter(|error| !error.is_null()) {
            return Err(Refusal::inside(&error).into_error(Asked {
                model: None,
                key: None,
            }));
        }
        if let Some(used) = chunk.usage {
            self.usage = used.into();
        }
        for choice in chunk.choices.unwrap_or_default() {
            self.gain(choice, events)?;
        }
        Ok(())
    }

    /// The service has said all that it will.
    pub(crate) fn end(&mut self, events: &mut VecDeque<Event>) -> Result<(), Error> {
        if self.is_done {
            return Ok(());
        }
        if self.over.contains(&false) {
            return Err(Error::Other(
                "the service ended the answer before it was over: what came is not all of it"
                    .to_owned(),
            ));
        }
        self.is_done = true;
        events.push_back(Event::Done((self.request, self.usage)));
        Ok(())
    }

    fn gain(&mut self, from: Choice, events: &mut VecDeque<Event>) -> Result<(), Error> {
        let choice = from.index.unwrap_or(0);
        let Some(over) = self.over.get_mut(choice as usize) else {
            return Err(Error::Malformed(format!(
                "the service sent a part of answer {choice}, which was not asked for"
            )));
        };
        let mut text = from.text.unwrap_or_default();
        if let Some(delta) = from.delta {
            text.push_str(&delta.content.unwrap_or_default());
            text.push_str(&delta.refusal.unwrap_or_default());
        }
        let logprobs = from.logprobs.map_or_else(Vec::new, Logprobs::into_list);
        let finish = match from.finish_reason.as_deref() {
            None | Some("") => None,
            Some("length" | "max_tokens") => Some(Finish::Length),
            Some("content_filter") => {
                return Err(Error::Other(
                    "the service withheld the rest of the answer (its filter found fault with it)"
                        .to_owned(),
                ));
            }
            Some(_) => Some(Finish::Stop),
        };
        // Some say twice that an answer is over, some send empty pieces after it.
        if *over || (text.is_empty() && logprobs.is_empty() && finish.is_none()) {
            return Ok(());
        }
        *over = finish.is_some();
        events.push_back(Event::Gained(Gain {
            request: self.request,
            choice,
            text,
            tokens: Vec::new(),
            logprobs,
            finish,
        }));
        Ok(())
    }
}

impl From<Used> for Usage {
    fn from(used: Used) -> Self {
        let cached = used
            .prompt_tokens_details
            .and_then(|details| details.cached_tokens);
        Self {
            prompt_tokens: used.prompt_tokens.unwrap_or(0),
            cached_tokens: cached.unwrap_or(0),
            completion_tokens: used.completion_tokens.unwrap_or(0),
        }
    }
}

/// What a request used whose service does not say.
pub(crate) const NOTHING: Usage = Usage {
    prompt_tokens: 0,
    cached_tokens: 0,
    completion_tokens: 0,
};
