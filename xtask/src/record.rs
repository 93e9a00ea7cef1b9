//! Keeps components of the contract as it is now, so that later hosts are tried with them (`tests/compat`).
//!
//! Decides which: a real one of each world, and one that imports and exports all that its world has. What was recorded is
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
    if fs::read_dir(&folder)?.next().is_some() {
        bail!(
            "`{}` was recorded before, and old components stay as they are",
            folder.display()
        );
    }
    let commit = commit().context("git does not know this commit")?;
    plugins::build()?;
    fs::copy(
        plugins::folder().join("spread.wasm"),
        folder.join("scheduler.wasm"),
    )?;
    for (world, guest) in GUESTS {
        let made = step(guest, || plugins::component(guest))?;
        fs::copy(made, folder.join(format!("{world}.wasm")))?;
    }
    step("components with all that their world has", || {
        whole(&folder)
    })?;
    execute(Command::new("ls").arg("-l").arg(&folder))?;
    println!("recorded at {commit}; say so in tests/compat/README.md");
    Ok(())
}

/// For each world a component that imports every function of it and exports every one. None of them does anything: what counts
/// is that a host links them.
fn whole(folder: &Path) -> Result<()> {
    let mut contract = Resolve::default();
    let (package, _) = contract.push_dir(root().join("wit"))?;
    let package = contract.packages.get(package).context("no package")?;
    for (name, &world) in &package.worlds {
        let mangling = ManglingAndAbi::Legacy(LiftLowerAbi::Sync);
        let mut module = dummy_module(&contract, world, mangling);
        embed_component_metadata(&mut module, &contract, world, StringEncoding::UTF8)?;
        let mut encoder = ComponentEncoder::default().module(&module)?;
        fs::write(folder.join(format!("all-{name}.wasm")), encoder.encode()?)?;
    }
    Ok(())
}

/// Small ones that use much of their world (`tests/guests`). The scheduler is the default one.
const GUESTS: [(&str, &str); 3] = [
    ("engine", "echo"),
    ("upstream", "reach"),
    ("notifier", "tell"),
];
