//! One look at a machine: the host, its accelerators, and the sources that told.
//!
//! Decides the names and units of what a host shows; refuses to know how it was found out. What
//! a machine may be unable to tell is an `Option`: `None` says "not told", never zero. Units stand
//! last in the name, percentages run from 0 to 100, counters that only grow are given raw so that
//! rates are the reader's.

use serde::{Deserialize, Serialize};

use super::Device;

/// One look at the machine. Cheap to make once a second; see [`super::Telemetry::sample`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The machine itself: processor, memory, disks, networks.
    pub host: Host,
    /// Every accelerator that any source has shown since detection, lost ones included.
    pub devices: Vec<Device>,
    /// What was looked for and whether it is there.
    pub sources: Vec<Source>,
}

/// One place that readings come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Which one.
    pub kind: SourceKind,
    /// Whether it answers. Being absent is a fact about the machine, not an error.
    pub state: SourceState,
}

/// The places that are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// NVIDIA's management library, part of its driver.
    Nvml,
    /// The files that Linux' amdgpu driver shows under `/sys`.
    AmdgpuSysfs,
    /// AMD's ROCm system management library.
    RocmSmi,
}

/// Whether a source answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceState {
    /// It answers; the text names its version where it has one.
    Present(Option<String>),
    /// It is not there, and this is why, in words for a person.
    Absent(String),
}

/// The machine: facts that stay, and figures of this moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// The name the machine gives itself.
    pub name: Option<String>,
    /// The operating system with its version, as `Debian GNU/Linux 12`.
    pub os: Option<String>,
    /// The kernel's version.
    pub kernel: Option<String>,
    /// The processor family the binary was built for, as `x86_64`.
    pub architecture: String,
    /// Seconds since the machine started.
    pub uptime_s: Option<u64>,
    /// The processor.
    pub cpu: Cpu,
    /// Main memory.
    pub memory: HostMemory,
    /// The file systems under the watched paths, in the order in which they were asked for.
    pub disks: Vec<Disk>,
    /// Network interfaces except loopback, by name.
    pub networks: Vec<Network>,
    /// Sensors outside the accelerators, by label.
    pub temperatures: Vec<Temperature>,
}

/// The processor of a host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cpu {
    /// The maker's name for it.
    pub brand: Option<String>,
    /// Cores, counting hardware threads of one core once.
    pub cores_physical: Option<u32>,
    /// Hardware threads.
    pub cores_logical: Option<u32>,
    /// Hardware threads this process may run on (`sched_getaffinity`).
    pub cores_allowed: Option<u32>,
    /// Processor time the control groups grant, in cores; `None` when without limit.
    pub quota_cores: Option<f32>,
    /// How many threads are worth starting: one for each physical core among `cores_allowed`, as far as the quota,
    /// rounded down, allows; at least one.
    pub cores_usable: Option<u32>,
    /// Share of all logical cores that was busy since the sample before; `None` in the first.
    pub utilisation_percent: Option<f32>,
    /// Runnable tasks, averaged over one, five and fifteen minutes.
    pub load_average: Option<[f32; 3]>,
}

/// The memory of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostMemory {
    /// What is installed and given to the system.
    pub total_bytes: Option<u64>,
    /// What can be had without swapping, on the whole machine.
    pub available_bytes: Option<u64>,
    /// Swap space.
    pub swap_total_bytes: Option<u64>,
    /// Swap space in use.
    pub swap_used_bytes: Option<u64>,
    /// The smallest limit among this process's control groups; `None` when without limit.
    pub limit_bytes: Option<u64>,
    /// What the group with that limit holds now, page cache included.
    pub limit_used_bytes: Option<u64>,
    /// What this process may still take: `available_bytes`, or less where the limit says less.
    pub usable_bytes: Option<u64>,
    /// Resident memory of the process that took the sample.
    pub own_resident_bytes: Option<u64>,
}

/// A file system under a watched path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// The path that was asked for.
    pub path: String,
    /// Size of the file system; `None` when the path could not be asked about.
    pub total_bytes: Option<u64>,
    /// What an unprivileged process may still write.
    pub available_bytes: Option<u64>,
}

/// A network interface. Counters start anywhere and only grow until the interface goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// The system's name, as `eth0`.
    pub name: String,
    /// Received so far.
    pub received_bytes: u64,
    /// Sent so far.
    pub sent_bytes: u64,
    /// Packets received or sent with an error so far.
    pub errors: u64,
}

/// One sensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Temperature {
    /// The sensor's name, as the system gives it.
    pub label: String,
    /// What it shows.
    pub celsius: f32,
}
