//! The figures of an amdgpu device, each from its file.
//!
//! Decides which file means what (Linux, `Documentation/gpu/amdgpu/driver-misc.rst`,
//! `thermal.rst` and `ras.rst`); refuses to know when it is called. Files are never read whose
//! reading costs or changes something: `pcie_bw` lasts a second, and `xgmi_error` is cleared by it.

use super::files::Folder;
use super::metrics::Metrics;
use crate::telemetry::{Clocks, DeviceMemory, MemoryFaults, Pcie, Power, Thermal};

/// The folders of one device.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) device: Folder,
    pub(super) hwmon: Option<Folder>,
}

impl Figures {
    pub(super) fn new(device: Folder) -> Self {
        let mut figures = Self {
            device,
            hwmon: None,
        };
        figures.find_sensors();
        figures
    }

    /// Looks for the sensors' folder, whose name is another each time that the driver is loaded.
    pub(super) fn find_sensors(&mut self) {
        let monitors = self.device.folder("hwmon");
        self.hwmon = monitors.names().first().map(|name| monitors.folder(name));
    }

    pub(super) fn memory_sizes(&self) -> DeviceMemory {
        DeviceMemory {
            memory_total_bytes: self.device.number("mem_info_vram_total"),
            window_total_bytes: self.device.number("mem_info_vis_vram_total"),
            shared_total_bytes: self.device.number("mem_info_gtt_total"),
            ..DeviceMemory::default()
        }
    }

    pub(super) fn memory(&self) -> DeviceMemory {
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

    pub(super) fn power(&self, metrics: &Metrics) -> Power {
        let Some(hwmon) = &self.hwmon else {
            return Power {
                voltage_volts: metrics.voltage_volts,
                ..Power::default()
            };
        };
        Power {
            power_watts: hwmon
                .watts("power1_average")
                .or_else(|| hwmon.watts("power1_input")),
            limit_watts: hwmon.watts("power1_cap"),
            limit_set_watts: None,
            limit_default_watts: hwmon.watts("power1_cap_default"),
            limit_min_watts: hwmon.watts("power1_cap_min"),
            limit_max_watts: hwmon.watts("power1_cap_max"),
            energy_joules: hwmon
                .number("energy1_input")
                .map(|microjoules| microjoules as f64 / 1e6),
            // `in0` is the chip's (vddgfx).
            voltage_volts: hwmon.volts("in0_input").or(metrics.voltage_volts),
        }
    }

    pub(super) fn thermal(&self) -> Thermal {
        let Some(hwmon) = &self.hwmon else {
            return Thermal::default();
        };
        // Chips leave sensors out, so the label decides; the first without one is the edge.
        let sensor = |label: &str| {
            (1..=3).find(|n| hwmon.text(&format!("temp{n}_label")).as_deref() == Some(label))
        };
        let input = |n: u32| hwmon.celsius(&format!("temp{n}_input"));
        let edge = sensor("edge").unwrap_or(1);
        let memory = sensor("mem");
        let pwm = hwmon.number("pwm1").filter(|&n| n <= 255);
        Thermal {
            chip_celsius: input(edge),
            hotspot_celsius: sensor("junction").and_then(input),
            memory_celsius: memory.and_then(input),
            chip_max_celsius: None,
            memory_max_celsius: memory.and_then(|n| hwmon.celsius(&format!("temp{n}_crit"))),
            slowdown_celsius: hwmon.celsius(&format!("temp{edge}_crit")),
            shutdown_celsius: hwmon.celsius(&format!("temp{edge}_emergency")),
            fan_percent: pwm.map(|n| n as f32 / 255.0 * 100.0),
            fan_rpm: hwmon
                .number("fan1_input")
                .and_then(|n| u32::try_from(n).ok()),
        }
    }

    pub(super) fn clocks(&self, metrics: &Metrics) -> Clocks {
        let (core, core_max) = self.device.clock_table("pp_dpm_sclk");
        let (video, video_max) = self.device.clock_table("pp_dpm_vclk");
        let (memory, memory_max) = self.device.clock_table("pp_dpm_mclk");
        let hertz = |name| {
            let hertz = self.hwmon.as_ref()?.number(name)?;
            u32::try_from(hertz / 1_000_000).ok()
        };
        Clocks {
            core_mhz: hertz("freq1_input").or(core),
            core_max_mhz: core_max,
            graphics_mhz: None,
            graphics_max_mhz: None,
            video_mhz: video,
            video_max_mhz: video_max,
            memory_mhz: hertz("freq2_input").or(memory),
            memory_max_mhz: memory_max,
            performance_state: None,
            throttles: metrics.throttles.clone(),
        }
    }

    pub(super) fn pcie(&self) -> Pcie {
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

/// What is free of `total`; a driver that claims more used than there is has told nothing.
pub(super) fn free(total: Option<u64>, used: Option<u64>) -> Option<u64> {
    total?.checked_sub(used?)
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

pub(super) fn faults(ras: &Folder) -> MemoryFaults {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_speeds_are_generations() {
        assert_eq!(generation("16.0 GT/s PCIe"), Some(4));
        assert_eq!(generation("2.5 GT/s"), Some(1));
        assert_eq!(generation("Unknown"), None);
        assert_eq!(generation(""), None);
    }
}
