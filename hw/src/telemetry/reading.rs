//! What an accelerator is and what it shows at one moment.
//!
//! Decides names and units; refuses to know which library a figure came from or what anybody does
//! with it. What a device may be unable to tell is an `Option`: `None` says "not told", never
//! zero. Units stand last in the name, percentages run from 0 to 100, counters that only grow
//! (energy, errors) are given raw so that rates are the reader's.

use serde::{Deserialize, Serialize};

pub use self::activity::{Activity, HeldBack};
pub use self::links::{Link, Links};
pub use self::modes::{ComputeMode, Modes, Partition};
pub use self::process::{Accounted, Process, ProcessKind};
use super::Verdict;

mod activity;
mod links;
mod modes;
mod process;

/// An accelerator: who it is, what it shows, and what that means for work on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Device {
    /// Facts that stay as long as the driver does.
    pub identity: Identity,
    /// Figures of this moment.
    pub reading: Reading,
    /// What scheduling should make of the figures.
    pub verdict: Verdict,
}

/// The name of a device that stays the same over restarts: its UUID, or its place on the bus.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DeviceId(pub String);

impl std::fmt::Display for DeviceId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who made a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Vendor {
    /// NVIDIA.
    Nvidia,
    /// AMD.
    Amd,
}

/// What a device is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Stays the same over restarts.
    pub id: DeviceId,
    /// Who made it.
    pub vendor: Vendor,
    /// Its number among the vendor's devices, as the vendor's own tools count.
    pub index: u32,
    /// The product's name.
    pub name: Option<String>,
    /// The vendor's unique identifier.
    pub uuid: Option<String>,
    /// Serial number of the board.
    pub serial: Option<String>,
    /// The maker's part number of the board.
    pub part_number: Option<String>,
    /// The number in the name of its device file, as in `/dev/nvidia3` or `/dev/dri/card3`.
    pub minor_number: Option<u32>,
    /// Place on the PCI bus, as `0000:3b:00.0`.
    pub pci_bus_id: Option<String>,
    /// Version of the kernel driver.
    pub driver_version: Option<String>,
    /// Version of the management library that answered.
    pub library_version: Option<String>,
    /// Newest CUDA that the driver can run, as `13.0`.
    pub cuda_version: Option<String>,
    /// NVIDIA's compute capability, as (9, 0).
    pub compute_capability: Option<(u32, u32)>,
    /// The chip family, as `Hopper` or `gfx942`.
    pub architecture: Option<String>,
    /// Version of the firmware on the board.
    pub vbios_version: Option<String>,
    /// Arithmetic cores, as the vendor counts them.
    pub cores: Option<u32>,
    /// Width of the memory bus.
    pub memory_bus_bits: Option<u32>,
    /// Version of the firmware of NVIDIA's system processor (GSP), where one runs.
    pub gsp_firmware_version: Option<String>,
    /// The memory node of the host that is nearest.
    pub numa_node: Option<u32>,
    /// The node that the device's own memory is, where processor and device share addresses.
    pub memory_numa_node: Option<u32>,
    /// The host's processors that are nearest, as `0-15,32-47`.
    pub cpus: Option<String>,
}

impl Identity {
    /// A device of which nothing else is known yet.
    #[must_use]
    pub const fn unknown(id: DeviceId, vendor: Vendor, index: u32) -> Self {
        Self {
            id,
            vendor,
            index,
            name: None,
            uuid: None,
            serial: None,
            part_number: None,
            minor_number: None,
            pci_bus_id: None,
            driver_version: None,
            library_version: None,
            cuda_version: None,
            compute_capability: None,
            architecture: None,
            vbios_version: None,
            cores: None,
            memory_bus_bits: None,
            gsp_firmware_version: None,
            numa_node: None,
            memory_numa_node: None,
            cpus: None,
        }
    }
}

/// What a device shows at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Set when the device no longer answers, with the driver's words; nothing but Xids is told then.
    pub lost: Option<String>,
    /// Share of the last measuring period in which any kernel ran.
    pub utilisation_percent: Option<f32>,
    /// Share of that period in which device memory was read or written.
    pub memory_busy_percent: Option<f32>,
    /// Share of that period in which the video encoder ran.
    pub encoder_percent: Option<f32>,
    /// Share of that period in which the video decoder ran.
    pub decoder_percent: Option<f32>,
    /// Share of that period in which the unit ran that does both, where one does (AMD).
    pub video_percent: Option<f32>,
    /// Share of that period in which the JPEG decoder ran.
    pub jpeg_percent: Option<f32>,
    /// Share of that period in which the optical flow accelerator ran.
    pub optical_flow_percent: Option<f32>,
    /// What its units did since the sample before; `None` in the first.
    pub activity: Option<Activity>,
    /// Device memory: amounts.
    pub memory: DeviceMemory,
    /// Power and energy.
    pub power: Power,
    /// Temperatures and fan.
    pub thermal: Thermal,
    /// Clocks, and what holds them back.
    pub clocks: Clocks,
    /// For how long something held the clocks back, since the driver was loaded.
    #[serde(default)]
    pub held_back: HeldBack,
    /// The link to the host.
    pub pcie: Pcie,
    /// Links to other devices; refreshed every ten seconds at most.
    pub links: Option<Links>,
    /// Memory faults.
    pub faults: MemoryFaults,
    /// How the device is set up; refreshed every ten seconds at most.
    #[serde(default)]
    pub modes: Modes,
    /// The partitions (MIG) of a device that is partitioned; refreshed every ten seconds at most.
    pub partitions: Option<Vec<Partition>>,
    /// Processes that hold the device, largest first; refreshed every ten seconds at most.
    pub processes: Option<Vec<Process>>,
    /// What NVIDIA's driver reported of the device by itself since it was watched, or reset.
    #[serde(default)]
    pub xids: Vec<Xid>,
}

/// Memory of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceMemory {
    /// All of it.
    pub memory_total_bytes: Option<u64>,
    /// In use, what the driver keeps for itself included.
    pub memory_used_bytes: Option<u64>,
    /// Free to allocate.
    pub memory_free_bytes: Option<u64>,
    /// The part in use that the driver and the firmware keep for themselves.
    pub memory_reserved_bytes: Option<u64>,
    /// Window through which the host reaches device memory (BAR1, visible VRAM).
    pub window_total_bytes: Option<u64>,
    /// The part of that window in use.
    pub window_used_bytes: Option<u64>,
    /// Host memory that the device may map (AMD's GTT).
    pub shared_total_bytes: Option<u64>,
    /// The part of that in use.
    pub shared_used_bytes: Option<u64>,
}

/// Power of a device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Power {
    /// Drawn by the board now, averaged by the device.
    pub power_watts: Option<f32>,
    /// The limit in force.
    pub limit_watts: Option<f32>,
    /// The limit that somebody set; another, as the machine's own, may be lower and in force.
    pub limit_set_watts: Option<f32>,
    /// The limit that the board starts with.
    pub limit_default_watts: Option<f32>,
    /// The smallest limit that may be set.
    pub limit_min_watts: Option<f32>,
    /// The largest limit that may be set.
    pub limit_max_watts: Option<f32>,
    /// Used since the driver was loaded: a counter.
    pub energy_joules: Option<f64>,
    /// The voltage of the chip now.
    pub voltage_volts: Option<f32>,
}

/// Heat of a device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Thermal {
    /// The chip (AMD: its edge).
    pub chip_celsius: Option<f32>,
    /// The hottest spot of the chip.
    pub hotspot_celsius: Option<f32>,
    /// The memory.
    pub memory_celsius: Option<f32>,
    /// The heat of the chip above which its clocks may fall below their base.
    pub chip_max_celsius: Option<f32>,
    /// The heat of the memory above which the device is slowed down.
    pub memory_max_celsius: Option<f32>,
    /// Where the device starts to slow itself down.
    pub slowdown_celsius: Option<f32>,
    /// Where the device switches itself off.
    pub shutdown_celsius: Option<f32>,
    /// How hard the fan is driven.
    pub fan_percent: Option<f32>,
    /// How fast the fan turns.
    pub fan_rpm: Option<u32>,
}

/// Clocks of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clocks {
    /// The shader clock now.
    pub core_mhz: Option<u32>,
    /// The highest shader clock.
    pub core_max_mhz: Option<u32>,
    /// The clock of what draws, now; the shader clock's twin on most chips.
    pub graphics_mhz: Option<u32>,
    /// The highest clock of what draws.
    pub graphics_max_mhz: Option<u32>,
    /// The clock of the video encoder and decoder now.
    pub video_mhz: Option<u32>,
    /// The highest clock of the video encoder and decoder.
    pub video_max_mhz: Option<u32>,
    /// The memory clock now.
    pub memory_mhz: Option<u32>,
    /// The highest memory clock.
    pub memory_max_mhz: Option<u32>,
    /// NVIDIA's performance state, 0 the fastest and 15 the slowest.
    pub performance_state: Option<u32>,
    /// What holds the clocks back now; empty when nothing does.
    pub throttles: Option<Vec<Throttle>>,
}

/// Why a device runs slower than it could.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Throttle {
    /// There is nothing to do.
    Idle,
    /// Somebody set the clocks.
    ClockSetting,
    /// The power limit was reached; ordinary under full load.
    PowerLimit,
    /// The driver slows the chip because it or its memory is hot.
    Heat,
    /// The hardware itself slows the chip because it is too hot.
    HardwareHeat,
    /// The hardware slows the chip: heat, power brake or power delivery; which is not told.
    Hardware,
    /// The power supply asked for less through the brake signal.
    PowerBrake,
    /// The current limit of the power delivery was reached.
    Current,
    /// Devices in one group are held to the slowest.
    Group,
    /// The display's needs set the clocks.
    Display,
    /// Something that this version has no name for.
    Other,
}

/// The PCIe link of a device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pcie {
    /// Generation in use now; lower when idle.
    pub generation: Option<u32>,
    /// The best generation that device and slot can do.
    pub generation_max: Option<u32>,
    /// Lanes in use now.
    pub lanes: Option<u32>,
    /// The most lanes that device and slot can do.
    pub lanes_max: Option<u32>,
    /// Towards the device; refreshed every ten seconds at most.
    pub received_bytes_per_s: Option<u64>,
    /// From the device; refreshed every ten seconds at most.
    pub sent_bytes_per_s: Option<u64>,
    /// Packets sent again since the driver was loaded.
    pub replays: Option<u64>,
}

/// Faults in the memory of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryFaults {
    /// Whether errors are corrected at all.
    pub ecc_enabled: Option<bool>,
    /// Whether they will be after the next restart.
    pub ecc_enabled_pending: Option<bool>,
    /// Errors mended since the driver was loaded.
    pub corrected: Option<u64>,
    /// Errors past mending since the driver was loaded.
    pub uncorrected: Option<u64>,
    /// Errors mended over the board's life.
    pub corrected_lifetime: Option<u64>,
    /// Errors past mending over the board's life.
    pub uncorrected_lifetime: Option<u64>,
    /// Pages taken out of use, or rows replaced.
    pub retired: Option<u64>,
    /// Whether more wait to be taken out at the next reset.
    pub retirement_pending: Option<bool>,
    /// Whether replacing a row has failed: no spare rows are left.
    pub retirement_failed: Option<bool>,
}

/// A kind of error that NVIDIA's driver reported by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Xid {
    /// NVIDIA's number for it.
    pub number: u32,
    /// When it was last seen, in seconds since 1970.
    pub at_unix_s: u64,
    /// How often it was seen.
    pub count: u32,
}
