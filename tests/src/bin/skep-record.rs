//! `skep-record FOLDER`: for each world of `wit/` a component that imports every function of it and exports every one, as
//! `all-WORLD.wasm`. None of them does anything: what counts is that a host links them.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    reason = "a command-line tool speaks on its terminal"
)]

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{ManglingAndAbi, Resolve};

fn main() -> Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.context("give the folder to write to")?;
    let mut contract = Resolve::default();
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
    let (package, _) = contract.push_dir(wit)?;
    let worlds = contract.packages.get(package).context("no package")?;
    for (name, &world) in &worlds.worlds {
        let mut module = dummy_module(&contract, world, ManglingAndAbi::Standard32);
        embed_component_metadata(&mut module, &contract, world, StringEncoding::UTF8)?;
        let component = ComponentEncoder::default()
            .validate(true)
            .module(&module)?
            .encode()?;
        let path = folder.join(format!("all-{name}.wasm"));
        std::fs::write(&path, &component)
            .with_context(|| format!("could not write `{}`", path.display()))?;
        println!("{}: {} bytes", path.display(), component.len());
    }
    Ok(())
}
