//! What a look at the machine and its accelerators costs: what `hw/examples/telemetry.rs` measures.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::report::{Cell, Report, Table};
use super::{Effort, folder, load};
use crate::step::{cargo, execute, root, target};

pub(super) fn measure(effort: Effort, report: &mut Report) -> Result<()> {
    let mut build = cargo(["build", "--quiet", "--release", "--package", "skep-hw"]);
    execute(build.args(["--example", "telemetry"]))?;
    let stand_in = compile("quiet", &["-DQUIET=1"])?;
    let counting = compile("counting", &[])?;
    let mut command = Command::new(target().join("release/examples/telemetry"));
    command
        .args(["--cost", "--json", "--stand-in"])
        .arg(stand_in);
    command.arg("--counting").arg(counting);
    if effort == Effort::Quick {
        command.arg("--quick");
    }
    let found = load::call_with(&mut command)?;
    let costs = found.get("costs").and_then(Value::as_array);
    let rows: Vec<_> = costs
        .context("the example told no costs")?
        .iter()
        .map(row)
        .collect();
    let note = "Microseconds for each device, the median and the 99th percentile of what samples \
                lasted, and the mean of the processor time they took. The samples are a second apart as they are told; \
                every tenth is a slow one, in which links, memory errors, modes and processes are read as well. \
                `stand-in`: no NVIDIA device is here, and a library of our own answers (`hw/tests/fakes/nvml.c`, \
                an H100 with 100 processes and a desktop card), so the figures are of what is ours; a driver adds \
                2 to 20 µs for most of the calls, some ms for a slow sample's lists, and 40 ms for PCIe's rates.";
    report.add(Table {
        title: "Telemetry",
        command: "cargo xtask bench telemetry",
        note: note.to_owned(),
        columns: vec![
            "source",
            "what",
            "devices",
            "calls for an H100",
            "processor µs",
            "µs",
            "99 % within µs",
        ],
        rows,
    });
    Ok(())
}

fn row(cost: &Value) -> Vec<Cell> {
    let text = |key: &str| {
        let text = cost.get(key).and_then(Value::as_str);
        Cell::text(text.unwrap_or_default())
    };
    let number = |key: &str, decimals| match cost.get(key).and_then(Value::as_f64) {
        Some(number) => Cell::Number(number, decimals),
        None => Cell::Nothing,
    };
    vec![
        text("source"),
        text("what"),
        number("devices", 0),
        number("calls_each", 0),
        number("core_us_each", 1),
        number("wall_us_each", 1),
        number("wall_us_each_p99", 1),
    ]
}

/// The stand-in for NVIDIA's library, in a folder of its own since it is known by its path.
fn compile(name: &str, defines: &[&str]) -> Result<PathBuf> {
    let folder = folder().join("telemetry").join(name);
    // What it wrote down the last time would be counted again.
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    let library = folder.join("libnvidia-ml.so.1");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O2"]).args(defines);
    cc.arg("-o").arg(&library);
    cc.arg(root().join(Path::new("hw/tests/fakes/nvml.c")));
    execute(&mut cc).context("the stand-in for NVIDIA's library could not be compiled")?;
    Ok(library)
}
