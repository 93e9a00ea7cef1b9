//! What machine this is and what was measured on it: the head of every report.

use std::fs;
use std::process::Command;

use anyhow::Result;

use crate::step::{commit, output};

/// Name and value, in the order to show.
pub(super) fn facts() -> Result<Vec<(&'static str, String)>> {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<&str> = load.split_whitespace().take(3).collect();
    Ok(vec![
        (
            "date",
            output(Command::new("date").args(["-u", "+%F %H:%M UTC"]))?,
        ),
        ("commit", commit().unwrap_or_else(|| "unknown".into())),
        (
            "processor",
            format!("{}, {cores} cores", field("/proc/cpuinfo", "model name")),
        ),
        ("vector units", units()),
        ("memory", field("/proc/meminfo", "MemTotal")),
        (
            "kernel",
            fs::read_to_string("/proc/sys/kernel/osrelease")?
                .trim()
                .to_owned(),
        ),
        ("compiler", output(Command::new("rustc").arg("--version"))?),
        ("load before (1, 5, 15 minutes)", load.join(" ")),
    ])
}

/// The first value of a key in one of the kernel's tables.
fn field(path: &str, key: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.trim() == key)
        .map_or_else(|| "unknown".into(), |(_, value)| value.trim().to_owned())
}

fn units() -> String {
    let flags = field("/proc/cpuinfo", "flags");
    let has = |flag: &&&str| flags.split_whitespace().any(|found| found == **flag);
    let found: Vec<&str> = UNITS.iter().filter(has).copied().collect();
    match found.is_empty() {
        true => "none of those that kernels are written for".into(),
        false => found.join(", "),
    }
}

const UNITS: [&str; 8] = [
    "avx2",
    "fma",
    "f16c",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_int8",
    "amx_bf16",
];
