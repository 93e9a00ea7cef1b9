//! The keys' file: JSON, replaced as a whole and durably.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::{KEYS_MAX, KeysError, Record};
use crate::paths::replace_durably;

/// Raised when the file's meaning changes.
const VERSION: u32 = 1;

/// Twice what the largest set of keys takes.
const FILE_MAX_BYTES: u64 = KEYS_MAX as u64 * 1_024;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    keys: Vec<StoredKey>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredKey {
    id: u64,
    name: String,
    prefix: String,
    sha256: String,
    created_unix_s: u64,
    last_used_unix_s: Option<u64>,
    /// An agent that knows no users refuses a file that has one: to it, the key could do everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<u64>,
}

/// What the file says; none when there is no file.
pub(super) fn read(path: &Path) -> Result<Option<Vec<Record>>, KeysError> {
    let failed = |source| KeysError::File {
        path: path.into(),
        source,
    };
    let damaged = |why: String| KeysError::Damaged {
        path: path.into(),
        why,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut text = Vec::new();
    file.take(FILE_MAX_BYTES)
        .read_to_end(&mut text)
        .map_err(failed)?;
    let stored: Stored =
        serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
    if stored.version != VERSION {
        return Err(damaged(format!(
            "its version is {}, this agent reads {VERSION}",
            stored.version
        )));
    }
    let records = stored.keys.into_iter().map(|key| {
        let hash = unhex(&key.sha256)
            .ok_or_else(|| damaged(format!("the hash of `{}` is not one", key.name)))?;
        Ok(Record {
            id: key.id,
            name: key.name,
            prefix: key.prefix,
            hash,
            created_unix_s: key.created_unix_s,
            last_used_unix_s: AtomicU64::new(key.last_used_unix_s.unwrap_or(0)),
            owner: key.owner,
        })
    });
    records.collect::<Result<_, _>>().map(Some)
}

pub(super) fn write(path: &Path, records: &[Arc<Record>]) -> Result<(), KeysError> {
    let keys = records
        .iter()
        .map(|record| {
            let view = record.view();
            StoredKey {
                id: record.id,
                name: view.name,
                prefix: view.prefix,
                sha256: hex(&record.hash),
                created_unix_s: record.created_unix_s,
                last_used_unix_s: Some(record.last_used_unix_s.load(Ordering::Relaxed))
                    .filter(|&used| used > 0),
                owner: record.owner,
            }
        })
        .collect();
    let stored = Stored {
        version: VERSION,
        keys,
    };
    let failed = |source| KeysError::File {
        path: path.into(),
        source,
    };
    let text = serde_json::to_vec_pretty(&stored).map_err(|error| failed(error.into()))?;
    replace_durably(path, &text).map_err(failed)
}

/// Lower-case hexadecimal.
fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (place, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        let pair = std::str::from_utf8(pair).ok()?;
        *place = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(bytes)
}
