//! Which sampling settings are accepted: every number in the range that its meaning allows, with the field's name in
//! the error. Ranges of taste (a temperature of at most 2) are the gateway's to set.

use crate::contract::{Error, Sampling};
use crate::error::invalid;
use crate::limits::LOGIT_BIAS_MAX;

/// Refuses settings that mean nothing.
pub fn check(sampling: &Sampling, vocabulary: u32) -> Result<(), Error> {
    if sampling.logit_bias.len() > LOGIT_BIAS_MAX {
        return Err(invalid(
            "logit_bias",
            format!("has more than {LOGIT_BIAS_MAX} entries"),
        ));
    }
    for &(token, by) in &sampling.logit_bias {
        if token >= vocabulary {
            return Err(invalid(
                "logit_bias",
                format!("names token {token}, but the model has {vocabulary} tokens"),
            ));
        }
        in_range("logit_bias", by, -BIAS_MAX, BIAS_MAX)?;
    }
    in_range(
        "repetition_penalty",
        sampling.repetition_penalty,
        0.001,
        1000.0,
    )?;
    in_range(
        "presence_penalty",
        sampling.presence_penalty,
        -BIAS_MAX,
        BIAS_MAX,
    )?;
    in_range(
        "frequency_penalty",
        sampling.frequency_penalty,
        -BIAS_MAX,
        BIAS_MAX,
    )?;
    in_range("temperature", sampling.temperature, 0.0, 1000.0)?;
    in_range("top_p", sampling.top_p, 0.0, 1.0)?;
    in_range("min_p", sampling.min_p, 0.0, 1.0)
}

/// More would lose the logit itself to rounding.
const BIAS_MAX: f32 = 1e4;

fn in_range(field: &str, found: f32, least: f32, most: f32) -> Result<(), Error> {
    match (least..=most).contains(&found) {
        true => Ok(()),
        false => Err(invalid(
            field,
            format!("is {found}, expected {least} to {most}"),
        )),
    }
}
