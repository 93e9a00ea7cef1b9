//! What the fleet is told: where it may write, which plugins there are, which model to load. Decides nothing.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use skep_core::state::PluginDigest;

use crate::limits::COMPONENT_BYTES;
use crate::plugins;
use crate::protocol::{ComputesOn, FileSource, Settings};

/// How a fleet is set up; fixed for its life.
#[derive(Clone, Debug)]
pub struct FleetSettings {
    /// The executable to start workers and compilers from: this one.
    pub executable: PathBuf,
    /// Where compiled components are kept; made with mode 0700 when absent.
    pub cache_dir: PathBuf,
    /// The engine plugins.
    pub plugins: Vec<Plugin>,
}

/// A plugin as it was built: a WebAssembly component.
#[derive(Clone, Debug)]
pub struct Plugin {
    pub name: String,
    pub component: Component,
}

/// Where a component's bytes are.
#[derive(Clone, Debug)]
pub enum Component {
    /// Part of this executable.
    Embedded(&'static [u8]),
    /// In memory.
    Bytes(Arc<[u8]>),
    /// A file on disk.
    Path(PathBuf),
    /// A plugin that was added, among those on this node's disk.
    Kept {
        store: plugins::Store,
        digest: PluginDigest,
    },
}

impl Component {
    /// The bytes; of a file no more than a component may have, and one, so that a longer one is refused.
    pub(crate) fn bytes(&self) -> io::Result<Cow<'_, [u8]>> {
        match self {
            Self::Embedded(bytes) => Ok(Cow::Borrowed(bytes)),
            Self::Bytes(bytes) => Ok(Cow::Borrowed(bytes)),
            Self::Path(path) => {
                let mut bytes = Vec::new();
                File::open(path)?
                    .take(COMPONENT_BYTES as u64 + 1)
                    .read_to_end(&mut bytes)?;
                Ok(Cow::Owned(bytes))
            }
            Self::Kept { store, digest } => {
                let bytes = store.read(*digest).map_err(io::Error::other)?;
                Ok(Cow::Owned(bytes))
            }
        }
    }
}

/// A model to load.
#[derive(Clone, Debug)]
pub struct ModelSpec {
    /// What clients call it. One replica for each name.
    pub name: String,
    /// The model's files; the first is the one that the operator named.
    pub files: Vec<FileSource>,
    /// The file of a smaller model that may guess tokens ahead.
    pub draft: Option<FileSource>,
    /// The name of the engine plugin that runs it.
    pub plugin: String,
    /// What it was placed on; empty where nobody said.
    pub devices: Vec<String>,
    pub settings: Settings,
    /// How many kernel threads; `None`: one for each core that the process may use.
    pub threads: Option<u32>,
    pub computes_on: ComputesOn,
    /// How much memory caches, buffers and copied weights may take; `None`: what the machine has free.
    pub memory_bytes: Option<u64>,
}
