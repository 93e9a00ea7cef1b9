//! A request in Ollama's words. Everything about sampling is always said, since the server's own choices are others than ours;
//! what Ollama has no word for is refused.

use serde::Serialize;
use serde_json::Value;
use skep_sdk::upstream::{Error, Generation, Invalid, Prompt};

use crate::config::Wishes;

/// Where a request goes and what it says.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) path: &'static str,
    pub(crate) json: Vec<u8>,
}

/// `api/chat` and `api/generate`, which have most words in common.
#[derive(Debug, Serialize)]
struct Body<'a> {
    model: &'a str,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<Vec<Message<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt: Option<&'a str>,
    /// Without the model's template.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw: Option<bool>,
    options: Options<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_alive: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<u32>,
}

#[derive(Debug, Serialize)]
struct Message<'a> {
    role: &'a str,
    content: &'a str,
}

#[derive(Debug, Serialize)]
struct Options<'a> {
    temperature: f32,
    top_k: u32,
    top_p: f32,
    min_p: f32,
    repeat_penalty: f32,
    presence_penalty: f32,
    frequency_penalty: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    num_predict: Option<u32>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    num_ctx: Option<u32>,
}

#[derive(Debug, Serialize)]
struct Embeddings<'a> {
    model: &'a str,
    input: Vec<&'a str>,
    /// What is too long is refused, as everywhere else here, and not cut off in silence.
    truncate: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_alive: Option<&'a Value>,
}

/// A generation as it is asked for.
pub(crate) fn generation(model: &str, work: &Generation, wishes: &Wishes) -> Result<Ask, Error> {
    let is_begun = |one: &skep_sdk::upstream::Continued| {
        one.text_bytes > 0 || !one.tokens.is_empty() || one.finish.is_some()
    };
    let unknown = [
        ("more than one answer (`n`)", work.choices != 1),
        ("`logit_bias`", !work.sampling.logit_bias.is_empty()),
        ("`ignore_eos`", work.ignore_end),
        ("`echo`", work.echo),
        ("`continued`", work.continued.iter().any(is_begun)),
    ];
    if let Some((what, _)) = unknown.iter().find(|(_, is_asked)| *is_asked) {
        return Err(unsupported(what));
    }
    let mut body = Body {
        model,
        stream: true,
        messages: None,
        prompt: None,
        raw: None,
        options: options(work, wishes)?,
        keep_alive: wishes.keep_alive.as_ref(),
        logprobs: work.logprobs.map(|_| true),
        top_logprobs: work.logprobs,
    };
    let path = match &work.prompt {
        Prompt::Chat(messages) => {
            let shapes = messages.iter().map(|message| Message {
                role: &message.role,
                content: &message.content,
            });
            body.messages = Some(shapes.collect());
            "api/chat"
        }
        Prompt::Text(text) => {
            body.prompt = Some(text);
            body.raw = Some(true);
            "api/generate"
        }
        Prompt::Tokens(_) => return Err(unsupported("prompts of tokens")),
    };
    Ok(Ask {
        path,
        json: json(&body)?,
    })
}

/// Texts to be made vectors of.
pub(crate) fn embedding(model: &str, inputs: &[Prompt], wishes: &Wishes) -> Result<Ask, Error> {
    let mut input = Vec::with_capacity(inputs.len());
    for prompt in inputs {
        match prompt {
            Prompt::Text(text) => input.push(text.as_str()),
            Prompt::Tokens(_) => return Err(unsupported("vectors of tokens")),
            Prompt::Chat(_) => return Err(unsupported("vectors of chats")),
        }
    }
    Ok(Ask {
        path: "api/embed",
        json: json(&Embeddings {
            model,
            input,
            truncate: false,
            keep_alive: wishes.keep_alive.as_ref(),
        })?,
    })
}

fn options<'a>(work: &'a Generation, wishes: &Wishes) -> Result<Options<'a>, Error> {
    let from = &work.sampling;
    let options = Options {
        temperature: from.temperature,
        top_k: from.top_k,
        top_p: from.top_p,
        min_p: from.min_p,
        repeat_penalty: from.repetition_penalty,
        presence_penalty: from.presence_penalty,
        frequency_penalty: from.frequency_penalty,
        seed: from.seed.map(u64::cast_signed),
        num_predict: work.max_tokens,
        stop: &work.stop,
        num_ctx: wishes.context_tokens,
    };
    let numbers = [
        options.temperature,
        options.top_p,
        options.min_p,
        options.repeat_penalty,
        options.presence_penalty,
        options.frequency_penalty,
    ];
    // JSON has no word for them.
    if numbers.iter().any(|number| !number.is_finite()) {
        return Err(Error::Invalid(Invalid {
            field: None,
            message: "a number of the request is no number".to_owned(),
        }));
    }
    Ok(options)
}

fn unsupported(what: &str) -> Error {
    Error::Unsupported(format!("Ollama does not know {what}"))
}

fn json(body: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(body).map_err(|error| Error::Other(error.to_string()))
}
