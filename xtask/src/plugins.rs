//! Builds each plugin with plain cargo and shows what came out: size, imports, digest.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use wasmparser::{Parser, Payload};

use crate::setup::{self, TARGET};
use crate::step::{cargo, execute, root, step, target};

mod manifest;

use self::manifest::Manifest;

/// A built component.
pub(crate) struct Built {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// As its manifest says.
    pub(crate) world: String,
    bytes: u64,
    sha256: String,
    imports: Vec<String>,
}

/// Builds every crate in `plugins/` into `target/plugins/NAME.wasm`, with its `plugin.toml` inside, where the agent's build
/// script finds it.
pub(crate) fn build() -> Result<Vec<Built>> {
    step("Rust target for plugins", || setup::rust_target(TARGET))?;
    let into = folder();
    fs::create_dir_all(&into)?;
    let mut built = Vec::new();
    for name in names(&root().join("plugins"))? {
        let made = step(&format!("plugin `{name}`"), || component(&name))?;
        let path = into.join(format!("{name}.wasm"));
        let manifest = Manifest::read(&root().join("plugins").join(&name).join("plugin.toml"))?;
        place_bytes(&manifest.embed(&fs::read(&made)?)?, &path)?;
        built.push(inspect(name, manifest.world()?, path)?);
    }
    forget_others(&into, &built)?;
    Ok(built)
}

/// Builds and prints.
pub(crate) fn build_and_print() -> Result<()> {
    for plugin in build()? {
        println!("{} ({})", plugin.name, plugin.world);
        println!("  size    {} bytes", plugin.bytes);
        println!("  sha256  {}", plugin.sha256);
        println!("  path    {}", plugin.path.display());
        if plugin.imports.is_empty() {
            println!("  imports nothing");
        }
        for import in plugin.imports {
            println!("  imports {import}");
        }
    }
    Ok(())
}

/// The plugins of the world `scheduler`.
pub(crate) const SCHEDULERS: [&str; 2] = ["spread", "pack"];

/// Where the agent's build script looks.
pub(crate) fn folder() -> PathBuf {
    target().join("plugins")
}

/// Compiles one package for the guests' target and returns the component.
pub(crate) fn component(package: &str) -> Result<PathBuf> {
    execute(&mut cargo([
        "build",
        "--package",
        package,
        "--profile",
        "plugin",
        "--target",
        TARGET,
        "--lib",
    ]))?;
    Ok(target()
        .join(TARGET)
        .join("plugin")
        .join(format!("{}.wasm", package.replace('-', "_"))))
}

fn names(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("could not list `{}`", folder.display()))?
    {
        let entry = entry?;
        if entry.path().join("Cargo.toml").is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Copies only what changed, so that the agent is not linked again for nothing.
pub(crate) fn place(from: &Path, to: &Path) -> Result<()> {
    let new = fs::read(from).with_context(|| format!("could not read `{}`", from.display()))?;
    place_bytes(&new, to)
}

fn place_bytes(new: &[u8], to: &Path) -> Result<()> {
    if fs::read(to).is_ok_and(|old| old == new) {
        return Ok(());
    }
    fs::write(to, new).with_context(|| format!("could not write `{}`", to.display()))
}

fn forget_others(folder: &Path, built: &[Built]) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_file() && !built.iter().any(|plugin| plugin.path == path) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn inspect(name: String, world: String, path: PathBuf) -> Result<Built> {
    let bytes = fs::read(&path)?;
    let mut imports = Vec::new();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(&bytes) {
        match payload.with_context(|| format!("`{}` is not a component", path.display()))? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    imports.push(import?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    let sha256 = Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(Built {
        name,
        path,
        world,
        bytes: bytes.len() as u64,
        sha256,
        imports,
    })
}
