//! Components by the hundred from `wasm-smith`: whatever they are, nothing of ours panics, hangs or dies of them. `cargo xtask
//! swarm` does the same with more.
#![allow(
    clippy::disallowed_methods,
    reason = "what other processes do has to be looked at again and again"
)]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How many, unless the environment says more.
const USUAL: u64 = 300;

/// Components of one process.
const BATCH: u64 = 100;

/// How long a process may take for them, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

#[test]
fn nothing_panics_hangs_or_dies_of_generated_components() {
    let count = std::env::var("SKEP_SWARM").map_or(USUAL, |count| count.parse().unwrap());
    let mut all = std::collections::BTreeMap::<String, u64>::new();
    let (mut first, mut slowest_ms) = (0, 0);
    while first < count {
        let batch = BATCH.min(count - first);
        let report = run(first, batch);
        assert_eq!(report["panics"], serde_json::json!([]), "seeds");
        for (outcome, times) in report["outcomes"].as_object().unwrap() {
            *all.entry(outcome.clone()).or_default() += times.as_u64().unwrap();
        }
        slowest_ms = slowest_ms.max(report["slowest_ms"].as_u64().unwrap());
        first += batch;
    }
    assert_eq!(all.values().sum::<u64>(), count);
    // They get everywhere: into the code of guests, and not only up to its door.
    for outcome in [
        "scheduler: trapped: out of bounds memory access",
        "scheduler: used too much",
        "scheduler: reached its memory limit",
        "scheduler: reached its stack limit",
    ] {
        let reached = all.keys().any(|found| found.starts_with(outcome));
        assert!(reached, "`{outcome}` is not in {all:?}");
    }
    println!(
        "{}",
        serde_json::json!({"outcomes": all, "slowest_ms": slowest_ms})
    );
}

/// One process with so many of them. Whatever it dies of names the seed.
fn run(first: u64, count: u64) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let said = folder.path().join("said");
    let written = folder.path().join("written");
    std::fs::create_dir(&written).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_skep-swarm"))
        .args([first.to_string(), count.to_string()])
        .arg(&written)
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(&said).unwrap())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let ended = loop {
        match child.try_wait().unwrap() {
            Some(status) => break Some(status),
            None if begun.elapsed() > PATIENCE => {
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    let said = std::fs::read_to_string(&said).unwrap();
    let last = said.lines().last().unwrap_or_default();
    assert!(
        ended.is_some_and(|status| status.success()),
        "{ended:?} at {last}"
    );
    serde_json::from_str(last).unwrap()
}
