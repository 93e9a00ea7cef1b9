//! Random models to measure with, and how many bytes of weights a token reads of each.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::folder;
use crate::python;
use crate::step::{execute, output, root};

/// A model file that is measured.
pub(super) struct Model {
    /// What it is served as.
    pub(super) name: String,
    /// Of a random model its size, as `make_models.py` names it.
    pub(super) shape: String,
    /// Of a random model the type of its weights, by the same names.
    pub(super) kind: String,
    pub(super) path: PathBuf,
    /// Bytes of weights that decoding one token reads.
    pub(super) token_bytes: f64,
    pub(super) vocabulary: u64,
    /// Tokens of its context that a measurement may use.
    pub(super) context: u64,
}

/// The model that is embedded.
pub(super) fn tiny() -> Result<Model> {
    let path = root().join("agent/assets/tiny/skep-tiny-q8_0.gguf");
    about(["tiny"; 3].map(str::to_owned), path, 256)
}

/// A random Llama of a size and type; made once and kept.
pub(super) fn random(shape: &str, kind: &str) -> Result<Model> {
    let into = folder().join("models");
    let path = into.join(format!("shape-{shape}-{kind}.gguf"));
    if !path.is_file() {
        eprintln!("    making a random model {shape} {kind}");
        execute(
            Command::new(python::interpreter()?)
                .arg(root().join("tests/reference/make_models.py"))
                .arg(&into)
                .args(["--shape", shape, "--type", kind])
                .stdout(std::io::stderr()),
        )?;
    }
    let names = [random_name(shape, kind), shape.into(), kind.into()];
    about(names, path, 2_048)
}

/// What it is served as.
pub(super) fn random_name(shape: &str, kind: &str) -> String {
    format!("random-{shape}-{}", kind.replace('_', "-"))
}

fn about([name, shape, kind]: [String; 3], path: PathBuf, context: u64) -> Result<Model> {
    let found = output(
        Command::new(python::interpreter()?)
            .arg(root().join("tests/bench/weights.py"))
            .arg::<&Path>(&path),
    )?;
    let found: Value = serde_json::from_str(&found).context("unexpected output of weights.py")?;
    let number = |name: &str| found.get(name).and_then(Value::as_u64).context("no number");
    Ok(Model {
        name,
        shape,
        kind,
        path,
        token_bytes: number("bytes")? as f64,
        vocabulary: number("vocabulary")?,
        context,
    })
}
