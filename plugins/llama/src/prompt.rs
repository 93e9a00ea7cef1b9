//! From what a caller wrote to what a batch runs: prompts become tokens, and everything in a request is checked, with
//! the name of the field that is wrong. Fields are called as OpenAI calls them, since callers know them so.

use std::rc::Rc;

use crate::batch::Job;
use crate::chat::Chat;
use crate::contract::{Continued, EmbeddingRequest, Error, Generation, Prompt};
use crate::error::{chain, invalid, too_long};
use crate::limits::{CHOICES_MAX, EMBED_INPUTS_MAX, LOGPROBS_MAX, PROMPT_BYTES_MAX};
use crate::sample;
use crate::text::check_stops;
use crate::tokenizer::{LeadingSpace, Tokenizer};

/// What reads requests for one open model.
#[derive(Debug)]
pub struct Reader {
    pub tokenizer: Rc<Tokenizer>,
    pub chat: Chat,
    /// The longest sequence, in tokens.
    pub context: usize,
}

struct Read {
    tokens: Vec<u32>,
    text: String,
    leading: LeadingSpace,
}

impl Reader {
    /// Checks a request for text and reads its prompt.
    pub fn job(&self, generation: &Generation) -> Result<Job, Error> {
        let vocabulary = self.tokenizer.vocab_len() as u32;
        sample::check(&generation.sampling, vocabulary)?;
        check_stops(&generation.stop)?;
        if generation.choices == 0 || generation.choices > CHOICES_MAX {
            let message = format!("is {}, expected 1 to {CHOICES_MAX}", generation.choices);
            return Err(invalid("n", message));
        }
        if let Some(count) = generation.logprobs.filter(|&count| count > LOGPROBS_MAX) {
            let message = format!("is {count}, expected at most {LOGPROBS_MAX}");
            return Err(invalid("logprobs", message));
        }
        if generation.max_tokens == Some(0) && !generation.echo {
            return Err(invalid(
                "max_tokens",
                "is 0, which only makes sense with `echo`",
            ));
        }
        let read = self.prompt(&generation.prompt)?;
        self.check_room(
            field(&generation.prompt),
            read.tokens.len(),
            generation.max_tokens,
        )?;
        Ok(Job {
            prompt: read.tokens.into(),
            echo: generation.echo.then(|| read.text.into()),
            sampling: generation.sampling.clone(),
            tokens_max: generation.max_tokens,
            stops: generation.stop.clone().into(),
            ignore_end: generation.ignore_end,
            choices: generation.choices,
            logprobs: generation.logprobs,
            leading: read.leading,
            continued: self.continued(generation)?,
        })
    }

    /// Checks what is there already of a request's answers.
    fn continued(&self, generation: &Generation) -> Result<Rc<[Continued]>, Error> {
        let continued = &generation.continued;
        let (found, expected) = (continued.len(), generation.choices as usize);
        if found != 0 && found != expected {
            let message = format!("has {found} answers, but {expected} are asked for");
            return Err(invalid("continued", message));
        }
        for there in continued {
            self.checked("continued", &there.tokens)?;
        }
        Ok(continued.as_slice().into())
    }

    /// Checks a request for embeddings and reads its inputs.
    pub fn inputs(&self, request: &EmbeddingRequest) -> Result<Vec<Vec<u32>>, Error> {
        if request.inputs.is_empty() || request.inputs.len() > EMBED_INPUTS_MAX {
            let message = format!(
                "has {} texts, expected 1 to {EMBED_INPUTS_MAX}",
                request.inputs.len()
            );
            return Err(invalid("input", message));
        }
        let inputs = request.inputs.iter().enumerate();
        inputs
            .map(|(index, input)| {
                let field = format!("input[{index}]");
                let tokens = match input {
                    Prompt::Text(text) => self.tokenize(&field, text)?,
                    Prompt::Tokens(tokens) => self.checked(&field, tokens)?,
                    Prompt::Chat(_) => {
                        return Err(invalid(&field, "is a conversation, expected a text"));
                    }
                };
                self.check_room(&field, tokens.len(), Some(0))?;
                Ok(tokens)
            })
            .collect()
    }

    /// Text to token ids, as prompts are read.
    pub fn tokenize(&self, field: &str, text: &str) -> Result<Vec<u32>, Error> {
        if text.len() > PROMPT_BYTES_MAX {
            let message = format!("has {} bytes, more than {PROMPT_BYTES_MAX}", text.len());
            return Err(too_long(field, message));
        }
        let tokens = self.tokenizer.encode(text, true, false);
        tokens.map_err(|error| too_long(field, chain(&error)))
    }

    /// Token ids that the model has.
    pub fn checked(&self, field: &str, tokens: &[u32]) -> Result<Vec<u32>, Error> {
        let vocabulary = self.tokenizer.vocab_len();
        match tokens.iter().find(|&&token| token as usize >= vocabulary) {
            None => Ok(tokens.to_vec()),
            Some(token) => Err(invalid(
                field,
                format!("has token {token}, but the model has {vocabulary} tokens"),
            )),
        }
    }

    fn prompt(&self, prompt: &Prompt) -> Result<Read, Error> {
        let field = field(prompt);
        match prompt {
            Prompt::Chat(messages) => {
                let formatted = self.chat.format(&self.tokenizer, messages)?;
                Ok(Read {
                    tokens: formatted.tokens,
                    text: formatted.text,
                    leading: LeadingSpace::Strip,
                })
            }
            Prompt::Text(text) => Ok(Read {
                tokens: self.tokenize(field, text)?,
                text: text.clone(),
                leading: LeadingSpace::Keep,
            }),
            Prompt::Tokens(tokens) => {
                let tokens = self.checked(field, tokens)?;
                Ok(Read {
                    text: self.tokenizer.decode(&tokens, true),
                    tokens,
                    leading: LeadingSpace::Keep,
                })
            }
        }
    }

    /// Whether a prompt leaves room for at least one token, or fits at all where none is asked.
    fn check_room(&self, field: &str, tokens: usize, asked: Option<u32>) -> Result<(), Error> {
        let context = self.context;
        if tokens == 0 {
            return Err(invalid(field, "is empty"));
        }
        if tokens > context {
            let message =
                format!("has {tokens} tokens, but the model's context is {context} tokens");
            return Err(too_long(field, message));
        }
        if tokens == context && asked != Some(0) {
            let message = format!(
                "has {tokens} tokens, which leaves no room for an answer in a context of {context} tokens"
            );
            return Err(too_long(field, message));
        }
        Ok(())
    }
}

fn field(prompt: &Prompt) -> &'static str {
    match prompt {
        Prompt::Chat(_) => "messages",
        Prompt::Text(_) | Prompt::Tokens(_) => "prompt",
    }
}
