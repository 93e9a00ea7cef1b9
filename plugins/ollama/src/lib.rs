//! An adapter to Ollama and its forks.
//!
//! Decides how a request is said in Ollama's words (`ask`), what its answers mean, one JSON text a line (`answer`, `refusal`), what is
//! known of its models (`models`), and how far one has come that it pulls (`pull`). A request is sent again only before
//! anything of an answer has come, and never after. Refuses to know where servers are: one is set, by `base-url`.
#![warn(missing_docs)]

mod answer;
mod ask;
mod config;
mod embed;
mod generate;
mod limits;
mod models;
mod pull;
mod refusal;
#[cfg(test)]
mod tests;

use skep_sdk::upstream::{Error, Event, Exchange, Offer, Progress, Pull, Settings, Upstream, Work};

use crate::config::Config;
use crate::embed::Embed;
use crate::generate::Generate;
use crate::pull::Pulling;

/// The adapter.
#[derive(Debug)]
pub struct Ollama;

/// A request at the server.
#[derive(Debug)]
pub enum InFlight {
    #[doc(hidden)]
    Generate(Box<Generate>),
    #[doc(hidden)]
    Embed(Box<Embed>),
    /// Its last word was said.
    Over,
}

/// A model on its way to the server.
#[derive(Debug)]
pub struct OnItsWay(Option<Box<Pulling>>);

impl Upstream for Ollama {
    type Exchange = InFlight;
    type Pull = OnItsWay;

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

    fn pull(settings: Settings, model: String) -> Result<OnItsWay, Error> {
        let pulling = Pulling::start(&Config::read(&settings)?, &model)?;
        Ok(OnItsWay(Some(Box::new(pulling))))
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
            // Closes the connection, also when the server would go on.
            *self = Self::Over;
        }
        next
    }
}

impl Pull for OnItsWay {
    fn next(&mut self) -> Result<Option<Progress>, Error> {
        let Some(pulling) = &mut self.0 else {
            return Ok(None);
        };
        let next = pulling.next();
        if !matches!(next, Ok(Some(_))) {
            self.0 = None;
        }
        next
    }
}

skep_sdk::upstream!(Ollama);
