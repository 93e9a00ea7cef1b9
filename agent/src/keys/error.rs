//! Why a key was not made, found or ended.

use std::io;
use std::path::PathBuf;

/// What went wrong with the keys. Those that were valid before still are.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error("could not read or write the keys in `{path}`")]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "`{path}` is damaged: {why}; restore it from a backup, or move it away to start with a new first key"
    )]
    Damaged { path: PathBuf, why: String },
    #[error("the system gave no randomness: {0}")]
    Random(getrandom::Error),
    #[error("`{0}` cannot name a key: give 1 to 64 printable characters")]
    Name(String),
    #[error("there is a key named `{0}` already")]
    Taken(String),
    #[error("there are {max} keys, which is as many as there may be (one user may have {own}); revoke one first", max = super::KEYS_MAX, own = super::KEYS_OF_ONE_MAX)]
    Full,
    #[error("there is no key named `{0}`")]
    Unknown(String),
}
