//! One NVIDIA device: its identity, and when each of its figures is read.
//!
//! Decides what is read once, at every sample and rarely; refuses to know how figures are
//! translated ([`super::figures`], [`super::slow`]) and errors treated ([`super::ask`]).

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nvml_wrapper::{Device as NvmlDevice, Nvml};

use super::ask::{Answers, Field};
use super::events::Events;
use super::figures::{clocks, engines, held_back, memory, percent, power, thermal};
use super::gpm::Gpm;
use super::identity::{Limits, SystemFacts, identify, unknown};
use super::links::NvLinks;
use super::slow::Slow;
use crate::telemetry::{Device, Identity, Pcie, Reading, Verdict};

/// One device.
#[derive(Debug)]
pub(super) struct Card {
    identity: Identity,
    /// `None` until the device has answered for the first time.
    limits: Option<Limits>,
    sysfs: PathBuf,
    answers: Answers,
    events: Events,
    gpm: Gpm,
    links: NvLinks,
    slow: Slow,
    slow_read_at: Option<Instant>,
    was_lost: bool,
    /// The counter of energy at the last sample: it falls only when the driver is loaded anew.
    energy_joules: Option<f64>,
}

/// The process list holds a lock of the driver for milliseconds, so it is read this rarely.
const SLOW_EVERY: Duration = Duration::from_secs(10);

impl Card {
    /// A device that is known by its number alone until it answers; one that never does exists
    /// all the same, and is lost.
    pub(super) fn new(index: u32, system: &SystemFacts, sysfs: &Path) -> Self {
        Self {
            identity: unknown(index, system),
            limits: None,
            sysfs: sysfs.to_owned(),
            answers: Answers::default(),
            events: Events::default(),
            gpm: Gpm::default(),
            links: NvLinks::default(),
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
            self.gpm.forget();
            self.links = NvLinks::default();
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

    fn read(&mut self, device: &NvmlDevice<'static>, now: Instant) -> Reading {
        let due = |at: Instant| now.saturating_duration_since(at) >= SLOW_EVERY;
        if self.slow_read_at.is_none_or(due) {
            self.slow
                .read(&mut self.answers, device, &mut self.links, now);
            self.slow_read_at = Some(now);
        }
        let limits = self.limits.get_or_insert_with(|| {
            identify(device, &mut self.identity, &self.sysfs);
            Limits::of(device)
        });
        let answers = &mut self.answers;
        let rates = answers.ask(Field::Utilisation, || device.utilization_rates());
        let engines = engines(answers, device);
        Reading {
            lost: None,
            utilisation_percent: rates.as_ref().and_then(|r| percent(r.gpu)),
            memory_busy_percent: rates.and_then(|r| percent(r.memory)),
            encoder_percent: engines.encoder,
            decoder_percent: engines.decoder,
            video_percent: None,
            jpeg_percent: engines.jpeg,
            optical_flow_percent: engines.optical_flow,
            activity: self.gpm.read(answers, device, now),
            memory: memory(answers, device),
            power: power(answers, device),
            thermal: thermal(answers, device, limits),
            clocks: clocks(answers, device, limits),
            held_back: held_back(answers, device),
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
            links: self.slow.links.clone(),
            faults: self.slow.faults.clone(),
            modes: self.slow.modes.clone(),
            partitions: self.slow.partitions.clone(),
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
