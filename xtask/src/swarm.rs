//! Thousands of components from `wasm-smith` through our own linker, and a page with what became of them.

use std::fmt::Write as _;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::plugins;
use crate::step::{cargo, commit, output, root, step};

/// Makes so many and writes `tests/hostile/RESULTS.md`.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let count = match arguments {
        [] => USUAL,
        [count] => count
            .parse::<u64>()
            .with_context(|| format!("`{count}` is no number of components"))?,
        _ => bail!("give the number of components, or nothing for {USUAL}"),
    };
    let begun = Instant::now();
    let said = step(&format!("{count} generated components"), || {
        output(
            cargo(["test", "--package", "skep-tests", "--test", "system", "--"])
                .args(["generated_components", "--nocapture"])
                .env("SKEP_PLUGINS_DIR", plugins::folder())
                .env("SKEP_SWARM", count.to_string()),
        )
    })?;
    let found = said
        .lines()
        .find_map(|line| serde_json::from_str::<Value>(line.trim()).ok())
        .context("the test said nothing")?;
    let page = page(count, begun.elapsed().as_secs(), &found)?;
    let path = root().join("tests/hostile/RESULTS.md");
    std::fs::create_dir_all(path.parent().context("a folder")?)?;
    std::fs::write(&path, page)?;
    println!("{}", path.display());
    Ok(())
}

fn page(count: u64, seconds: u64, found: &Value) -> Result<String> {
    let commit = commit().unwrap_or_else(|| "unknown".to_owned());
    let mut page = format!(
        "# Generated components\n\n\
         `cargo xtask swarm {count}` at {commit}: {count} components, seeds 0 to {}, by `wasm-smith`, each through the look at \
         its shape, the compiler, our linker, and the code that runs when it is instantiated, in processes behind the walls of a \
         worker. {seconds} s in all, with what was built before; the slowest took {} ms.\n\n\
         Panics of the host: 0. Processes that hung or died: 0. (With any, there is no page.)\n\n\
         `expected` is one whose code ran to its end, and which then was found to be no scheduler; `no exported instance` is a \
         whole one that was linked and is no engine.\n\n\
         | what became of it | components |\n|---|---:|\n",
        count.saturating_sub(1),
        found["slowest_ms"],
    );
    let outcomes = found["outcomes"].as_object().context("no outcomes")?;
    let mut rows: Vec<(&String, u64)> = outcomes
        .iter()
        .map(|(what, times)| (what, times.as_u64().unwrap_or_default()))
        .collect();
    rows.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
    for (what, times) in rows {
        writeln!(page, "| {} | {times} |", what.replace('|', "/"))?;
    }
    Ok(page)
}

const USUAL: u64 = 10_000;
