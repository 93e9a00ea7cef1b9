//! Why the configuration cannot be used, and where to mend it.

use std::io;
use std::path::PathBuf;

/// What is wrong in the operator's settings. Nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("could not read `{path}`")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`{path}` is larger than {limit} bytes, which no configuration is")]
    Large { path: PathBuf, limit: u64 },
    #[error("`{path}` line {line}: {key}{message}")]
    File {
        path: PathBuf,
        line: usize,
        /// Empty, or the key in backticks with a colon.
        key: String,
        message: String,
    },
    #[error("{origin}: {message}")]
    Override { origin: String, message: String },
    /// A value that is well-formed but cannot be used.
    #[error("`{key}` is {found}: {expect}")]
    Value {
        key: &'static str,
        found: String,
        expect: String,
    },
    #[error("{0}")]
    Exposed(String),
}
