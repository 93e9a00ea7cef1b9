//! `skep run`: one question to a model, its answer as it comes.
//!
//! Decides where the question comes from and how the answer is shown; refuses to know how models
//! answer.

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use ureq::http::Method;

use super::arguments::Run as Wish;
use super::events::{Happening, Interrupts};
use super::terminal::{complain, printable};
use super::{Exit, Failure, chat, print_json};
use crate::client::Client;
use crate::paths::Paths;
use crate::wire::ErrorAnswer;

pub(super) fn run(client: Client, paths: Option<&Paths>, wish: &Wish) -> Result<(), Failure> {
    let mut asked = Request::new(wish)?;
    let Some(question) = question(&wish.prompt)? else {
        if wish.json {
            return Err(Failure::usage(
                "`--json` needs a question on the command line or a pipe",
            ));
        }
        return chat::chat(client, paths, asked);
    };
    asked.say("user", question);
    if wish.json {
        asked.stream = false;
        asked.stream_options = None;
        let answer: serde_json::Value = client.post("/v1/chat/completions", &asked)?;
        return print_json(&answer);
    }
    let interrupts = Interrupts::watch();
    let answer = answer(&Arc::new(client), &interrupts, &asked)?;
    if answer.interrupted {
        return Err(Failure::silent(Exit::Interrupted));
    }
    Ok(())
}

/// A request for a chat completion, as OpenAI documents it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Request {
    pub(super) model: String,
    pub(super) messages: Vec<Message>,
    pub(super) stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) temperature: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) seed: Option<u64>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Message {
    pub(super) role: &'static str,
    pub(super) content: String,
}

#[derive(Clone, Debug, Serialize)]
struct StreamOptions {
    include_usage: bool,
}

impl Request {
    fn new(wish: &Wish) -> Result<Self, Failure> {
        if wish.temperature.is_some_and(|t| !(0.0..=2.0).contains(&t)) {
            return Err(Failure::usage("`--temperature` goes from 0 to 2"));
        }
        if wish.max_tokens == Some(0) {
            return Err(Failure::usage("`--max-tokens` begins at 1"));
        }
        let mut request = Self {
            model: wish.model.clone(),
            messages: Vec::new(),
            stream: true,
            stream_options: Some(StreamOptions {
                include_usage: true,
            }),
            temperature: wish.temperature,
            max_tokens: wish.max_tokens,
            seed: wish.seed,
        };
        if let Some(system) = &wish.system {
            request.say("system", system.clone());
        }
        Ok(request)
    }

    pub(super) fn say(&mut self, role: &'static str, content: String) {
        self.messages.push(Message { role, content });
    }
}

/// What came of a question.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) interrupted: bool,
    /// Tokens of the question and of the answer, if the agent told.
    pub(super) usage: Option<Usage>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Usage {
    pub(super) prompt_tokens: u64,
    pub(super) completion_tokens: u64,
}

/// Asks, and writes the answer to standard output as it comes.
pub(super) fn answer(
    client: &Arc<Client>,
    interrupts: &Interrupts,
    request: &Request,
) -> Result<Answer, Failure> {
    let happenings = interrupts.ask(
        client,
        Method::POST,
        "/v1/chat/completions",
        Some(request.clone()),
    );
    let mut answer = Answer::default();
    let mut shown = Shown::new();
    let mut whole = false;
    for happening in happenings {
        match happening {
            Happening::Line(line) => match event(&line)? {
                Event::Nothing => {}
                Event::Done => {
                    whole = true;
                    break;
                }
                Event::Part(part) => {
                    answer.usage = part.usage.or(answer.usage);
                    for choice in part.choices {
                        let text = choice.delta.content.unwrap_or_default();
                        shown.write(&text)?;
                        answer.text.push_str(&text);
                    }
                }
            },
            Happening::Interrupted => {
                answer.interrupted = true;
                whole = true;
                break;
            }
            Happening::End => break,
            Happening::Failed(error) => return Err(error.into()),
            Happening::Broken(error) => {
                shown.end()?;
                return Err(Failure::new(format!("the answer broke off: {error}"))
                    .with_hint(Some("`skep logs` may tell why")));
            }
        }
    }
    interrupts.release();
    shown.end()?;
    if !whole {
        return Err(
            Failure::new("the answer broke off: the agent closed the connection")
                .with_hint(Some("`skep logs` may tell why")),
        );
    }
    Ok(answer)
}

/// What a line of the stream says (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).
enum Event {
    Nothing,
    Part(Part),
    Done,
}

#[derive(Deserialize)]
struct Part {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Delta,
}

#[derive(Deserialize)]
struct Delta {
    content: Option<String>,
}

fn event(line: &str) -> Result<Event, Failure> {
    let Some(data) = line.strip_prefix("data:").map(str::trim) else {
        return Ok(Event::Nothing);
    };
    if data == "[DONE]" {
        return Ok(Event::Done);
    }
    if let Ok(ErrorAnswer { error }) = serde_json::from_str(data) {
        return Err(Failure::new(error.message).with_hint(error.hint));
    }
    serde_json::from_str(data)
        .map(Event::Part)
        .map_err(|error| Failure::new(format!("the agent sent what is not understood: {error}")))
}

/// What stands on the screen: flushed part by part, and a line break at the end.
struct Shown {
    terminal: bool,
    at_line_start: bool,
}

impl Shown {
    fn new() -> Self {
        Self {
            terminal: io::stdout().is_terminal(),
            at_line_start: true,
        }
    }

    fn write(&mut self, text: &str) -> Result<(), Failure> {
        if text.is_empty() {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        // A file gets what the model said; a terminal is not steered by it.
        let shown = if self.terminal {
            printable(text)
        } else {
            text.into()
        };
        out.write_all(shown.as_bytes())?;
        out.flush()?;
        self.at_line_start = text.ends_with('\n');
        Ok(())
    }

    fn end(&mut self) -> Result<(), Failure> {
        if !self.at_line_start {
            writeln!(io::stdout().lock())?;
        }
        Ok(())
    }
}

/// The question: the arguments, with `-` standing for standard input; none asks for a conversation.
fn question(words: &[String]) -> Result<Option<String>, Failure> {
    if words.is_empty() {
        if io::stdin().is_terminal() {
            return Ok(None);
        }
        return read_input().map(Some);
    }
    let mut parts = Vec::new();
    let mut line: Vec<&str> = Vec::new();
    for word in words {
        if word == "-" {
            parts.extend((!line.is_empty()).then(|| line.join(" ")));
            line.clear();
            parts.push(read_input()?);
        } else {
            line.push(word);
        }
    }
    parts.extend((!line.is_empty()).then(|| line.join(" ")));
    Ok(Some(parts.join("\n\n")))
}

fn read_input() -> Result<String, Failure> {
    if io::stdin().is_terminal() {
        complain("reading the question from the terminal; Ctrl-D ends it");
    }
    let mut text = Vec::new();
    io::stdin()
        .lock()
        .take(INPUT_BYTES_MAX + 1)
        .read_to_end(&mut text)
        .map_err(|error| Failure::new(format!("could not read standard input: {error}")))?;
    if text.len() as u64 > INPUT_BYTES_MAX {
        return Err(Failure::usage(format!(
            "standard input has more than {INPUT_BYTES_MAX} bytes, which no model here can read"
        )));
    }
    let text = String::from_utf8(text)
        .map_err(|_| Failure::usage("standard input is not text in UTF-8"))?;
    if text.trim().is_empty() {
        return Err(Failure::usage(
            "standard input is empty: there is nothing to ask",
        ));
    }
    Ok(text)
}

/// A context of a million tokens has some 4 MB of text.
const INPUT_BYTES_MAX: u64 = 8 << 20;
