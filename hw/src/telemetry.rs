//! Looking at the machine: host, NVIDIA and AMD devices, as [`Snapshot`]s.
//!
//! Decides which sources are asked, how often, and whose word counts where two tell of one device.
//! Refuses to know who reads the figures, what they cost, and which thread calls.
//!
//! # How to call it
//!
//! [`Telemetry::detect`] once, then [`Telemetry::sample`] about once a second, both on one thread
//! of the caller's choosing and never on an async runtime: every call is synchronous, and a sick
//! driver can hold one for seconds or for ever. There is no deadline in here, since a blocked call
//! into a vendor's library cannot be taken back; the caller watches the thread, and treats a
//! sample that does not come within a few seconds as every device lost. Who wants that one sick
//! driver holds up nothing else takes the parts, [`HostWatch`] and a [`VendorWatch`] for each
//! vendor, each on a thread of its own.
//!
//! What lasts, so that a deadline is set with reason:
//!
//! | call | lasts | how often |
//! |---|---|---|
//! | `detect` with NVIDIA's library | 10 ms to some seconds | once |
//! | the first sample of a card, which wakes it | up to some seconds | once |
//! | utilisation, memory, power, temperature, clocks, times held back | 2 to 20 µs each | every sample |
//! | fan | about 140 µs | every sample |
//! | what NVIDIA's units did (GPM, Hopper and later) | not known | every sample, at least 1 s apart |
//! | processes and what each uses | about 5 ms, holding a lock of the driver | every 10 s |
//! | NVLink, partitions (MIG), modes | some µs for each link and partition | every 10 s |
//! | PCIe throughput | 20 ms for each direction, by its definition | every 10 s |
//! | NVIDIA's memory errors | up to some ms | every 10 s, and at once when the driver reports one |
//! | what NVIDIA's driver reports by itself (Xid) | some µs | every sample |
//! | amdgpu's files, of a card that is awake | 10 to 100 µs each | every sample |
//! | amdgpu's memory errors | up to some ms | every 2 s |
//! | ROCm's library, where files lack something | up to some ms each | every sample |
//!
//! What a device refuses, it is not asked for again within ten minutes: neither NVIDIA's library,
//! nor amdgpu's files, nor ROCm's library.
//!
//! NVIDIA's figures were taken by others on a laptop's RTX 4090; AMD's are estimates.
//! The host alone takes 0.2 ms of processor time for each sample (`cargo run --example telemetry`).

#![warn(missing_docs)]

use std::path::PathBuf;
use std::time::Instant;

mod amd;
mod host;
mod nvidia;
mod reading;
mod snapshot;
mod verdict;

pub use self::host::resident_bytes;
pub use self::reading::{
    Accounted, Activity, Clocks, ComputeMode, Device, DeviceId, DeviceMemory, HeldBack, Identity,
    Link, Links, MemoryFaults, Modes, Partition, Pcie, Power, Process, ProcessKind, Reading,
    Thermal, Throttle, Vendor, Xid,
};
pub use self::snapshot::{
    Cpu, Disk, Host, HostMemory, Network, Snapshot, Source, SourceKind, SourceState, Temperature,
};
pub use self::verdict::{Fault, Note, Verdict};

/// Where to look. The default is right for a real machine; tests point it at trees and libraries
/// of their own.
#[derive(Clone, Debug)]
pub struct Places {
    /// Where the kernel's device files are.
    pub sysfs: PathBuf,
    /// Where the kernel's process files are.
    pub procfs: PathBuf,
    /// Names under which to look for NVIDIA's management library, the first that loads counts.
    pub nvml: Vec<PathBuf>,
    /// The same for AMD's.
    pub rocm_smi: Vec<PathBuf>,
    /// Paths whose file systems are watched for space.
    pub disks: Vec<PathBuf>,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            sysfs: "/sys".into(),
            procfs: "/proc".into(),
            nvml: nvidia::library_names(),
            rocm_smi: amd::library_names(),
            disks: Vec::new(),
        }
    }
}

/// Everything that was found, ready to be asked again and again.
#[derive(Debug)]
pub struct Telemetry {
    host: HostWatch,
    vendors: [VendorWatch; 2],
}

impl Telemetry {
    /// Looks for every source. Never fails and prints nothing: what is absent is told by
    /// [`Snapshot::sources`]. Costs some milliseconds without devices; to find a driver that came
    /// later, detect anew.
    #[must_use]
    pub fn detect(places: &Places) -> Self {
        Self {
            host: HostWatch::detect(places),
            vendors: [Vendor::Nvidia, Vendor::Amd].map(|v| VendorWatch::detect(v, places)),
        }
    }

    /// Reads everything that is due. `now` paces what is slow; it must not run backwards.
    pub fn sample(&mut self, now: Instant) -> Snapshot {
        let devices = self
            .vendors
            .iter_mut()
            .flat_map(|v| v.sample(now))
            .collect();
        Snapshot {
            host: self.host.sample(now),
            devices,
            sources: self
                .vendors
                .iter()
                .flat_map(|v| v.sources.clone())
                .collect(),
        }
    }
}

/// The host alone: processor, memory, disks, networks.
#[derive(Debug)]
pub struct HostWatch(host::HostSource);

impl HostWatch {
    /// Reads what does not change.
    #[must_use]
    pub fn detect(places: &Places) -> Self {
        Self(host::HostSource::detect(places))
    }

    /// Reads what changes; space, networks and sensors every five seconds at most.
    pub fn sample(&mut self, now: Instant) -> Host {
        self.0.sample(now)
    }
}

/// The devices of one vendor alone.
#[derive(Debug)]
pub struct VendorWatch {
    found: Option<Found>,
    sources: Vec<Source>,
}

#[derive(Debug)]
enum Found {
    Nvidia(nvidia::NvidiaSource),
    Amd(Box<amd::AmdSource>),
}

impl VendorWatch {
    /// Looks for the vendor's driver and devices; as for [`Telemetry::detect`].
    #[must_use]
    pub fn detect(vendor: Vendor, places: &Places) -> Self {
        let told = |kind, state| Source { kind, state };
        match vendor {
            Vendor::Nvidia => {
                let (found, state) = match nvidia::NvidiaSource::detect(&places.nvml, &places.sysfs)
                {
                    Ok(source) => {
                        let version = source.version();
                        (Some(Found::Nvidia(source)), SourceState::Present(version))
                    }
                    Err(reason) => (None, SourceState::Absent(reason)),
                };
                Self {
                    found,
                    sources: vec![told(SourceKind::Nvml, state)],
                }
            }
            Vendor::Amd => {
                let (source, files, library) = amd::AmdSource::detect(places);
                Self {
                    found: Some(Found::Amd(Box::new(source))),
                    sources: vec![
                        told(SourceKind::AmdgpuSysfs, files),
                        told(SourceKind::RocmSmi, library),
                    ],
                }
            }
        }
    }

    /// What was looked for and whether it is there.
    #[must_use]
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Whether there is nothing to watch.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match &self.found {
            None => true,
            Some(Found::Nvidia(source)) => source.is_empty(),
            Some(Found::Amd(source)) => source.is_empty(),
        }
    }

    /// Reads every device; as for [`Telemetry::sample`].
    pub fn sample(&mut self, now: Instant) -> Vec<Device> {
        match &mut self.found {
            None => Vec::new(),
            Some(Found::Nvidia(source)) => source.sample(now),
            Some(Found::Amd(source)) => source.sample(now),
        }
    }
}
