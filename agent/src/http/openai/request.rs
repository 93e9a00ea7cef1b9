//! What chats and completions have in common: how the next token is chosen, and how the answer
//! is sent.

use std::hash::{BuildHasher, Hasher, RandomState};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::fields::{Biases, Object, Stops};
use crate::http::error::ApiError;
use crate::http::limits::{CHOICES_MAX, MODEL_NAME_BYTES_MAX, STOP_BYTES_MAX};
use crate::protocol::Sampling;

/// Declares a request's type: its own fields, then those that both endpoints share.
///
/// Fields that are known and mean nothing here (`user`, `metadata`, `store`, `service_tier`, ...)
/// are ignored like unknown ones, as OpenAI's own servers do with what they do not know.
macro_rules! request {
    ($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Debug, serde::Deserialize)]
        pub(super) struct $name {
            $($(#[$field_meta])* $field: $type,)*
            model: String,
            frequency_penalty: Option<f64>,
            presence_penalty: Option<f64>,
            repetition_penalty: Option<f64>,
            temperature: Option<f64>,
            top_p: Option<f64>,
            min_p: Option<f64>,
            top_k: Option<i64>,
            seed: Option<i64>,
            logit_bias: Option<$crate::http::openai::fields::Biases>,
            stop: Option<$crate::http::openai::fields::Stops>,
            max_tokens: Option<u32>,
            n: Option<u32>,
            stream: Option<bool>,
            stream_options: Option<$crate::http::openai::fields::Object<$crate::http::openai::request::StreamOptions>>,
            ignore_eos: Option<bool>,
        }

        impl $name {
            fn shared(&mut self) -> $crate::http::openai::request::Shared {
                $crate::http::openai::request::Shared {
                    model: std::mem::take(&mut self.model),
                    frequency_penalty: self.frequency_penalty,
                    presence_penalty: self.presence_penalty,
                    repetition_penalty: self.repetition_penalty,
                    temperature: self.temperature,
                    top_p: self.top_p,
                    min_p: self.min_p,
                    top_k: self.top_k,
                    seed: self.seed,
                    logit_bias: self.logit_bias.take(),
                    stop: self.stop.take(),
                    max_tokens: self.max_tokens,
                    n: self.n,
                    stream: self.stream.unwrap_or(false),
                    stream_options: self.stream_options.take(),
                    ignore_eos: self.ignore_eos.unwrap_or(false),
                }
            }
        }
    };
}
pub(super) use request;

/// How a stream is to be sent.
#[derive(Debug, Deserialize)]
pub(super) struct StreamOptions {
    pub(super) include_usage: Option<bool>,
}

/// The shared fields as they were given.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) model: String,
    pub(super) frequency_penalty: Option<f64>,
    pub(super) presence_penalty: Option<f64>,
    pub(super) repetition_penalty: Option<f64>,
    pub(super) temperature: Option<f64>,
    pub(super) top_p: Option<f64>,
    pub(super) min_p: Option<f64>,
    pub(super) top_k: Option<i64>,
    pub(super) seed: Option<i64>,
    pub(super) logit_bias: Option<Biases>,
    pub(super) stop: Option<Stops>,
    pub(super) max_tokens: Option<u32>,
    pub(super) n: Option<u32>,
    pub(super) stream: bool,
    pub(super) stream_options: Option<Object<StreamOptions>>,
    pub(super) ignore_eos: bool,
}

/// How an answer is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    Whole,
    Stream { usage: bool },
}

/// What the shared fields come to.
#[derive(Debug)]
pub(super) struct Choosing {
    pub(super) model: String,
    pub(super) sampling: Sampling,
    pub(super) stop: Vec<String>,
    pub(super) max_tokens: Option<u32>,
    pub(super) choices: u32,
    pub(super) ignore_end: bool,
    pub(super) delivery: Delivery,
}

impl TryFrom<Shared> for Choosing {
    type Error = ApiError;

    fn try_from(shared: Shared) -> Result<Self, ApiError> {
        let delivery = match (shared.stream, &shared.stream_options) {
            (true, options) => Delivery::Stream {
                usage: options
                    .as_ref()
                    .and_then(|Object(options)| options.include_usage)
                    .unwrap_or(false),
            },
            (false, None) => Delivery::Whole,
            (false, Some(_)) => {
                return Err(ApiError::invalid(
                    "stream_options",
                    "`stream_options` means something only with `stream: true`",
                ));
            }
        };
        let choices = shared.n.unwrap_or(1);
        if !(1..=CHOICES_MAX).contains(&choices) {
            return Err(out_of_range("n", choices, "1", CHOICES_MAX));
        }
        Ok(Self {
            sampling: sampling(&shared)?,
            model: model_name(shared.model)?,
            stop: stops(shared.stop)?,
            max_tokens: shared.max_tokens,
            choices,
            ignore_end: shared.ignore_eos,
            delivery,
        })
    }
}

/// A model's name that can be looked for.
pub(super) fn model_name(name: String) -> Result<String, ApiError> {
    if name.is_empty() {
        return Err(ApiError::invalid("model", "`model` is empty; name a model"));
    }
    if name.len() > MODEL_NAME_BYTES_MAX {
        return Err(ApiError::invalid(
            "model",
            format!("`model` is longer than {MODEL_NAME_BYTES_MAX} bytes, as no name is"),
        ));
    }
    Ok(name)
}

/// 400 for a number outside its range.
pub(super) fn out_of_range(
    param: &str,
    found: impl std::fmt::Display,
    least: impl std::fmt::Display,
    most: impl std::fmt::Display,
) -> ApiError {
    ApiError::invalid(
        param,
        format!("`{param}` is {found}; it must be from {least} to {most}"),
    )
}

/// 400 for lists that ask for something this agent does not do.
pub(super) fn refuse_unless_empty(
    param: &str,
    list: Option<&Vec<IgnoredAny>>,
    what: &str,
) -> Result<(), ApiError> {
    if list.is_some_and(|list| !list.is_empty()) {
        return Err(ApiError::unsupported(
            param,
            format!("`{param}`: {what} is not supported yet; leave it out"),
        ));
    }
    Ok(())
}

fn sampling(shared: &Shared) -> Result<Sampling, ApiError> {
    let top_k = match shared.top_k {
        // Other servers write "off" as -1.
        None | Some(-1) => 0,
        Some(top_k) => {
            u32::try_from(top_k).map_err(|_| out_of_range("top_k", top_k, "-1", u32::MAX))?
        }
    };
    Ok(Sampling {
        logit_bias: shared
            .logit_bias
            .as_ref()
            .map_or_else(Vec::new, |biases| biases.0.clone()),
        repetition_penalty: ranged(
            "repetition_penalty",
            shared.repetition_penalty,
            1.0,
            0.01,
            10.0,
        )?,
        presence_penalty: ranged("presence_penalty", shared.presence_penalty, 0.0, -2.0, 2.0)?,
        frequency_penalty: ranged(
            "frequency_penalty",
            shared.frequency_penalty,
            0.0,
            -2.0,
            2.0,
        )?,
        temperature: ranged("temperature", shared.temperature, 1.0, 0.0, 2.0)?,
        top_k,
        top_p: ranged("top_p", shared.top_p, 1.0, 0.0, 1.0)?,
        min_p: ranged("min_p", shared.min_p, 0.0, 0.0, 1.0)?,
        // A negative seed is a seed like any other.
        seed: shared.seed.map(i64::cast_unsigned),
        // Keyed by the system once a thread, and different at each call: a system call less per request.
        entropy: RandomState::new().build_hasher().finish(),
    })
}

fn ranged(
    param: &str,
    value: Option<f64>,
    default: f64,
    least: f64,
    most: f64,
) -> Result<f32, ApiError> {
    let value = value.unwrap_or(default);
    if !(least..=most).contains(&value) {
        return Err(out_of_range(param, value, least, most));
    }
    Ok(value as f32)
}

fn stops(stops: Option<Stops>) -> Result<Vec<String>, ApiError> {
    let stops = stops.unwrap_or_default().0;
    for (i, stop) in stops.iter().enumerate() {
        if stop.is_empty() || stop.len() > STOP_BYTES_MAX {
            return Err(ApiError::invalid(
                format!("stop[{i}]"),
                format!(
                    "a stop text must have 1 to {STOP_BYTES_MAX} bytes, not {}",
                    stop.len()
                ),
            ));
        }
    }
    Ok(stops)
}
