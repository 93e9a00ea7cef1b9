//! Puts every plugin that is built into the agent: a list of names, bytes and digests for
//! `src/plugins.rs`. The folder is `SKEP_PLUGINS_DIR`, or `target/plugins` of the workspace.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sha2::{Digest, Sha256};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The one way in which a build script can speak.
            println!("cargo::error={error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    println!("cargo::rerun-if-env-changed=SKEP_PLUGINS_DIR");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let manifest = env::var_os("CARGO_MANIFEST_DIR").ok_or("CARGO_MANIFEST_DIR is not set")?;
    let manifest = PathBuf::from(manifest);
    let tiny = manifest.join("assets/tiny/skep-tiny-q8_0.gguf");
    println!(
        "cargo::rustc-env=SKEP_TINY_SHA256={}",
        digest(&read(&tiny)?)
    );
    replace(&out.join("plugins.rs"), &plugins(&manifest)?)?;
    replace(&out.join("project.rs"), &project(&manifest.join(".."))?)?;
    replace(&out.join("page.rs"), &page(&manifest.join("ui/dist"))?)
}

/// The list of `src/cli/plugin/new.rs`: what a new plugin's project may be made of, by its path in the repository.
fn project(root: &Path) -> Result<String, String> {
    let root = root.canonicalize().map_err(|error| error.to_string())?;
    let mut list = String::from("&[\n");
    for folder in ["sdk/src", "sdk/templates", "wit"] {
        let mut paths = Vec::new();
        beneath(&root.join(folder), &mut paths)?;
        for path in paths {
            let name = path
                .strip_prefix(&root)
                .map_err(|error| error.to_string())?;
            let name = name.display().to_string();
            let path = path.display().to_string();
            line(
                &mut list,
                format_args!("    ({name:?}, include_str!({path:?})),"),
            )?;
        }
    }
    list.push_str("]\n");
    Ok(list)
}

/// Every file of a folder and of those in it.
fn beneath(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<(), String> {
    println!("cargo::rerun-if-changed={}", folder.display());
    paths.extend(files(folder)?);
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut folders = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| error.to_string())?.path();
        // Left there by whoever ran a template in place.
        let made = ["__pycache__", "node_modules", "target", "build"];
        if path.is_dir() && !made.iter().any(|name| path.ends_with(name)) {
            folders.push(path);
        }
    }
    folders.sort();
    folders.iter().try_for_each(|folder| beneath(folder, paths))
}

/// The list of `src/plugins.rs`.
fn plugins(manifest: &Path) -> Result<String, String> {
    let folder = match env::var_os("SKEP_PLUGINS_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => default_folder(manifest),
    };
    // Also when it is not there yet, so that the next build finds it.
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut list = String::from("&[\n");
    for path in files(&folder)? {
        if path.extension().is_none_or(|extension| extension != "wasm") {
            continue;
        }
        let name = stem(&path)?;
        let sha256 = digest(&read(&path)?);
        let path = path.display().to_string();
        line(
            &mut list,
            format_args!(
                "    Embedded {{ name: {name:?}, bytes: include_bytes!({path:?}), sha256: {sha256:?} }},"
            ),
        )?;
    }
    list.push_str("]\n");
    Ok(list)
}

/// The list of `src/http/page.rs`: every file in `ui/dist` whose kind a browser is to be told. Those that end with `.gz`
/// were compressed when the page was built, and are sent as they are.
fn page(folder: &Path) -> Result<String, String> {
    let mut paths = Vec::new();
    beneath(folder, &mut paths)?;
    let folder = folder.canonicalize().map_err(|error| error.to_string())?;
    let mut list = String::from("&[\n");
    for path in paths {
        let name = path.strip_prefix(&folder);
        let name = name.map_err(|error| error.to_string())?.to_str();
        let name = name.ok_or_else(|| format!("{}: the name is not text", path.display()))?;
        let (name, packed) = match name.strip_suffix(".gz") {
            Some(name) => (name, true),
            None => (name, false),
        };
        let Some(kind) = kind(name) else {
            continue;
        };
        let at = format!("/{name}");
        let tag = digest(&read(&path)?);
        let tag = format!("\"{}\"", tag.chars().take(16).collect::<String>());
        let path = path.display().to_string();
        line(
            &mut list,
            format_args!(
                "    File {{ path: {at:?}, kind: {kind:?}, packed: {packed}, bytes: include_bytes!({path:?}), tag: {tag:?} }},"
            ),
        )?;
    }
    list.push_str("]\n");
    Ok(list)
}

/// What a browser is told that a file is.
fn kind(name: &str) -> Option<&'static str> {
    Some(match name.rsplit_once('.')?.1 {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => return None,
    })
}

/// Beside the folder that cargo builds in: `target/plugins`.
fn default_folder(manifest: &Path) -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(target) => PathBuf::from(target).join("plugins"),
        None => manifest.join("../target/plugins"),
    }
}

/// The files of a folder, by name; none where there is no folder. A change to any runs this again.
fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(found);
    };
    for entry in entries {
        let path = entry.map_err(|error| error.to_string())?.path();
        if path.is_file() {
            let path = path.canonicalize().map_err(|error| error.to_string())?;
            println!("cargo::rerun-if-changed={}", path.display());
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn stem(path: &Path) -> Result<&str, String> {
    path.file_stem()
        .and_then(|name| name.to_str())
        .ok_or_else(|| format!("{}: the name is not text", path.display()))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

fn line(list: &mut String, line: std::fmt::Arguments<'_>) -> Result<(), String> {
    writeln!(list, "{line}").map_err(|error| error.to_string())
}

/// Written only when it differs: a new date would have the agent compiled again.
fn replace(into: &Path, list: &str) -> Result<(), String> {
    if fs::read_to_string(into).is_ok_and(|old| old == list) {
        return Ok(());
    }
    fs::write(into, list).map_err(|error| format!("{}: {error}", into.display()))
}
