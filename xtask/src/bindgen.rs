//! Writes the bindings to AMD's system management library anew from its header.
//!
//! Decides which functions are bound and with which version of the tool, so that the committed
//! file comes out the same everywhere; refuses to install anything. A normal build never runs
//! this and needs neither the header nor libclang.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Runs the `bindgen` tool over Debian's header and replaces `hw/src/telemetry/amd/bindings.rs`.
///
/// # Errors
/// Says what is missing and how to get it; the committed file is then as it was.
pub(crate) fn run() -> Result<()> {
    let header = Path::new(HEADER);
    if !header.exists() {
        bail!("`{HEADER}` is not there: install Debian's `librocm-smi-dev`");
    }
    let found = Command::new("bindgen")
        .arg("--version")
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("could not run `bindgen`: {INSTALL}"))?;
    let found = String::from_utf8_lossy(&found.stdout).trim().to_owned();
    if found != format!("bindgen {VERSION}") {
        bail!("`bindgen` calls itself `{found}`, wanted is {VERSION}: {INSTALL}");
    }
    let target = target()?;
    let output = Command::new("bindgen")
        .arg(header)
        .args([
            "--allowlist-function",
            &format!("rsmi_({})", FUNCTIONS.join("|")),
        ])
        .args(["--dynamic-loading", "RocmSmi"])
        .args(["--rust-edition", "2024", "--rust-target", "1.85"])
        .args(["--no-layout-tests", "--no-doc-comments", "--use-core"])
        .args(["--raw-line", FIRST_LINE])
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| "could not run `bindgen`")?;
    if !output.status.success() || output.stdout.is_empty() {
        bail!(
            "`bindgen` failed with {}: is libclang installed (`libclang-dev`)?",
            output.status
        );
    }
    std::fs::write(&target, &output.stdout)
        .with_context(|| format!("could not write `{}`", target.display()))
}

fn target() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("xtask has no parent")?;
    Ok(root.join("hw/src/telemetry/amd/bindings.rs"))
}

const FIRST_LINE: &str = "//! Bindings to `rocm_smi.h` 5.2.3; written by `cargo xtask bindgen`.";

const HEADER: &str = "/usr/include/rocm_smi/rocm_smi.h";

/// Its output differs between versions.
const VERSION: &str = "0.73.2";

const INSTALL: &str = "run `cargo install bindgen-cli --locked --version 0.73.2`";

/// Only calls that return plain numbers or strings: the library's structures grow between its
/// releases under unchanged names (`rsmi_frequencies_t` did), and a call into a newer library
/// would write past an older structure. The two structures that remain, version and error count,
/// have kept their shape since the library's beginning.
const FUNCTIONS: [&str; 19] = [
    "init",
    "shut_down",
    "version_get",
    "num_monitor_devices",
    "dev_pci_id_get",
    "dev_name_get",
    "dev_busy_percent_get",
    "dev_memory_busy_percent_get",
    "dev_memory_(total|usage)_get",
    "dev_power_(ave|cap|cap_default|cap_range)_get",
    "dev_serial_number_get",
    "dev_vbios_version_get",
    "dev_volt_metric_get",
    "dev_fan_rpms_get",
    "dev_pci_replay_counter_get",
    "topo_get_numa_node_number",
    "dev_energy_count_get",
    "dev_temp_metric_get",
    "dev_ecc_count_get",
];
