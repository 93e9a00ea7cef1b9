//! Compiles the kernels in `target/kernels`.
//!
//! Decides for which GPUs and with which flags. The bytes depend on the sources and the tools alone:
//! clang reads the unit from its standard input in the repository's root, so that all paths it sees
//! are the repository's own, and may not read the machine's headers.

use std::fs::{self, File};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result, bail};

use super::amd;
use super::ptxas;
use super::slang::SLANG;
use super::tools::{CLANG, PTXAS};
use crate::step::{execute, root, target};

/// One file that is built.
#[derive(Clone, Copy)]
pub(super) enum Target {
    /// For any NVIDIA GPU from one architecture on: its driver compiles it.
    Ptx(&'static str),
    /// Machine code of one NVIDIA architecture, from the PTX.
    Cubin(&'static str),
    /// Machine code of one AMD architecture.
    Amd(&'static str),
    /// For any GPU with Vulkan 1.2: its driver compiles it. Of sources of its own.
    Spirv,
}

impl Target {
    /// All, in the order in which they can be built.
    pub(super) fn all() -> Vec<Self> {
        let cubins = NVIDIA.into_iter().map(Self::Cubin);
        let amd = AMD.into_iter().map(Self::Amd);
        let ptx = PTX.into_iter().map(Self::Ptx);
        std::iter::once(Self::Spirv)
            .chain(ptx)
            .chain(amd)
            .chain(cubins)
            .collect()
    }

    /// What a cubin is made from.
    pub(super) fn ptx(self) -> Option<Self> {
        let Self::Cubin(architecture) = self else {
            return None;
        };
        let number = |name: &str| name.trim_start_matches("sm_").parse::<u32>().ok();
        let fits = |from: &&&str| number(from) <= number(architecture);
        PTX.iter().rfind(fits).copied().map(Self::Ptx)
    }

    pub(super) fn file(self) -> String {
        match self {
            Self::Ptx(architecture) => format!("{architecture}.ptx"),
            Self::Cubin(architecture) => format!("{architecture}.cubin"),
            Self::Amd(architecture) => format!("{architecture}.hsaco"),
            Self::Spirv => SPIRV.to_owned(),
        }
    }

    /// The command as the manifest records it, with neither input nor output.
    pub(super) fn command(self) -> String {
        let tool = match self {
            Self::Ptx(_) | Self::Amd(_) => CLANG,
            Self::Cubin(_) => PTXAS,
            Self::Spirv => SLANG,
        };
        format!("{tool} {}", self.flags().join(" "))
    }

    pub(super) fn flags(self) -> Vec<String> {
        let (flags, architecture) = match self {
            Self::Ptx(architecture) => (FOR_PTX, format!("--cuda-gpu-arch={architecture}")),
            Self::Cubin(architecture) => (FOR_CUBIN, format!("-arch={architecture}")),
            Self::Amd(architecture) => (FOR_AMD, format!("--offload-arch={architecture}")),
            Self::Spirv => (FOR_SPIRV, "-O0".to_owned()),
        };
        flags
            .split(' ')
            .map(str::to_owned)
            .chain([architecture])
            .collect()
    }
}

/// Where everything is built.
pub(super) fn folder() -> PathBuf {
    target().join("kernels")
}

/// Builds every target of clang's from the sources named, or all but the cubins without a ptxas, and
/// returns the files.
pub(super) fn compile(sources: &[&str], ptxas: Option<&Path>) -> Result<Vec<String>> {
    let folder = folder();
    let unit = folder.join(UNIT);
    let includes: String = sources
        .iter()
        .map(|path| format!("#include \"{path}\"\n"))
        .collect();
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(&unit, includes))
        .with_context(|| format!("could not write `{}`", unit.display()))?;
    let (ptx, rest): (Vec<_>, Vec<_>) = Target::all()
        .into_iter()
        .filter(|target| match target {
            Target::Cubin(_) => ptxas.is_some(),
            Target::Ptx(_) | Target::Amd(_) => true,
            Target::Spirv => false,
        })
        .partition(|target| matches!(target, Target::Ptx(_)));
    let mut spills = Vec::new();
    for target in &ptx {
        spills.extend(make(*target, ptxas)?);
    }
    spills.extend(make_all(&rest, ptxas)?);
    if !spills.is_empty() {
        spills.sort();
        bail!(
            "kernels keep in memory what belongs into registers; let them hold less at a time, and unroll what indexes arrays:\n    {}",
            spills.join("\n    ")
        );
    }
    Ok(ptx.into_iter().chain(rest).map(Target::file).collect())
}

/// Builds what does not depend on each other, on all processors, and returns what spills.
fn make_all(targets: &[Target], ptxas: Option<&Path>) -> Result<Vec<String>> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<String>> {
        let mut spills = Vec::new();
        while let Some(target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
            spills.extend(make(*target, ptxas)?);
        }
        Ok(spills)
    };
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let mut spills = Vec::new();
        for worker in workers {
            let Ok(found) = worker.join() else {
                bail!("a thread that compiles kernels panicked");
            };
            spills.extend(found?);
        }
        Ok(spills)
    })
}

/// Builds one, and returns what spills.
fn make(target: Target, ptxas: Option<&Path>) -> Result<Vec<String>> {
    match (target, ptxas) {
        (Target::Cubin(architecture), Some(tool)) => {
            let spills = ptxas::assemble(tool, target)?.into_iter();
            Ok(spills
                .map(|(kernel, bytes)| format!("{kernel} on {architecture}: {bytes} bytes"))
                .collect())
        }
        (Target::Cubin(_), None) => bail!("a cubin is made by ptxas, and there is none"),
        (Target::Spirv, _) => bail!("SPIR-V is made by Slang, not by clang"),
        (Target::Ptx(_) | Target::Amd(_), _) => {
            let unit = folder().join(UNIT);
            let unit = File::open(&unit)
                .with_context(|| format!("could not read `{}`", unit.display()))?;
            execute(
                Command::new(CLANG)
                    .args(target.flags())
                    .arg("-o")
                    .arg(folder().join(target.file()))
                    .arg("-")
                    .stdin(unit)
                    .current_dir(root()),
            )?;
            let Target::Amd(architecture) = target else {
                return Ok(Vec::new());
            };
            let kept = amd::examine(architecture, &target.file())?.into_iter();
            Ok(kept
                .map(|(kernel, bytes)| format!("{kernel} on {architecture}: {bytes} bytes"))
                .collect())
        }
    }
}

const UNIT: &str = "all.cu";
const SPIRV: &str = "vulkan.spv";

/// What PTX is made for: any card, and those whose units for matrices take bytes in the forms that are used.
const PTX: [&str; 2] = ["sm_70", "sm_80"];

/// PTX 7.0 is understood by drivers since 450.
const FOR_PTX: &str = "-x cuda -nostdinc -nocudainc -nocudalib -fuse-cuid=none --cuda-device-only -S -O3 -std=c++17 --cuda-feature=+ptx70";

/// Without `-fuse-cuid=none` a hash of the path would be in the bytes.
const FOR_AMD: &str = "-x hip -nostdinc -nogpuinc -nogpulib -fuse-cuid=none --cuda-device-only --no-gpu-bundle-output -O3 -std=c++17";

/// Paths in the unit are the repository's. Functions stay functions (`-O0`): drivers optimise better than they did with what
/// Slang has unrolled and joined, which is three times as large.
const FOR_SPIRV: &str =
    "-I . -target spirv -emit-spirv-directly -profile spirv_1_5 -fvk-use-entrypoint-name";

const FOR_CUBIN: &str = "-v -O3";

/// From Volta to Blackwell. Machine code also runs where only the minor number is higher.
const NVIDIA: [&str; 8] = [
    "sm_70", "sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120",
];

/// Vega, MI50, MI200, MI300, and one of each RDNA since the second.
const AMD: [&str; 7] = [
    "gfx900", "gfx906", "gfx90a", "gfx942", "gfx1030", "gfx1100", "gfx1201",
];
