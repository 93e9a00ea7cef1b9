//! A Python environment under `target/` for the independent references. Nothing outside of it is touched.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::setup;
use crate::step::{execute, root, step, target};

/// Makes the environment if it is missing or its list of packages changed, and returns its interpreter.
pub(crate) fn interpreter() -> Result<PathBuf> {
    let folder = target().join("python");
    let python = folder.join("bin/python");
    let list = root().join("tests/reference/requirements.txt");
    let wanted = fs::read_to_string(&list)
        .with_context(|| format!("could not read `{}`", list.display()))?;
    let stamp = folder.join("requirements.txt");
    if python.is_file() && fs::read_to_string(&stamp).is_ok_and(|had| had == wanted) {
        return Ok(python);
    }
    step("Python environment for the references", || {
        setup::debian("python3", "python3", "the reference tests")?;
        if execute(
            Command::new("python3")
                .args(["-m", "venv", "--clear"])
                .arg(&folder),
        )
        .is_err()
        {
            setup::install("python3-venv", "the reference tests")?;
            execute(
                Command::new("python3")
                    .args(["-m", "venv", "--clear"])
                    .arg(&folder),
            )?;
        }
        execute(
            Command::new(&python)
                .args([
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                    "-r",
                ])
                .arg(&list),
        )?;
        fs::write(&stamp, &wanted)?;
        Ok(())
    })?;
    Ok(python)
}
