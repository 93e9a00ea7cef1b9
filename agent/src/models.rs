//! Model files on this node: their names, where their bytes lie, and how they come here.
//!
//! Decides the layout of the catalogue, what a name and a digest may look like, and when a file
//! counts as arrived: only after its bytes are hashed, synced and renamed. Refuses to know what
//! is inside a model beyond its first eight bytes, who runs it, and who asked for it.
//!
//! ```text
//! models/
//!   blobs/sha256-<64 hex>     the bytes, each once, however many names they have
//!   manifests/<name>.json     a name, its digest, size, source and time
//!   packed/sha256-<64 hex>/   what a worker has packed of the bytes: all that it may write to
//!   packed/sha256-….card      what they took of a card
//!   partial/<key>.part        what an interrupted pull has so far
//!   partial/<key>.json        which file that is, so that the next pull can go on
//! ```

mod catalogue;
mod digest;
mod download;
mod error;
mod file;
mod format;
mod headers;
mod hub;
mod import;
mod limits;
mod manifest;
mod name;
mod need;
mod offers;
mod partial;
mod pull;
mod suggest;
mod transfer;

#[cfg(test)]
mod tests;

pub use self::catalogue::{Catalogue, Damaged, Listing, Model, Removed};
pub use self::digest::Digest;
pub use self::error::{CatalogueError, PullError};
pub use self::format::Format;
pub(crate) use self::headers::redirect;
pub use self::hub::HubError;
pub use self::name::{ModelName, NameError};
pub use self::offers::{Offer, offers};
pub use self::pull::{Cancel, Progress, Pull, Source};
pub use self::suggest::nearest;
