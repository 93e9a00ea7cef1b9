//! A request in OpenAI's words. Decides which of our words OpenAI lacks, and refuses those that it would, too. What a request
//! leaves at "off" is left out, since services differ in how that is written.

use std::collections::BTreeMap;

use serde::Serialize;
use skep_sdk::upstream::{Error, Generation, Prompt, Sampling};

use crate::config::Dialect;

/// Where a request goes and what it says.
#[derive(Debug)]
pub(crate) struct Ask {
    /// Below the base.
    pub(crate) path: &'static str,
    pub(crate) json: Vec<u8>,
}

/// `chat/completions` and `completions`, which have most words in common.
#[derive(Debug, Default, Serialize)]
struct Body<'a> {
    model: &'a str,
    stream: bool,
    stream_options: StreamOptions,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<Vec<Message<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt: Option<TextOrTokens<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f32>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    logit_bias: BTreeMap<u32, f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<Logprobs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    echo: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_p: Option<f32>,
    /// vLLM's name and llama-server's.
    #[serde(skip_serializing_if = "Option::is_none")]
    repetition_penalty: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repeat_penalty: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ignore_eos: Option<bool>,
}

#[derive(Debug, Default, Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Debug, Serialize)]
struct Message<'a> {
    role: &'a str,
    content: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum TextOrTokens<'a> {
    Text(&'a str),
    Tokens(&'a [u32]),
}

/// A chat says whether, a completion says how many.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Logprobs {
    Whether(bool),
    Count(u32),
}

#[derive(Debug, Serialize)]
struct Embeddings<'a> {
    model: &'a str,
    input: Vec<TextOrTokens<'a>>,
    encoding_format: &'static str,
}

/// A generation as it is asked for.
pub(crate) fn generation(model: &str, work: &Generation, dialect: Dialect) -> Result<Ask, Error> {
    if work
        .continued
        .iter()
        .any(|one| one.text_bytes > 0 || !one.tokens.is_empty() || one.finish.is_some())
    {
        return Err(unsupported("`continued`"));
    }
    let mut body = Body {
        model,
        stream: true,
        stream_options: StreamOptions {
            include_usage: true,
        },
        stop: Some(work.stop.as_slice()).filter(|stop| !stop.is_empty()),
        n: Some(work.choices).filter(|&choices| choices != 1),
        ..Body::default()
    };
    sampling(&mut body, &work.sampling, dialect)?;
    extended(&mut body, work, dialect)?;
    let path = match &work.prompt {
        Prompt::Chat(messages) => {
            let shapes = messages.iter().map(|message| Message {
                role: &message.role,
                content: &message.content,
                name: message.name.as_deref(),
            });
            body.messages = Some(shapes.collect());
            if work.echo {
                return Err(unsupported("`echo` of a chat"));
            }
            body.logprobs = work.logprobs.map(|_| Logprobs::Whether(true));
            body.top_logprobs = work.logprobs;
            // OpenAI's newer models refuse `max_tokens`; others know nothing else.
            match dialect {
                Dialect::OpenAi => body.max_completion_tokens = work.max_tokens,
                Dialect::Extended => body.max_tokens = work.max_tokens,
            }
            "chat/completions"
        }
        Prompt::Text(text) => {
            body.prompt = Some(TextOrTokens::Text(text));
            completion(&mut body, work)
        }
        Prompt::Tokens(tokens) => {
            body.prompt = Some(TextOrTokens::Tokens(tokens));
            completion(&mut body, work)
        }
    };
    Ok(Ask {
        path,
        json: json(&body)?,
    })
}

/// Texts to be made vectors of.
pub(crate) fn embedding(model: &str, inputs: &[Prompt]) -> Result<Ask, Error> {
    let mut input = Vec::with_capacity(inputs.len());
    for prompt in inputs {
        input.push(match prompt {
            Prompt::Text(text) => TextOrTokens::Text(text),
            Prompt::Tokens(tokens) => TextOrTokens::Tokens(tokens),
            Prompt::Chat(_) => return Err(unsupported("a vector of a chat")),
        });
    }
    Ok(Ask {
        path: "embeddings",
        json: json(&Embeddings {
            model,
            input,
            encoding_format: "float",
        })?,
    })
}

fn completion(body: &mut Body<'_>, work: &Generation) -> &'static str {
    body.max_tokens = work.max_tokens;
    body.logprobs = work.logprobs.map(Logprobs::Count);
    body.echo = work.echo.then_some(true);
    "completions"
}

fn sampling(body: &mut Body<'_>, from: &Sampling, dialect: Dialect) -> Result<(), Error> {
    // OpenAI's own defaults are 1, and some of its models refuse to hear even that.
    let is_said = |value: f32| dialect == Dialect::Extended || value != 1.0;
    body.temperature = Some(from.temperature).filter(|&value| is_said(value));
    body.top_p = Some(from.top_p).filter(|&value| is_said(value));
    body.presence_penalty = Some(from.presence_penalty).filter(|&value| value != 0.0);
    body.frequency_penalty = Some(from.frequency_penalty).filter(|&value| value != 0.0);
    body.logit_bias = from.logit_bias.iter().copied().collect();
    body.seed = from.seed.map(u64::cast_signed);
    let numbers = [
        from.temperature,
        from.top_p,
        from.presence_penalty,
        from.frequency_penalty,
        from.min_p,
        from.repetition_penalty,
    ];
    // JSON has no word for them.
    if numbers
        .iter()
        .chain(body.logit_bias.values())
        .any(|number| !number.is_finite())
    {
        return Err(Error::Invalid(skep_sdk::upstream::Invalid {
            field: None,
            message: "a number of the request is no number".to_owned(),
        }));
    }
    Ok(())
}

/// What OpenAI does not know.
fn extended(body: &mut Body<'_>, work: &Generation, dialect: Dialect) -> Result<(), Error> {
    let sampling = &work.sampling;
    body.top_k = Some(sampling.top_k).filter(|&top_k| top_k != 0);
    body.min_p = Some(sampling.min_p).filter(|&min_p| min_p != 0.0);
    body.repetition_penalty = Some(sampling.repetition_penalty).filter(|&penalty| penalty != 1.0);
    body.repeat_penalty = body.repetition_penalty;
    body.ignore_eos = work.ignore_end.then_some(true);
    let said = [
        ("top_k", body.top_k.is_some()),
        ("min_p", body.min_p.is_some()),
        ("repetition_penalty", body.repetition_penalty.is_some()),
        ("ignore_eos", body.ignore_eos.is_some()),
    ];
    match said.iter().find(|(_, is_said)| *is_said) {
        Some((name, _)) if dialect == Dialect::OpenAi => Err(unsupported(&format!("`{name}`"))),
        _ => Ok(()),
    }
}

fn unsupported(what: &str) -> Error {
    Error::Unsupported(format!("this service does not know {what}"))
}

fn json(body: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(body).map_err(|error| Error::Other(error.to_string()))
}
