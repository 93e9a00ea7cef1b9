//! `llama`: Llama 1 to 3, Mistral and everything converted under that name (Touvron et al. 2023; Jiang et al. 2023
//! for the sliding window). Query and key rows are stored so that neighbouring elements turn together.

use super::decoder::Style;
use super::keys::Keys;
use super::rope::Rope;
use super::shape::Shape;
use crate::contract::{Error, Pairing};

/// How this architecture differs from the plain decoder.
pub(super) fn style(keys: &Keys<'_>, shape: &Shape, rope: Rope) -> Result<Style, Error> {
    Ok(Style {
        pairing: Pairing::Adjacent,
        ..Style::plain(keys, shape, rope)?
    })
}
