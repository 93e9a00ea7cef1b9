//! A component that an author has in a file: found, read, inspected, compiled.
//!
//! Decides where a project keeps it. Refuses to build it.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::cli::{Failure, figures};
use crate::compiler::Compiled;
use crate::host::{Inspection, World, inspect};
use crate::limits::{COMPONENT_BYTES, MANIFEST_BYTES};
use crate::plugins::manifest::{Manifest, extract};

/// A component as it lies in a file.
pub(super) struct Component {
    pub(super) bytes: Vec<u8>,
    pub(super) manifest: Manifest,
    pub(super) inspection: Inspection,
    pub(super) world: World,
}

/// What is shown of it.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    name: String,
    version: String,
    world: String,
    bytes: usize,
    digest: String,
    imports: Vec<String>,
}

impl Component {
    /// Reads a component with its manifest, from a file or from a project that was built.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let file = if path.is_dir() {
            let manifest = manifest(path)?;
            let file = path.join(format!("{}.wasm", manifest.name));
            if !file.is_file() {
                let message = format!("`{}` is not there", file.display());
                return Err(Failure::new(message).with_hint(Some("`skep plugin build` makes it")));
            }
            file
        } else {
            path.to_owned()
        };
        let bytes = bytes(&file, COMPONENT_BYTES)?;
        inspect(&bytes).map_err(|error| wrong(&file, &error))?;
        let manifest = extract(&bytes).map_err(|error| wrong(&file, &error))?;
        Self::check(&file, bytes, manifest)
    }

    /// Checks what a component is: the world of its manifest, and nothing imported that this world lacks.
    pub(super) fn check(file: &Path, bytes: Vec<u8>, manifest: Manifest) -> Result<Self, Failure> {
        let inspection = inspect(&bytes).map_err(|error| wrong(file, &error))?;
        let world = manifest.world().map_err(|error| wrong(file, &error))?;
        if inspection.world != Some(world) {
            let is = inspection.world.map_or("none", World::name);
            return Err(Failure::new(format!(
                "its manifest says `{}`, but the world that `{}` exports is `{is}`",
                world.name(),
                file.display()
            )));
        }
        if let [first, ..] = inspection.ungranted().as_slice() {
            let message = format!("it imports `{first}`, which its world does not grant");
            let hint = matches!(world, World::Scheduler | World::Installer).then_some(
                "a plugin of this world imports nothing: leave out clocks, randomness, files and the output",
            );
            return Err(Failure::new(message).with_hint(hint));
        }
        Ok(Self {
            bytes,
            manifest,
            inspection,
            world,
        })
    }

    /// Compiles it: in the agent's cache, where a later run and the agent find it, or where there is none in a folder that goes away
    /// with what is returned.
    pub(super) fn compile(
        &self,
        cache: Option<PathBuf>,
    ) -> Result<(Option<tempfile::TempDir>, PathBuf, Duration), Failure> {
        let no_start = |error: std::io::Error| {
            Failure::new(format!("could not prepare the compiler: {error}"))
        };
        let executable = std::env::current_exe().map_err(no_start)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(no_start)?;
        // A cache that cannot be used, as somebody else's, is no reason to stop.
        let cache = cache.and_then(|folder| Compiled::open(folder, executable.clone()).ok());
        let (folder, compiled) = match cache {
            Some(cache) => (None, cache),
            None => {
                let folder = tempfile::tempdir().map_err(no_start)?;
                let own = Compiled::open(folder.path().join("compiled"), executable)
                    .map_err(|error| Failure::chain(&error))?;
                (Some(folder), own)
            }
        };
        let started = Instant::now();
        let path = runtime
            .block_on(compiled.obtain(self.world, &self.bytes))
            .map_err(|error| Failure::chain(&error))?;
        Ok((folder, path, started.elapsed()))
    }

    pub(super) fn shown(&self) -> Shown {
        Shown {
            name: self.manifest.name.clone(),
            version: self.manifest.version.to_string(),
            world: self.world.name().to_owned(),
            bytes: self.inspection.size_bytes,
            digest: format!("sha256:{}", self.inspection.digest),
            imports: self.inspection.imports.clone(),
        }
    }
}

impl Shown {
    pub(super) fn text(&self) -> String {
        format!(
            "{} {} ({})\n  size     {}\n  digest   {}\n  imports  {}",
            self.name,
            self.version,
            self.world,
            figures::size(self.bytes as u64),
            self.digest,
            super::imports(&self.imports)
        )
    }
}

/// A project's `plugin.toml`.
pub(super) fn manifest(dir: &Path) -> Result<Manifest, Failure> {
    let path = dir.join("plugin.toml");
    if !path.is_file() {
        let message = format!(
            "`{}` is no plugin's project: it has no plugin.toml",
            dir.display()
        );
        return Err(Failure::new(message).with_hint(Some("`skep plugin new NAME` makes one")));
    }
    let text =
        String::from_utf8(bytes(&path, MANIFEST_BYTES)?).map_err(|error| wrong(&path, &error))?;
    Manifest::from_toml(&text).map_err(|error| wrong(&path, &error))
}

/// A file's bytes, up to one more than `most`, which whoever reads them then refuses.
pub(super) fn bytes(path: &Path, most: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(most as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| Failure::new(format!("could not read `{}`: {error}", path.display())))?;
    Ok(bytes)
}

fn wrong(file: &Path, error: &dyn std::error::Error) -> Failure {
    Failure::new(format!("`{}`: {error}", file.display()))
}
