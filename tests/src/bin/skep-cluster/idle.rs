//! What agents take that have nothing to do: three of ours, and in the same seconds three of serf's, which
//! do nothing but membership.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use skep_tests::lab::Lab;

use crate::{PATIENCE, serf, without_models};

pub(crate) fn measure(seconds: u64) -> Result<Value> {
    let mut ours = Lab::new(MACHINES)?;
    without_models(&mut ours);
    ours.form()?;
    ours.wait_for(MACHINES.into(), PATIENCE)?;
    let theirs = serf::Cluster::start(MACHINES)?;
    std::thread::sleep(START);
    let pids: Vec<u32> = ours
        .machines
        .iter()
        .filter_map(skep_tests::lab::Machine::pid)
        .collect();
    let both = [pids, theirs.pids()];
    let before = both.each_ref().map(|pids| used(pids));
    std::thread::sleep(Duration::from_secs(seconds));
    let mut said = Vec::new();
    for (pids, before) in both.iter().zip(before) {
        let (before, after) = (before?, used(pids)?);
        let of_core = before.iter().zip(&after).map(|(before, after)| {
            #[expect(clippy::cast_precision_loss, reason = "three figures are shown")]
            let (spent, window) = ((after - before) as f64, (seconds * 1_000_000_000) as f64);
            100.0 * spent / window
        });
        let resident = pids
            .iter()
            .map(|pid| resident_mib(*pid))
            .collect::<Result<Vec<_>>>()?;
        said.push(json!({"core_percent": of_core.collect::<Vec<_>>(), "resident_mib": resident}));
    }
    let [skep, serf] = said.as_slice() else {
        anyhow::bail!("two clusters");
    };
    Ok(json!({"skep": skep, "serf": serf}))
}

/// Nanoseconds of processor time of each process: what its threads ran (proc_pid_schedstat(5)).
fn used(pids: &[u32]) -> Result<Vec<u64>> {
    let of = |pid: &u32| {
        let mut sum = 0;
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            let text = fs::read_to_string(task?.path().join("schedstat"))?;
            let ran = text.split_whitespace().next();
            sum += ran.context("an empty schedstat")?.parse::<u64>()?;
        }
        Ok(sum)
    };
    pids.iter().map(of).collect()
}

fn resident_mib(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(kib.context("no VmRSS")?.parse::<f64>()? / 1024.0)
}

const MACHINES: u8 = 3;

/// Until what comes after a start is over, giving memory back included.
const START: Duration = Duration::from_secs(15);
