//! Why a plugin refused: `variant error` of `wit/types.wit`. Decides nothing else.

use serde::{Deserialize, Serialize};

/// Why a plugin refused or could not do what was asked. Each text is one sentence for people.
#[allow(clippy::error_impl_error, reason = "the contract names it so")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Error {
    /// The request itself is wrong. Retrying the same request never helps.
    #[error("{0}")]
    Invalid(Invalid),
    /// The request is longer than the model's context. Retrying helps only with a shorter one.
    #[error("{0}")]
    TooLong(Invalid),
    /// The input (a model file) is damaged or not what it claims.
    #[error("{0}")]
    Malformed(String),
    /// Well-formed, but this plugin does not do it.
    #[error("{0}")]
    Unsupported(String),
    /// A limit of memory, context or concurrency is reached. Retrying later may help.
    #[error("{0}")]
    Exhausted(String),
    /// A grant is missing.
    #[error("{0}")]
    Denied(String),
    /// The replica that ran the request is gone, by nobody's fault that is known. Another one can go on with it.
    #[error("{0}")]
    Lost(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
    /// A service elsewhere refused what this cluster sent it, or failed. The one who asked is not to blame.
    #[error("{0}")]
    Upstream(String),
    /// A service elsewhere took too long. Retrying may help.
    #[error("{0}")]
    TimedOut(String),
    /// A service elsewhere has had too many requests for now.
    #[error("{message}")]
    Limited {
        message: String,
        /// After how many seconds it wants to be asked again, if it says so.
        retry_after_s: Option<u32>,
    },
}

/// A refused request, and which of its fields is to blame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invalid {
    /// The field as the caller named it (`temperature`, `messages[2].content`), if one is to blame.
    pub field: Option<String>,
    /// What is wrong with it.
    pub message: String,
}

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.field {
            Some(field) => write!(f, "`{field}`: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}
