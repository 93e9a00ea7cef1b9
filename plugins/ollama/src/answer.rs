//! What the lines of an answer say, put into the contract's events. Knows no connection: what it is given may be cut anywhere,
//! wrong or hostile, and an answer is whole only when the server said that it is done.

use serde::Deserialize;
use skep_sdk::http::quoted;
use skep_sdk::upstream::{Candidate, Error, Event, Finish, Gain, TokenLogprob, Usage};

use crate::refusal;

/// One answer on its way.
#[derive(Debug)]
pub(crate) struct Answer {
    request: u64,
    wants_logprobs: bool,
    /// Set with the last line.
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Line {
    error: Option<String>,
    /// A chat's.
    message: Option<Message>,
    /// A completion's.
    response: Option<String>,
    logprobs: Option<Vec<Token>>,
    #[serde(default)]
    done: bool,
    done_reason: Option<String>,
    prompt_eval_count: Option<u32>,
    eval_count: Option<u32>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
}

#[derive(Deserialize)]
struct Token {
    #[serde(flatten)]
    chosen: Named,
    top_logprobs: Option<Vec<Named>>,
}

#[derive(Deserialize)]
struct Named {
    token: String,
    logprob: f32,
    bytes: Option<Vec<u8>>,
}

impl Answer {
    pub(crate) fn new(request: u64, wants_logprobs: bool) -> Self {
        Self {
            request,
            wants_logprobs,
            usage: None,
        }
    }

    /// Takes one line; what it says, if anything.
    pub(crate) fn take(&mut self, line: &[u8]) -> Result<Option<Event>, Error> {
        if self.usage.is_some() || line.trim_ascii().is_empty() {
            return Ok(None);
        }
        let line: Line = serde_json::from_slice(line).map_err(|error| {
            Error::Malformed(format!(
                "the server sent what is no piece of an answer ({error}): {}",
                quoted(&String::from_utf8_lossy(line))
            ))
        })?;
        if let Some(error) = line.error {
            return Err(refusal::inside(&error));
        }
        let chat = line.message.and_then(|message| message.content);
        let text = chat.or(line.response).unwrap_or_default();
        let logprobs = line.logprobs.unwrap_or_default();
        if self.wants_logprobs && logprobs.is_empty() && !text.is_empty() {
            return Err(Error::Unsupported(
                "this version of Ollama tells no log probabilities".to_owned(),
            ));
        }
        let finish = line.done.then_some(match line.done_reason.as_deref() {
            Some("length") => Finish::Length,
            _ => Finish::Stop,
        });
        if line.done {
            self.usage = Some(Usage {
                // Left out when all of the prompt was in the cache.
                prompt_tokens: line.prompt_eval_count.unwrap_or(0),
                cached_tokens: 0,
                completion_tokens: line.eval_count.unwrap_or(0),
            });
        }
        if text.is_empty() && logprobs.is_empty() && finish.is_none() {
            return Ok(None);
        }
        Ok(Some(Event::Gained(Gain {
            request: self.request,
            choice: 0,
            text,
            tokens: Vec::new(),
            logprobs: logprobs.into_iter().map(Token::into_logprob).collect(),
            finish,
        })))
    }

    /// What the server says at last, once it has.
    pub(crate) fn done(&self) -> Option<Event> {
        self.usage.map(|usage| Event::Done((self.request, usage)))
    }
}

impl Token {
    fn into_logprob(self) -> TokenLogprob {
        let alternatives = self.top_logprobs.unwrap_or_default();
        TokenLogprob {
            chosen: self.chosen.into_candidate(),
            alternatives: alternatives
                .into_iter()
                .map(Named::into_candidate)
                .collect(),
            predicted: true,
        }
    }
}

impl Named {
    fn into_candidate(self) -> Candidate {
        Candidate {
            // The server does not tell identities, and no vocabulary has so many.
            token: u32::MAX,
            bytes: self.bytes.unwrap_or_else(|| self.token.into_bytes()),
            logprob: self.logprob,
        }
    }
}

/// A stream that ended before it was done.
pub(crate) fn cut_off() -> Error {
    Error::Other(
        "the server ended the answer before it was over: what came is not all of it".to_owned(),
    )
}
