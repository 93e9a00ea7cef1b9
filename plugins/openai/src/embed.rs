//! Vectors of texts, some texts at a time, so that no answer is too long to hold.

use std::collections::VecDeque;

use serde::Deserialize;
use skep_sdk::http::quoted;
use skep_sdk::upstream::{Embedding, EmbeddingRequest, Error, Event, Prompt, Usage};

use crate::answer::{NOTHING, Used};
use crate::ask;
use crate::config::Config;
use crate::limits::{ANSWER_BYTES, INPUTS_AT_ONCE};
use crate::refusal::Asked;
use crate::send::send;

/// The vectors that were asked for in one request.
#[derive(Debug)]
pub struct Embed {
    config: Config,
    model: String,
    request: u64,
    inputs: Vec<Prompt>,
    /// So many inputs were sent.
    sent: usize,
    usage: Usage,
    events: VecDeque<Event>,
    is_done: bool,
}

#[derive(Deserialize)]
struct Whole {
    data: Vec<Vector>,
    usage: Option<Used>,
}

#[derive(Deserialize)]
struct Vector {
    index: Option<usize>,
    embedding: Vec<f32>,
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
            usage: NOTHING,
            events: VecDeque::new(),
            is_done: false,
        };
        it.send()?;
        Ok(it)
    }

    pub(crate) fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            if self.is_done {
                return Ok(None);
            }
            if self.sent >= self.inputs.len() {
                self.is_done = true;
                return Ok(Some(Event::Done((self.request, self.usage))));
            }
            self.send()?;
        }
    }

    fn send(&mut self) -> Result<(), Error> {
        let rest = self.inputs.get(self.sent..).unwrap_or_default();
        let some = rest.get(..INPUTS_AT_ONCE).unwrap_or(rest);
        if some.is_empty() {
            return Ok(());
        }
        let ask = ask::embedding(&self.model, some)?;
        let response = send(
            self.config.post(ask.path, &ask.json),
            Asked {
                model: Some(&self.model),
                key: self.config.key_name(),
            },
        )?;
        let body = response.read_to_limit(ANSWER_BYTES)?;
        let (vectors, usage) = read(&body, some.len())?;
        for (index, values) in vectors.into_iter().enumerate() {
            self.events.push_back(Event::Embedded(Embedding {
                request: self.request,
                index: u32::try_from(self.sent + index).unwrap_or(u32::MAX),
                values,
            }));
        }
        self.usage.prompt_tokens = self.usage.prompt_tokens.saturating_add(usage.prompt_tokens);
        self.sent += some.len();
        Ok(())
    }
}

/// Each of `count` vectors, in order.
pub(crate) fn read(body: &[u8], count: usize) -> Result<(Vec<Vec<f32>>, Usage), Error> {
    let whole: Whole = serde_json::from_slice(body).map_err(|error| {
        Error::Malformed(format!(
            "the service sent what is no list of vectors ({error}): {}",
            quoted(&String::from_utf8_lossy(body))
        ))
    })?;
    let mut vectors = vec![Vec::new(); count];
    let found = whole.data.len();
    for (at, vector) in whole.data.into_iter().enumerate() {
        if let Some(place) = vectors.get_mut(vector.index.unwrap_or(at)) {
            *place = vector.embedding;
        }
    }
    if found != count || vectors.iter().any(Vec::is_empty) {
        return Err(Error::Malformed(format!(
            "the service sent {found} vectors for {count} texts, or not one for each"
        )));
    }
    Ok((vectors, whole.usage.map_or(NOTHING, Usage::from)))
}
