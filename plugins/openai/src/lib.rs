//! An adapter to OpenAI and what speaks like it: vLLM, llama-server, LM Studio, another skep.
//!
//! Decides how a request is said in OpenAI's words (`ask`) and what the service's answer means (`answer`, `refusal`, `models`).
//! A request is sent again only before anything of an answer has come, and never after. Refuses to know keys, which the
//! host puts into headers, and everything that a request of ours does not carry: tools, images, audio, and what a
//! model thinks apart from its answer.
#![warn(missing_docs)]

mod answer;
mod ask;
mod config;
mod embed;
mod generate;
mod limits;
mod logprobs;
mod models;
mod refusal;
mod send;
#[cfg(test)]
mod tests;

use skep_sdk::upstream::{Error, Event, Exchange, NoPull, Offer, Settings, Upstream, Work};

use crate::config::Config;
use crate::embed::Embed;
use crate::generate::Generate;

/// The adapter.
#[derive(Debug)]
pub struct OpenAi;

/// A request at the service.
#[derive(Debug)]
pub enum InFlight {
    #[doc(hidden)]
    Generate(Box<Generate>),
    #[doc(hidden)]
    Embed(Box<Embed>),
    /// Its last word was said.
    Over,
}

impl Upstream for OpenAi {
    type Exchange = InFlight;
    type Pull = NoPull;

    fn models(settings: Settings) -> Result<Vec<Offer>, Error> {
        models::list(&Config::read(&settings)?)
    }

    fn start(
        settings: Settings,
        model: String,
        request: u64,
        work: Work,
    ) -> Result<InFlight, Error> {
        let config = Config::read(&settings)?;
        match work {
            Work::Generate(work) => Generate::start(&config, &model, request, &work)
                .map(|it| InFlight::Generate(Box::new(it))),
            Work::Embed(work) => {
                Embed::start(config, model, request, work).map(|it| InFlight::Embed(Box::new(it)))
            }
        }
    }

    fn pull(_: Settings, _: String) -> Result<NoPull, Error> {
        Err(Error::Unsupported(
            "this service cannot be asked to get a model".to_owned(),
        ))
    }
}

impl Exchange for InFlight {
    fn next(&mut self) -> Result<Option<Event>, Error> {
        let next = match self {
            Self::Generate(it) => it.next(),
            Self::Embed(it) => it.next(),
            Self::Over => return Ok(None),
        };
        if matches!(next, Err(_) | Ok(None | Some(Event::Done(_)))) {
            // Closes the connection, also when the service would go on.
            *self = Self::Over;
        }
        next
    }
}

skep_sdk::upstream!(OpenAi);
