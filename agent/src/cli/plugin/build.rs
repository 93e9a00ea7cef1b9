//! `skep plugin build`: the language's own tools, and the manifest put in.
//!
//! Decides which tool a project wants and says how to get it. Refuses to install anything by itself.

mod c;
mod disguise;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use super::component::{self, Component};
use crate::cli::arguments::Build;
use crate::cli::terminal::say;
use crate::cli::{Failure, print_json};
use crate::limits::COMPONENT_BYTES;
use crate::plugins::manifest::embed;

/// What Rust plugins are built for.
const TARGET: &str = "wasm32-wasip2";

/// The one interface of WASI whose name for Python has its package in it, since another has the same name.
const HTTP_NAME: &str = "held:http/types@0.2.12=wasi_http_types";

pub(super) fn build(wish: &Build) -> Result<(), Failure> {
    let (component, output) = produce(&wish.dir, wish.output.clone())?;
    if wish.json {
        return print_json(&component.shown());
    }
    let shown = component.shown().text();
    Ok(say(format!("{shown}\n  file     {}", output.display()))?)
}

/// Builds, checks and writes a component; where it lies.
pub(super) fn produce(
    dir: &Path,
    output: Option<PathBuf>,
) -> Result<(Component, PathBuf), Failure> {
    let manifest = component::manifest(dir)?;
    let made = make(dir, &manifest.world)?;
    let plain = component::bytes(&made, COMPONENT_BYTES)?;
    let bytes = embed(&plain, &manifest)
        .map_err(|error| Failure::new(format!("`{}`: {error}", made.display())))?;
    let component = Component::check(&made, bytes, manifest)?;
    let output = output.unwrap_or_else(|| dir.join(format!("{}.wasm", component.manifest.name)));
    fs::write(&output, &component.bytes).map_err(|error| {
        Failure::new(format!("could not write `{}`: {error}", output.display()))
    })?;
    Ok((component, output))
}

/// Runs the language's tool; the component that it made.
fn make(dir: &Path, world: &str) -> Result<PathBuf, Failure> {
    let failed = |error: io::Error| Failure::new(format!("`{}`: {error}", dir.display()));
    let dir = dir.canonicalize().map_err(failed)?;
    if dir.join("Cargo.toml").is_file() {
        return cargo(&dir);
    }
    // What an earlier build left must not be taken for this one's.
    let made = dir.join("build/plugin.wasm");
    match fs::remove_file(&made) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    fs::create_dir_all(dir.join("build")).map_err(failed)?;
    if dir.join("package.json").is_file() {
        if !dir.join("node_modules").is_dir() {
            return Err(Failure::new("its tools are not installed")
                .with_hint(Some("`npm install` in the project brings them")));
        }
        let disguise = disguise::is_needed(&dir).then_some(disguise::OF_VERSION);
        if let Some(disguise) = disguise {
            disguise.put_on(&dir)?;
        }
        let npm = Command::new("npm")
            .args(["run", "--silent", "build"])
            .current_dir(&dir)
            .stdout(io::stderr())
            .status();
        let install = "install Node 20 or newer, which brings npm (https://nodejs.org)";
        finished("npm", npm, install)?;
        if let Some(disguise) = disguise {
            disguise.take_off(&made)?;
        }
        return Ok(made);
    }
    if dir.join("app.py").is_file() {
        python(&dir, world, &made)?;
        return Ok(made);
    }
    if dir.join(c::FLAGS).is_file() {
        c::build(&dir, world, &made)?;
        return Ok(made);
    }
    let message = format!("`{}` has no project that can be built", dir.display());
    Err(Failure::new(message).with_hint(Some(
        "there must be a Cargo.toml, a package.json, an app.py, or a compile_flags.txt for C",
    )))
}

fn python(dir: &Path, world: &str, made: &Path) -> Result<(), Failure> {
    let own = dir.join(".venv/bin/componentize-py");
    let tool = if own.is_file() {
        own
    } else {
        "componentize-py".into()
    };
    let mut componentize = Command::new(tool);
    let disguise = disguise::is_needed(dir).then_some(disguise::OF_PACKAGE);
    match disguise {
        Some(disguise) => {
            disguise.put_on(dir)?;
            componentize.args(["-d", disguise::COPY, "-w", world]);
            // Programs know it by the name that it has without a disguise.
            componentize.args(["--import-interface-name", HTTP_NAME]);
        }
        None => drop(componentize.args(["-d", "wit", "-w", world])),
    }
    let componentize = componentize
        .args(["componentize", "--stub-wasi", "app"])
        .arg("-o")
        .arg(made)
        .current_dir(dir)
        .stdout(io::stderr())
        .status();
    let install =
        "in the project: `python3 -m venv .venv && .venv/bin/pip install -r requirements.txt`";
    finished("componentize-py", componentize, install)?;
    disguise.map_or(Ok(()), |disguise| disguise.take_off(made))
}

/// Plain cargo; it says itself where the component is.
fn cargo(dir: &Path) -> Result<PathBuf, Failure> {
    let output = Command::new("cargo")
        .args(["build", "--release", "--lib", "--target", TARGET])
        .args(["--message-format", "json-render-diagnostics"])
        .current_dir(dir)
        .stderr(Stdio::inherit())
        .output();
    let (status, said) = match output {
        Ok(output) => (Ok(output.status), output.stdout),
        Err(error) => (Err(error), Vec::new()),
    };
    let install =
        format!("install Rust (https://rustup.rs), and then `rustup target add {TARGET}`");
    finished("cargo", status, &install)?;
    let last = said
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok())
        .filter_map(|message| {
            let files = message.get("filenames")?.as_array()?;
            let mut names = files.iter().filter_map(serde_json::Value::as_str);
            names
                .find(|name| name.ends_with(".wasm"))
                .map(PathBuf::from)
        })
        .next_back();
    last.ok_or_else(|| {
        Failure::new("cargo made no component").with_hint(Some(
            "Cargo.toml needs `[lib]` with `crate-type = [\"cdylib\"]`",
        ))
    })
}

fn finished(tool: &str, status: io::Result<ExitStatus>, install: &str) -> Result<(), Failure> {
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(
            Failure::new(format!("{tool} failed ({status}); what it said is above"))
                .with_hint(Some(format!("where a tool is missing: {install}"))),
        ),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Failure::new(format!("`{tool}` is not installed")).with_hint(Some(install)))
        }
        Err(error) => Err(Failure::new(format!("could not start `{tool}`: {error}"))),
    }
}
