//! The bindings of projects in C, made from `wit/`: `sdk/templates/c/WORLD/bindings`. Nobody writes them by hand, and `tidy` says when
//! they are stale.
//!
//! Decides for which worlds there are some; what they look like is `wit-bindgen`'s, pinned to the version that they name.

use std::fs;
use std::path::PathBuf;

use anyhow::{Result, bail};
use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::Resolve;

use crate::step::root;

/// Writes them.
pub(crate) fn write() -> Result<()> {
    for (path, text) in all()? {
        fs::create_dir_all(path.parent().unwrap_or(&path))?;
        fs::write(&path, &text)?;
        eprintln!("    {}: {} bytes", path.display(), text.len());
    }
    Ok(())
}

/// Says which are not what would be written now.
pub(crate) fn check() -> Result<()> {
    for (path, text) in all()? {
        if fs::read(&path).ok().as_ref() != Some(&text) {
            let path = path.strip_prefix(root()).unwrap_or(&path);
            bail!(
                "{}: not what `wit/` says: `cargo xtask reference` writes it",
                path.display()
            );
        }
    }
    Ok(())
}

/// Path and text of each.
fn all() -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut all = Vec::new();
    for name in WORLDS {
        let mut contract = Resolve::default();
        let (package, _) = contract.push_dir(root().join("wit"))?;
        let world = contract.select_world(&[package], Some(name))?;
        let options = wit_bindgen_c::Opts {
            no_object_file: true,
            ..Default::default()
        };
        let mut files = Files::default();
        options.build().generate(&mut contract, world, &mut files)?;
        let folder = root().join("sdk/templates/c").join(name).join("bindings");
        for (file, text) in files.iter() {
            let text = std::str::from_utf8(text)?;
            // The object that it wants linked has the types, which `skep plugin build` adds by itself.
            let text = text.split_once(OBJECT).map_or(text, |(text, _)| text);
            all.push((folder.join(file), text.as_bytes().to_vec()));
        }
    }
    Ok(all)
}

/// Those with a project in C.
const WORLDS: [&str; 4] = ["engine", "notifier", "scheduler", "upstream"];

/// Where the last part of a file begins.
const OBJECT: &str = "\n// Ensure that the *_component_type.o object is linked in";
