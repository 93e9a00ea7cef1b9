//! API keys: who may ask this agent for work.
//!
//! Decides what a key looks like, which are valid, and that only their hashes touch the disk.
//! Refuses to know what a key may be used for.
//!
//! A key is 256 random bits, so a plain SHA-256 of it is as hard to invert as guessing it: slow
//! password hashes protect secrets that people choose, and would cost every request milliseconds.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use skep_core::KeyId;
use subtle::ConstantTimeEq;

use crate::paths::Paths;

mod error;
mod store;
#[cfg(test)]
mod tests;

pub use self::error::KeysError;

/// What every key begins with, so that a leaked one can be found by scanners.
pub const PREFIX: &str = "sk-skep-";

/// More than people can keep apart; a file of so many is some 300 KiB.
pub const KEYS_MAX: usize = 1_024;

/// Keys of one user, so that nobody takes all the places.
pub const KEYS_OF_ONE_MAX: usize = 32;

/// A key's text. Shown once, to the one who made it; its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A new random key.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn generate() -> Result<Self, KeysError> {
        let mut bytes = [0_u8; 32];
        getrandom::fill(&mut bytes).map_err(KeysError::Random)?;
        Ok(Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// The text, for whoever may see it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What may be told of a key.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct KeyView {
    pub id: u64,
    pub name: String,
    /// The beginning of the key, to recognise it by.
    pub prefix: String,
    /// Seconds since 1970.
    pub created_unix_s: u64,
    /// Seconds since 1970; none: never used. Written to disk about once a minute.
    pub last_used_unix_s: Option<u64>,
    /// The number of the user whose it is; none: it may do everything.
    pub owner: Option<u64>,
}

/// Every valid key of this agent.
#[derive(Debug)]
pub struct Keys {
    path: PathBuf,
    by_hash: RwLock<HashMap<Bucket, Arc<Record>>>,
    /// Held while the file changes, so that changes reach it in their order.
    change: Mutex<()>,
}

/// A key as it is kept.
#[derive(Debug)]
struct Record {
    id: u64,
    name: String,
    prefix: String,
    hash: [u8; 32],
    created_unix_s: u64,
    /// 0: never.
    last_used_unix_s: AtomicU64,
    owner: Option<u64>,
}

/// Whose a key is that somebody has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    pub key: KeyId,
    /// As [`KeyView::owner`].
    pub owner: Option<u64>,
}

/// The first bytes of a hash: enough to find a record, too little to be worth timing, since nobody
/// can choose the hash of a key that they do not have.
type Bucket = [u8; 8];

impl Keys {
    /// Reads the keys. Where there is no file yet, makes a first key and returns it to be shown once.
    ///
    /// # Errors
    /// When the file is damaged (it is never replaced), or cannot be read or written.
    pub fn open(paths: &Paths) -> Result<(Self, Option<Secret>), KeysError> {
        let path = paths.keys_file();
        let records = store::read(&path)?;
        let keys = Self {
            path,
            by_hash: RwLock::default(),
            change: Mutex::default(),
        };
        match records {
            Some(records) => {
                let mut by_hash = keys.by_hash.write().unwrap_or_else(PoisonError::into_inner);
                for record in records {
                    by_hash.insert(bucket(&record.hash), Arc::new(record));
                }
                drop(by_hash);
                Ok((keys, None))
            }
            None => {
                let (_, secret) = keys.create("first", None)?;
                Ok((keys, Some(secret)))
            }
        }
    }

    /// Makes a key; it is durable before this returns. Blocks on the disk.
    ///
    /// # Errors
    /// When the name is taken or unfit, there are too many keys, or the file cannot be written.
    pub fn create(&self, name: &str, owner: Option<u64>) -> Result<(KeyView, Secret), KeysError> {
        let _held = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        let fit = !name.is_empty() && name.len() <= 64 && !name.chars().any(char::is_control);
        if !fit {
            return Err(KeysError::Name(name.escape_debug().to_string()));
        }
        let mut records = self.records();
        if records.iter().any(|record| record.name == name) {
            return Err(KeysError::Taken(name.into()));
        }
        let own = records.iter().filter(|record| record.owner == owner);
        if records.len() >= KEYS_MAX || (owner.is_some() && own.count() >= KEYS_OF_ONE_MAX) {
            return Err(KeysError::Full);
        }
        let secret = Secret::generate()?;
        let record = Arc::new(Record {
            // Identity 0 is everybody without a key.
            id: records.iter().map(|record| record.id).max().unwrap_or(0) + 1,
            name: name.into(),
            prefix: secret.0.chars().take(PREFIX.len() + 4).collect(),
            hash: hash(&secret.0),
            created_unix_s: unix_now_s(),
            last_used_unix_s: AtomicU64::new(0),
            owner,
        });
        records.push(record.clone());
        store::write(&self.path, &records)?;
        let view = record.view();
        self.by_hash
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(bucket(&record.hash), record);
        Ok((view, secret))
    }

    /// Ends a key, named by its name or id. The next request with it is refused. Blocks on the disk.
    ///
    /// # Errors
    /// When there is none, or the file cannot be written (the key then stays valid).
    pub fn revoke(&self, name_or_id: &str) -> Result<KeyView, KeysError> {
        self.revoke_of(name_or_id, None)
    }

    /// The same for whoever may end the keys of this user alone; those of others are not there for them.
    ///
    /// # Errors
    /// As for [`Keys::revoke`].
    pub fn revoke_of(&self, name_or_id: &str, owner: Option<u64>) -> Result<KeyView, KeysError> {
        let _held = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        let mut records = self.records();
        let may = |record: &Record| owner.is_none() || record.owner == owner;
        let found = records
            .iter()
            .position(|record| record.name == name_or_id && may(record))
            .or_else(|| {
                let id: u64 = name_or_id.parse().ok()?;
                records
                    .iter()
                    .position(|record| record.id == id && may(record))
            })
            .ok_or_else(|| KeysError::Unknown(name_or_id.escape_debug().to_string()))?;
        let record = records.remove(found);
        store::write(&self.path, &records)?;
        self.by_hash
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&bucket(&record.hash));
        Ok(record.view())
    }

    /// Ends all keys of a user who is gone: they let nobody in, and take places and names. Blocks on the disk.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn forget_owner(&self, owner: u64) -> Result<(), KeysError> {
        for key in self.list() {
            if key.owner == Some(owner) {
                self.revoke_of(&key.id.to_string(), Some(owner))?;
            }
        }
        Ok(())
    }

    /// Whose key this is; none when it is nobody's. The answer takes the same time for every key
    /// that nobody has.
    #[must_use]
    pub fn verify(&self, presented: &str) -> Option<Holder> {
        let hash = hash(presented);
        let by_hash = self.by_hash.read().unwrap_or_else(PoisonError::into_inner);
        let record = by_hash.get(&bucket(&hash))?;
        if !bool::from(record.hash.ct_eq(&hash)) {
            return None;
        }
        record
            .last_used_unix_s
            .store(unix_now_s(), Ordering::Relaxed);
        Some(record.holder())
    }

    /// Whose the key with this number is; none when it is valid no more.
    #[must_use]
    pub fn holder(&self, id: KeyId) -> Option<Holder> {
        let by_hash = self.by_hash.read().unwrap_or_else(PoisonError::into_inner);
        let mut records = by_hash.values();
        let found = records.find(|record| record.id == id.0)?;
        Some(found.holder())
    }

    /// Whether there is a key that may do everything.
    #[must_use]
    pub fn has_unowned(&self) -> bool {
        let by_hash = self.by_hash.read().unwrap_or_else(PoisonError::into_inner);
        by_hash.values().any(|record| record.owner.is_none())
    }

    /// Every key, oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<KeyView> {
        self.records().iter().map(|record| record.view()).collect()
    }

    /// Writes when each key was last used. Blocks on the disk.
    ///
    /// # Errors
    /// When the file cannot be written; the old one stays.
    pub fn flush(&self) -> Result<(), KeysError> {
        let _held = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        store::write(&self.path, &self.records())
    }

    fn records(&self) -> Vec<Arc<Record>> {
        let by_hash = self.by_hash.read().unwrap_or_else(PoisonError::into_inner);
        let mut records: Vec<_> = by_hash.values().cloned().collect();
        records.sort_by_key(|record| record.id);
        records
    }
}

impl Record {
    fn holder(&self) -> Holder {
        Holder {
            key: KeyId(self.id),
            owner: self.owner,
        }
    }

    fn view(&self) -> KeyView {
        let used = self.last_used_unix_s.load(Ordering::Relaxed);
        KeyView {
            id: self.id,
            name: self.name.clone(),
            prefix: self.prefix.clone(),
            created_unix_s: self.created_unix_s,
            last_used_unix_s: (used > 0).then_some(used),
            owner: self.owner,
        }
    }
}

/// Seconds since 1970; 0 on a machine whose clock stands before that.
#[must_use]
pub fn unix_now_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

fn bucket(hash: &[u8; 32]) -> Bucket {
    hash.first_chunk().copied().unwrap_or_default()
}
