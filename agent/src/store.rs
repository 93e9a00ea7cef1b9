//! The durable log: numbered records of opaque bytes, a snapshot, and a few small values.
//!
//! Decides when something counts as kept, what counts as damage, and what becomes of what is
//! damaged. Refuses to know what a record means.
//!
//! # What is promised
//!
//! - A call that answered `Ok` is on the disk: the engine's own flush, then `fsync`, then a second
//!   place (the witness) that says how far the log goes, `fsync`ed as well. sled's `flush` alone loses
//!   acknowledged writes when the power goes, and a log that is cut short looks whole from within.
//! - Each record carries its number, the digest of the record before it and its own. All of it is
//!   checked when the log is opened.
//! - What does not check is never deleted: the folder is set aside as `NAME.damaged-SECONDS`, and what
//!   could be checked, from its beginning or its snapshot on, is carried into a new one.
//! - After the first write that fails, nothing more is accepted until the log is opened anew: the
//!   system may have dropped what it could not write and would not say so a second time.
//!
//! # In the folder
//!
//! `sled/` or `redb`, as the engine is; `witness`. Beside it `NAME.lock`, held while the log is open,
//! and for moments `NAME.new`. Two engines do the same; only this folder names them.

mod engine;
mod error;
mod head;
mod log;
mod record;
mod recover;
#[cfg(test)]
mod tests;
mod verify;
mod witness;
mod writer;

pub use self::engine::EngineKind;
pub use self::error::StoreError;
pub use self::log::{Base, Records};
pub use self::record::Digest;
pub use self::recover::{Damage, Recovered};
pub use self::writer::Store;
