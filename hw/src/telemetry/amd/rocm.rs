//! AMD's system management library, for what the driver's files do not tell.
//!
//! Decides which calls are made and keeps them safe; refuses to know what the files said, except
//! that it fills in nothing that is already known. Each function is looked up by itself, since
//! every release of the library has its own set. A call that a device refuses is not made again for
//! a while: the library may print when it fails. One call is never made: `rsmi_dev_pci_throughput_get`
//! lasts a second.

#![allow(
    unsafe_code,
    reason = "calls into a C library that is loaded at run time"
)]

use std::collections::HashSet;
use std::path::PathBuf;
use std::ptr;
use std::time::{Duration, Instant};

use self::calls::{
    BUSY, CRITICAL, CURRENT, EMERGENCY, Function, INTERRUPTED, NO_DATA, Roomy, SUCCESS, Status,
    Told, amount, energy, errors, fan_rpm, number32, number64, percent, power_range, temperature,
    text, text32, voltage,
};
use super::bindings::{self, RocmSmi};
use super::card::bus_numbers;
use super::figures::free;
use crate::telemetry::{Identity, Reading};

mod calls;

/// The library, started.
pub(super) struct Rocm {
    library: RocmSmi,
    version: Option<String>,
    /// Domain and place on the bus of each of the library's devices, by its index.
    places: Vec<Option<(u64, u64)>>,
    refused: HashSet<(u32, &'static str)>,
    refused_since: Option<Instant>,
}

impl Rocm {
    /// Loads and starts the first of `names` that there is. Only to be called when the driver
    /// shows a device: without one, starting prints to the standard error stream.
    ///
    /// # Errors
    /// A reason in words for a person.
    pub(super) fn load(names: &[PathBuf]) -> Result<Self, String> {
        // SAFETY: loading runs the library's initialisers. The names are fixed ones of AMD's
        // library, looked up where the system keeps its own, so this is code that the machine's
        // administrator installed.
        let library = names
            .iter()
            .find_map(|name| unsafe { RocmSmi::new(name) }.ok());
        let library = library.ok_or("`librocm_smi64` is not installed")?;
        let init = found(&library.rsmi_init)?;
        found(&library.rsmi_shut_down)?;
        // SAFETY: the signature is the header's; the call takes a plain number.
        let status = unsafe { init(0) };
        if status != SUCCESS {
            return Err(format!("`librocm_smi64` did not start: status {status}"));
        }
        let mut rocm = Self {
            library,
            version: None,
            places: Vec::new(),
            refused: HashSet::new(),
            refused_since: None,
        };
        rocm.version = rocm.read_version();
        rocm.places = (0..rocm.count()).map(|index| rocm.place(index)).collect();
        Ok(rocm)
    }

    /// The library's version.
    pub(super) fn version(&self) -> Option<String> {
        self.version.clone()
    }

    /// Forgets refusals that are old.
    pub(super) fn begin(&mut self, now: Instant) {
        let since = *self.refused_since.get_or_insert(now);
        if now.saturating_duration_since(since) >= FORGET_REFUSALS_AFTER {
            self.refused.clear();
            self.refused_since = Some(now);
        }
    }

    /// Fills in what `identity` lacks of the device at its place on the bus.
    pub(super) fn identify(&self, identity: &mut Identity) {
        identity.library_version.clone_from(&self.version);
        let bus = identity.pci_bus_id.as_deref().unwrap_or_default();
        let Some(index) = self.index(bus) else { return };
        let library = &self.library;
        let fill = |value: &mut Option<String>, told: Told<String>| {
            if value.is_none() {
                *value = told.ok();
            }
        };
        fill(&mut identity.name, text(&library.rsmi_dev_name_get, index));
        let serial = text32(&library.rsmi_dev_serial_number_get, index);
        fill(&mut identity.serial, serial);
        if identity.vbios_version.is_none() {
            identity.vbios_version = text32(&library.rsmi_dev_vbios_version_get, index).ok();
        }
        if identity.numa_node.is_none() {
            let node = number32(&library.rsmi_topo_get_numa_node_number, index);
            identity.numa_node = node.ok();
        }
    }

    /// Fills in what `reading` lacks.
    pub(super) fn complete(&mut self, bus: &str, reading: &mut Reading) {
        let Some(index) = self.index(bus) else { return };
        let library = &self.library;
        let mut ask = Asking {
            device: index,
            refused: &mut self.refused,
        };

        let busy = &mut reading.utilisation_percent;
        ask.fill(busy, "busy", || {
            percent(&library.rsmi_dev_busy_percent_get, index)
        });
        let busy = &mut reading.memory_busy_percent;
        ask.fill(busy, "memory busy", || {
            percent(&library.rsmi_dev_memory_busy_percent_get, index)
        });

        let vram = bindings::rsmi_memory_type_t_RSMI_MEM_TYPE_VRAM;
        let memory = &mut reading.memory;
        let (total, used) = (
            &mut memory.memory_total_bytes,
            &mut memory.memory_used_bytes,
        );
        ask.fill(total, "total", || {
            amount(&library.rsmi_dev_memory_total_get, index, vram)
        });
        ask.fill(used, "used", || {
            amount(&library.rsmi_dev_memory_usage_get, index, vram)
        });
        memory.memory_free_bytes = free(memory.memory_total_bytes, memory.memory_used_bytes);

        let power = &mut reading.power;
        let watts = |microwatts: u64| microwatts as f32 / 1e6;
        ask.fill(&mut power.power_watts, "power", || {
            amount(&library.rsmi_dev_power_ave_get, index, 0).map(watts)
        });
        ask.fill(&mut power.limit_watts, "limit", || {
            amount(&library.rsmi_dev_power_cap_get, index, 0).map(watts)
        });
        ask.fill(&mut power.limit_default_watts, "default limit", || {
            number64(&library.rsmi_dev_power_cap_default_get, index).map(watts)
        });
        if power.limit_max_watts.is_none() || power.limit_min_watts.is_none() {
            let mut range = None;
            ask.fill(&mut range, "limits", || power_range(library, index));
            let (least, most) = range.map(|(l, m)| (watts(l), watts(m))).unzip();
            power.limit_min_watts = power.limit_min_watts.or(least);
            power.limit_max_watts = power.limit_max_watts.or(most);
        }
        ask.fill(&mut power.energy_joules, "energy", || {
            energy(library, index)
        });
        ask.fill(&mut power.voltage_volts, "voltage", || {
            voltage(library, index)
        });

        let thermal = &mut reading.thermal;
        // `rsmi_temperature_type_t`: edge, junction, memory.
        let celsius = |sensor, metric| temperature(library, index, sensor, metric);
        ask.fill(&mut thermal.chip_celsius, "edge", || celsius(0, CURRENT));
        ask.fill(&mut thermal.hotspot_celsius, "junction", || {
            celsius(1, CURRENT)
        });
        ask.fill(&mut thermal.memory_celsius, "memory", || {
            celsius(2, CURRENT)
        });
        ask.fill(&mut thermal.memory_max_celsius, "memory limit", || {
            celsius(2, CRITICAL)
        });
        ask.fill(&mut thermal.slowdown_celsius, "slowdown", || {
            celsius(0, CRITICAL)
        });
        ask.fill(&mut thermal.shutdown_celsius, "shutdown", || {
            celsius(0, EMERGENCY)
        });
        ask.fill(&mut thermal.fan_rpm, "fan", || fan_rpm(library, index));
        ask.fill(&mut reading.pcie.replays, "replays", || {
            number64(&library.rsmi_dev_pci_replay_counter_get, index)
        });

        let faults = &mut reading.faults;
        if faults.uncorrected.is_none() {
            let mut counts = None;
            ask.fill(&mut counts, "errors", || errors(library, index));
            if let Some((corrected, uncorrected)) = counts {
                faults.corrected = Some(corrected);
                faults.uncorrected = Some(uncorrected);
            }
        }
    }

    fn index(&self, bus: &str) -> Option<u32> {
        let place = bus_numbers(bus);
        place?;
        let index = self.places.iter().position(|&p| p == place)?;
        u32::try_from(index).ok()
    }

    fn count(&self) -> u32 {
        let mut count = 0_u32;
        let Ok(call) = &self.library.rsmi_num_monitor_devices else {
            return 0;
        };
        // SAFETY: the signature is the header's; the pointer is to a number that outlives the
        // call.
        let status = unsafe { call(&raw mut count) };
        if status == SUCCESS {
            count.min(MAX_DEVICES)
        } else {
            0
        }
    }

    /// The library packs the domain above bit 32 and a partition above bit 28.
    fn place(&self, index: u32) -> Option<(u64, u64)> {
        let call = self.library.rsmi_dev_pci_id_get.as_ref().ok()?;
        let mut packed = 0_u64;
        // SAFETY: as for `count`.
        let status = unsafe { call(index, &raw mut packed) };
        (status == SUCCESS).then_some((packed >> 32, packed & 0xffff))
    }

    fn read_version(&self) -> Option<String> {
        let call = self.library.rsmi_version_get.as_ref().ok()?;
        let none = bindings::rsmi_version_t {
            major: 0,
            minor: 0,
            patch: 0,
            build: ptr::null(),
        };
        let mut version = Roomy::new(none);
        // SAFETY: the signature is the header's; there is room behind the structure for what a
        // later release may add, and its pointer is not followed.
        let status = unsafe { call((&raw mut version).cast()) };
        let bindings::rsmi_version_t {
            major,
            minor,
            patch,
            ..
        } = version.value;
        (status == SUCCESS).then(|| format!("{major}.{minor}.{patch}"))
    }
}

impl Drop for Rocm {
    fn drop(&mut self) {
        if let Ok(shut_down) = &self.library.rsmi_shut_down {
            // SAFETY: the library was started once by `load` and is not used after this.
            unsafe { shut_down() };
        }
    }
}

impl std::fmt::Debug for Rocm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rocm")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// One device being asked for what is not known of it.
struct Asking<'a> {
    device: u32,
    refused: &'a mut HashSet<(u32, &'static str)>,
}

impl Asking<'_> {
    fn fill<T>(
        &mut self,
        value: &mut Option<T>,
        what: &'static str,
        call: impl FnOnce() -> Told<T>,
    ) {
        if value.is_some() || self.refused.contains(&(self.device, what)) {
            return;
        }
        match call() {
            Ok(told) => *value = Some(told),
            // Another time it may work.
            Err(Status(BUSY | INTERRUPTED | NO_DATA)) => {}
            Err(_) => {
                self.refused.insert((self.device, what));
            }
        }
    }
}

/// As for the driver's files.
const FORGET_REFUSALS_AFTER: Duration = Duration::from_secs(600);

/// More than any one machine holds; the count comes from outside.
const MAX_DEVICES: u32 = 256;

fn found<F>(function: &Function<F>) -> Result<&F, String> {
    function
        .as_ref()
        .map_err(|_| "`librocm_smi64` lacks functions that it must have".to_owned())
}
