//! The fuzz targets of `tests/fuzz`, each for a while.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::plugins;
use crate::step::{execute, exists, root, step};

/// Runs all of them for so many seconds each.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let seconds = match arguments {
        [] => USUAL_S,
        [seconds] => seconds
            .parse::<u32>()
            .with_context(|| format!("`{seconds}` is no number of seconds"))?,
        _ => bail!("give the seconds for each target, or nothing for {USUAL_S}"),
    };
    let installed = |arguments: &[&str]| {
        let tried = Command::new("cargo").args(arguments).output();
        tried.is_ok_and(|output| output.status.success())
    };
    if !exists("rustup") || !installed(&["+nightly", "--version"]) {
        bail!("fuzzing needs a nightly compiler: rustup toolchain install nightly");
    }
    if !installed(&["+nightly", "fuzz", "--version"]) {
        bail!("fuzzing needs `cargo fuzz`: cargo install cargo-fuzz");
    }
    let folder = root().join(FOLDER);
    // The versions that everything else is tested with.
    std::fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock"))?;
    plugins::build()?;
    let mut targets = targets(&folder)?;
    targets.sort();
    for target in targets {
        step(&format!("fuzzing `{target}` for {seconds} s"), || {
            execute(
                Command::new("cargo")
                    .args(["+nightly", "fuzz", "run", "--fuzz-dir", FOLDER, &target, "--"])
                    .arg(format!("-max_total_time={seconds}"))
                    .arg(format!("-max_len={LENGTH_BYTES_MAX}"))
                    .args(["-timeout=10", "-rss_limit_mb=4096", "-print_final_stats=1"])
                    .env("SKEP_PLUGINS_DIR", plugins::folder())
                    .current_dir(root()),
            )
            .context("what it found is in `tests/fuzz/artifacts`; `cargo +nightly fuzz run --fuzz-dir tests/fuzz TARGET FILE` does it again")
        })?;
    }
    Ok(())
}

fn targets(folder: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(folder.join("targets"))?;
    entries
        .map(|entry| {
            let path = entry?.path();
            Ok(path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned())
        })
        .collect()
}

const FOLDER: &str = "tests/fuzz";

/// Of each target, where nobody says more.
const USUAL_S: u32 = 60;

/// Manifests and lines are shorter, components that are longer are no more interesting.
const LENGTH_BYTES_MAX: u32 = 64 << 10;
