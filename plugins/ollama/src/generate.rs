//! A generation at the server: sent, and then read line by line.

use skep_sdk::http::BodyLines;
use skep_sdk::upstream::{Error, Event, Generation};

use crate::answer::{Answer, cut_off};
use crate::ask;
use crate::config::Config;
use crate::limits::LINE_BYTES;
use crate::refusal::send;

/// One generation.
#[derive(Debug)]
pub struct Generate {
    answer: Answer,
    lines: BodyLines,
}

impl Generate {
    pub(crate) fn start(
        config: &Config,
        model: &str,
        request: u64,
        work: &Generation,
    ) -> Result<Self, Error> {
        let ask = ask::generation(model, work, &config.wishes)?;
        let response = send(config.post(ask.path, &ask.json), config.key_name())?;
        Ok(Self {
            answer: Answer::new(request, work.logprobs.is_some()),
            lines: response.lines(LINE_BYTES),
        })
    }

    pub(crate) fn next(&mut self) -> Result<Option<Event>, Error> {
        if let Some(done) = self.answer.done() {
            return Ok(Some(done));
        }
        loop {
            let line = self.lines.read()?.ok_or_else(cut_off)?;
            if let Some(event) = self.answer.take(&line)? {
                return Ok(Some(event));
            }
        }
    }
}
