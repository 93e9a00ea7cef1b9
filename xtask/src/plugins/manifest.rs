//! Puts `plugin.toml` into a built component, as `skep plugin build` does for other people's plugins.
//!
//! That command is not there yet when the plugins are built that go into it. So the few lines that write a section are here
//! a second time; what is right in a manifest is for the agent alone to say, whose tests read every one of these.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// What the section is called; `agent/src/plugins/manifest/section.rs` reads it.
const NAME: &[u8] = b"skep:manifest";

/// What `plugin.toml` says, as JSON has it.
pub(super) struct Manifest(serde_json::Value);

impl Manifest {
    /// Reads `plugin.toml`.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let text = fs::read_to_string(path).with_context(|| format!("could not read `{shown}`"))?;
        let value = toml::from_str(&text).with_context(|| format!("`{shown}` is no TOML"))?;
        Ok(Self(value))
    }

    /// The world that it names.
    pub(super) fn world(&self) -> Result<String> {
        let world = self.0.get("world").and_then(serde_json::Value::as_str);
        Ok(world.context("a manifest names no world")?.to_owned())
    }

    /// The component with the manifest as its last section.
    pub(super) fn embed(&self, component: &[u8]) -> Result<Vec<u8>> {
        ensure!(
            component.starts_with(b"\0asm\x0d\0\x01\0"),
            "what cargo built is no component"
        );
        let mut content = Vec::new();
        put_length(&mut content, NAME.len());
        content.extend_from_slice(NAME);
        serde_json::to_writer(&mut content, &self.0)?;
        let mut made = component.to_vec();
        // The kind of a custom section.
        made.push(0);
        put_length(&mut made, content.len());
        made.extend_from_slice(&content);
        Ok(made)
    }
}

/// An unsigned number as WebAssembly writes it (LEB128).
fn put_length(into: &mut Vec<u8>, length: usize) {
    let mut rest = length;
    while rest > 0x7f {
        into.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    into.push(rest as u8);
}
