//! The kernels for 64-bit ARM, tried on whatever machine this is.
//!
//! Decides how `skep-hw` is built for that processor without a linker of its own, and which
//! processors the emulator pretends to be. Refuses to fail where the means are missing and we may
//! not install them: then it says so.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::setup;
use crate::step::{cargo, execute, exists, step, target};

/// Builds the tests of the kernels and runs them on each processor.
pub(crate) fn run() -> Result<()> {
    if cfg!(target_arch = "aarch64") {
        eprintln!("    kernels for ARM: this processor has them; `rust` tests them");
        return Ok(());
    }
    let emulator = match means() {
        Ok(emulator) => emulator,
        Err(why) => {
            eprintln!("!!! kernels for ARM: SKIPPED, nothing tests them here: {why:#}");
            return Ok(());
        }
    };
    let libraries = target().join("arm-libraries");
    step("kernels for ARM", || {
        stand_in(&libraries)?;
        execute(tests(&libraries).arg("--no-run"))
    })?;
    for (processor, isa) in PROCESSORS {
        step(&format!("tests of kernels on {processor}"), || {
            let runner = format!("{emulator} -cpu {processor}");
            execute(
                tests(&libraries)
                    .args(["--", "--skip", TOO_LONG])
                    .env(RUNNER, runner)
                    .env("SKEP_EXPECT_ISA", isa),
            )
        })?;
    }
    Ok(())
}

/// The target's library, and an emulator, by name.
fn means() -> Result<&'static str> {
    setup::rust_target(TARGET)?;
    if let Some(found) = EMULATORS.into_iter().find(|emulator| exists(emulator)) {
        return Ok(found);
    }
    let [emulator, _] = EMULATORS;
    setup::debian(emulator, "qemu-user-static", "emulating an ARM processor")?;
    Ok(emulator)
}

/// Warnings are errors: no lint looks at the code of this architecture otherwise.
fn tests(libraries: &Path) -> Command {
    let flags = format!("-Dwarnings\u{1f}-Lnative={}", libraries.display());
    let mut command = cargo(["test", "--quiet", "--package", "skep-hw"]);
    command
        .args(["--target", TARGET, "--config", QUICKLY])
        .args(TESTS.into_iter().flat_map(|test| ["--test", test]))
        .env("CARGO_ENCODED_RUSTFLAGS", flags)
        .env(LINKER, "rust-lld");
    command
}

/// Makes `libdl.a`. It is empty wherever it comes with musl, and Rust's copy of musl lacks it.
fn stand_in(libraries: &Path) -> Result<()> {
    let path = libraries.join("libdl.a");
    fs::create_dir_all(libraries)
        .and_then(|()| fs::write(&path, "!<arch>\n"))
        .with_context(|| format!("could not write `{}`", path.display()))
}

/// Rust brings the linker and all libraries for it, and nothing of it is loaded at run time.
const TARGET: &str = "aarch64-unknown-linux-musl";
const LINKER: &str = "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER";
const RUNNER: &str = "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_RUNNER";

/// QEMU, as Debian and as others name it.
const EMULATORS: [&str; 2] = ["qemu-aarch64-static", "qemu-aarch64"];

/// Without and with dot products, and what `skep_hw::Isa` calls that. Neither a Cortex-A57 nor
/// what the target promises has arithmetic on halves.
const PROCESSORS: [(&str, &str); 2] = [
    ("cortex-a57", "NEON"),
    ("neoverse-n1", "NEON with dot products"),
];

/// What others wrote hardly runs here, so it need only compile.
const QUICKLY: &str = r#"profile.dev.package."*".opt-level=0"#;

/// Long sequences take minutes, of code that is the same for all processors but for what shorter
/// ones meet, too.
const TOO_LONG: &str = "a_sequence_does_not_depend_on_its_chunks";

/// What compares instruction sets.
const TESTS: [&str; 5] = ["dequant", "graph", "no_alloc", "packed", "parity"];
