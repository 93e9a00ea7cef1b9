//! From a checked request to its answer: admitted, started, and written whole or as a stream.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use axum::body::Body;
use axum::http::Response;
use serde::Serialize;

use super::answer::Label;
use super::chat::Chat;
use super::completion::Completion;
use super::embedding::Embeddings;
use super::refusal::{not_started, refused, unknown_model};
use super::request::Delivery;
use super::stream::{Dialect, Format};
use super::whole::{self, expired, json};
use super::{stream, vectors};
use crate::agent::Agent;
use crate::http::error::ApiError;
use crate::http::guard::Caller;
use crate::keys::unix_now_s;
use crate::metrics::{Endpoint, Watch};
use crate::protocol::{Event, Generation, Prompt, Work};
use crate::router::{Job, ModelStanding, Shape, Step};

/// A checked request to one of the three endpoints that compute.
pub(in crate::http) enum Request {
    Generate(Asked, Vec<Generation>),
    Embed(Embeddings),
}

/// Reads and checks a body.
pub(in crate::http) fn parse(endpoint: Endpoint, body: &[u8]) -> Result<Request, ApiError> {
    Ok(match endpoint {
        Endpoint::Chat => {
            let chat = Chat::parse(body)?;
            let asked = Asked {
                dialect: Dialect::Chat,
                model: chat.model,
                delivery: chat.delivery,
            };
            Request::Generate(asked, vec![chat.generation])
        }
        Endpoint::Completions => {
            let completion = Completion::parse(body)?;
            let asked = Asked {
                dialect: Dialect::Completion,
                model: completion.model,
                delivery: completion.delivery,
            };
            Request::Generate(asked, completion.generations)
        }
        _ => Request::Embed(Embeddings::parse(body)?),
    })
}

/// Answers a checked request.
pub(in crate::http) async fn answer(
    agent: &Agent,
    caller: Caller,
    id: &str,
    request: Request,
) -> Result<Response<Body>, ApiError> {
    match request {
        Request::Generate(asked, generations) => {
            generate(agent, caller, id, asked, generations).await
        }
        Request::Embed(asked) => embed(agent, caller, id, asked).await,
    }
}

/// `/v1/models` and `/v1/models/{id}`.
pub(in crate::http) fn models(agent: &Agent, path: &str) -> Result<Response<Body>, ApiError> {
    #[derive(Serialize)]
    struct List {
        object: &'static str,
        data: Vec<Model>,
    }
    #[derive(Serialize)]
    struct Model {
        id: Arc<str>,
        object: &'static str,
        created: u64,
        /// Ours, or the upstream that answers for it.
        owned_by: Arc<str>,
        /// Ours: where it stands.
        state: ModelStanding,
    }
    let mut data = agent.router.models().into_iter().map(|model| Model {
        id: model.name,
        object: "model",
        created: agent.started_unix_s,
        owned_by: model.upstream.unwrap_or_else(|| "skep".into()),
        state: model.standing,
    });
    let Some(name) = path.strip_prefix("/v1/models/") else {
        return Ok(json(&List {
            object: "list",
            data: data.collect(),
        }));
    };
    let name = unescaped(name);
    match data.find(|model| *model.id == *name) {
        Some(model) => Ok(json(&model)),
        None => Err(unknown_model(agent, &name)),
    }
}

/// What a generation was asked for, apart from the generation itself.
pub(in crate::http) struct Asked {
    dialect: Dialect,
    model: String,
    delivery: Delivery,
}

async fn generate(
    agent: &Agent,
    caller: Caller,
    id: &str,
    asked: Asked,
    generations: Vec<Generation>,
) -> Result<Response<Body>, ApiError> {
    let choices = generations.first().map_or(1, |one| one.choices);
    let logprobs = generations.iter().any(|one| one.logprobs.is_some());
    let shape = shape(&generations);
    let works = generations.into_iter().map(Work::Generate).collect();
    let mut job = start(agent, caller, id, &asked.model, works, shape).await?;
    let prefix = match asked.dialect {
        Dialect::Chat => "chatcmpl",
        Dialect::Completion => "cmpl",
    };
    let watch = Watch::new(agent.metrics.clone(), asked.model.as_str().into());
    let label = Label {
        id: format!("{prefix}-{}", id.trim_start_matches("req_")),
        created: unix_now_s(),
        fingerprint: job.facts().fingerprint.clone(),
        model: asked.model,
    };
    match asked.delivery {
        Delivery::Stream { usage } => {
            // An error that comes first gets a status of its own.
            let first = first_step(&mut job).await?;
            let format = Format {
                dialect: asked.dialect,
                label,
                choices,
                logprobs,
                usage,
            };
            Ok(stream::respond(format, job, first, watch))
        }
        Delivery::Whole => {
            let gathered = whole::gather(&mut job, choices).await;
            watch.ended(&job);
            let gathered = gathered?;
            Ok(match asked.dialect {
                Dialect::Chat => whole::chat(&label, &gathered, logprobs, job.usage()),
                Dialect::Completion => whole::completion(&label, &gathered, logprobs, job.usage()),
            })
        }
    }
}

async fn embed(
    agent: &Agent,
    caller: Caller,
    id: &str,
    asked: Embeddings,
) -> Result<Response<Body>, ApiError> {
    let count = asked.inputs.len();
    let shape = Shape {
        prompt_bytes: asked.inputs.iter().map(bytes).sum(),
        max_tokens: Some(0),
        affinity: 0,
    };
    let works = vec![Work::Embed(asked.inputs)];
    let mut job = start(agent, caller, id, &asked.model, works, shape).await?;
    if let (Some(width), Some(info)) = (asked.dimensions, &job.facts().info)
        && width != info.embedding_width
    {
        return Err(ApiError::unsupported(
            "dimensions",
            format!(
                "`dimensions` is {width}, but `{}` makes vectors of {}, and they are not shortened; \
                 leave it out",
                asked.model, info.embedding_width
            ),
        ));
    }
    let watch = Watch::new(agent.metrics.clone(), asked.model.as_str().into());
    let gathered = vectors::gather(&mut job, count).await;
    watch.ended(&job);
    Ok(vectors::respond(
        &asked.model,
        &gathered?,
        asked.encoding,
        job.usage(),
    ))
}

async fn start(
    agent: &Agent,
    caller: Caller,
    id: &str,
    model: &str,
    works: Vec<Work>,
    shape: Shape,
) -> Result<Job, ApiError> {
    let mut slot = agent
        .router
        .admit(caller.key(), &Arc::from(model))
        .await
        .map_err(|refusal| refused(agent, model, refusal))?;
    slot.name(id);
    agent
        .router
        .start_work(slot, works, shape)
        .map_err(not_started)
}

/// The first thing that tells: nothing is said before, so that an error can still be one.
async fn first_step(job: &mut Job) -> Result<Option<Step>, ApiError> {
    match job.next().await {
        Some(Step::Event(_, Event::Failed(error))) => Err(error.into()),
        Some(Step::Expired) => Err(expired()),
        step => Ok(step),
    }
}

fn shape(generations: &[Generation]) -> Shape {
    let mut hasher = DefaultHasher::new();
    if let Some(first) = generations.first() {
        match &first.prompt {
            Prompt::Chat(messages) => {
                for message in messages.iter().take(2) {
                    message.role.hash(&mut hasher);
                    message.content.hash(&mut hasher);
                }
            }
            Prompt::Text(text) => {
                let bytes = text.as_bytes();
                bytes
                    .get(..AFFINITY_BYTES)
                    .unwrap_or(bytes)
                    .hash(&mut hasher);
            }
            Prompt::Tokens(tokens) => {
                tokens
                    .get(..AFFINITY_BYTES / 4)
                    .unwrap_or(tokens)
                    .hash(&mut hasher);
            }
        }
    }
    Shape {
        prompt_bytes: generations.iter().map(|one| bytes(&one.prompt)).sum(),
        max_tokens: generations.first().and_then(|one| one.max_tokens),
        affinity: hasher.finish().max(1),
    }
}

fn bytes(prompt: &Prompt) -> usize {
    match prompt {
        Prompt::Chat(messages) => messages.iter().map(|message| message.content.len()).sum(),
        Prompt::Text(text) => text.len(),
        Prompt::Tokens(tokens) => tokens.len() * 4,
    }
}

/// A model's name out of a path, where `%2F` and its like may stand.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = (*first == b'%')
            .then(|| after.get(..2))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// How much of a text tells conversations apart.
const AFFINITY_BYTES: usize = 512;
