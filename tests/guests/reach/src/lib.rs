//! An adapter that does what its prompt says: a script of one command in each line, and what came of it as one event each.
//!
//! `start: …` in the first line is done in `start` instead. Its models are what the setting `models` holds: a command, too.
#![allow(
    clippy::print_stdout,
    reason = "standard output is one of the ways out that are tried"
)]

mod net;
mod vices;

use std::collections::VecDeque;

use skep_sdk::upstream::{
    Error, Event, Exchange, Finish, Gain, Offer, Progress, Prompt, Pull, Settings, Upstream, Usage,
    Work,
};

/// The adapter.
#[derive(Debug)]
pub struct Reach;

/// A script that is half done.
#[derive(Debug)]
pub struct Script {
    request: u64,
    lines: VecDeque<String>,
    /// An answer that is read piece by piece.
    stream: Option<net::Reading>,
    over: bool,
}

/// A pull that counts to three.
#[derive(Debug)]
pub struct Counting(u64, String);

impl Upstream for Reach {
    type Exchange = Script;
    type Pull = Counting;

    fn models(settings: Settings) -> Result<Vec<Offer>, Error> {
        let wish = settings.values.iter().find(|(name, _)| name == "models");
        let command = wish.map_or("say nothing", |(_, command)| command);
        let said = command_result(command)?;
        Ok(vec![Offer {
            id: said,
            info: None,
        }])
    }

    fn start(_: Settings, model: String, request: u64, work: Work) -> Result<Script, Error> {
        let Work::Generate(generation) = work else {
            return Err(Error::Unsupported("it embeds nothing".to_owned()));
        };
        let Prompt::Text(text) = generation.prompt else {
            return Err(Error::invalid("messages", "it chats with nobody"));
        };
        let mut lines: VecDeque<String> = text.lines().map(str::to_owned).collect();
        if let Some(first) = lines.front()
            && let Some(command) = first.strip_prefix("start: ")
        {
            command_result(command)?;
            lines.pop_front();
        }
        // A request that is not its own must not get an event.
        let request = if model == "liar" {
            request + 1
        } else {
            request
        };
        Ok(Script {
            request,
            lines,
            stream: None,
            over: false,
        })
    }

    fn pull(_: Settings, model: String) -> Result<Counting, Error> {
        Ok(Counting(0, model))
    }
}

impl Exchange for Script {
    fn next(&mut self) -> Result<Option<Event>, Error> {
        if self.over {
            return Ok(None);
        }
        if let Some(stream) = &mut self.stream {
            match stream.next() {
                Some(said) => return Ok(Some(self.gained(said))),
                None => self.stream = None,
            }
        }
        let Some(line) = self.lines.pop_front() else {
            self.over = true;
            return Ok(Some(Event::Done((
                self.request,
                Usage {
                    prompt_tokens: 1,
                    cached_tokens: 0,
                    completion_tokens: 1,
                },
            ))));
        };
        if line == "vanish" {
            self.over = true;
            return Ok(None);
        }
        if let Some(url) = line.strip_prefix("stream ") {
            return Ok(Some(match net::Reading::open(url) {
                Ok(reading) => {
                    self.stream = Some(reading);
                    self.gained("open".to_owned())
                }
                Err(error) => self.gained(error),
            }));
        }
        let said = command_result(&line)?;
        Ok(Some(self.gained(said)))
    }
}

impl Script {
    fn gained(&self, text: String) -> Event {
        Event::Gained(Gain {
            request: self.request,
            choice: 0,
            text,
            tokens: Vec::new(),
            logprobs: Vec::new(),
            finish: self.lines.is_empty().then_some(Finish::Stop),
        })
    }
}

impl Pull for Counting {
    fn next(&mut self) -> Result<Option<Progress>, Error> {
        self.0 += 1;
        match (self.0, self.1.as_str()) {
            (_, "unknown") => Err(Error::invalid("model", "it is unknown")),
            (1..=3, _) => Ok(Some(Progress {
                what: "fetching".to_owned(),
                done_bytes: self.0,
                total_bytes: Some(3),
            })),
            _ => Ok(None),
        }
    }
}

fn command_result(line: &str) -> Result<String, Error> {
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    match verb {
        "say" => Ok(rest.to_owned()),
        "fail" => Err(Error::Other(rest.to_owned())),
        "fetch" => Ok(net::fetch(rest)),
        "follow" => Ok(net::follow(rest)),
        "secret" => Ok(net::secret(rest)),
        "with-secret" => net::with_secret(rest),
        _ => vices::indulge(verb, rest),
    }
}

skep_sdk::upstream!(Reach);
