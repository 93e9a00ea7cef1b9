//! A generation at the service: sent, and then read piece by piece.

use std::collections::VecDeque;

use skep_sdk::http::BodyEvents;
use skep_sdk::upstream::{Error, Event, Generation};

use crate::answer::Answer;
use crate::ask;
use crate::config::Config;
use crate::limits::{ANSWER_BYTES, EVENT_BYTES};
use crate::refusal::Asked;
use crate::send::send;

/// One generation.
#[derive(Debug)]
pub struct Generate {
    answer: Answer,
    /// None when all of it came at once.
    pieces: Option<BodyEvents>,
    events: VecDeque<Event>,
}

impl Generate {
    pub(crate) fn start(
        config: &Config,
        model: &str,
        request: u64,
        work: &Generation,
    ) -> Result<Self, Error> {
        let ask = ask::generation(model, work, config.dialect)?;
        let response = send(
            config
                .post(ask.path, &ask.json)
                .header("accept", "text/event-stream, application/json"),
            Asked {
                model: Some(model),
                key: config.key_name(),
            },
        )?;
        let mut answer = Answer::new(request, work.choices);
        let mut events = VecDeque::new();
        let kind = response.header("content-type").unwrap_or_default();
        // Some services stream only what they can, and answer at once else.
        if kind.trim_start().starts_with("application/json") {
            let whole = response.read_to_limit(ANSWER_BYTES)?;
            answer.take(&String::from_utf8_lossy(&whole), &mut events)?;
            answer.end(&mut events)?;
            return Ok(Self {
                answer,
                pieces: None,
                events,
            });
        }
        Ok(Self {
            answer,
            pieces: Some(response.events(EVENT_BYTES)),
            events,
        })
    }

    pub(crate) fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            let Some(pieces) = &mut self.pieces else {
                return Ok(None);
            };
            match pieces.read()? {
                Some(piece) => self.answer.take(&piece.data, &mut self.events)?,
                None => {
                    self.pieces = None;
                    self.answer.end(&mut self.events)?;
                }
            }
        }
    }
}
