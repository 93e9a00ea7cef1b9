//! The kernels for GPUs, from their sources to what the repository keeps of them.
//!
//! Decides which files are sources and that what lies in `hw/kernels/prebuilt` was built from them
//! as they are, so that a normal build needs no compiler for GPUs. Refuses to replace any of it
//! before all of it was built.

mod amd;
mod compile;
mod manifest;
mod ptxas;
mod slang;
mod tools;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::plugins;
use crate::step::{root, step};
use compile::Target;
use manifest::{Manifest, Output};
use slang::Slang;
use tools::Tools;

/// What lies in a folder: names of files and the SHA-256 of each.
type Digests = BTreeMap<String, String>;

/// Builds, or with `--check` says whether that is needed.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    match arguments {
        [] => build(),
        [flag] if flag == "--check" => step("kernels for GPUs against their sources", check),
        _ => bail!("`kernels` takes `--check` or nothing"),
    }
}

/// The same as [`check`], with the compilers wherever they can be installed.
pub(crate) fn check_all() -> Result<()> {
    let installed = tools::install()
        .map(drop)
        .and_then(|()| slang::install().map(drop));
    if let Err(why) = installed {
        eprintln!("!!! compilers of kernels for GPUs: SKIPPED, only hashes are compared: {why:#}");
    }
    check()
}

/// Compares sources and outputs with the manifest, and with what the compiler makes of them where
/// it is installed. Installs nothing.
pub(crate) fn check() -> Result<()> {
    let manifest = Manifest::read(&prebuilt().join(MANIFEST))?;
    let sources = sources()?;
    let mut stale = manifest.stale_sources(&sources);
    stale.extend(manifest.stale_outputs(&kept()?));
    let mut rebuilt = 0;
    if stale.is_empty() {
        for file in rebuild(&manifest, &sources)? {
            rebuilt += 1;
            if digest(&read(&compile::folder().join(&file))?) != manifest.digest(&file) {
                stale.push(format!(
                    "{PREBUILT}/{file}: the same tools build other bytes"
                ));
            }
        }
    }
    if stale.is_empty() {
        eprintln!(
            "    {} sources and {} outputs are those of the manifest",
            sources.len(),
            manifest.outputs.len()
        );
        if rebuilt > 0 {
            eprintln!("    {rebuilt} outputs came out the same again");
        }
        return Ok(());
    }
    bail!(
        "kernels for GPUs are out of date; run `cargo xtask kernels` and commit what it writes:\n    {}",
        stale.join("\n    ")
    )
}

fn build() -> Result<()> {
    let sources = sources()?;
    let (tools, slang) = step("tools that compile kernels", || {
        Ok((tools::install()?, slang::install()?))
    })?;
    step("kernels for GPUs", || {
        compile::compile(&units(&sources, ".cu"), tools.ptxas())?;
        slang.compile(&units(&sources, ".slang"))?;
        let mut outputs = BTreeMap::new();
        for target in Target::all() {
            let file = target.file();
            let bytes = read(&compile::folder().join(&file))?;
            eprintln!("    {file:<16}{:>9} bytes", bytes.len());
            outputs.insert(
                file,
                Output {
                    command: target.command(),
                    bytes: bytes.len() as u64,
                    sha256: digest(&bytes),
                },
            );
        }
        let mut tools = tools.versions();
        tools.insert(slang::SLANG.to_owned(), slang.version().to_owned());
        keep(&Manifest {
            tools,
            sources,
            outputs,
        })
    })
}

/// Builds again in `target/kernels` what can be built by the very tools that the manifest names.
/// Returns the files that were, and says of the others why not.
fn rebuild(manifest: &Manifest, sources: &Digests) -> Result<Vec<String>> {
    let mut rebuilt = rebuild_portable(manifest, sources)?;
    match Slang::find()? {
        Some(slang)
            if manifest.tools.get(slang::SLANG).map(String::as_str) == Some(slang.version()) =>
        {
            rebuilt.push(slang.compile(&units(sources, ".slang"))?);
        }
        _ => eprintln!(
            "    of the kernels for Vulkan only hashes were compared: target/tools has no Slang of the manifest's version"
        ),
    }
    Ok(rebuilt)
}

fn rebuild_portable(manifest: &Manifest, sources: &Digests) -> Result<Vec<String>> {
    let Some(tools) = Tools::find()? else {
        eprintln!(
            "    only hashes were compared: clang-19, lld-19 and llvm-19 are not all installed"
        );
        return Ok(Vec::new());
    };
    let here = tools.versions();
    let same = |tool: &str| here.get(tool) == manifest.tools.get(tool);
    if let Some(tool) = [tools::CLANG, tools::LLD]
        .into_iter()
        .find(|tool| !same(tool))
    {
        eprintln!(
            "    only hashes were compared: {tool} is of another version than the manifest's"
        );
        return Ok(Vec::new());
    }
    let ptxas = tools.ptxas().filter(|_| same(tools::PTXAS));
    if ptxas.is_none() {
        eprintln!(
            "    of the cubins only hashes were compared: target/tools has no ptxas of the manifest's version"
        );
    }
    compile::compile(&units(sources, ".cu"), ptxas)
}

/// Puts everything where the repository keeps it and removes what is of no target any more.
fn keep(manifest: &Manifest) -> Result<()> {
    let into = prebuilt();
    fs::create_dir_all(&into).with_context(|| format!("could not create `{}`", into.display()))?;
    for file in manifest.outputs.keys() {
        let packed = compile::folder().join(format!("{file}{PACKED}"));
        let bytes = zstd::encode_all(&*read(&compile::folder().join(file))?, LEVEL)?;
        fs::write(&packed, bytes)
            .with_context(|| format!("could not write `{}`", packed.display()))?;
        plugins::place(&packed, &into.join(format!("{file}{PACKED}")))?;
    }
    for name in digests(&into, |name| name != MANIFEST)?.keys() {
        let file = name.strip_suffix(PACKED);
        if !file.is_some_and(|file| manifest.outputs.contains_key(file)) {
            fs::remove_file(into.join(name))?;
        }
    }
    manifest.write(&into.join(MANIFEST))
}

/// What the repository keeps, by the names and the content that it had before it was packed.
fn kept() -> Result<Digests> {
    let mut kept = Digests::new();
    for (name, packed) in digests(&prebuilt(), |name| name != MANIFEST)? {
        let (file, digest) = match name.strip_suffix(PACKED) {
            Some(file) => {
                let bytes = zstd::decode_all(&*read(&prebuilt().join(&name))?)
                    .with_context(|| format!("`{PREBUILT}/{name}` cannot be unpacked"))?;
                (file.to_owned(), digest(&bytes))
            }
            None => (name, packed),
        };
        kept.insert(file, digest);
    }
    Ok(kept)
}

/// Every source and header, by its path in the repository.
fn sources() -> Result<Digests> {
    let mut sources = Digests::new();
    for (folder, ends) in SOURCES {
        let found = digests(&root().join(folder), |name| {
            ends.iter().any(|end| name.ends_with(end))
        })?;
        let [units, _] = ends;
        if !found.keys().any(|name| name.ends_with(units)) {
            bail!("there is no kernel in `{folder}`");
        }
        let paths = found
            .into_iter()
            .map(|(name, digest)| (format!("{folder}/{name}"), digest));
        sources.extend(paths);
    }
    let script = digest(&read(&root().join(slang::SCRIPT))?);
    sources.insert(slang::SCRIPT.to_owned(), script);
    Ok(sources)
}

/// What is compiled; the others are headers.
fn units<'a>(sources: &'a Digests, end: &str) -> Vec<&'a str> {
    sources
        .keys()
        .map(String::as_str)
        .filter(|path| path.ends_with(end))
        .collect()
}

fn digests(folder: &Path, wanted: impl Fn(&str) -> bool) -> Result<Digests> {
    let mut found = Digests::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("could not list `{}`", folder.display()))?
    {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_file() && wanted(&name) {
            found.insert(name, digest(&read(&entry.path())?));
        }
    }
    Ok(found)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("could not read `{}`", path.display()))
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn prebuilt() -> std::path::PathBuf {
    root().join(PREBUILT)
}

/// Folders of kernels, and how the names of what is compiled and of headers end.
const SOURCES: [(&str, [&str; 2]); 2] = [
    ("hw/kernels/portable", [".cu", ".h"]),
    ("hw/kernels/vulkan", [".slang", ".slangh"]),
];
const PREBUILT: &str = "hw/kernels/prebuilt";
const MANIFEST: &str = "MANIFEST.toml";
/// How the names of what is packed by Zstandard end, and how hard it tries: a second or two for all.
const PACKED: &str = ".zst";
const LEVEL: i32 = 19;
