//! Where a policy comes from: this binary, a plugin that was added, a file, or the rule that is built in.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use skep_core::state::PluginDigest;

use crate::fleet::{Component, Plugin};
use crate::plugins;
use crate::plugins::manifest::check_name;

/// The scheduler plugins that come with skep, the default first.
pub const EMBEDDED: [&str; 2] = ["spread", "pack"];

/// What the rule without a plugin is called.
pub const BUILT_IN: &str = "built-in";

/// A policy as an operator names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The rule in this program, which cannot fail.
    BuiltIn,
    /// A plugin of this binary.
    Embedded(&'static str),
    /// A plugin that was added.
    Installed {
        name: String,
        /// Which version it is; none: whichever the cluster runs.
        digest: Option<PluginDigest>,
    },
    /// A component in a file, by its absolute path.
    File(PathBuf),
}

/// Why a policy cannot be had. Whatever was in use stays.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error(
        "there is no scheduler named `{0}`; there are `spread`, `pack`, `built-in` and those that were added (`skep plugin ls`), and a component can be given by its absolute path"
    )]
    Unknown(String),
    #[error(
        "this binary carries no plugin named `{0}`: build it with `cargo xtask build`, which builds the plugins first"
    )]
    Absent(&'static str),
    #[error("`{}` is no regular file on the agent's machine", .0.display())]
    NoFile(PathBuf),
}

impl Source {
    /// What an operator wrote: a name, or an absolute path.
    ///
    /// # Errors
    /// `Unknown` where it can be neither.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        if text == BUILT_IN {
            return Ok(Self::BuiltIn);
        }
        if let Some(name) = EMBEDDED.into_iter().find(|name| *name == text) {
            return Ok(Self::Embedded(name));
        }
        let path = Path::new(text);
        if path.is_absolute() {
            return Ok(Self::File(path.to_owned()));
        }
        if check_name("name", text).is_ok() {
            let name = text.to_owned();
            return Ok(Self::Installed { name, digest: None });
        }
        let shown: String = text.chars().take(100).collect();
        Err(SourceError::Unknown(shown.escape_debug().to_string()))
    }

    /// What it is called in listings: a file by its file name.
    #[must_use]
    pub fn name(&self) -> Arc<str> {
        match self {
            Self::BuiltIn => BUILT_IN.into(),
            Self::Embedded(name) => (*name).into(),
            Self::Installed { name, .. } => name.as_str().into(),
            Self::File(path) => path
                .file_name()
                .map_or_else(|| path.to_string_lossy(), |name| name.to_string_lossy())
                .into(),
        }
    }

    /// The plugin; none for the built-in rule. One that was added is found by `plugins::Shelf`.
    ///
    /// # Errors
    /// When this binary lacks it, or there is no such file.
    pub fn plugin(&self) -> Result<Option<Plugin>, SourceError> {
        let component = match self {
            Self::BuiltIn => return Ok(None),
            Self::Embedded(name) => {
                let found = plugins::find(name).ok_or(SourceError::Absent(name))?;
                Component::Embedded(found.bytes)
            }
            Self::Installed { name, .. } => return Err(SourceError::Unknown(name.clone())),
            // A pipe or a device would be read for ever.
            Self::File(path) if !path.is_file() => return Err(SourceError::NoFile(path.clone())),
            Self::File(path) => Component::Path(path.clone()),
        };
        Ok(Some(Plugin {
            name: self.name().to_string(),
            component,
        }))
    }
}
