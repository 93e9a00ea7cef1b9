//! One NVIDIA device: its identity, and when each of its figures is read.
//!
//! Decides what is read once, at every sample and rarely; refuses to know how figures are
//! translated ([`super::figures`], [`super::slow`]) and errors treated ([`super::ask`]).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nvml_wrapper::enum_wrappers::device::{Clock, TemperatureThreshold};
use nvml_wrapper::{Device as NvmlDevice, Nvml};

use super::ask::{Answers, Field};
use super::events::Events;
use super::figures::{clocks, memory, power, thermal};
use super::slow::Slow;
use crate::telemetry::{Device, DeviceId, Identity, Pcie, Reading, Vendor, Verdict};

/// What is the same for all devices of the driver.
#[derive(Debug)]
pub(super) struct SystemFacts {
    pub(super) driver_version: Option<String>,
    pub(super) library_version: Option<String>,
    pub(super) cuda_version: Option<String>,
}

/// One device.
#[derive(Debug)]
pub(super) struct Card {
    identity: Identity,
    /// `None` until the device has answered for the first time.
    limits: Option<Limits>,
    sysfs: PathBuf,
    answers: Answers,
    events: Events,
    slow: Slow,
    slow_read_at: Option<Instant>,
    was_lost: bool,
    /// The counter of energy at the last sample: it falls only when the driver is loaded anew.
    energy_joules: Option<f64>,
}

/// Figures that no running device changes.
#[derive(Debug, Default)]
pub(super) struct Limits {
    pub(super) slowdown_celsius: Option<f32>,
    pub(super) shutdown_celsius: Option<f32>,
    pub(super) core_max_mhz: Option<u32>,
    pub(super) memory_max_mhz: Option<u32>,
    pcie_generation_max: Option<u32>,
    pcie_lanes_max: Option<u32>,
}

/// The process list holds a lock of the driver for milliseconds, so it is read this rarely.
const SLOW_EVERY: Duration = Duration::from_secs(10);

impl Card {
    /// A device that is known by its number alone until it answers; one that never does exists
    /// all the same, and is lost.
    pub(super) fn new(index: u32, system: &SystemFacts, sysfs: &Path) -> Self {
        let identity = Identity {
            id: DeviceId(format!("nvidia-{index}")),
            vendor: Vendor::Nvidia,
            index,
            name: None,
            uuid: None,
            serial: None,
            pci_bus_id: None,
            driver_version: system.driver_version.clone(),
            library_version: system.library_version.clone(),
            cuda_version: system.cuda_version.clone(),
            compute_capability: None,
            architecture: None,
            vbios_version: None,
            cores: None,
            memory_bus_bits: None,
            numa_node: None,
        };
        Self {
            identity,
            limits: None,
            sysfs: sysfs.to_owned(),
            answers: Answers::default(),
            events: Events::default(),
            slow: Slow::default(),
            slow_read_at: None,
            was_lost: false,
            energy_joules: None,
        }
    }

    /// Reads what changes, and the first time what stays.
    pub(super) fn sample(&mut self, nvml: &'static Nvml, now: Instant) -> Device {
        self.answers.begin(now);
        let device = nvml.device_by_index(self.identity.index);
        if self.events.take(nvml, device.as_ref().ok()) {
            // What the driver reports is worth milliseconds at once.
            self.slow_read_at = None;
        }
        let mut reading = match device {
            Ok(device) => self.read(&device, now),
            Err(error) => lost(error.to_string()),
        };
        if let Some(reason) = self.answers.lost() {
            // Half a reading would look like a device that works.
            reading = lost(reason.to_owned());
        }
        if reading.lost.is_some() {
            self.slow_read_at = None;
        } else if self.was_reset(&reading) {
            self.events.forget();
        }
        self.was_lost = reading.lost.is_some();
        reading.xids = self.events.xids().to_vec();
        Device {
            identity: self.identity.clone(),
            verdict: Verdict::of(&reading),
            reading,
        }
    }

    /// Whether the device, which answers, is another than it was: back from the dead, or under a
    /// driver that was loaded anew.
    fn was_reset(&mut self, reading: &Reading) -> bool {
        let energy = reading.power.energy_joules;
        let before = std::mem::replace(&mut self.energy_joules, energy);
        let fell = before.zip(energy).is_some_and(|(before, now)| now < before);
        self.was_lost || fell
    }

    fn read(&mut self, device: &NvmlDevice<'_>, now: Instant) -> Reading {
        let due = |at: Instant| now.saturating_duration_since(at) >= SLOW_EVERY;
        if self.slow_read_at.is_none_or(due) {
            self.slow = Slow::read(&mut self.answers, device);
            self.slow_read_at = Some(now);
        }
        let limits = self.limits.get_or_insert_with(|| {
            identify(device, &mut self.identity, &self.sysfs);
            Limits::of(device)
        });
        let answers = &mut self.answers;
        let rates = answers.ask(Field::Utilisation, || device.utilization_rates());
        let encoder = answers.ask(Field::Encoder, || device.encoder_utilization());
        let decoder = answers.ask(Field::Decoder, || device.decoder_utilization());
        Reading {
            lost: None,
            utilisation_percent: rates.as_ref().map(|r| r.gpu as f32),
            memory_busy_percent: rates.map(|r| r.memory as f32),
            encoder_percent: encoder.map(|e| e.utilization as f32),
            decoder_percent: decoder.map(|d| d.utilization as f32),
            memory: memory(answers, device),
            power: power(answers, device),
            thermal: thermal(answers, device, limits),
            clocks: clocks(answers, device, limits),
            pcie: Pcie {
                generation: answers.ask(Field::LinkGeneration, || device.current_pcie_link_gen()),
                generation_max: limits.pcie_generation_max,
                lanes: answers.ask(Field::LinkWidth, || device.current_pcie_link_width()),
                lanes_max: limits.pcie_lanes_max,
                received_bytes_per_s: self.slow.received_bytes_per_s,
                sent_bytes_per_s: self.slow.sent_bytes_per_s,
                replays: answers
                    .ask(Field::Replays, || device.pcie_replay_counter())
                    .map(u64::from),
            },
            faults: self.slow.faults.clone(),
            processes: self.slow.processes.clone(),
            xids: Vec::new(),
        }
    }
}

fn lost(reason: String) -> Reading {
    Reading {
        lost: Some(reason),
        ..Reading::default()
    }
}

impl Limits {
    fn of(device: &NvmlDevice<'_>) -> Self {
        let threshold = |kind| device.temperature_threshold(kind).ok().map(|t| t as f32);
        Self {
            slowdown_celsius: threshold(TemperatureThreshold::Slowdown),
            shutdown_celsius: threshold(TemperatureThreshold::Shutdown),
            core_max_mhz: device.max_clock_info(Clock::SM).ok(),
            memory_max_mhz: device.max_clock_info(Clock::Memory).ok(),
            pcie_generation_max: device.max_pcie_link_gen().ok(),
            pcie_lanes_max: device.max_pcie_link_width().ok(),
        }
    }
}

fn identify(device: &NvmlDevice<'_>, identity: &mut Identity, sysfs: &Path) {
    identity.name = device.name().ok();
    identity.uuid = device.uuid().ok();
    identity.serial = device.serial().ok().filter(|s| !s.is_empty() && s != "0");
    identity.pci_bus_id = device
        .pci_info()
        .ok()
        .map(|pci| format!("{:04x}:{:02x}:{:02x}.0", pci.domain, pci.bus, pci.device));
    let capability = device.cuda_compute_capability().ok();
    identity.compute_capability =
        capability.and_then(|c| Some((u32::try_from(c.major).ok()?, u32::try_from(c.minor).ok()?)));
    identity.architecture = device.architecture().ok().map(|a| a.to_string());
    identity.vbios_version = device.vbios_version().ok();
    identity.cores = device.num_cores().ok();
    identity.memory_bus_bits = device.memory_bus_width().ok();
    if let Some(bus) = &identity.pci_bus_id {
        // -1 says that the machine has one node only; it does not parse, as it should.
        let path = sysfs.join("bus/pci/devices").join(bus).join("numa_node");
        identity.numa_node = fs::read_to_string(path)
            .ok()
            .and_then(|n| n.trim().parse().ok());
    }
    if let Some(stable) = identity.uuid.as_ref().or(identity.pci_bus_id.as_ref()) {
        identity.id = DeviceId(stable.clone());
    }
}
