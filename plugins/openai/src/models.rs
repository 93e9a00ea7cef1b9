//! The service's models, with what it says of each: OpenAI says names alone, vLLM and llama-server some sizes.

use serde::Deserialize;
use skep_sdk::http::quoted;
use skep_sdk::upstream::{Abilities, Error, ModelInfo, Offer};

use crate::config::Config;
use crate::limits::MODELS_BYTES;
use crate::refusal::Asked;
use crate::send::send;

#[derive(Deserialize)]
struct List {
    data: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
    /// vLLM's.
    max_model_len: Option<u32>,
    /// llama-server's.
    meta: Option<Meta>,
}

#[derive(Default, Deserialize)]
struct Meta {
    n_vocab: Option<u32>,
    n_ctx: Option<u32>,
    n_ctx_train: Option<u32>,
    n_embd: Option<u32>,
    n_params: Option<u64>,
}

/// Asks for the list.
pub(crate) fn list(config: &Config) -> Result<Vec<Offer>, Error> {
    let response = send(
        config.get("models"),
        Asked {
            model: None,
            key: config.key_name(),
        },
    )?;
    read(&response.read_to_limit(MODELS_BYTES)?)
}

/// Reads the list.
pub(crate) fn read(body: &[u8]) -> Result<Vec<Offer>, Error> {
    let list: List = serde_json::from_slice(body).map_err(|error| {
        Error::Malformed(format!(
            "the service sent what is no list of models ({error}): {}",
            quoted(&String::from_utf8_lossy(body))
        ))
    })?;
    Ok(list.data.into_iter().map(Model::into_offer).collect())
}

impl Model {
    fn into_offer(self) -> Offer {
        let is_silent = self.max_model_len.is_none() && self.meta.is_none();
        let meta = self.meta.unwrap_or_default();
        let trained = meta.n_ctx_train.or(self.max_model_len).unwrap_or(0);
        let info = ModelInfo {
            architecture: String::new(),
            name: String::new(),
            parameters: meta.n_params.unwrap_or(0),
            quantisation: String::new(),
            vocabulary: meta.n_vocab.unwrap_or(0),
            context_tokens: self.max_model_len.or(meta.n_ctx).unwrap_or(trained),
            trained_context_tokens: trained,
            embedding_width: meta.n_embd.unwrap_or(0),
            sequences: 0,
            cache_bytes: 0,
            // The service does not say, and refuses by itself what it cannot.
            abilities: Abilities::CHAT | Abilities::COMPLETE | Abilities::EMBED,
        };
        Offer {
            id: self.id,
            info: (!is_silent).then_some(info),
        }
    }
}
