//! `POST /v1/embeddings`: the request.

use serde::Deserialize;

use super::decode::decode;
use super::fields::Inputs;
use super::request::model_name;
use crate::http::error::ApiError;
use crate::http::limits::INPUTS_MAX;
use crate::protocol::Prompt;

/// Embeddings that can be made.
#[derive(Debug)]
pub(in crate::http) struct Embeddings {
    pub(super) model: String,
    pub(super) inputs: Vec<Prompt>,
    pub(super) encoding: Encoding,
    /// The width that the client counts on.
    pub(super) dimensions: Option<u32>,
}

/// How the numbers are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Encoding {
    #[default]
    Float,
    /// Little-endian 32-bit floats in base64.
    Base64,
}

#[derive(Debug, Deserialize)]
struct EmbeddingRequest {
    model: String,
    input: Inputs,
    encoding_format: Option<Encoding>,
    dimensions: Option<u32>,
}

impl Embeddings {
    /// Reads and checks a body.
    pub(super) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let request: EmbeddingRequest = decode(body)?;
        let inputs: Vec<_> = match request.input {
            Inputs::Text(text) => vec![Prompt::Text(text)],
            Inputs::Tokens(tokens) => vec![Prompt::Tokens(tokens)],
            Inputs::Texts(texts) => texts.into_iter().map(Prompt::Text).collect(),
            Inputs::TokenLists(lists) => lists.into_iter().map(Prompt::Tokens).collect(),
        };
        if inputs.is_empty() || inputs.len() > INPUTS_MAX {
            return Err(ApiError::invalid(
                "input",
                format!(
                    "`input` has {} inputs; give 1 to {INPUTS_MAX}",
                    inputs.len()
                ),
            ));
        }
        let empty = |prompt: &Prompt| match prompt {
            Prompt::Text(text) => text.is_empty(),
            Prompt::Tokens(tokens) => tokens.is_empty(),
            Prompt::Chat(_) => false,
        };
        if let Some(i) = inputs.iter().position(empty) {
            return Err(ApiError::invalid(
                format!("input[{i}]"),
                format!("`input[{i}]` is empty; there is nothing to embed"),
            ));
        }
        Ok(Self {
            model: model_name(request.model)?,
            inputs,
            encoding: request.encoding_format.unwrap_or_default(),
            dimensions: request.dimensions,
        })
    }
}
