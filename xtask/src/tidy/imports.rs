//! Who may import whom: between our crates, and which folder may name which engine of others.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Every crate's manifest against [`ALLOWED`].
pub(super) fn check(root: &Path, breaches: &mut Vec<String>) -> Result<()> {
    let members = manifest(&root.join("Cargo.toml"))?;
    let members = members
        .get("workspace")
        .and_then(|table| table.get("members"))
        .and_then(toml::Value::as_array)
        .cloned();
    let folders: Vec<String> = members
        .unwrap_or_default()
        .iter()
        .filter_map(|member| member.as_str().map(str::to_owned))
        .collect();
    let mut names = BTreeMap::new();
    for folder in &folders {
        let manifest = manifest(&root.join(folder).join("Cargo.toml"))?;
        let name = manifest
            .get("package")
            .and_then(|package| package.get("name"))
            .and_then(toml::Value::as_str);
        names.insert(
            name.unwrap_or_default().to_owned(),
            (folder.clone(), manifest),
        );
    }
    for (name, (folder, manifest)) in &names {
        for dependency in
            dependencies(manifest).filter(|dependency| names.contains_key(*dependency))
        {
            if !allowed(folder).contains(&dependency) {
                breaches.push(format!(
                    "{folder}/Cargo.toml: `{name}` must not depend on `{dependency}`"
                ));
            }
        }
        for dependency in dependencies(manifest) {
            if folder == "agent/core" && !CORE.contains(&dependency) {
                breaches.push(format!("agent/core/Cargo.toml: `{dependency}` is not on the list of crates without input and output"));
            }
        }
    }
    Ok(())
}

/// A source file against [`NAMED_ONLY_IN`].
pub(super) fn check_names(path: &Path, text: &str, breaches: &mut Vec<String>) {
    for (name, homes) in NAMED_ONLY_IN {
        let agent = path.starts_with("agent/src");
        if !agent
            || homes
                .iter()
                .any(|home| path.starts_with(home) || path == Path::new(&format!("{home}.rs")))
        {
            continue;
        }
        for (at, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if code.contains(&format!("{name}::")) {
                breaches.push(format!(
                    "{}:{}: only {} may name `{name}`",
                    path.display(),
                    at + 1,
                    homes.join(", ")
                ));
            }
        }
    }
}

fn dependencies(manifest: &toml::Table) -> impl Iterator<Item = &str> {
    manifest
        .get("dependencies")
        .and_then(toml::Value::as_table)
        .into_iter()
        .flat_map(|table| table.keys().map(String::as_str))
}

fn allowed(folder: &str) -> &'static [&'static str] {
    let found = ALLOWED.iter().find(|(prefix, _)| {
        folder == *prefix || (prefix.ends_with('/') && folder.starts_with(prefix))
    });
    found.map_or(&[], |(_, allowed)| allowed)
}

fn manifest(path: &Path) -> Result<toml::Table> {
    let text =
        fs::read_to_string(path).with_context(|| format!("could not read `{}`", path.display()))?;
    text.parse()
        .with_context(|| format!("could not parse `{}`", path.display()))
}

/// A folder, and which of our crates it may depend on; what is not listed may depend on none.
const ALLOWED: [(&str, &[&str]); 6] = [
    ("agent", &["skep-core", "skep-hw"]),
    ("plugins/", &["skep-sdk"]),
    ("tests/guests/", &["skep-sdk"]),
    ("tests/shims", &[]),
    ("tests/sim", &["skep-core"]),
    ("tests", &["skep", "skep-core", "skep-hw"]),
];

/// All that the deterministic core may use.
const CORE: [&str; 5] = ["foca", "postcard", "rand", "serde", "thiserror"];

/// An engine of others, and the only places in the agent that may name it.
const NAMED_ONLY_IN: [(&str, &[&str]); 9] = [
    ("wasmtime", &["agent/src/host"]),
    ("wasmtime_wasi", &["agent/src/host"]),
    ("quinn", &["agent/src/net"]),
    ("axum", &["agent/src/http"]),
    ("sled", &["agent/src/store"]),
    ("redb", &["agent/src/store"]),
    ("russh", &["agent/src/ssh"]),
    ("argon2", &["agent/src/users"]),
    ("ldap3", &["agent/src/users"]),
];
