//! Landlock: which files can be named at all, and with newer kernels TCP, devices' controls and signals.
//!
//! Decides what every confined process reads besides what it was given: what the C library, thread pools and vendors'
//! libraries look at. Everything else does not open, whoever owns it. Nothing is ever executable.

use std::fs;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, RestrictionStatus, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetError, Scope, path_beneath_rules,
};

use super::Walls;
use crate::limits::CONFINED_PATHS;

/// Goes behind the rules.
///
/// # Errors
/// What of them the kernel does not know, as a clause; the others hold.
pub(super) fn restrict(walls: &Walls) -> Result<(), String> {
    let status = apply(walls).map_err(|error| error.to_string())?;
    match status.landlock {
        LandlockStatus::NotImplemented => Err("this kernel was built without it".to_owned()),
        LandlockStatus::NotEnabled => {
            Err("it is switched off; the kernel's option `lsm=` can name it".to_owned())
        }
        LandlockStatus::Available { effective_abi, .. } => complete(effective_abi),
    }
}

fn apply(walls: &Walls) -> Result<RestrictionStatus, RulesetError> {
    let tcp = if walls.network {
        AccessNet::BindTcp.into()
    } else {
        AccessNet::from_all(NEWEST)
    };
    let mut devices = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::ReadDir;
    devices |= AccessFs::IoctlDev;
    Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(tcp)?
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .add_rules(path_beneath_rules(ALWAYS, reading()))?
        .add_rules(path_beneath_rules(NULLS, devices))?
        .add_rules(path_beneath_rules(bounded(&walls.read), reading()))?
        .add_rules(path_beneath_rules(bounded(&walls.write), writing()))?
        .add_rules(path_beneath_rules(
            if walls.network { RESOLVING } else { &[] },
            reading(),
        ))?
        .add_rules(path_beneath_rules(
            if walls.devices { VENDORS } else { &[] },
            reading(),
        ))?
        .add_rules(path_beneath_rules(listed(walls, OPT, "/opt"), reading()))?
        .add_rules(path_beneath_rules(listed(walls, NODES, "/dev"), devices))?
        .add_rules(path_beneath_rules(
            if walls.devices { SHARED } else { &[] },
            writing(),
        ))?
        .restrict_self()
}

fn reading() -> BitFlags<AccessFs> {
    AccessFs::ReadFile | AccessFs::ReadDir
}

/// Plain files alone: no link, pipe, socket, device or folder is made, and nothing moves from one folder to another.
fn writing() -> BitFlags<AccessFs> {
    reading() | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::MakeReg | AccessFs::RemoveFile
}

fn bounded(paths: &[PathBuf]) -> impl Iterator<Item = &PathBuf> {
    paths.iter().take(CONFINED_PATHS)
}

/// What in a folder has a name that begins with one of these.
fn listed(walls: &Walls, beginnings: &[&str], folder: &str) -> Vec<PathBuf> {
    let entries = walls.devices.then(|| fs::read_dir(folder).ok()).flatten();
    let named = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        beginnings.iter().any(|start| name.starts_with(start))
    };
    entries
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(named)
        .take(CONFINED_PATHS)
        .collect()
}

/// Says what an older kernel leaves open.
fn complete(abi: ABI) -> Result<(), String> {
    let lacks = match abi as i32 {
        6.. => return Ok(()),
        5 => "signals and abstract sockets",
        4 => "devices' controls, signals and abstract sockets",
        3 => "TCP, devices' controls, signals and abstract sockets",
        _ => "cutting files short, TCP, devices' controls, signals and abstract sockets",
    };
    Err(format!(
        "this kernel's (version {}) has no rules for {lacks}; its rules for files hold",
        abi as i32
    ))
}

/// The libraries beside one that was named: vendors' load others of theirs.
#[must_use]
pub fn libraries_beside(library: &Path) -> Vec<PathBuf> {
    let mut found = vec![library.to_owned()];
    let entries = library
        .parent()
        .and_then(|folder| fs::read_dir(folder).ok());
    let paths = entries
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.contains(".so")
        });
    found.extend(paths.take(CONFINED_PATHS / 2));
    found
}

const NEWEST: ABI = ABI::V6;

/// Libraries, and what tells how much processor and memory there is.
const ALWAYS: &[&str] = &[
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/local/lib",
    "/usr/local/lib64",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/gnu/store",
    "/etc/ld.so.cache",
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/sys/vm",
    "/sys/devices/system",
    "/sys/fs/cgroup",
    "/sys/kernel/mm/transparent_hugepage",
];

/// Devices that hold nothing.
const NULLS: &[&str] = &[
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
];

/// How names become addresses, and whom to trust.
const RESOLVING: &[&str] = &[
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/usr/share/ca-certificates",
];

/// What drivers of NVIDIA, AMD and Mesa read about the machine and about themselves.
const VENDORS: &[&str] = &[
    "/usr/share",
    "/usr/local/share",
    "/usr/local/cuda",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/alternatives",
    "/etc/vulkan",
    "/etc/OpenCL",
    "/etc/nvidia",
    "/etc/amd",
    "/etc/drirc",
    "/run/opengl-driver",
    "/proc/driver",
    "/proc/devices",
    "/proc/modules",
    "/proc/version",
    "/proc/sys/kernel",
    "/sys",
];

/// Where vendors install outside of the system's own folders.
const OPT: &[&str] = &["rocm", "amdgpu", "nvidia", "cuda"];

/// The nodes of cards in `/dev`, as their names begin.
const NODES: &[&str] = &["nvidia", "dri", "kfd", "dxg", "udmabuf"];

/// Where AMD's libraries keep what several processes share.
const SHARED: &[&str] = &["/dev/shm"];
