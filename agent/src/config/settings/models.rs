//! `[models]`: which are loaded, on what, how wide, and where more come from.

use std::collections::BTreeMap;
use std::time::Duration;

use ureq::http::Uri;

use super::{ranged, seconds};
use crate::config::{ConfigError, ModelConfig};
use crate::models::ModelName;
use crate::plugins::manifest::check_name;
use crate::protocol::{CacheType, ComputesOn};

#[derive(Clone, Debug)]
pub struct ModelSettings {
    /// None: nothing is loaded at start.
    pub default: Option<String>,
    pub load_wait: Duration,
    pub idle_unload: Option<Duration>,
    pub loaded_max: usize,
    pub context_tokens: Option<u32>,
    pub sequences: Option<u32>,
    pub cache_bytes: Option<u64>,
    /// None: the engine's choice.
    pub cache_type: Option<CacheType>,
    pub speculate: bool,
    /// By the name of a model, that of the smaller one that guesses for it.
    pub drafts: BTreeMap<String, String>,
    /// By a model's name, the engine plugin that runs it, where that is not the usual one.
    pub engines: BTreeMap<String, String>,
    /// Where repositories of models are, without a path's last slash.
    pub hub: Uri,
    /// Never empty.
    pub devices: Vec<String>,
}

pub(super) fn settings(
    config: ModelConfig,
    computes_on: &ComputesOn,
) -> Result<ModelSettings, ConfigError> {
    let default = config.default.unwrap_or_else(|| "tiny".into());
    let idle = seconds(
        "models.idle_unload_s",
        config.idle_unload_s,
        0,
        0,
        31_536_000,
    )?;
    let context_tokens = match config.context_tokens {
        None => None,
        some => Some(ranged("models.context_tokens", some, 1, 1, 1 << 24)?),
    };
    let sequences = match config.sequences {
        None => None,
        some => Some(ranged("models.sequences", some, 1, 1, 4_096)?),
    };
    let cache_type = match config.cache_type.as_deref() {
        None | Some("auto") => None,
        Some("f32") => Some(CacheType::F32),
        Some("f16") => Some(CacheType::F16),
        Some("q8-0") => Some(CacheType::Q8_0),
        Some(other) => {
            return Err(ConfigError::Value {
                key: "models.cache_type",
                found: format!("`{}`", other.escape_debug()),
                expect: "give `auto`, `f32`, `f16` or `q8-0`".into(),
            });
        }
    };
    let devices = config.devices.unwrap_or_else(|| {
        let card = computes_on.card();
        vec![card.map_or_else(|| "cpu".to_owned(), |card| card.to_string())]
    });
    if devices.is_empty() || devices.len() > 256 || devices.iter().any(String::is_empty) {
        return Err(ConfigError::Value {
            key: "models.devices",
            found: format!("{} names", devices.len()),
            expect: "give 1 to 256 devices, as `skep node` names them, or leave it out".into(),
        });
    }
    Ok(ModelSettings {
        default: (!default.is_empty()).then_some(default),
        // Clients give up after a minute; half of it leaves time for the answer.
        load_wait: seconds("models.load_wait_s", config.load_wait_s, 30, 0, 3_600)?,
        idle_unload: (!idle.is_zero()).then_some(idle),
        // Each is a process with its weights in memory.
        loaded_max: ranged("models.loaded_max", config.loaded_max, 8, 1, 256)? as usize,
        context_tokens,
        sequences,
        cache_bytes: config.cache_bytes,
        cache_type,
        speculate: config.speculate.unwrap_or(true),
        drafts: drafts(config.drafts.unwrap_or_default())?,
        engines: engines(config.engines.unwrap_or_default())?,
        hub: hub(config.hub)?,
        devices,
    })
}

fn hub(hub: Option<String>) -> Result<Uri, ConfigError> {
    let hub = hub.unwrap_or_else(|| "https://huggingface.co".into());
    let wrong = || ConfigError::Value {
        key: "models.hub",
        found: format!("`{}`", hub.escape_debug()),
        expect: "give an http(s) address, as `https://huggingface.co`".into(),
    };
    let address: Uri = hub.parse().map_err(|_| wrong())?;
    let web = matches!(address.scheme_str(), Some("http" | "https"));
    let named = address.host().is_some_and(|host| !host.is_empty());
    match web && named && address.query().is_none() {
        true => Ok(address),
        false => Err(wrong()),
    }
}

fn drafts(drafts: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, ConfigError> {
    let is_name = |name: &str| name.parse::<ModelName>().is_ok();
    let wrong = drafts
        .iter()
        .find(|(model, draft)| !is_name(model) || !is_name(draft) || model == draft);
    match wrong {
        None => Ok(drafts),
        Some((model, draft)) => Err(ConfigError::Value {
            key: "models.drafts",
            found: format!("`{}` for `{}`", draft.escape_debug(), model.escape_debug()),
            expect: "give the names of two models, as `skep models` shows them: \
                     \"qwen2.5-7b\" = \"qwen2.5-0.5b\""
                .into(),
        }),
    }
}

/// Whether there is such a plugin is seen when the model is loaded: it may be added later.
fn engines(engines: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, ConfigError> {
    let wrong = engines.iter().find(|(model, engine)| {
        model.parse::<ModelName>().is_err() || check_name("name", engine).is_err()
    });
    match wrong {
        None => Ok(engines),
        Some((model, engine)) => Err(ConfigError::Value {
            key: "models.engines",
            found: format!("`{}` for `{}`", engine.escape_debug(), model.escape_debug()),
            expect: "give the name of a model and that of an engine plugin, as `skep models` and \
                     `skep plugin ls` show them: \"qwen2.5-7b\" = \"llama\""
                .into(),
        }),
    }
}
