//! Answers that are sent in one piece.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{Response, header};
use serde::Serialize;

use super::answer::{ChatLogprobs, CompletionLogprobs, Label, UsageShape, finish_reason};
use crate::http::error::{ApiError, JSON};
use crate::http::limits::ANSWER_BYTES_MAX;
use crate::protocol::{Event, Finish, TokenLogprob, Usage};
use crate::router::{Job, Step};

/// One choice, as far as it has come.
#[derive(Debug, Default)]
pub(super) struct Choice {
    pub(super) text: String,
    pub(super) logprobs: Vec<TokenLogprob>,
    pub(super) finish: Option<Finish>,
}

/// Gathers a job's choices, each under its index: `choices` for each piece of work.
pub(super) async fn gather(job: &mut Job, choices: u32) -> Result<BTreeMap<u32, Choice>, ApiError> {
    let mut gathered: BTreeMap<u32, Choice> = BTreeMap::new();
    let mut bytes = 0;
    while let Some(step) = job.next().await {
        let (index, event) = match step {
            Step::Event(index, event) => (index, event),
            Step::Expired => return Err(expired()),
        };
        bytes += event.size_bytes();
        if bytes > ANSWER_BYTES_MAX {
            return Err(ApiError::bad_request(format!(
                "the answer is larger than {ANSWER_BYTES_MAX} bytes; ask for fewer tokens or log \
                 probabilities, or stream it"
            )));
        }
        match event {
            Event::Gained(gain) => {
                let index = choice_index(index, choices, gain.choice);
                let choice = gathered.entry(index).or_default();
                choice.text.push_str(&gain.text);
                choice.logprobs.extend(gain.logprobs);
                choice.finish = choice.finish.or(gain.finish);
            }
            Event::Failed(error) => return Err(error.into()),
            Event::Started(_) | Event::Embedded(_) | Event::Done(_) => {}
        }
    }
    Ok(gathered)
}

/// The index under which a client finds a choice.
pub(super) fn choice_index(work: usize, choices: u32, choice: u32) -> u32 {
    u32::try_from(work)
        .unwrap_or(u32::MAX)
        .saturating_mul(choices)
        .saturating_add(choice)
}

/// What is said when a request's time is up.
pub(super) fn expired() -> ApiError {
    ApiError::new(
        axum::http::StatusCode::GATEWAY_TIMEOUT,
        crate::http::Kind::ServerError,
        "the request took longer than it may (`requests.deadline_s`)",
    )
    .with_code("timeout")
}

/// A chat's whole answer.
pub(super) fn chat(
    label: &Label,
    choices: &BTreeMap<u32, Choice>,
    logprobs: bool,
    usage: Usage,
) -> Response<Body> {
    #[derive(Serialize)]
    struct Shape<'a> {
        id: &'a str,
        object: &'static str,
        created: u64,
        model: &'a str,
        choices: Vec<ChoiceShape<'a>>,
        usage: UsageShape,
        service_tier: &'static str,
        system_fingerprint: &'a str,
    }
    #[derive(Serialize)]
    struct ChoiceShape<'a> {
        index: u32,
        message: MessageShape<'a>,
        logprobs: Option<ChatLogprobs<'a>>,
        finish_reason: &'static str,
    }
    #[derive(Serialize)]
    struct MessageShape<'a> {
        role: &'static str,
        content: &'a str,
        refusal: Option<()>,
        annotations: [(); 0],
    }
    let choices = choices.iter().map(|(index, choice)| ChoiceShape {
        index: *index,
        message: MessageShape {
            role: "assistant",
            content: &choice.text,
            refusal: None,
            annotations: [],
        },
        logprobs: logprobs.then(|| ChatLogprobs::of(&choice.logprobs)),
        finish_reason: finish_reason(choice.finish.unwrap_or(Finish::Length)),
    });
    json(&Shape {
        id: &label.id,
        object: "chat.completion",
        created: label.created,
        model: &label.model,
        choices: choices.collect(),
        usage: usage.into(),
        service_tier: "default",
        system_fingerprint: &label.fingerprint,
    })
}

/// A completion's whole answer.
pub(super) fn completion(
    label: &Label,
    choices: &BTreeMap<u32, Choice>,
    logprobs: bool,
    usage: Usage,
) -> Response<Body> {
    #[derive(Serialize)]
    struct Shape<'a> {
        id: &'a str,
        object: &'static str,
        created: u64,
        model: &'a str,
        choices: Vec<ChoiceShape<'a>>,
        usage: UsageShape,
        system_fingerprint: &'a str,
    }
    #[derive(Serialize)]
    struct ChoiceShape<'a> {
        text: &'a str,
        index: u32,
        logprobs: Option<CompletionLogprobs>,
        finish_reason: &'static str,
    }
    let choices = choices.iter().map(|(index, choice)| ChoiceShape {
        text: &choice.text,
        index: *index,
        logprobs: logprobs.then(|| CompletionLogprobs::of(&choice.logprobs, &mut 0)),
        finish_reason: finish_reason(choice.finish.unwrap_or(Finish::Length)),
    });
    json(&Shape {
        id: &label.id,
        object: "text_completion",
        created: label.created,
        model: &label.model,
        choices: choices.collect(),
        usage: usage.into(),
        system_fingerprint: &label.fingerprint,
    })
}

/// A 200 with a JSON body.
pub(super) fn json(shape: &impl Serialize) -> Response<Body> {
    match serde_json::to_vec(shape) {
        Ok(text) => {
            let mut response = Response::new(Body::from(text));
            response.headers_mut().insert(header::CONTENT_TYPE, JSON);
            response
        }
        Err(error) => {
            use axum::response::IntoResponse;
            ApiError::internal(format!("the answer could not be written: {error}")).into_response()
        }
    }
}
