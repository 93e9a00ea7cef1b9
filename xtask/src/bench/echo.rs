//! The agent with an engine that answers at once: unchanged but for the component that it embeds.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{agent, folder};
use crate::plugins;
use crate::step::{cargo, execute, step, target};

/// The model that it serves; its file is opened by nobody, since the engine needs none.
pub(super) const MODEL: &str = "tiny";

/// Builds and starts it, and waits until it is ready.
pub(super) fn serve() -> Result<agent::Server> {
    let binary = step("agent with the echo engine", build)?;
    let home = agent::fresh_home("echo")?;
    let mut server = agent::skep(&binary, &home, &[("MODELS_DEFAULT", MODEL)])?;
    server.wait("/readyz", Duration::from_secs(60))?;
    Ok(server)
}

/// The same sources with another folder of plugins, in which the echo engine goes by the name of `llama`.
fn build() -> Result<PathBuf> {
    let into = folder().join("plugins");
    fs::create_dir_all(&into)?;
    for plugin in plugins::build()? {
        if plugin.name != "llama" {
            plugins::place(&plugin.path, &into.join(format!("{}.wasm", plugin.name)))?;
        }
    }
    plugins::place(&plugins::component("echo")?, &into.join("llama.wasm"))?;
    execute(
        cargo(["build", "--release", "--package", "skep", "--bin", "skep"])
            .env("SKEP_PLUGINS_DIR", &into),
    )?;
    let binary = folder().join("skep-echo");
    // A copy: the next ordinary build writes the same file.
    fs::copy(target().join("release/skep"), &binary)
        .with_context(|| format!("could not write `{}`", binary.display()))?;
    Ok(binary)
}
