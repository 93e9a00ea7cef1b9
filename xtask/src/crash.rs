//! The crash tests of the log, with more cycles than a test may take.

use anyhow::{Context, Result, bail};

use crate::plugins;
use crate::step::{cargo, execute, step};

/// Runs every crash test with so many cycles of each kind and engine.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let cycles = match arguments {
        [] => USUAL,
        [flag, count] if flag == "--cycles" => count
            .parse()
            .with_context(|| format!("`{count}` is no number of cycles"))?,
        _ => bail!("give `--cycles N`, or nothing for {USUAL}"),
    };
    step(&format!("{cycles} crashes of each kind and engine"), || {
        execute(
            cargo(["test", "--workspace", "--test", "system", "--"])
                .args(["loses_nothing", "--nocapture"])
                .env("SKEP_PLUGINS_DIR", plugins::folder())
                .env("SKEP_CRASH_CYCLES", cycles.to_string()),
        )
    })
}

/// An hour or two.
const USUAL: u64 = 1_000;
