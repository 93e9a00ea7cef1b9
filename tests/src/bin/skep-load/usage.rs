//! What processes have used, from `/proc`: processor time and resident memory.

use std::fs;

use anyhow::{Context, Result};

/// A process that is watched while load is made.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) name: String,
    pub(crate) id: u32,
}

impl Process {
    /// From `NAME=PID`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let (name, id) = text
            .split_once('=')
            .context("give a process as `NAME=PID`")?;
        Ok(Self {
            name: name.to_owned(),
            id: id
                .parse()
                .with_context(|| format!("`{id}` is no process id"))?,
        })
    }

    /// Processor time of all its threads so far, in microseconds. The kernel counts in ticks of 10 ms.
    pub(crate) fn cpu_us(&self) -> Result<f64> {
        cpu_us(&self.id.to_string())
    }

    /// Memory that is in RAM for it, in bytes.
    pub(crate) fn resident_bytes(&self) -> Result<f64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.id))
            .with_context(|| format!("process {} is gone", self.id))?;
        let kib = text
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.split_whitespace().next())
            .and_then(|number| number.parse::<f64>().ok())
            .context("the kernel does not tell its resident memory")?;
        Ok(kib * 1024.0)
    }
}

/// Our own processor time, in microseconds.
pub(crate) fn own_cpu_us() -> Result<f64> {
    cpu_us("self")
}

/// Fields 14 and 15 of `/proc/PID/stat` (proc(5)); the name before them may hold anything but ends at the last `)`.
fn cpu_us(id: &str) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{id}/stat"))
        .with_context(|| format!("process {id} is gone"))?;
    let (_, rest) = text.rsplit_once(')').context("unknown form of stat")?;
    let ticks: f64 = rest
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    Ok(ticks * 1e6 / TICKS_PER_SECOND)
}

/// `USER_HZ`, which is 100 on every architecture that we build for.
const TICKS_PER_SECOND: f64 = 100.0;
