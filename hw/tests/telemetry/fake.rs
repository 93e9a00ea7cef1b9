//! Compiles the stand-ins and makes places that show nothing else.

use std::path::{Path, PathBuf};
use std::process::Command;

use skep_hw::telemetry::{Places, Snapshot, SourceKind, SourceState};
use tempfile::TempDir;

/// Places that show no device: an empty `/sys`, no libraries.
pub(crate) fn nowhere(root: &TempDir) -> Places {
    Places {
        sysfs: root.path().join("sys"),
        procfs: "/proc".into(),
        nvml: vec![root.path().join("libnvidia-ml.so.1")],
        rocm_smi: vec![root.path().join("librocm_smi64.so.7")],
        disks: Vec::new(),
    }
}

/// Compiles `tests/fakes/NAME.c` to `target`. A library of its own for each test, so that its
/// counters are too.
pub(crate) fn compile(name: &str, defines: &[&str], target: &Path) {
    let source = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fakes")
        .join(name);
    let output = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(target)
        .args(defines.iter().map(|d| format!("-D{d}")))
        .arg(source)
        .output()
        .expect("a C compiler called `cc`, which building needs anyway");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

pub(crate) fn state(snapshot: &Snapshot, kind: SourceKind) -> &SourceState {
    &snapshot
        .sources
        .iter()
        .find(|s| s.kind == kind)
        .unwrap()
        .state
}
