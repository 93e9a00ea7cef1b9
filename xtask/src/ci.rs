//! Everything that a change must pass, in the order in which it fails fastest.

use anyhow::Result;

use crate::step::{cargo, execute, step};
use crate::{plugins, test, tidy};

pub(crate) fn run() -> Result<()> {
    step("format", || {
        execute(&mut cargo(["fmt", "--all", "--check"]))
    })?;
    step("rules", tidy::run)?;
    let built = plugins::build()?;
    eprintln!("    {} plugins", built.len());
    step("lints", || {
        execute(
            cargo([
                "clippy",
                "--workspace",
                "--all-targets",
                "--quiet",
                "--",
                "-D",
                "warnings",
            ])
            .env("SKEP_PLUGINS_DIR", plugins::folder()),
        )
    })?;
    test::run(&[])?;
    step("documents", || {
        execute(
            cargo(["doc", "--workspace", "--no-deps", "--quiet"])
                .env("RUSTDOCFLAGS", "-D warnings"),
        )
    })?;
    licences()
}

/// Licences, bans and duplicate versions by cargo-deny, where it is installed.
fn licences() -> Result<()> {
    if !crate::step::exists("cargo-deny") {
        eprintln!(
            "    licences: not checked, cargo-deny is not installed (`cargo install --locked cargo-deny`)"
        );
        return Ok(());
    }
    step("licences", || {
        execute(&mut cargo([
            "deny",
            "--offline",
            "check",
            "bans",
            "licenses",
            "sources",
        ]))
    })
}
