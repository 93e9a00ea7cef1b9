//! What a fresh machine lacks: Rust's targets, and Debian packages where we may install them.

use std::process::Command;

use anyhow::{Result, bail};

use crate::step::{execute, exists, output};

/// Makes sure that Rust can compile for `target`.
pub(crate) fn rust_target(target: &str) -> Result<()> {
    let library =
        output(Command::new("rustc").args(["--print", "target-libdir", "--target", target]))?;
    if std::fs::read_dir(&library).is_ok_and(|mut entries| entries.next().is_some()) {
        return Ok(());
    }
    if !exists("rustup") {
        bail!(
            "Rust's library for `{target}` is missing and there is no rustup to add it: \
             install rustup (https://rustup.rs), or your distribution's package for that target"
        );
    }
    eprintln!("    adding the Rust target `{target}`");
    if execute(Command::new("rustup").args(["target", "add", target])).is_err() {
        bail!(
            "`rustup target add {target}` failed: check the network, then run it again by hand; \
             without a network, copy `lib/rustlib/{target}` from a machine with the same `rustc --version`"
        );
    }
    Ok(())
}

/// Makes sure that a program is there, by a Debian package if we are root on such a machine.
pub(crate) fn debian(program: &str, package: &str, why: &str) -> Result<()> {
    if exists(program) {
        return Ok(());
    }
    install(package, why)
}

/// The same for what some tests can do without: where it cannot be had they say that they were not tried.
pub(crate) fn if_possible(program: &str, package: &str, why: &str) {
    if let Err(error) = debian(program, package, why) {
        eprintln!("    not everything will be tried: {error:#}");
    }
}

/// Installs a Debian package, or says how.
pub(crate) fn install(package: &str, why: &str) -> Result<()> {
    let root = output(Command::new("id").arg("-u")).is_ok_and(|id| id == "0");
    if !root || !exists("apt-get") {
        bail!(
            "{why} needs the package `{package}`: install it (on Debian: `sudo apt-get install {package}`) and run this again"
        );
    }
    eprintln!("    installing the Debian package `{package}`: {why} needs it");
    execute(Command::new("apt-get").args(["-qq", "update"]))?;
    let mut install = Command::new("apt-get");
    install.args(["-qq", "-y", "--no-install-recommends", "install", package]);
    // Nothing is asked, and no service of a package is started: tests start their own.
    install.env("DEBIAN_FRONTEND", "noninteractive");
    execute(install.env("RUNLEVEL", "1"))
}

/// Makes sure that clang can make components: the guide for authors of plugins does so, and a test follows it.
pub(crate) fn clang_for_components() -> Result<()> {
    if makes_components()? {
        return Ok(());
    }
    for package in ["clang", "lld", "wasi-libc", "libclang-rt-dev-wasm32"] {
        install(package, "the guide for authors of plugins, in C,")?;
    }
    if !makes_components()? {
        bail!(
            "clang cannot compile for `wasm32-wasi`, although its packages are installed: is another clang first in PATH?"
        );
    }
    Ok(())
}

fn makes_components() -> Result<bool> {
    let folder = crate::step::target().join("setup");
    std::fs::create_dir_all(&folder)?;
    let source = folder.join("nothing.c");
    std::fs::write(&source, "int main(void) { return 0; }")?;
    let mut clang = Command::new("clang");
    clang.arg("--target=wasm32-wasi").arg(&source);
    clang.arg("-o").arg(folder.join("nothing.wasm"));
    Ok(clang.output().is_ok_and(|output| output.status.success()))
}

/// What guests are compiled for.
pub(crate) const TARGET: &str = "wasm32-wasip2";
