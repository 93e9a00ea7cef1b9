//! The server's models, with what it says of each when asked one by one.

use std::time::Instant;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use skep_sdk::http::quoted;
use skep_sdk::upstream::{Abilities, Error, ModelInfo, Offer};

use crate::config::Config;
use crate::limits::{MODELS_BYTES, MODELS_SHOWN, SHOW_SILENCE, SHOWING, SHOWS_FAILED};
use crate::refusal::send;

#[derive(Deserialize)]
struct List {
    models: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: Option<String>,
    model: Option<String>,
}

#[derive(Deserialize)]
struct Shown {
    details: Option<Details>,
    model_info: Option<Map<String, Value>>,
    capabilities: Option<Vec<String>>,
    /// As a Modelfile has them: a name and a value on each line.
    parameters: Option<String>,
}

#[derive(Default, Deserialize)]
struct Details {
    family: Option<String>,
    quantization_level: Option<String>,
}

/// Asks for the list, and then for each model, as far as that is sensible.
pub(crate) fn list(config: &Config) -> Result<Vec<Offer>, Error> {
    let response = send(config.get("api/tags"), config.key_name())?;
    let names = read(&response.read_to_limit(MODELS_BYTES)?)?;
    let begun = Instant::now();
    let mut failed = 0;
    let offers = names.into_iter().enumerate().map(|(at, id)| {
        // A model of which the server says nothing can be used all the same, and a list that comes too late cannot.
        let is_worth_it = at < MODELS_SHOWN && failed < SHOWS_FAILED && begun.elapsed() < SHOWING;
        let info = is_worth_it.then(|| show(config, &id).ok());
        failed += u32::from(matches!(info, Some(None)));
        Offer {
            id,
            info: info.flatten(),
        }
    });
    Ok(offers.collect())
}

fn show(config: &Config, model: &str) -> Result<ModelInfo, Error> {
    let body = json!({ "model": model }).to_string();
    let request = config.post("api/show", body.as_bytes());
    // Once: the list does not wait for one that fails.
    let response = request.silence(SHOW_SILENCE).send()?;
    if !response.is_success() {
        let status = response.status();
        return Err(Error::Other(format!("the server answered {status}")));
    }
    shown(
        &response.read_to_limit(MODELS_BYTES)?,
        config.wishes.context_tokens,
    )
}

/// Reads the list.
pub(crate) fn read(body: &[u8]) -> Result<Vec<String>, Error> {
    let list: List = serde_json::from_slice(body).map_err(|error| {
        Error::Malformed(format!(
            "the server sent what is no list of models ({error}): {}",
            quoted(&String::from_utf8_lossy(body))
        ))
    })?;
    let names = list.models.into_iter();
    Ok(names
        .filter_map(|named| named.name.or(named.model))
        .collect())
}

/// Reads what the server says of one model.
pub(crate) fn shown(body: &[u8], context_tokens: Option<u32>) -> Result<ModelInfo, Error> {
    let shown: Shown = serde_json::from_slice(body)
        .map_err(|error| Error::Malformed(format!("the server described no model ({error})")))?;
    let details = shown.details.unwrap_or_default();
    let info = shown.model_info.unwrap_or_default();
    let text = |key: &str| info.get(key).and_then(Value::as_str).map(str::to_owned);
    let number = |key: &str| info.get(key).and_then(Value::as_u64).unwrap_or(0);
    let small = |key: &str| u32::try_from(number(key)).unwrap_or(u32::MAX);
    let architecture = text("general.architecture")
        .or(details.family)
        .unwrap_or_default();
    let trained = small(&format!("{architecture}.context_length"));
    let lines = shown.parameters.unwrap_or_default();
    let written = lines.lines().find_map(|line| {
        let value = line.trim().strip_prefix("num_ctx")?;
        value.trim().parse::<u32>().ok()
    });
    let longest = if trained == 0 { u32::MAX } else { trained };
    // Before servers told, all could do what is not embedding alone.
    let said = shown
        .capabilities
        .unwrap_or_else(|| ["completion", "embedding"].map(str::to_owned).to_vec());
    let can = |what: &str| said.iter().any(|one| one == what);
    let abilities = match (can("completion"), can("embedding")) {
        // Any decoder can be asked for vectors; the server decides.
        (true, _) => Abilities::CHAT | Abilities::COMPLETE | Abilities::EMBED,
        (false, true) => Abilities::EMBED,
        (false, false) => Abilities::empty(),
    };
    Ok(ModelInfo {
        name: text("general.basename")
            .or_else(|| text("general.name"))
            .unwrap_or_default(),
        parameters: number("general.parameter_count"),
        quantisation: details.quantization_level.unwrap_or_default(),
        vocabulary: small(&format!("{architecture}.vocab_size")),
        // Where neither says, the server takes less than the model could, and does not tell how much.
        context_tokens: context_tokens.or(written).unwrap_or(trained).min(longest),
        trained_context_tokens: trained,
        embedding_width: small(&format!("{architecture}.embedding_length")),
        sequences: 0,
        cache_bytes: 0,
        abilities,
        architecture,
    })
}
