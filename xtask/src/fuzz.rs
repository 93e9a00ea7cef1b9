//! The fuzz targets of `tests/fuzz`, each for a while, and a page of what came of it.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::plugins;
use crate::step::{commit, exists, root, step};

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
    let mut page = format!(
        "# Fuzzed\n\n`cargo xtask fuzz {seconds}` at {}: each target of `tests/fuzz` for so many seconds, under libFuzzer with \
         AddressSanitizer. Coverage is in edges, of which the libraries beneath have most. A target that finds something \
         ends with it, and there is no page.\n\n| target | what it tries | executions | coverage | corpus |\n|---|---|---:|---:|---:|\n",
        commit().as_deref().unwrap_or("an unknown commit")
    );
    for target in targets {
        let found = step(&format!("fuzzing `{target}` for {seconds} s"), || {
            fuzz(&target, seconds)
                .context("what it found is in `tests/fuzz/artifacts`; `cargo +nightly fuzz run --fuzz-dir tests/fuzz TARGET FILE` does it again")
        })?;
        let source = std::fs::read_to_string(folder.join("targets").join(format!("{target}.rs")))?;
        let about: Vec<_> = source
            .lines()
            .map_while(|line| line.strip_prefix("//! "))
            .collect();
        let _ = writeln!(
            page,
            "| `{target}` | {} | {} | {} | {} |",
            about.join(" "),
            found.executions,
            found.coverage,
            found.corpus
        );
    }
    std::fs::write(root().join(PAGE), page)?;
    Ok(())
}

/// What libFuzzer says at its end.
#[derive(Default)]
struct Found {
    executions: String,
    coverage: String,
    corpus: String,
}

fn fuzz(target: &str, seconds: u32) -> Result<Found> {
    let corpus = root().join(FOLDER).join("corpus").join(target);
    std::fs::create_dir_all(&corpus)?;
    let mut command = Command::new("cargo");
    command
        .args(["+nightly", "fuzz", "run", "--fuzz-dir", FOLDER, target])
        .arg(&corpus);
    if SEEDED.contains(&target) {
        command.arg(root().join(SEEDS));
    }
    command
        .arg("--")
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={LENGTH_BYTES_MAX}"))
        .args(["-timeout=10", "-rss_limit_mb=4096", "-print_final_stats=1"])
        .env("SKEP_PLUGINS_DIR", plugins::folder())
        .current_dir(root())
        .stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let mut found = Found::default();
    for line in child
        .stderr
        .take()
        .map(BufReader::new)
        .into_iter()
        .flat_map(BufRead::lines)
    {
        let line = line?;
        eprintln!("{line}");
        if let Some(count) = line.strip_prefix("stat::number_of_executed_units:") {
            count.trim().clone_into(&mut found.executions);
        }
        // `#123  DONE  cov: 456 ft: 789 corp: 12/34Kb …`
        let words: Vec<_> = line.split_whitespace().collect();
        let after = |name: &str| words.iter().skip_while(|word| **word != name).nth(1);
        if let (Some(coverage), Some(corpus)) = (after("cov:"), after("corp:")) {
            (*coverage).clone_into(&mut found.coverage);
            corpus
                .split('/')
                .next()
                .unwrap_or_default()
                .clone_into(&mut found.corpus);
        }
    }
    if !child.wait()?.success() {
        bail!("`{target}` found something");
    }
    Ok(found)
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

/// Real components, where one is wanted, so that not all of them are made of nothing.
const SEEDED: [&str; 2] = ["component", "manifest"];
const SEEDS: &str = "tests/compat/0.1.0";

const PAGE: &str = "tests/hostile/FUZZ.md";

/// Of each target, where nobody says more.
const USUAL_S: u32 = 60;

/// Manifests and lines are shorter, components that are longer are no more interesting.
const LENGTH_BYTES_MAX: u32 = 64 << 10;
