//! Embeddings as OpenAI writes them.

use axum::body::Body;
use axum::http::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::embedding::Encoding;
use super::whole::{expired, json};
use crate::http::error::ApiError;
use crate::protocol::{Event, Usage};
use crate::router::{Job, Step};

/// Gathers a job's vectors, by input.
pub(super) async fn gather(job: &mut Job, inputs: usize) -> Result<Vec<Vec<f32>>, ApiError> {
    let mut vectors = vec![None; inputs];
    while let Some(step) = job.next().await {
        match step {
            Step::Event(_, Event::Embedded(embedding)) => {
                if let Some(place) = vectors.get_mut(embedding.index as usize) {
                    *place = Some(embedding.values);
                }
            }
            Step::Event(_, Event::Failed(error)) => return Err(error.into()),
            Step::Event(_, Event::Started(_) | Event::Gained(_) | Event::Done(_)) => {}
            Step::Expired => return Err(expired()),
        }
    }
    vectors
        .into_iter()
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| ApiError::internal("the model left out an input"))
}

/// The whole answer.
pub(super) fn respond(
    model: &str,
    vectors: &[Vec<f32>],
    encoding: Encoding,
    usage: Usage,
) -> Response<Body> {
    #[derive(Serialize)]
    struct Shape<'a> {
        object: &'static str,
        data: Vec<One<'a>>,
        model: &'a str,
        usage: Tokens,
    }
    #[derive(Serialize)]
    struct One<'a> {
        object: &'static str,
        index: usize,
        embedding: Vector<'a>,
    }
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Vector<'a> {
        Floats(&'a [f32]),
        Text(String),
    }
    #[derive(Serialize)]
    struct Tokens {
        prompt_tokens: u32,
        total_tokens: u32,
    }
    let data = vectors.iter().enumerate().map(|(index, values)| One {
        object: "embedding",
        index,
        embedding: match encoding {
            Encoding::Float => Vector::Floats(values),
            Encoding::Base64 => {
                let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                Vector::Text(STANDARD.encode(bytes))
            }
        },
    });
    json(&Shape {
        object: "list",
        data: data.collect(),
        model,
        usage: Tokens {
            prompt_tokens: usage.prompt_tokens,
            total_tokens: usage.prompt_tokens,
        },
    })
}
