//! Builds and calls `skep-load`, which makes the load and takes the times.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::assemble::{Profile, with_contents};
use crate::step::{cargo, execute, output, target};

/// Where it is, after it was built once.
pub(super) fn program() -> Result<PathBuf> {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    if let Some(path) = BUILT.get() {
        return Ok(path.clone());
    }
    let path = binary("skep-load")?;
    Ok(BUILT.get_or_init(|| path).clone())
}

/// Builds a program of the package `skep-tests`.
pub(super) fn binary(name: &str) -> Result<PathBuf> {
    let mut cargo = cargo(["build", "--quiet", "--release", "--package", "skep-tests"]);
    execute(with_contents(cargo.args(["--bin", name]), Profile::Release))?;
    Ok(target().join("release").join(name))
}

/// One verb with its options; the JSON that it printed.
pub(super) fn call<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Result<Value> {
    call_with(Command::new(program()?).args(arguments))
}

/// The same for a command that the caller has made.
pub(super) fn call_with(command: &mut Command) -> Result<Value> {
    let text = output(command)?;
    serde_json::from_str(&text).context("`skep-load` printed no JSON")
}

/// A number of what it printed, by JSON pointer.
pub(super) fn number(found: &Value, pointer: &str) -> Result<f64> {
    found
        .pointer(pointer)
        .and_then(Value::as_f64)
        .with_context(|| format!("`skep-load` told no `{pointer}`: {found}"))
}
