//! What is remembered of a setup, so that it can be left and taken up again.
//!
//! Decides what is kept: answers, how far each part has come, where somebody was. Texts of secrets are never in it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::secret::Link;
use crate::wire::SetupValue;

/// The file's content.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Kept {
    /// When the setup was finished, for good.
    #[serde(default)]
    pub(super) closed_unix_s: Option<u64>,
    /// What lets the next browser in.
    #[serde(default)]
    pub(super) link: Option<Link>,
    #[serde(default)]
    pub(super) parts: BTreeMap<String, Part>,
}

/// A part of a step.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Part {
    #[serde(default)]
    pub(super) answers: BTreeMap<String, SetupValue>,
    #[serde(default)]
    pub(super) skipped: bool,
    /// There was nothing to do, or the tests went well.
    #[serde(default)]
    pub(super) passed: bool,
    /// The tests did not.
    #[serde(default)]
    pub(super) failed: bool,
    /// The newest run of its plan.
    #[serde(default)]
    pub(super) run: Option<String>,
}
