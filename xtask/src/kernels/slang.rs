//! The kernels for Vulkan, by the Slang compiler of PyPI's `slangpy`.
//!
//! Decides where the compiler lies and how it is called, through `slang.py`. The wheel's version and the SHA-256 of its files
//! stand in `slang.txt`, and pip refuses any other file.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::compile::{Target, folder};
use crate::python;
use crate::step::{execute, output, root, target};

/// The compiler of this machine.
pub(super) struct Slang {
    python: PathBuf,
    version: String,
}

/// Makes sure of it.
pub(super) fn install() -> Result<Slang> {
    python::environment(FOLDER, &root().join("xtask/src/kernels/slang.txt"), WHY)?;
    Slang::find()?.with_context(|| {
        format!("the environment in `{FOLDER}` of cargo's target folder has no Python")
    })
}

impl Slang {
    /// The compiler, if it is there.
    pub(super) fn find() -> Result<Option<Self>> {
        let python = target().join(FOLDER).join("bin/python");
        if !python.is_file() {
            return Ok(None);
        }
        let version = output(script(&python).arg("--version"))?;
        Ok(Some(Self { python, version }))
    }

    /// What it calls itself.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// Builds the one module from the sources named, and returns its file.
    pub(super) fn compile(&self, sources: &[&str]) -> Result<String> {
        let unit = folder().join(UNIT);
        let includes: String = sources
            .iter()
            .map(|path| format!("#include \"{path}\"\n"))
            .collect();
        fs::create_dir_all(folder())
            .and_then(|()| fs::write(&unit, includes))
            .with_context(|| format!("could not write `{}`", unit.display()))?;
        let file = Target::Spirv.file();
        execute(
            script(&self.python)
                .arg(folder().join(&file))
                .arg(unit)
                .args(Target::Spirv.flags()),
        )?;
        Ok(file)
    }
}

fn script(python: &PathBuf) -> Command {
    let mut command = Command::new(python);
    command.arg(root().join(SCRIPT)).current_dir(root());
    command
}

/// Its name in the manifest.
pub(super) const SLANG: &str = "slang";

/// What calls the compiler, and changes what comes out of it: as much a source as the kernels.
pub(super) const SCRIPT: &str = "xtask/src/kernels/slang.py";

const UNIT: &str = "all.slang";

/// In cargo's target folder.
const FOLDER: &str = "tools/slang";

const WHY: &str = "compiling kernels for Vulkan";
