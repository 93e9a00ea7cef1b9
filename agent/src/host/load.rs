//! Loads a component that was compiled ahead: the one place that trusts bytes to be our own compiler's output.

use std::path::Path;

use wasmtime::component::Component;
use wasmtime::{Engine, Result};

/// Maps a component compiled by `runtime::precompile`. The path must come from `compiler::Compiled`.
///
/// # Errors
/// When the file cannot be read, or was compiled by another version, for another configuration or
/// for a processor with features that this one lacks.
#[allow(
    unsafe_code,
    reason = "running code compiled ahead needs it, and this function is all of it"
)]
pub(super) fn compiled(engine: &Engine, path: &Path) -> Result<Component> {
    // SAFETY: the file must be unmodified output of `Engine::precompile_component`. It is:
    // `compiler::Compiled` is the only source of such paths, writes them only into a folder of mode
    // 0700 that belongs to this user, by renaming what its own child made, and checks each file's
    // digest before giving out its path. wasmtime checks version and configuration itself.
    unsafe { Component::deserialize_file(engine, path) }
}
