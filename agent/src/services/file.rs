//! Small JSON files with a version: read whole, replaced as a whole and durably.
//!
//! Decides that what cannot be understood is never replaced. Refuses to know what is in it.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::ServiceError;
use crate::paths::replace_durably;

#[derive(Serialize, Deserialize)]
struct Stored<T> {
    version: u32,
    #[serde(flatten)]
    content: T,
}

/// What the file says; none when there is none.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, ServiceError> {
    let failed = |source| ServiceError::File {
        path: path.into(),
        source,
    };
    let damaged = |why: String| ServiceError::Damaged {
        path: path.into(),
        why,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut text = Vec::new();
    file.take(FILE_BYTES_MAX)
        .read_to_end(&mut text)
        .map_err(failed)?;
    let stored: Stored<T> =
        serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
    if stored.version != VERSION {
        let found = stored.version;
        return Err(damaged(format!(
            "its version is {found}, this agent reads {VERSION}"
        )));
    }
    Ok(Some(stored.content))
}

/// Replaces what the file says.
pub(crate) fn write<T: Serialize>(path: &Path, content: &T) -> Result<(), ServiceError> {
    let failed = |source| ServiceError::File {
        path: path.into(),
        source,
    };
    let stored = Stored {
        version: VERSION,
        content,
    };
    let text = serde_json::to_vec_pretty(&stored).map_err(|error| failed(error.into()))?;
    replace_durably(path, &text).map_err(failed)
}

/// Raised when a file's meaning changes.
const VERSION: u32 = 1;

/// More than the largest of them has: 64 services with 64 settings of 2 KiB each.
const FILE_BYTES_MAX: u64 = 16 << 20;
