//! Conversations as the model was trained to read them: the file's own template, run by a bounded template engine
//! with the settings that Hugging Face gives to Jinja, and tokenised so that no message can pose as a control token.
//!
//! Templates see no clock and no tools; `strftime_now` is undefined, so those that ask fall back to their own date.

use std::io;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, Value, context};

mod json;
#[cfg(test)]
mod tests;

use crate::contract::{Error, Message};
use crate::error::{chain, invalid, malformed, too_long, unsupported};
use crate::gguf::Gguf;
use crate::limits::{
    MESSAGES_MAX, PROMPT_BYTES_MAX, TEMPLATE_BYTES_MAX, TEMPLATE_FUEL, TEMPLATE_OUTPUT_EXTRA,
    TEMPLATE_RECURSION,
};
use crate::tokenizer::{Guard, Tokenizer};

/// What turns conversations into tokens.
#[derive(Debug)]
pub struct Chat {
    template: Template,
    guard: Guard,
    bos: Option<String>,
    eos: Option<String>,
}

#[derive(Debug)]
enum Template {
    /// The file's own.
    Own {
        environment: Box<Environment<'static>>,
        source: String,
    },
    /// The file's own, which is no template that can be run.
    Broken(String),
    /// None in the file: each message as `role: content`, a line apart, and then `assistant:`.
    Plain,
}

/// A conversation in tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Formatted {
    pub tokens: Vec<u32>,
    pub text: String,
}

impl Chat {
    /// Reads and compiles the file's template.
    pub fn new(gguf: &Gguf, tokenizer: &Tokenizer) -> Result<Self, Error> {
        let source: Option<&str> = gguf.optional("tokenizer.chat_template")?;
        let ids = tokenizer.special_ids();
        let text = |id: Option<u32>| {
            id.map(|id| String::from_utf8_lossy(tokenizer.token_bytes(id)).into_owned())
        };
        Ok(Self {
            template: source.map_or(Template::Plain, Template::new),
            guard: Guard::new(tokenizer),
            bos: text(ids.bos),
            eos: text(ids.eos),
        })
    }

    /// The conversation, ready for the assistant's next words.
    pub fn format(&self, tokenizer: &Tokenizer, messages: &[Message]) -> Result<Formatted, Error> {
        check(messages)?;
        let mark = self.unused_mark(messages)?;
        let marked: Vec<Value> = messages
            .iter()
            .map(|message| {
                let safe = |text: &str| Value::from(self.guard.mark(text, mark).into_owned());
                let (role, content) = (safe(&message.role), safe(&message.content));
                match &message.name {
                    Some(name) => context! { role, content, name => safe(name) },
                    None => context! { role, content },
                }
            })
            .collect();
        let bytes: usize = messages.iter().map(|message| message.content.len()).sum();
        let rendered = self.render(&marked, bytes)?;
        let encoded = tokenizer.encode_marked(&rendered, mark);
        let mut tokens = encoded.map_err(|error| too_long("messages", chain(&error)))?;
        // Most templates write it themselves; a model that was trained with it is lost without.
        let ids = tokenizer.special_ids();
        let missing = ids
            .bos
            .filter(|bos| ids.add_bos && tokens.first() != Some(bos));
        tokens.splice(..0, missing);
        Ok(Formatted {
            tokens,
            text: rendered.replace(mark, ""),
        })
    }

    fn render(&self, messages: &[Value], bytes: usize) -> Result<String, Error> {
        match &self.template {
            Template::Own { environment, .. } => {
                let context = context! {
                    messages => messages,
                    add_generation_prompt => true,
                    bos_token => &self.bos,
                    eos_token => &self.eos,
                    tools => (),
                    documents => (),
                };
                // A template may repeat a message, but not without end.
                run(environment, context, 4 * bytes + TEMPLATE_OUTPUT_EXTRA)
            }
            Template::Broken(why) => Err(unsupported(format!(
                "the model's chat template cannot be used: {why}; send the prompt as text"
            ))),
            Template::Plain => Ok(plain(messages)),
        }
    }

    /// A character of the private use area that neither messages nor template contain.
    fn unused_mark(&self, messages: &[Message]) -> Result<char, Error> {
        let template = match &self.template {
            Template::Own { source, .. } => source.as_str(),
            Template::Broken(_) | Template::Plain => "",
        };
        let used = |mark: char| {
            let texts = messages.iter().flat_map(|message| {
                let name = message.name.as_deref().unwrap_or_default();
                [message.role.as_str(), message.content.as_str(), name]
            });
            template.contains(mark) || texts.into_iter().any(|text| text.contains(mark))
        };
        // Nobody fills a conversation with all of them by accident, and a search for more would cost too much.
        ('\u{E000}'..='\u{E03F}')
            .find(|&mark| !used(mark))
            .ok_or_else(|| invalid("messages", "has too many different private-use characters"))
    }
}

impl Template {
    fn new(source: &str) -> Self {
        if source.len() > TEMPLATE_BYTES_MAX {
            return Self::Broken(format!("it has more than {TEMPLATE_BYTES_MAX} bytes"));
        }
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build();
        match syntax {
            Ok(syntax) => environment.set_syntax(syntax),
            Err(error) => return Self::Broken(chain(&error)),
        }
        environment.set_fuel(Some(TEMPLATE_FUEL));
        environment.set_recursion_limit(TEMPLATE_RECURSION);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_filter("tojson", json::tojson);
        environment.add_function("raise_exception", |message: String| {
            let error =
                minijinja::Error::new(ErrorKind::InvalidOperation, "raised by the template");
            Err::<Value, _>(error.with_source(Raised(message)))
        });
        match environment.add_template_owned(NAME, source.to_owned()) {
            Ok(()) => Self::Own {
                environment: Box::new(environment),
                source: source.to_owned(),
            },
            Err(error) => Self::Broken(chain(&error)),
        }
    }
}

/// What a template itself refuses, in its own words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Raised(String);

const NAME: &str = "chat";

fn check(messages: &[Message]) -> Result<(), Error> {
    if messages.is_empty() {
        return Err(invalid("messages", "is empty"));
    }
    let bytes: usize = messages.iter().map(|message| message.content.len()).sum();
    if messages.len() > MESSAGES_MAX || bytes > PROMPT_BYTES_MAX {
        return Err(too_long(
            "messages",
            format!(
                "has {} messages of {bytes} bytes, more than {MESSAGES_MAX} or {PROMPT_BYTES_MAX}",
                messages.len()
            ),
        ));
    }
    Ok(())
}

fn run(environment: &Environment<'_>, context: Value, bytes_max: usize) -> Result<String, Error> {
    let mut output = Bounded {
        bytes: Vec::new(),
        bytes_max,
    };
    let done = environment
        .get_template(NAME)
        .and_then(|template| template.render_captured_to(context, &mut output).map(drop));
    match done {
        Ok(()) => String::from_utf8(output.bytes)
            .map_err(|_| malformed("the model's chat template writes no text")),
        Err(error) => Err(refusal(&error)),
    }
}

fn refusal(error: &minijinja::Error) -> Error {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(found) = cause {
        if let Some(Raised(message)) = found.downcast_ref() {
            return invalid(
                "messages",
                format!("the model's chat template refuses: {message}"),
            );
        }
        cause = found.source();
    }
    match error.kind() {
        ErrorKind::OutOfFuel => malformed("the model's chat template does not come to an end"),
        _ => unsupported(format!(
            "the model's chat template failed: {}",
            chain(error)
        )),
    }
}

fn plain(messages: &[Value]) -> String {
    let field = |message: &Value, name| message.get_attr(name).map(|value| value.to_string());
    let mut text = String::new();
    for message in messages {
        let role = field(message, "role").unwrap_or_default();
        let content = field(message, "content").unwrap_or_default();
        text.push_str(&format!("{role}: {content}\n"));
    }
    text.push_str("assistant:");
    text
}

/// Takes so many bytes and no more.
struct Bounded {
    bytes: Vec<u8>,
    bytes_max: usize,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.bytes_max {
            return Err(io::Error::other("it writes too much"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
