//! What this binary is: its version, where it comes from, and the plugins that it carries.
//!
//! Decides nothing; it tells what was put in when the binary was built.

use crate::host::inspect;
use crate::plugins::{EMBEDDED, Embedded};
use crate::wire;

/// The version of skep.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Everything that `skep version` shows.
#[must_use]
pub fn version() -> wire::Version {
    wire::Version {
        version: VERSION.to_owned(),
        commit: option_env!("SKEP_COMMIT")
            .filter(|commit| !commit.is_empty())
            .map(str::to_owned),
        target: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        wasmtime: WASMTIME.to_owned(),
        plugins: plugins(),
    }
}

/// The plugins inside this binary, each with what it asks for.
#[must_use]
pub fn plugins() -> Vec<wire::Plugin> {
    EMBEDDED.iter().map(plugin).collect()
}

fn plugin(embedded: &Embedded) -> wire::Plugin {
    // What this binary carries was checked when it was built; if it cannot be read, that shows as
    // a plugin without a world.
    let found = inspect(embedded.bytes).ok();
    let world = found.as_ref().and_then(|found| found.world);
    let world = world.map_or("none", |world| world.name());
    wire::Plugin {
        name: embedded.name.to_owned(),
        world: world.to_owned(),
        imports: found.map(|found| found.imports).unwrap_or_default(),
        bytes: embedded.bytes.len() as u64,
        digest: format!("sha256:{}", embedded.sha256),
        runs_in: if world == "scheduler" {
            "agent"
        } else {
            "worker"
        }
        .to_owned(),
    }
}

/// The version of wasmtime that this binary is built with, as `Cargo.lock` has it.
const WASMTIME: &str = "48.0.8";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_wasmtime_is_the_one_in_use() {
        let lock = include_str!("../../Cargo.lock");
        let line = format!("name = \"wasmtime\"\nversion = \"{WASMTIME}\"");
        assert!(lock.contains(&line));
    }
}
