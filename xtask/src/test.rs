//! Every test: the crates' own, the whole system, and the independent references.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::assemble::{self, Profile};
use crate::step::{cargo, execute, root, step};
use crate::{plugins, python};

/// Runs all parts, or the one named.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let part = match arguments {
        [] => None,
        [part] => Some(part.as_str()),
        [_, extra, ..] => bail!("`{extra}` is one argument too many; name one part"),
    };
    match part {
        None | Some("rust" | "system" | "reference") => {}
        Some(other) => {
            bail!("there is no part `{other}`; the parts are rust, system and reference")
        }
    }
    let wanted = |name| part.is_none_or(|part| part == name);
    let binary = assemble::build(Profile::Debug)?;
    if wanted("rust") {
        step("crates", || rust(&binary))?;
    }
    if wanted("system") {
        step("system", || system(&binary))?;
    }
    if wanted("reference") {
        reference(&binary)?;
    }
    Ok(())
}

fn rust(binary: &Path) -> Result<()> {
    execute(
        cargo(["test", "--workspace", "--exclude", "skep-tests", "--quiet"])
            .env("SKEP_PLUGINS_DIR", plugins::folder())
            .env("SKEP_BIN", binary),
    )
}

fn system(binary: &Path) -> Result<()> {
    execute(
        cargo(["test", "--package", "skep-tests", "--quiet"])
            .env("SKEP_PLUGINS_DIR", plugins::folder())
            .env("SKEP_BIN", binary),
    )
}

fn reference(binary: &Path) -> Result<()> {
    let python = python::interpreter()?;
    for script in ["check_model.py"] {
        step(script, || {
            execute(
                Command::new(&python)
                    .arg(root().join("tests/reference").join(script))
                    .env("SKEP_BIN", binary)
                    .current_dir(root()),
            )
        })?;
    }
    Ok(())
}
