//! One device of the amdgpu driver, as its files under `/sys` show it.
//!
//! Decides who a device is and when it is read; refuses to know which file tells a figure
//! ([`super::figures`]), and about libraries. Nothing is read of a device that sleeps, since
//! reading wakes it.

use std::path::Path;
use std::time::{Duration, Instant};

use super::figures::{Figures, faults};
use super::files::Folder;
use super::metrics::Metrics;
use crate::telemetry::{DeviceId, Identity, MemoryFaults, Reading, Vendor};

/// One device.
#[derive(Debug)]
pub(super) struct Card {
    pub(super) identity: Identity,
    figures: Figures,
    metrics: Metrics,
    was_lost: bool,
    faults: MemoryFaults,
    faults_read_at: Option<Instant>,
}

/// Every device under `/sys/class/drm` that the amdgpu driver holds, by its number there.
pub(super) fn find(sysfs: &Path) -> Vec<Card> {
    let drm = Folder::new(sysfs.join("class/drm"));
    let mut numbers: Vec<u32> = drm
        .names()
        .iter()
        // `card0-DP-1` and the like are connectors.
        .filter_map(|name| name.strip_prefix("card")?.parse().ok())
        .collect();
    numbers.sort_unstable();
    let folders = numbers
        .into_iter()
        .map(|n| (n, drm.folder(&format!("card{n}")).folder("device")));
    let ours = folders.filter(|(_, device)| device.text("vendor").as_deref() == Some("0x1002"));
    ours.filter(|(_, device)| is_amdgpu(device))
        .zip(0..)
        .map(|((number, device), index)| Card::detect(&device, number, index, sysfs))
        .collect()
}

impl Card {
    fn detect(device: &Folder, number: u32, index: u32, sysfs: &Path) -> Self {
        let pci_bus_id = event_value(device, "PCI_SLOT_NAME=");
        let uuid = device
            .text("unique_id")
            .filter(|id| id.bytes().any(|b| b != b'0'));
        let stable = uuid
            .as_ref()
            .map(|id| format!("amd-{id}"))
            .or_else(|| pci_bus_id.clone());
        let identity = Identity {
            id: DeviceId(stable.unwrap_or_else(|| format!("amd-{index}"))),
            vendor: Vendor::Amd,
            index,
            name: device.text("product_name"),
            uuid,
            serial: device.text("serial_number"),
            part_number: device.text("product_number"),
            minor_number: Some(number),
            driver_version: Folder::new(sysfs.join("module/amdgpu")).text("version"),
            library_version: None,
            cuda_version: None,
            compute_capability: None,
            architecture: pci_bus_id
                .as_deref()
                .and_then(|bus| architecture(sysfs, bus)),
            vbios_version: device.text("vbios_version"),
            gsp_firmware_version: None,
            cores: None,
            memory_bus_bits: None,
            // -1 says that the machine has one node only; it is no `u64`, as it should.
            numa_node: device
                .number("numa_node")
                .and_then(|n| u32::try_from(n).ok()),
            memory_numa_node: None,
            cpus: device.text("local_cpulist"),
            pci_bus_id,
        };
        Self {
            identity,
            figures: Figures::new(device.apart()),
            metrics: Metrics::default(),
            was_lost: false,
            faults: MemoryFaults::default(),
            faults_read_at: None,
        }
    }

    /// The driver's version, where it was built apart from the kernel.
    pub(super) fn driver_version(&self) -> Option<String> {
        self.identity.driver_version.clone()
    }

    /// Whether the device may be asked without waking it.
    pub(super) fn is_awake(&self) -> bool {
        self.figures.device.text("power/runtime_status").as_deref() != Some("suspended")
    }

    /// Reads what changes.
    pub(super) fn read(&mut self, now: Instant) -> Reading {
        let device = &self.figures.device;
        device.begin(now);
        if let Some(reason) = lost(device) {
            self.was_lost = true;
            return Reading {
                lost: Some(reason.to_owned()),
                ..Reading::default()
            };
        }
        if std::mem::take(&mut self.was_lost) {
            device.forget();
            self.figures.find_sensors();
            self.metrics = Metrics::default();
            self.faults_read_at = None;
        }
        if !self.is_awake() {
            return Reading {
                memory: self.figures.memory_sizes(),
                ..Reading::default()
            };
        }
        let figures = &self.figures;
        let device = &figures.device;
        let due = |at: Instant| now.saturating_duration_since(at) >= FAULTS_EVERY;
        if self.faults_read_at.is_none_or(due) {
            self.faults = faults(&device.folder("ras"));
            self.faults_read_at = Some(now);
        }
        let table = device.bytes("gpu_metrics").unwrap_or_default();
        self.metrics = Metrics::read(&table, &self.metrics);
        let metrics = &self.metrics;
        Reading {
            utilisation_percent: device.percent("gpu_busy_percent"),
            memory_busy_percent: device.percent("mem_busy_percent"),
            video_percent: device.percent("vcn_busy_percent").or(metrics.video_percent),
            jpeg_percent: metrics.jpeg_percent,
            memory: figures.memory(),
            power: figures.power(metrics),
            thermal: figures.thermal(),
            clocks: figures.clocks(metrics),
            pcie: figures.pcie(),
            links: metrics.links.clone(),
            faults: self.faults.clone(),
            ..Reading::default()
        }
    }
}

/// Why the device cannot be asked, when it cannot.
fn lost(device: &Folder) -> Option<&'static str> {
    if !device.exists() {
        return Some("the driver no longer shows the device");
    }
    // A device that fell off the bus answers every read with ones (PCI 3.0, 6.1); so does one that
    // sleeps deeply, which is left asleep all the same.
    let asleep = device.text("power/runtime_status").as_deref() == Some("suspended");
    let ones = || {
        device
            .bytes("config")
            .is_some_and(|c| c.starts_with(&[0xff, 0xff]))
    };
    (!asleep && ones()).then_some("the device does not answer on the PCI bus")
}

/// Each count asks the device's firmware, so not at every sample; a fault is to be known within
/// three seconds all the same.
const FAULTS_EVERY: Duration = Duration::from_secs(2);

fn is_amdgpu(device: &Folder) -> bool {
    event_value(device, "DRIVER=").as_deref() == Some("amdgpu")
}

fn event_value(device: &Folder, key: &str) -> Option<String> {
    let text = device.text("uevent")?;
    text.lines()
        .find_map(|line| line.strip_prefix(key))
        .map(str::to_owned)
}

/// The chip's name for compilers, as `gfx942`, from the compute driver's list of devices, where
/// `gfx_target_version` 90402 stands for 9, 4 and 2.
fn architecture(sysfs: &Path, bus: &str) -> Option<String> {
    let (domain, place) = bus_numbers(bus)?;
    let nodes = Folder::new(sysfs.join("class/kfd/kfd/topology/nodes"));
    nodes.names().iter().find_map(|name| {
        let text = nodes.folder(name).text("properties")?;
        let value = |key: &str| -> Option<u64> {
            let line = text
                .lines()
                .find_map(|l| l.strip_prefix(key)?.strip_prefix(' '))?;
            line.trim().parse().ok()
        };
        if value("location_id") != Some(place) || value("domain").unwrap_or(0) != domain {
            return None;
        }
        let version = value("gfx_target_version").filter(|&v| v > 0)?;
        let (major, minor, step) = (version / 10_000, version / 100 % 100, version % 100);
        Some(format!("gfx{major}{minor:x}{step:x}"))
    })
}

/// `0000:3b:00.1` as its domain and the number made of bus, device and function.
pub(super) fn bus_numbers(bus: &str) -> Option<(u64, u64)> {
    let (domain, rest) = bus.split_once(':')?;
    let (bus, rest) = rest.split_once(':')?;
    let (device, function) = rest.split_once('.')?;
    let number = |digits| u64::from_str_radix(digits, 16).ok();
    let (bus, device, function) = (number(bus)?, number(device)?, number(function)?);
    let fits = bus < 256 && device < 32 && function < 8;
    fits.then_some((number(domain)?, bus << 8 | device << 3 | function))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_on_the_bus_are_numbers() {
        assert_eq!(bus_numbers("0000:03:00.0"), Some((0, 0x300)));
        assert_eq!(bus_numbers("0001:c3:1f.7"), Some((1, 0xc3ff)));
        for bad in [
            "",
            "0000",
            "0000:03",
            "0000:03:00",
            "0000:103:00.0",
            "x:y:z.w",
            "0:0:0.8",
        ] {
            assert_eq!(bus_numbers(bad), None, "{bad}");
        }
    }
}
