//! The plugins: those that this binary carries, and (`Shelf`) those that operators added.
//!
//! The carried ones are WebAssembly components, put in by `build.rs` from the folder where `cargo xtask build`
//! leaves them. A binary without any builds and starts, and says that it can run no model.

use crate::host::World;

pub mod manifest;
mod shelf;
pub mod signature;
pub mod source;
pub mod words;

pub use self::shelf::{
    Agreement, Awaited, Doubt, Going, Installed, NoDoubt, Offer, Shelf, ShelfError, Store,
    StoreError, Wish,
};

/// A component inside this binary.
#[derive(Clone, Copy, Debug)]
pub struct Embedded {
    /// The plugin's name: its file's name without `.wasm`.
    pub name: &'static str,
    pub bytes: &'static [u8],
    /// SHA-256 of the bytes, in hex.
    pub sha256: &'static str,
}

impl Embedded {
    /// Whether it is a model backend: its manifest says so, or it has none.
    #[must_use]
    pub fn is_engine(&self) -> bool {
        manifest::extract(self.bytes)
            .map_or(true, |manifest| manifest.world == World::Engine.name())
    }
}

/// Every plugin, by name.
pub static EMBEDDED: &[Embedded] = include!(concat!(env!("OUT_DIR"), "/plugins.rs"));

/// The plugin of a name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Embedded> {
    EMBEDDED.iter().find(|plugin| plugin.name == name)
}
