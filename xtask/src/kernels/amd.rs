//! Looks at machine code for AMD's GPUs, on which nothing here has run yet.
//!
//! Decides that every kernel is there and can be read back, that none keeps registers in memory, and
//! that products of bytes are the instruction that there is for them.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use super::compile;
use crate::step::output;

/// The kernels of an object that keep in memory what belongs into registers, each with how many bytes.
pub(super) fn examine(architecture: &str, file: &str) -> Result<Vec<(String, u64)>> {
    let path = compile::folder().join(file);
    let notes = output(Command::new(READELF).arg("--notes").arg(&path))?;
    let kernels = kernels(&notes);
    ensure!(!kernels.is_empty(), "`{file}` names no kernels");
    let code = disassembled(&path)?;
    let read = Code::of(&code);
    ensure!(
        read.functions == kernels.len() && read.ends >= kernels.len() && read.unknown == 0,
        "`{file}` has {} kernels; read back, it has {} functions, {} ends and {} unknown instructions",
        kernels.len(),
        read.functions,
        read.ends,
        read.unknown
    );
    ensure!(
        (read.products > 0) != (WITHOUT_PRODUCTS == architecture),
        "`{file}` has {} instructions that multiply bytes",
        read.products
    );
    Ok(kernels
        .into_iter()
        .filter(|(_, bytes)| *bytes > 0)
        .collect())
}

fn disassembled(path: &Path) -> Result<String> {
    output(Command::new(OBJDUMP).arg("-d").arg(path))
}

/// By name, with the bytes of memory that each thread has for itself (LLVM's AMDGPU guide, "Code Object Metadata").
fn kernels(notes: &str) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    let mut name = "";
    for line in notes.lines().map(str::trim) {
        // Of a kernel's names the last before its sizes is its own, those before are its parameters'.
        if let Some(said) = line.strip_prefix(".name:") {
            name = said.trim();
        }
        let bytes = line.strip_prefix(".private_segment_fixed_size:");
        if let Some(bytes) = bytes.and_then(|bytes| bytes.trim().parse().ok()) {
            found.push((name.to_owned(), bytes));
        }
    }
    found
}

/// What was counted in a disassembly.
#[derive(Debug, Default, PartialEq, Eq)]
struct Code {
    functions: usize,
    ends: usize,
    products: usize,
    unknown: usize,
}

impl Code {
    fn of(text: &str) -> Self {
        let mut code = Self::default();
        for line in text.lines() {
            if line.ends_with(">:") {
                code.functions += 1;
            }
            let instruction = line.trim_start();
            if instruction.starts_with("s_endpgm") {
                code.ends += 1;
            }
            if instruction.starts_with("v_dot4") {
                code.products += 1;
            }
            if line.contains("<unknown>") || instruction.starts_with(".long") {
                code.unknown += 1;
            }
        }
        code
    }
}

/// The one architecture that has no such instruction.
const WITHOUT_PRODUCTS: &str = "gfx900";

pub(super) const READELF: &str = "llvm-readelf-19";
pub(super) const OBJDUMP: &str = "llvm-objdump-19";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_llvm_says() {
        let notes = "\
    .args:
      - .address_space:  global
        .name:           out
    .name:           attend_join
    .private_segment_fixed_size: 0
    .sgpr_spill_count: 0
    .name:           tile_Q8_0
    .private_segment_fixed_size: 368
";
        let expect = [("attend_join".to_owned(), 0), ("tile_Q8_0".to_owned(), 368)];
        assert_eq!(kernels(notes), expect);
        let code = "\
0000000000001900 <keep_keys>:
	s_load_dwordx2 s[0:1], s[4:5], 0x10                        // 000000001900: C0060002
	v_dot4_i32_i8 v3, v4, v5, v3                               // 000000001908: D3A84003
	<unknown>                                                  // 000000001910: FFFFFFFF
	s_endpgm                                                   // 000000001914: BF810000
";
        let expect = Code {
            functions: 1,
            ends: 1,
            products: 1,
            unknown: 1,
        };
        assert_eq!(Code::of(code), expect);
    }
}
