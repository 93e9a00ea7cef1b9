//! One device of the amdgpu driver, as its files under `/sys` show it.
//!
//! Decides which file means what (Linux, `Documentation/gpu/amdgpu/driver-misc.rst`,
//! `thermal.rst` and `ras.rst`); refuses to know about libraries. Two files are never read:
//! `pcie_bw`, which lasts a second, and anything of a device that sleeps, since reading wakes it.

use std::path::Path;
use std::time::{Duration, Instant};

use super::files::Folder;
use super::metrics;
use crate::telemetry::{
    Clocks, DeviceId, DeviceMemory, Identity, MemoryFaults, Pcie, Power, Reading, Thermal, Vendor,
};

/// One device.
#[derive(Debug)]
pub(super) struct Card {
    pub(super) identity: Identity,
    device: Folder,
    hwmon: Option<Folder>,
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
        .map(|n| drm.folder(&format!("card{n}")).folder("device"));
    let ours = folders.filter(|device| device.text("vendor").as_deref() == Some("0x1002"));
    ours.filter(is_amdgpu)
        .zip(0..)
        .map(|(device, index)| Card::detect(device, index, sysfs))
        .collect()
}

impl Card {
    fn detect(device: Folder, index: u32, sysfs: &Path) -> Self {
        let pci_bus_id = event_value(&device, "PCI_SLOT_NAME=");
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
            driver_version: Folder::new(sysfs.join("module/amdgpu")).text("version"),
            library_version: None,
            cuda_version: None,
            compute_capability: None,
            architecture: pci_bus_id
                .as_deref()
                .and_then(|bus| architecture(sysfs, bus)),
            vbios_version: device.text("vbios_version"),
            cores: None,
            memory_bus_bits: None,
            // -1 says that the machine has one node only; it is no `u64`, as it should.
            numa_node: device
                .number("numa_node")
                .and_then(|n| u32::try_from(n).ok()),
            pci_bus_id,
        };
        let monitors = device.folder("hwmon");
        let hwmon = monitors.names().first().map(|name| monitors.folder(name));
        let faults = MemoryFaults::default();
        Self {
            identity,
            device,
            hwmon,
            faults,
            faults_read_at: None,
        }
    }

    /// The driver's version, where it was built apart from the kernel.
    pub(super) fn driver_version(&self) -> Option<String> {
        self.identity.driver_version.clone()
    }

    /// Whether the device may be asked without waking it.
    pub(super) fn is_awake(&self) -> bool {
        self.device.text("power/runtime_status").as_deref() != Some("suspended")
    }

    /// Reads what changes.
    pub(super) fn read(&mut self, now: Instant) -> Reading {
        let lost = |reason: &str| Reading {
            lost: Some(reason.to_owned()),
            ..Reading::default()
        };
        if !self.device.exists() {
            return lost("the driver no longer shows the device");
        }
        if !self.is_awake() {
            return Reading {
                memory: self.memory_sizes(),
                ..Reading::default()
            };
        }
        // A device that fell off the bus answers every read with ones (PCI 3.0, 6.1).
        if self
            .device
            .bytes("config")
            .is_some_and(|c| c.starts_with(&[0xff, 0xff]))
        {
            return lost("the device does not answer on the PCI bus");
        }
        let due = |at: Instant| now.saturating_duration_since(at) >= FAULTS_EVERY;
        if self.faults_read_at.is_none_or(due) {
            self.faults = faults(&self.device.folder("ras"));
            self.faults_read_at = Some(now);
        }
        Reading {
            utilisation_percent: self.device.percent("gpu_busy_percent"),
            memory_busy_percent: self.device.percent("mem_busy_percent"),
            memory: self.memory(),
            power: self.power(),
            thermal: self.thermal(),
            clocks: self.clocks(),
            pcie: self.pcie(),
            faults: self.faults.clone(),
            ..Reading::default()
        }
    }

    fn memory_sizes(&self) -> DeviceMemory {
        DeviceMemory {
            memory_total_bytes: self.device.number("mem_info_vram_total"),
            window_total_bytes: self.device.number("mem_info_vis_vram_total"),
            shared_total_bytes: self.device.number("mem_info_gtt_total"),
            ..DeviceMemory::default()
        }
    }

    fn memory(&self) -> DeviceMemory {
        let sizes = self.memory_sizes();
        let used = self.device.number("mem_info_vram_used");
        DeviceMemory {
            memory_used_bytes: used,
            memory_free_bytes: free(sizes.memory_total_bytes, used),
            window_used_bytes: self.device.number("mem_info_vis_vram_used"),
            shared_used_bytes: self.device.number("mem_info_gtt_used"),
            ..sizes
        }
    }

    fn power(&self) -> Power {
        let Some(hwmon) = &self.hwmon else {
            return Power::default();
        };
        Power {
            power_watts: hwmon
                .watts("power1_average")
                .or_else(|| hwmon.watts("power1_input")),
            limit_watts: hwmon.watts("power1_cap"),
            limit_max_watts: hwmon.watts("power1_cap_max"),
            energy_joules: hwmon
                .number("energy1_input")
                .map(|microjoules| microjoules as f64 / 1e6),
        }
    }

    fn thermal(&self) -> Thermal {
        let Some(hwmon) = &self.hwmon else {
            return Thermal::default();
        };
        // Chips leave sensors out, so the label decides; the first without one is the edge.
        let sensor = |label: &str| {
            (1..=3).find(|n| hwmon.text(&format!("temp{n}_label")).as_deref() == Some(label))
        };
        let input = |n: u32| hwmon.celsius(&format!("temp{n}_input"));
        let edge = sensor("edge").unwrap_or(1);
        let pwm = hwmon.number("pwm1").filter(|&n| n <= 255);
        Thermal {
            chip_celsius: input(edge),
            hotspot_celsius: sensor("junction").and_then(input),
            memory_celsius: sensor("mem").and_then(input),
            slowdown_celsius: hwmon.celsius(&format!("temp{edge}_crit")),
            shutdown_celsius: hwmon.celsius(&format!("temp{edge}_emergency")),
            fan_percent: pwm.map(|n| n as f32 / 255.0 * 100.0),
            fan_rpm: hwmon
                .number("fan1_input")
                .and_then(|n| u32::try_from(n).ok()),
        }
    }

    fn clocks(&self) -> Clocks {
        let (core, core_max) = self.device.clock_table("pp_dpm_sclk");
        let (memory, memory_max) = self.device.clock_table("pp_dpm_mclk");
        let hertz = |name| {
            let hertz = self.hwmon.as_ref()?.number(name)?;
            u32::try_from(hertz / 1_000_000).ok()
        };
        let table = self.device.bytes("gpu_metrics").unwrap_or_default();
        Clocks {
            core_mhz: hertz("freq1_input").or(core),
            core_max_mhz: core_max,
            memory_mhz: hertz("freq2_input").or(memory),
            memory_max_mhz: memory_max,
            performance_state: None,
            throttles: metrics::throttles(&table),
        }
    }

    fn pcie(&self) -> Pcie {
        let lanes = |name| self.device.number(name).and_then(|n| u32::try_from(n).ok());
        let generation = |name| generation(&self.device.text(name)?);
        Pcie {
            generation: generation("current_link_speed"),
            generation_max: generation("max_link_speed"),
            lanes: lanes("current_link_width"),
            lanes_max: lanes("max_link_width"),
            received_bytes_per_s: None,
            sent_bytes_per_s: None,
            replays: self.device.number("pcie_replay_count"),
        }
    }
}

/// Each count asks the device's firmware, so not at every sample; a fault is to be known within
/// three seconds all the same.
const FAULTS_EVERY: Duration = Duration::from_secs(2);

/// What is free of `total`; a driver that claims more used than there is has told nothing.
pub(super) fn free(total: Option<u64>, used: Option<u64>) -> Option<u64> {
    total?.checked_sub(used?)
}

fn is_amdgpu(device: &Folder) -> bool {
    event_value(device, "DRIVER=").as_deref() == Some("amdgpu")
}

fn event_value(device: &Folder, key: &str) -> Option<String> {
    let text = device.text("uevent")?;
    text.lines()
        .find_map(|line| line.strip_prefix(key))
        .map(str::to_owned)
}

/// `16.0 GT/s PCIe` is generation 4: PCI Express Base Specification, link speeds.
fn generation(speed: &str) -> Option<u32> {
    match speed.split_whitespace().next()? {
        "2.5" => Some(1),
        "5.0" | "5" => Some(2),
        "8.0" | "8" => Some(3),
        "16.0" | "16" => Some(4),
        "32.0" | "32" => Some(5),
        "64.0" | "64" => Some(6),
        _ => None,
    }
}

fn faults(ras: &Folder) -> MemoryFaults {
    let mut faults = MemoryFaults::default();
    for name in ras
        .names()
        .iter()
        .filter(|name| name.ends_with("_err_count"))
    {
        let Some(text) = ras.text(name) else { continue };
        let count = |key| {
            text.lines()
                .find_map(|line| line.strip_prefix(key)?.trim().parse::<u64>().ok())
        };
        let add = |sum: &mut Option<u64>, more: Option<u64>| {
            if let Some(more) = more {
                *sum = Some(sum.unwrap_or(0).saturating_add(more));
            }
        };
        add(&mut faults.uncorrected, count("ue:"));
        add(&mut faults.corrected, count("ce:"));
        faults.ecc_enabled = faults.corrected.map(|_| true);
    }
    if let Some(pages) = ras.text("gpu_vram_bad_pages") {
        let state = |wanted| {
            pages
                .lines()
                .filter(|l| l.trim_end().ends_with(wanted))
                .count()
        };
        faults.retired = Some(state(": R") as u64);
        faults.retirement_pending = Some(state(": P") > 0);
        faults.retirement_failed = Some(state(": F") > 0);
    }
    faults
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

    #[test]
    fn link_speeds_are_generations() {
        assert_eq!(generation("16.0 GT/s PCIe"), Some(4));
        assert_eq!(generation("2.5 GT/s"), Some(1));
        assert_eq!(generation("Unknown"), None);
        assert_eq!(generation(""), None);
    }
}
