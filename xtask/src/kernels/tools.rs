//! The compilers for GPUs: clang, its linker and what reads code back by Debian's packages, ptxas by NVIDIA's wheel.
//!
//! Decides where ptxas lies and what each tool calls itself. The wheel's version and the SHA-256 of
//! its files stand in `ptxas.txt`, and pip refuses any other file.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::amd::{OBJDUMP, READELF};
use crate::step::{exists, output, root, target};
use crate::{python, setup};

/// The tools of this machine, and their versions.
pub(super) struct Tools {
    clang: String,
    lld: String,
    ptxas: Option<(PathBuf, String)>,
}

/// Makes sure of all of them.
pub(super) fn install() -> Result<Tools> {
    setup::debian(CLANG, CLANG, WHY)?;
    setup::debian(LINKER, LLD, WHY)?;
    setup::debian(OBJDUMP, LLVM, WHY)?;
    python::environment(FOLDER, &root().join("xtask/src/kernels/ptxas.txt"), WHY)?;
    let tools =
        Tools::find()?.context("clang-19, lld-19 and llvm-19 were installed and are not found")?;
    tools.ptxas().with_context(|| {
        format!("the wheel in `{FOLDER}` of cargo's target folder has no ptxas")
    })?;
    Ok(tools)
}

impl Tools {
    /// What is there. None without clang or its linker.
    pub(super) fn find() -> Result<Option<Self>> {
        let needed = [CLANG, LINKER, OBJDUMP, READELF];
        if !needed.into_iter().all(exists) {
            return Ok(None);
        }
        let ptxas = match unpacked(&target().join(FOLDER)) {
            Some(path) => {
                let version = version(&path, "release")?;
                Some((path, version))
            }
            None => None,
        };
        Ok(Some(Self {
            clang: version(Path::new(CLANG), "version")?,
            lld: version(Path::new(LINKER), "LLD")?,
            ptxas,
        }))
    }

    pub(super) fn ptxas(&self) -> Option<&Path> {
        self.ptxas.as_ref().map(|(path, _)| path.as_path())
    }

    /// What each calls itself, by its name.
    pub(super) fn versions(&self) -> BTreeMap<String, String> {
        let ptxas = self.ptxas.as_ref().map(|(_, version)| (PTXAS, version));
        [(CLANG, &self.clang), (LLD, &self.lld)]
            .into_iter()
            .chain(ptxas)
            .map(|(tool, version)| (tool.to_owned(), version.clone()))
            .collect()
    }
}

/// Where the wheel's files lie in the environment.
fn unpacked(environment: &Path) -> Option<PathBuf> {
    fs::read_dir(environment.join("lib"))
        .ok()?
        .flatten()
        .map(|python| {
            python
                .path()
                .join("site-packages/nvidia/cuda_nvcc/bin/ptxas")
        })
        .find(|path| path.is_file())
}

/// The line with `word` of what a tool says of itself.
fn version(tool: &Path, word: &str) -> Result<String> {
    let said = output(Command::new(tool).arg("--version"))?;
    let line = said.lines().find(|line| line.contains(word));
    Ok(line
        .with_context(|| format!("`{}` does not tell its version: {said}", tool.display()))?
        .trim()
        .to_owned())
}

pub(super) const CLANG: &str = "clang-19";
pub(super) const LLD: &str = "lld-19";
const LLVM: &str = "llvm-19";
pub(super) const PTXAS: &str = "ptxas";

/// As the package `lld-19` names it; clang finds it by itself.
const LINKER: &str = "ld.lld-19";

/// In cargo's target folder.
const FOLDER: &str = "tools/ptxas";

const WHY: &str = "compiling kernels for GPUs";
