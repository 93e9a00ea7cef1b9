//! The binary of a release: built here, or given; for which machine it is and what it needs there.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::assemble::{self, Profile};
use crate::step::{cargo, execute, step, target};
use crate::{plugins, setup};

/// A binary, looked at.
pub(super) struct Binary {
    pub(super) path: PathBuf,
    pub(super) processor: Machine,
    pub(super) libc: Libc,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Machine {
    X86,
    Arm,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Libc {
    /// glibc, of this version at least.
    Gnu(String),
    /// A static program.
    None,
}

impl Machine {
    /// As `uname -m` says it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::X86 => "x86_64",
            Self::Arm => "aarch64",
        }
    }

    pub(super) fn debian(self) -> &'static str {
        match self {
            Self::X86 => "amd64",
            Self::Arm => "arm64",
        }
    }
}

impl Binary {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let bytes =
            fs::read(path).with_context(|| format!("could not read `{}`", path.display()))?;
        let (processor, libc) = look(&bytes).with_context(|| {
            format!(
                "`{}` is no program for 64-bit Linux on x86 or ARM",
                path.display()
            )
        })?;
        Ok(Self {
            path: path.to_owned(),
            processor,
            libc,
        })
    }
}

/// Builds for this machine, or for another kind.
pub(super) fn build(wanted: Option<&str>) -> Result<PathBuf> {
    let Some(triple) = wanted.filter(|triple| *triple != HOST) else {
        return assemble::build(Profile::Release);
    };
    let Some(cross) = CROSS.iter().find(|cross| cross.triple == triple) else {
        let known: Vec<_> = CROSS.iter().map(|cross| cross.triple).collect();
        bail!(
            "there is no way to build for `{triple}`; there are {HOST} and {}",
            known.join(", ")
        );
    };
    step("Rust target", || setup::rust_target(triple))?;
    setup::debian(
        cross.compiler,
        cross.package,
        "compiling for another kind of machine",
    )?;
    plugins::build()?;
    step("agent", || {
        let upper = triple.to_uppercase().replace('-', "_");
        let mut cargo = cargo([
            "build",
            "--release",
            "--package",
            "skep",
            "--bin",
            "skep",
            "--target",
            triple,
        ]);
        cargo
            .env(format!("CARGO_TARGET_{upper}_LINKER"), cross.compiler)
            .env(format!("CC_{}", triple.replace('-', "_")), cross.compiler);
        execute(assemble::with_contents(&mut cargo, Profile::Release))
    })?;
    // Its plugins are compiled where it starts: only a program of that kind could do it before.
    Ok(target().join(triple).join("release/skep"))
}

struct Cross {
    triple: &'static str,
    /// C compiler and linker.
    compiler: &'static str,
    package: &'static str,
}

const HOST: &str = if cfg!(target_arch = "aarch64") {
    "aarch64-unknown-linux-gnu"
} else {
    "x86_64-unknown-linux-gnu"
};

const CROSS: [Cross; 2] = [
    Cross {
        triple: "x86_64-unknown-linux-musl",
        compiler: "musl-gcc",
        package: "musl-tools",
    },
    Cross {
        triple: "aarch64-unknown-linux-gnu",
        compiler: "aarch64-linux-gnu-gcc",
        package: "gcc-aarch64-linux-gnu",
    },
];

/// The processor, and the newest version of glibc that a symbol asks for; from the ELF header and `.dynstr` (elf(5)).
fn look(bytes: &[u8]) -> Option<(Machine, Libc)> {
    let number = |at: usize, length: usize| -> Option<usize> {
        let bytes = bytes.get(at..at.checked_add(length)?)?;
        let mut little = [0; 8];
        little.get_mut(..length)?.copy_from_slice(bytes);
        usize::try_from(u64::from_le_bytes(little)).ok()
    };
    // 64 bits, little-endian.
    if !bytes.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let processor = match number(18, 2)? {
        0x3e => Machine::X86,
        0xb7 => Machine::Arm,
        _ => return None,
    };
    let (sections, size, count) = (number(40, 8)?, number(58, 2)?, number(60, 2)?);
    let place = |index: usize| -> Option<(usize, &[u8])> {
        let at = sections.checked_add(index.checked_mul(size)?)?;
        let (offset, length) = (number(at + 24, 8)?, number(at + 32, 8)?);
        Some((
            number(at, 4)?,
            bytes.get(offset..offset.checked_add(length)?)?,
        ))
    };
    let (_, names) = place(number(62, 2)?)?;
    let strings = (0..count).filter_map(place).find_map(|(name, content)| {
        names
            .get(name..)?
            .starts_with(b".dynstr\0")
            .then_some(content)
    });
    let versions = strings
        .into_iter()
        .flat_map(|strings| strings.split(|byte| *byte == 0));
    let newest = versions
        .filter_map(|name| std::str::from_utf8(name.strip_prefix(b"GLIBC_")?).ok())
        .filter_map(|version| {
            let numbers: Option<Vec<u32>> =
                version.split('.').map(|part| part.parse().ok()).collect();
            Some((numbers?, version))
        })
        .max();
    Some(match newest {
        Some((_, version)) => (processor, Libc::Gnu(version.to_owned())),
        None => (processor, Libc::None),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_is_a_program_for_this_machine() {
        let own = Binary::open(&std::env::current_exe().unwrap()).unwrap();
        assert_eq!(own.processor.name(), std::env::consts::ARCH);
        let Libc::Gnu(version) = own.libc else {
            panic!("{:?}", own.libc)
        };
        assert!(version.starts_with("2."), "{version}");
    }

    #[test]
    fn what_is_no_program_is_refused() {
        for bytes in [
            &b""[..],
            b"#!/bin/sh\n",
            b"\x7fELF\x01\x01",
            &[0x7f, b'E', b'L', b'F', 2, 1, 0xff],
        ] {
            assert_eq!(look(bytes), None);
        }
        // A header that points beyond the file.
        let mut cut = b"\x7fELF\x02\x01".to_vec();
        cut.resize(64, 0xff);
        cut[18..20].copy_from_slice(&[0x3e, 0]);
        assert_eq!(look(&cut), None);
    }
}
