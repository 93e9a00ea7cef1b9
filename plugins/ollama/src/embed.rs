//! Vectors of texts, some texts at a time, so that no answer is too long to hold.

use std::collections::VecDeque;

use serde::Deserialize;
use skep_sdk::http::quoted;
use skep_sdk::upstream::{Embedding, EmbeddingRequest, Error, Event, Prompt, Usage};

use crate::ask;
use crate::config::Config;
use crate::limits::{ANSWER_BYTES, INPUTS_AT_ONCE};
use crate::refusal::send;

/// The vectors that were asked for in one request.
#[derive(Debug)]
pub struct Embed {
    config: Config,
    model: String,
    request: u64,
    inputs: Vec<Prompt>,
    /// So many inputs were sent.
    sent: usize,
    prompt_tokens: u32,
    events: VecDeque<Event>,
}

#[derive(Deserialize)]
struct Whole {
    embeddings: Vec<Vec<f32>>,
    prompt_eval_count: Option<u32>,
}

impl Embed {
    /// Sends the first of it, so that what is wrong with the request is known.
    pub(crate) fn start(
        config: Config,
        model: String,
        request: u64,
        work: EmbeddingRequest,
    ) -> Result<Self, Error> {
        let mut it = Self {
            config,
            model,
            request,
            inputs: work.inputs,
            sent: 0,
            prompt_tokens: 0,
            events: VecDeque::new(),
        };
        it.send()?;
        Ok(it)
    }

    /// The caller asks no more after the end.
    pub(crate) fn next(&mut self) -> Result<Option<Event>, Error> {
        if self.events.is_empty() && self.sent < self.inputs.len() {
            self.send()?;
        }
        let usage = Usage {
            prompt_tokens: self.prompt_tokens,
            cached_tokens: 0,
            completion_tokens: 0,
        };
        let next = self.events.pop_front();
        Ok(Some(next.unwrap_or(Event::Done((self.request, usage)))))
    }

    fn send(&mut self) -> Result<(), Error> {
        let rest = self.inputs.get(self.sent..).unwrap_or_default();
        let some = rest.get(..INPUTS_AT_ONCE).unwrap_or(rest);
        if some.is_empty() {
            return Ok(());
        }
        let ask = ask::embedding(&self.model, some, &self.config.wishes)?;
        let response = send(
            self.config.post(ask.path, &ask.json),
            self.config.key_name(),
        )?;
        let body = response.read_to_limit(ANSWER_BYTES)?;
        let (vectors, prompt_tokens) = read(&body, some.len())?;
        for (index, values) in vectors.into_iter().enumerate() {
            self.events.push_back(Event::Embedded(Embedding {
                request: self.request,
                index: u32::try_from(self.sent + index).unwrap_or(u32::MAX),
                values,
            }));
        }
        self.prompt_tokens = self.prompt_tokens.saturating_add(prompt_tokens);
        self.sent += some.len();
        Ok(())
    }
}

/// Each of `count` vectors, in order, and how long the texts were.
pub(crate) fn read(body: &[u8], count: usize) -> Result<(Vec<Vec<f32>>, u32), Error> {
    let whole: Whole = serde_json::from_slice(body).map_err(|error| {
        Error::Malformed(format!(
            "the server sent what is no list of vectors ({error}): {}",
            quoted(&String::from_utf8_lossy(body))
        ))
    })?;
    let found = whole.embeddings.len();
    if found != count || whole.embeddings.iter().any(Vec::is_empty) {
        return Err(Error::Malformed(format!(
            "the server sent {found} vectors for {count} texts, or an empty one"
        )));
    }
    Ok((whole.embeddings, whole.prompt_eval_count.unwrap_or(0)))
}
