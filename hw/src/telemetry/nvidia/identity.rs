//! What stays the same of an NVIDIA device for as long as its driver runs: who it is, and how far
//! it may go.
//!
//! Decides what counts as a device's name; refuses to read any of it twice.

use std::ffi::c_ulong;
use std::fs;
use std::path::Path;

use nvml_wrapper::Device as NvmlDevice;
use nvml_wrapper::enum_wrappers::device::{Clock, TemperatureThreshold};

use super::raw::{self, Text};
use crate::telemetry::{DeviceId, Identity, Vendor};

/// What is the same for all devices of the driver.
#[derive(Debug)]
pub(super) struct SystemFacts {
    pub(super) driver_version: Option<String>,
    pub(super) library_version: Option<String>,
    pub(super) cuda_version: Option<String>,
}

/// Figures that no running device changes.
#[derive(Debug, Default)]
pub(super) struct Limits {
    pub(super) chip_max_celsius: Option<f32>,
    pub(super) memory_max_celsius: Option<f32>,
    pub(super) slowdown_celsius: Option<f32>,
    pub(super) shutdown_celsius: Option<f32>,
    pub(super) core_max_mhz: Option<u32>,
    pub(super) graphics_max_mhz: Option<u32>,
    pub(super) video_max_mhz: Option<u32>,
    pub(super) memory_max_mhz: Option<u32>,
    pub(super) pcie_generation_max: Option<u32>,
    pub(super) pcie_lanes_max: Option<u32>,
}

impl Limits {
    pub(super) fn of(device: &NvmlDevice<'_>) -> Self {
        let threshold = |kind| device.temperature_threshold(kind).ok().map(|t| t as f32);
        let clock = |kind| device.max_clock_info(kind).ok();
        Self {
            chip_max_celsius: threshold(TemperatureThreshold::GpuMax),
            memory_max_celsius: threshold(TemperatureThreshold::MemoryMax),
            slowdown_celsius: threshold(TemperatureThreshold::Slowdown),
            shutdown_celsius: threshold(TemperatureThreshold::Shutdown),
            core_max_mhz: clock(Clock::SM),
            graphics_max_mhz: clock(Clock::Graphics),
            video_max_mhz: clock(Clock::Video),
            memory_max_mhz: clock(Clock::Memory),
            pcie_generation_max: device.max_pcie_link_gen().ok(),
            pcie_lanes_max: device.max_pcie_link_width().ok(),
        }
    }
}

/// A device of which nothing but its number is known yet.
pub(super) fn unknown(index: u32, system: &SystemFacts) -> Identity {
    Identity {
        driver_version: system.driver_version.clone(),
        library_version: system.library_version.clone(),
        cuda_version: system.cuda_version.clone(),
        ..Identity::unknown(DeviceId(format!("nvidia-{index}")), Vendor::Nvidia, index)
    }
}

/// Reads all that the device tells of itself.
pub(super) fn identify(device: &NvmlDevice<'_>, identity: &mut Identity, sysfs: &Path) {
    let text = |which| raw::text(device, which).ok();
    identity.name = text(Text::Name);
    identity.uuid = text(Text::Uuid);
    identity.serial = text(Text::Serial).filter(|s| s != "0");
    identity.part_number = text(Text::PartNumber);
    identity.minor_number = device.minor_number().ok();
    identity.pci_bus_id = raw::pci_bus_id(device).ok();
    let capability = device.cuda_compute_capability().ok();
    identity.compute_capability =
        capability.and_then(|c| Some((u32::try_from(c.major).ok()?, u32::try_from(c.minor).ok()?)));
    identity.architecture = device.architecture().ok().map(|a| a.to_string());
    identity.vbios_version = text(Text::VbiosVersion);
    identity.gsp_firmware_version = text(Text::GspFirmwareVersion);
    identity.cores = device.num_cores().ok();
    identity.memory_bus_bits = device.memory_bus_width().ok();
    if let Some(bus) = &identity.pci_bus_id {
        // -1 says that the machine has one node only; it does not parse, as it should.
        let path = sysfs.join("bus/pci/devices").join(bus).join("numa_node");
        identity.numa_node = fs::read_to_string(path)
            .ok()
            .and_then(|n| n.trim().parse().ok());
    }
    // -1, as an unsigned number, where the device's memory is no node of the host.
    identity.memory_numa_node = device.numa_node_id().ok().filter(|&node| node != u32::MAX);
    identity.cpus = raw::cpu_affinity(device).ok().and_then(|set| cpus(&set));
    if let Some(stable) = identity.uuid.as_ref().or(identity.pci_bus_id.as_ref()) {
        identity.id = DeviceId(stable.clone());
    }
}

/// A set of processors as the kernel writes one, `0-3,8`.
fn cpus(words: &[c_ulong]) -> Option<String> {
    let bit = |n: u32| {
        words
            .get((n / c_ulong::BITS) as usize)
            .map(|w| w >> (n % c_ulong::BITS) & 1)
    };
    let mut ranges = Vec::new();
    let mut first = None;
    for n in 0.. {
        match (bit(n), first) {
            (Some(1), None) => first = Some(n),
            (Some(1), Some(_)) => {}
            (other, started) => {
                if let Some(started) = started {
                    let last = n - 1;
                    ranges.push(if started == last {
                        format!("{last}")
                    } else {
                        format!("{started}-{last}")
                    });
                }
                first = None;
                if other.is_none() {
                    break;
                }
            }
        }
    }
    (!ranges.is_empty()).then(|| ranges.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_processors_read_as_the_kernel_writes_them() {
        let last = c_ulong::BITS - 1;
        for (words, expect) in [
            (&[][..], None),
            (&[0, 0], None),
            (&[0b1], Some("0".to_owned())),
            (&[0b1111_0110], Some("1-2,4-7".to_owned())),
            (&[1 << last, 1], Some(format!("{last}-{}", last + 1))),
            (
                &[c_ulong::MAX, c_ulong::MAX],
                Some(format!("0-{}", 2 * last + 1)),
            ),
        ] {
            assert_eq!(cpus(words), expect, "{words:x?}");
        }
    }
}
