//! A project in C: clang makes a core module, and here it becomes a component.
//!
//! Decides which files are compiled: `src/*.c` and `bindings/*.c`, with the flags of `compile_flags.txt`, which editors read, too.
//! Refuses to generate bindings: a project brings them.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::finished;
use crate::cli::Failure;

/// What clang is told, one flag a line.
pub(super) const FLAGS: &str = "compile_flags.txt";

/// Compiles and writes the component to `made`.
pub(super) fn build(dir: &Path, world: &str, made: &Path) -> Result<(), Failure> {
    let core = dir.join("build/core.wasm");
    let mut sources = Vec::new();
    for folder in ["src", "bindings"] {
        let entries = fs::read_dir(dir.join(folder))
            .map_err(|error| Failure::new(format!("`{folder}` in the project: {error}")))?;
        for entry in entries {
            let path = entry
                .map_err(|error| Failure::new(format!("`{folder}` in the project: {error}")))?
                .path();
            if path.extension().is_some_and(|extension| extension == "c") {
                sources.push(path);
            }
        }
    }
    sources.sort();
    let clang = Command::new(compiler())
        .arg(format!("@{FLAGS}"))
        .args(&sources)
        .arg("-o")
        .arg(&core)
        .current_dir(dir)
        .stdout(io::stderr())
        .status();
    let install = "clang with wasi-libc; on Debian: `apt install clang lld wasi-libc libclang-rt-dev-wasm32`, elsewhere the WASI SDK, \
                   with WASI_SDK_PATH naming its folder";
    finished("clang", clang, install)?;
    let module = fs::read(&core)
        .map_err(|error| Failure::new(format!("could not read `{}`: {error}", core.display())))?;
    let component = component(&dir.join("wit"), world, module).map_err(|error| {
        Failure::new(format!("what clang made is no component: {error:#}")).with_hint(Some(
            "a function of the C library that reaches outside (files, clocks, the output) cannot be linked in; \
             `bindings/` must fit `wit/`",
        ))
    })?;
    fs::write(made, component)
        .map_err(|error| Failure::new(format!("could not write `{}`: {error}", made.display())))
}

/// The one that somebody chose, the WASI SDK's, or the system's.
fn compiler() -> PathBuf {
    if let Some(chosen) = env::var_os("CC").filter(|chosen| !chosen.is_empty()) {
        return chosen.into();
    }
    let sdk = env::var_os("WASI_SDK_PATH").map(|sdk| PathBuf::from(sdk).join("bin/clang"));
    sdk.unwrap_or_else(|| "clang".into())
}

/// Puts the component's types around a core module.
fn component(wit: &Path, world: &str, mut module: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    let mut contract = Resolve::default();
    let (package, _) = contract.push_dir(wit)?;
    let world = contract.select_world(&[package], Some(world))?;
    embed_component_metadata(&mut module, &contract, world, StringEncoding::UTF8)?;
    ComponentEncoder::default().module(&module)?.encode()
}
