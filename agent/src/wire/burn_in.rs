//! What `/api/v1/node/burn-in` says.

use serde::{Deserialize, Serialize};
use skep_hw::diag::{Progress, Report};

use super::ErrorBody;

/// `POST /api/v1/node/burn-in`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BurnInWish {
    /// Its number, or the beginning of its id; without, the only one.
    #[serde(default)]
    pub device: Option<String>,
    /// How long it lasts about.
    pub seconds: u32,
    /// How much of the memory that is free then, in percent.
    pub memory_percent: u8,
    /// Whether to go on although models run on the card.
    #[serde(default)]
    pub force: bool,
}

/// A line of its answer; the last is `done` or `failed`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BurnInEvent {
    Started { id: String, name: String },
    Progress(Progress),
    Done(Box<Report>),
    Failed { error: ErrorBody },
}

/// `GET /api/v1/node/burn-in`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BurnIns {
    /// The last of each card.
    pub reports: Vec<Report>,
}

/// `DELETE /api/v1/node/burn-in/{device}`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Forgotten {
    pub id: String,
    /// Whether there was anything to forget.
    pub was_held: bool,
}
