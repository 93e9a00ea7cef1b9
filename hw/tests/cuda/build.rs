//! Builds the stand-ins for the drivers: the fake's own sources and those of all kernels.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds NVIDIA's from the package `hw` to `path`.
pub(crate) fn build(hw: &Path, path: &Path) {
    build_from("cuda.cpp", hw, path);
}

/// Builds it from its own source `main` and the kernels.
pub(crate) fn build_from(main: &str, hw: &Path, path: &Path) {
    let (kernels, fakes) = (hw.join("kernels/portable"), hw.join("tests/fakes"));
    let mut sources: Vec<PathBuf> = std::fs::read_dir(&kernels)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "cu"))
        .collect();
    sources.sort();
    let lines = sources
        .iter()
        .map(|source| format!("#include \"{}\"\n", source.display()));
    let unit = path.with_extension("cc");
    std::fs::write(&unit, lines.collect::<String>()).unwrap();
    let output = Command::new("c++")
        .args(["-std=c++17", "-O1", "-fPIC", "-shared", "-ffp-contract=off"])
        .args((main == "hip.cpp").then_some("-DWITHOUT_MATRIX"))
        .args(["-Wall", "-Wextra", "-Werror", "-I"])
        .arg(&kernels)
        .arg("-I")
        .arg(&fakes)
        .arg("-o")
        .arg(path)
        .args([fakes.join(main), fakes.join("emulate.cpp"), unit])
        .output()
        .expect("a C++ compiler called `c++` (Debian: g++)");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
