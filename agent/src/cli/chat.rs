//! `skep run MODEL` on a terminal: a conversation.
//!
//! Decides the commands that begin with `/`, what is remembered, and that Ctrl-C ends an answer
//! and not the conversation.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor};

use super::events::Interrupts;
use super::run::{Request, answer};
use super::terminal::{Paint, complain, printable, say};
use super::{Failure, figures};
use crate::client::Client;
use crate::paths::Paths;
use crate::wire::{Models, Replicas};

pub(super) fn chat(client: Client, paths: Option<&Paths>, request: Request) -> Result<(), Failure> {
    if !std::io::stdout().is_terminal() {
        return Err(Failure::usage("a conversation needs a terminal")
            .with_hint(Some("give the question: `skep run MODEL \"…\"`")));
    }
    check_model(&client, &request.model)?;
    let paint = Paint::for_stdout();
    let model = printable(&request.model).into_owned();
    say(format!(
        "{} {}",
        paint.bold(&model),
        paint.dim("· /help for help, Ctrl-D to leave")
    ))?;
    if is_for_trying(&client, &request.model) {
        say(paint.dim(
            "This small model continues text in the manner of the Rust documentation; it was not \
             taught to converse.",
        ))?;
    }
    let mut conversation = Conversation {
        client: Arc::new(client),
        interrupts: Interrupts::watch(),
        system: request.messages.len(),
        request,
        paint,
    };
    let mut editor = editor()?;
    let history = paths.map(|paths| paths.state.join("chat-history"));
    load_history(&mut editor, history.as_ref());
    loop {
        match read(&mut editor, paint) {
            Ok(line) if line.trim().is_empty() => {}
            Ok(line) => {
                // A history that cannot be kept is no reason to stop.
                let _ = editor.add_history_entry(line.trim_end());
                if !conversation.take(line.trim())? {
                    break;
                }
            }
            Err(ReadlineError::Interrupted) => say(paint.dim("Ctrl-D or /exit leaves"))?,
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(Failure::new(format!("could not read a line: {error}"))),
        }
    }
    save_history(&mut editor, history.as_ref());
    Ok(())
}

struct Conversation {
    client: Arc<Client>,
    interrupts: Interrupts,
    /// How many messages stand before the conversation.
    system: usize,
    request: Request,
    paint: Paint,
}

impl Conversation {
    /// Does what a line says; false when it says to leave.
    fn take(&mut self, line: &str) -> Result<bool, Failure> {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        match word {
            "/exit" | "/quit" | "/bye" | "/q" => return Ok(false),
            "/help" | "/?" => say(HELP)?,
            "/clear" => {
                self.request.messages.truncate(self.system);
                say(self.paint.dim("forgotten; a new conversation"))?;
            }
            "/system" => self.set_system(rest)?,
            "/temperature" => match rest.parse::<f32>() {
                Ok(t) if (0.0..=2.0).contains(&t) => self.request.temperature = Some(t),
                _ => complain("`/temperature` takes a number from 0 to 2"),
            },
            "/max-tokens" => match rest.parse::<u32>() {
                Ok(n) if n > 0 => self.request.max_tokens = Some(n),
                _ => complain("`/max-tokens` takes a number from 1"),
            },
            "/retry" => return self.retry(),
            word if word.starts_with('/') && !word.contains(['.', '\\']) && word.len() < 20 => {
                complain(&format!(
                    "there is no command `{}`; /help lists them",
                    printable(word)
                ));
            }
            _ => {
                self.request.say("user", line.to_owned());
                self.ask()?;
            }
        }
        Ok(true)
    }

    fn set_system(&mut self, text: &str) -> Result<(), Failure> {
        self.request.messages.clear();
        self.system = 0;
        if !text.is_empty() {
            self.request.say("system", text.to_owned());
            self.system = 1;
        }
        Ok(say(self.paint.dim("set; a new conversation"))?)
    }

    fn retry(&mut self) -> Result<bool, Failure> {
        let messages = &mut self.request.messages;
        if messages.last().is_some_and(|last| last.role == "assistant") {
            messages.pop();
        }
        if messages.last().is_some_and(|last| last.role == "user") {
            self.ask()?;
        } else {
            complain("there is nothing to answer yet");
        }
        Ok(true)
    }

    /// Asks; a failure is told and the conversation goes on without the question.
    fn ask(&mut self) -> Result<(), Failure> {
        let started = Instant::now();
        let answered = match answer(&self.client, &self.interrupts, &self.request) {
            Ok(answered) => answered,
            Err(failure) => {
                self.interrupts.release();
                self.request.messages.pop();
                failure.report(Paint::for_stderr());
                return Ok(());
            }
        };
        let note = match (answered.interrupted, answered.usage) {
            (true, _) => "stopped".to_owned(),
            (false, Some(usage)) => format!(
                "{} tokens read, {} written in {}",
                usage.prompt_tokens,
                usage.completion_tokens,
                figures::duration(started.elapsed())
            ),
            (false, None) => String::new(),
        };
        if answered.text.is_empty() && answered.interrupted {
            self.request.messages.pop();
        } else {
            self.request.say("assistant", answered.text);
        }
        Ok(say(self.paint.dim(note))?)
    }
}

/// An unknown model is told before the first question.
fn check_model(client: &Client, model: &str) -> Result<(), Failure> {
    let models: Models = client.get("/api/v1/models")?;
    if models.models.iter().any(|there| there.name == model) {
        return Ok(());
    }
    let names = models.models.iter().map(|model| model.name.as_str());
    let hint = match crate::models::nearest(model, names) {
        Some(near) => format!("did you mean `{near}`? `skep models` lists what is here"),
        None => "`skep models` lists what is here, `skep pull` brings more".to_owned(),
    };
    Err(Failure::new(format!("there is no model named `{model}`")).with_hint(Some(hint)))
}

/// Whether it is the embedded model, which only continues text.
fn is_for_trying(client: &Client, model: &str) -> bool {
    let embedded = client.get::<Models>("/api/v1/models").is_ok_and(|models| {
        models
            .models
            .iter()
            .any(|there| there.name == model && there.source == "embedded")
    });
    let small = client.get::<Replicas>("/api/v1/ps").is_ok_and(|replicas| {
        let info = replicas
            .replicas
            .iter()
            .find(|replica| replica.model == model);
        info.and_then(|replica| replica.info.as_ref())
            .is_none_or(|info| info.parameters < SMALL)
    });
    embedded && small
}

fn editor() -> Result<Editor<(), FileHistory>, Failure> {
    let config = Config::builder()
        .max_history_size(HISTORY_LINES_MAX)
        .and_then(|config| config.history_ignore_dups(true))
        .map_or_else(
            |_| Config::default(),
            |config| config.auto_add_history(false).build(),
        );
    Editor::with_config(config)
        .map_err(|error| Failure::new(format!("could not use the terminal: {error}")))
}

/// One question; a `\` at the end of a line goes on with the next.
fn read(editor: &mut Editor<(), FileHistory>, paint: Paint) -> Result<String, ReadlineError> {
    let mut text = String::new();
    let mut prompt = paint.cyan("> ");
    loop {
        let line = editor.readline(&prompt)?;
        match line.strip_suffix('\\') {
            Some(part) => {
                text.push_str(part);
                text.push('\n');
                prompt = paint.cyan("… ");
            }
            None => {
                text.push_str(&line);
                return Ok(text);
            }
        }
    }
}

/// Only where the agent's own folder is; a command makes none.
fn load_history(editor: &mut Editor<(), FileHistory>, path: Option<&PathBuf>) {
    if let Some(path) = path.filter(|path| path.exists()) {
        let _ = editor.load_history(path);
    }
}

fn save_history(editor: &mut Editor<(), FileHistory>, path: Option<&PathBuf>) {
    if let Some(path) = path.filter(|path| path.parent().is_some_and(std::path::Path::is_dir)) {
        // rustyline makes the file readable by its owner alone.
        let _ = editor.save_history(path);
    }
}

const HELP: &str = "\
/clear            forget this conversation
/system TEXT      tell the model what it should know or be; begins anew
/temperature T    how freely to choose, from 0 to 2
/max-tokens N     stop an answer after so many tokens
/retry            answer the last question again
/exit             leave (also Ctrl-D)
A \\ at the end of a line goes on with the next. Ctrl-C stops an answer.";

const HISTORY_LINES_MAX: usize = 1000;

/// Below this a model that comes with the binary is a toy.
const SMALL: u64 = 50_000_000;
