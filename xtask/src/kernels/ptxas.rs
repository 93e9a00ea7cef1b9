//! Makes machine code for NVIDIA's GPUs from PTX.
//!
//! Decides that no kernel may spill registers, by what ptxas says of each. It writes its arguments
//! and its own name into what it makes, so it is always told the same, in the folder of its files.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::compile::{self, Target};

/// Makes a cubin and returns the kernels that spill registers, each with how many bytes.
pub(super) fn assemble(tool: &Path, target: Target) -> Result<Vec<(String, u64)>> {
    let from = target.ptx().context("only cubins are assembled")?.file();
    let output = Command::new(tool)
        .args(target.flags())
        .args([&from, "-o", &target.file()])
        .current_dir(compile::folder())
        .output()
        .with_context(|| format!("could not start `{}`", tool.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!(
            "`{}` ended with {}:\n{said}",
            target.command(),
            output.status
        );
    }
    let used = used(&said);
    let ptx = fs::read_to_string(compile::folder().join(&from))?;
    let kernels = ptx.matches(".entry ").count();
    if used.len() < kernels {
        bail!(
            "`{}` told of {} functions and there are {kernels} kernels; its words are read in `xtask/src/kernels/ptxas.rs`:\n{said}",
            target.command(),
            used.len()
        );
    }
    Ok(used.into_iter().filter(|(_, bytes)| *bytes > 0).collect())
}

/// The functions that `ptxas -v` tells of, each with the bytes that it keeps in memory of its own: registers that it spills,
/// and arrays that are no registers because what picks from them is not known ahead.
fn used(said: &str) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    let mut function = "";
    for line in said.lines() {
        if let Some((_, name)) = line.split_once("Function properties for ") {
            function = name.trim();
        }
        let bytes = |what: &str| -> Option<u64> {
            let part = line.split(',').find_map(|part| part.strip_suffix(what))?;
            part.trim().parse().ok()
        };
        if let (Some(stack), Some(stores), Some(loads)) = (
            bytes(" bytes stack frame"),
            bytes(" bytes spill stores"),
            bytes(" bytes spill loads"),
        ) {
            found.push((function.to_owned(), stack + stores + loads));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_spills() {
        let said = "\
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'dot' for 'sm_70'
ptxas info    : Function properties for dot
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 10 registers, used 0 barriers, 380 bytes cmem[0]
ptxas info    : Compile time = 4.145 ms
ptxas info    : Compiling entry function 'large' for 'sm_70'
ptxas info    : Function properties for large
    1600 bytes stack frame, 1884 bytes spill stores, 1888 bytes spill loads
ptxas info    : Used 255 registers, used 1 barriers, 1600 bytes cumulative stack size
";
        let expected = [("dot".to_owned(), 0), ("large".to_owned(), 5372)];
        assert_eq!(used(said), expected);
    }
}
