//! Builds the whole product, and starts it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::plugins;
use crate::step::{self, cargo, execute, step, target};

/// How much the compiler optimises.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Release,
    Debug,
}

/// Plugins first, then the agent with them embedded. Returns the binary.
pub(crate) fn build(profile: Profile) -> Result<PathBuf> {
    plugins::build()?;
    let (flags, folder): (&[&str], _) = match profile {
        Profile::Release => (&["--release"], "release"),
        Profile::Debug => (&[], "debug"),
    };
    step("agent", || {
        let mut cargo = cargo(["build", "--package", "skep", "--bin", "skep"]);
        execute(with_contents(cargo.args(flags), profile))
    })?;
    let binary = target().join(folder).join("skep");
    if profile == Profile::Release {
        step("plugins compiled for this machine", || seal(&binary))?;
    }
    eprintln!("    built `{}`", binary.display());
    Ok(binary)
}

/// Tells a build of the agent what goes into it. Every build of one profile must be told the same:
/// cargo compiles the agent anew when these change.
pub(crate) fn with_contents(cargo: &mut Command, profile: Profile) -> &mut Command {
    cargo.env("SKEP_PLUGINS_DIR", plugins::folder());
    if let (Profile::Release, Some(commit)) = (profile, step::commit()) {
        cargo.env("SKEP_COMMIT", commit);
    }
    cargo
}

/// Puts the compiled plugins behind the binary, so that a first start need not compile them.
fn seal(binary: &Path) -> Result<()> {
    let sealed = binary.with_extension("sealed");
    if sealed.exists() {
        fs::remove_file(&sealed)?;
    }
    execute(
        Command::new(binary)
            .args(["compile", "--seal"])
            .arg(&sealed),
    )?;
    Ok(fs::rename(sealed, binary)?)
}

/// Builds and starts.
pub(crate) fn up(arguments: &[String]) -> Result<()> {
    let binary = build(Profile::Release)?;
    execute(Command::new(binary).arg("up").args(arguments))
}
