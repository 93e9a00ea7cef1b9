//! Python environments under `target/`, one for each list of packages. Nothing outside of them is touched.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::setup;
use crate::step::{execute, root, step, target};

/// The interpreter of the environment in which the independent references run.
pub(crate) fn interpreter() -> Result<PathBuf> {
    let list = root().join("tests/reference/requirements.txt");
    environment("python", &list, "the reference tests")
}

/// Makes the environment if it is missing or its list of packages changed, and returns its interpreter.
pub(crate) fn environment(name: &str, list: &Path, why: &str) -> Result<PathBuf> {
    let folder = target().join(name);
    let python = folder.join("bin/python");
    let wanted =
        fs::read_to_string(list).with_context(|| format!("could not read `{}`", list.display()))?;
    let stamp = folder.join("requirements.txt");
    if python.is_file() && fs::read_to_string(&stamp).is_ok_and(|had| had == wanted) {
        return Ok(python);
    }
    step(&format!("Python environment for {why}"), || {
        setup::debian("python3", "python3", why)?;
        let make = || {
            execute(
                Command::new("python3")
                    .args(["-m", "venv", "--clear"])
                    .arg(&folder),
            )
        };
        if make().is_err() {
            setup::install("python3-venv", why)?;
            make()?;
        }
        // A list with hashes is whole: what its packages ask for besides is not wanted.
        let alone = wanted.contains("--hash").then_some("--no-deps");
        execute(
            Command::new(&python)
                .args(["-m", "pip", "install", "--quiet"])
                .args(alone)
                .args(["--disable-pip-version-check", "-r"])
                .arg(list),
        )?;
        fs::write(&stamp, &wanted)?;
        Ok(())
    })?;
    Ok(python)
}
