//! Compiles the stand-ins and makes places that show nothing else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

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
/// counters are too; the same source with the same defines is compiled once.
pub(crate) fn compile(name: &str, defines: &[&str], target: &Path) {
    static COMPILED: Mutex<BTreeMap<String, Vec<u8>>> = Mutex::new(BTreeMap::new());
    let key = format!("{name} {}", defines.join(" "));
    let known = COMPILED.lock().unwrap().get(&key).cloned();
    if let Some(library) = known {
        std::fs::write(target, library).unwrap();
        return;
    }
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
    let library = std::fs::read(target).unwrap();
    COMPILED.lock().unwrap().insert(key, library);
}

/// Tells the stand-in for NVIDIA's library which functions fail for its first device, and with what.
pub(crate) fn fail(library: &Path, functions: &[(&str, i32)]) {
    let lines: String = functions
        .iter()
        .map(|(function, code)| format!("{function} {code}\n"))
        .collect();
    std::fs::write(beside(library, "fail"), lines).unwrap();
}

/// How often that library was asked this of a device (-1: of none) so far.
pub(crate) fn calls(library: &Path, function: &str, device: i32) -> usize {
    let line = format!("{function} {device}");
    let all = std::fs::read_to_string(beside(library, "calls")).unwrap();
    all.lines().filter(|call| *call == line).count()
}

fn beside(library: &Path, ending: &str) -> PathBuf {
    let mut path = library.as_os_str().to_owned();
    path.push(".");
    path.push(ending);
    path.into()
}

pub(crate) fn state(snapshot: &Snapshot, kind: SourceKind) -> &SourceState {
    &snapshot
        .sources
        .iter()
        .find(|s| s.kind == kind)
        .unwrap()
        .state
}
