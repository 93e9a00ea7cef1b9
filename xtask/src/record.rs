//! Keeps components of the contract as it is now, so that later hosts are tried with them (`tests/compat`).
//!
//! Decides which: a real one of each world, and one that imports and exports all that its world has. A world that is new in a
//! version that nobody has yet is added to it. What was recorded is
//! never made again: it is what people have built.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve};

use crate::plugins;
use crate::step::{commit, execute, root, step};

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let [version] = arguments else {
        bail!("give the version of `skep:plugin` in `wit/` that is recorded, such as 0.1.0");
    };
    let package = fs::read_to_string(root().join("wit/types.wit"))?;
    if !package.starts_with(&format!("package skep:plugin@{version};")) {
        bail!("`wit/types.wit` is not of version {version}");
    }
    let folder = root().join("tests/compat").join(version);
    fs::create_dir_all(&folder)?;
    let commit = commit().context("git does not know this commit")?;
    plugins::build()?;
    let mut kept = 0;
    kept += keep(&folder.join("scheduler.wasm"), || {
        Ok(fs::read(plugins::folder().join("spread.wasm"))?)
    })?;
    for (world, guest) in GUESTS {
        kept += keep(&folder.join(format!("{world}.wasm")), || {
            Ok(fs::read(step(guest, || plugins::component(guest))?)?)
        })?;
    }
    kept += step("components with all that their world has", || {
        whole(&folder)
    })?;
    if kept == 0 {
        bail!(
            "every world was recorded in `{}` before, and old components stay as they are",
            folder.display()
        );
    }
    execute(Command::new("ls").arg("-l").arg(&folder))?;
    println!("recorded at {commit}; say so in tests/compat/README.md");
    Ok(())
}

/// For each world a component that imports every function of it and exports every one. None of them does anything: what counts
/// is that a host links them.
fn whole(folder: &Path) -> Result<usize> {
    let mut contract = Resolve::default();
    let (package, _) = contract.push_dir(root().join("wit"))?;
    let package = contract.packages.get(package).context("no package")?;
    let mut kept = 0;
    for (name, &world) in &package.worlds {
        kept += keep(&folder.join(format!("all-{name}.wasm")), || {
            let mangling = ManglingAndAbi::Legacy(LiftLowerAbi::Sync);
            let mut module = dummy_module(&contract, world, mangling);
            embed_component_metadata(&mut module, &contract, world, StringEncoding::UTF8)?;
            ComponentEncoder::default().module(&module)?.encode()
        })?;
    }
    Ok(kept)
}

/// Writes a component that was not recorded before; how many that is.
fn keep(path: &Path, make: impl FnOnce() -> Result<Vec<u8>>) -> Result<usize> {
    if path.exists() {
        return Ok(0);
    }
    fs::write(path, make()?)?;
    Ok(1)
}

/// Small ones that use much of their world (`tests/guests`). The scheduler is the default one.
const GUESTS: [(&str, &str); 4] = [
    ("engine", "echo"),
    ("upstream", "reach"),
    ("notifier", "tell"),
    ("installer", "misstep"),
];
