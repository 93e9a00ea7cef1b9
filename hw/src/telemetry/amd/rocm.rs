//! AMD's system management library, for what the driver's files do not tell.
//!
//! Decides which calls are made and keeps them safe; refuses to know what the files said, except
//! that it fills in nothing that is already known. Each function is looked up by itself, since
//! every release of the library has its own set. A call that a device refuses is not made again:
//! the library may print when it fails.

#![allow(
    unsafe_code,
    reason = "calls into a C library that is loaded at run time"
)]

use std::collections::HashSet;
use std::path::PathBuf;
use std::ptr;

use libloading::Error;

use super::bindings::{self, RocmSmi};
use super::card::{bus_numbers, free};
use crate::telemetry::Reading;

/// The library, started.
pub(super) struct Rocm {
    library: RocmSmi,
    version: Option<String>,
    /// Domain and place on the bus of each of the library's devices, by its index.
    places: Vec<Option<(u64, u64)>>,
    refused: HashSet<(u32, &'static str)>,
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
        };
        rocm.version = rocm.read_version();
        rocm.places = (0..rocm.count()).map(|index| rocm.place(index)).collect();
        Ok(rocm)
    }

    /// The library's version.
    pub(super) fn version(&self) -> Option<String> {
        self.version.clone()
    }

    /// The product name of the device at that place on the bus.
    pub(super) fn name(&self, bus: &str) -> Option<String> {
        let index = self.index(bus)?;
        let call = self.library.rsmi_dev_name_get.as_ref().ok()?;
        let mut buffer = [0_u8; 256];
        // SAFETY: the signature is the header's; the library writes at most the length it is
        // given, which is one less than the buffer's, so that a zero always ends it.
        let status = unsafe { call(index, buffer.as_mut_ptr().cast(), buffer.len() - 1) };
        if status != SUCCESS {
            return None;
        }
        let name = std::ffi::CStr::from_bytes_until_nul(&buffer).ok()?;
        Some(name.to_str().ok()?.trim().to_owned()).filter(|name| !name.is_empty())
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
        let watts = |call| Some(amount(call, index, 0)? as f32 / 1e6);
        ask.fill(&mut power.power_watts, "power", || {
            watts(&library.rsmi_dev_power_ave_get)
        });
        ask.fill(&mut power.limit_watts, "limit", || {
            watts(&library.rsmi_dev_power_cap_get)
        });
        ask.fill(&mut power.energy_joules, "energy", || {
            energy(library, index)
        });

        let thermal = &mut reading.thermal;
        // `rsmi_temperature_type_t`: edge, junction, memory.
        let celsius = |sensor| temperature(library, index, sensor);
        ask.fill(&mut thermal.chip_celsius, "edge", || celsius(0));
        ask.fill(&mut thermal.hotspot_celsius, "junction", || celsius(1));
        ask.fill(&mut thermal.memory_celsius, "memory", || celsius(2));

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
        call: impl FnOnce() -> Option<T>,
    ) {
        if value.is_some() || self.refused.contains(&(self.device, what)) {
            return;
        }
        *value = call();
        if value.is_none() {
            self.refused.insert((self.device, what));
        }
    }
}

/// A structure that the library fills, with room behind it: its structures grow between releases
/// under unchanged names, and a newer library would otherwise write past the end of ours.
#[repr(C)]
struct Roomy<T> {
    value: T,
    room: [u64; 32],
}

impl<T> Roomy<T> {
    fn new(value: T) -> Self {
        Self {
            value,
            room: [0; 32],
        }
    }
}

type Function<F> = Result<F, Error>;
type Percent = unsafe extern "C" fn(u32, *mut u32) -> u32;
type Amount = unsafe extern "C" fn(u32, u32, *mut u64) -> u32;

const SUCCESS: u32 = bindings::rsmi_status_t_RSMI_STATUS_SUCCESS;

/// More than any one machine holds; the count comes from outside.
const MAX_DEVICES: u32 = 256;

fn found<F>(function: &Function<F>) -> Result<&F, String> {
    function
        .as_ref()
        .map_err(|_| "`librocm_smi64` lacks functions that it must have".to_owned())
}

fn percent(function: &Function<Percent>, device: u32) -> Option<f32> {
    let call = function.as_ref().ok()?;
    let mut value = 0_u32;
    // SAFETY: the signature is the header's; the pointer is to a number that outlives the call.
    let status = unsafe { call(device, &raw mut value) };
    (status == SUCCESS && value <= 100).then_some(value as f32)
}

fn amount(function: &Function<Amount>, device: u32, which: u32) -> Option<u64> {
    let call = function.as_ref().ok()?;
    let mut value = 0_u64;
    // SAFETY: as for `percent`; an unknown `which` is answered with an error.
    let status = unsafe { call(device, which, &raw mut value) };
    (status == SUCCESS).then_some(value)
}

/// The library counts in steps whose size, in millionths of a joule, it tells.
fn energy(library: &RocmSmi, device: u32) -> Option<f64> {
    let call = library.rsmi_dev_energy_count_get.as_ref().ok()?;
    let (mut steps, mut step, mut time) = (0_u64, 0_f32, 0_u64);
    // SAFETY: as for `percent`, with three pointers.
    let status = unsafe { call(device, &raw mut steps, &raw mut step, &raw mut time) };
    let joules = steps as f64 * f64::from(step) / 1e6;
    (status == SUCCESS && joules.is_finite() && joules > 0.0).then_some(joules)
}

/// In thousandths of a degree.
fn temperature(library: &RocmSmi, device: u32, sensor: u32) -> Option<f32> {
    let call = library.rsmi_dev_temp_metric_get.as_ref().ok()?;
    let mut value = 0_i64;
    let current = bindings::rsmi_temperature_metric_t_RSMI_TEMP_CURRENT;
    // SAFETY: as for `percent`; an unknown sensor is answered with an error.
    let status = unsafe { call(device, sensor, current, &raw mut value) };
    let sane = (-273_000..=1_000_000).contains(&value);
    (status == SUCCESS && sane).then_some(value as f32 / 1000.0)
}

/// Corrected and uncorrected errors of the memory controllers.
fn errors(library: &RocmSmi, device: u32) -> Option<(u64, u64)> {
    let call = library.rsmi_dev_ecc_count_get.as_ref().ok()?;
    let block = bindings::rsmi_gpu_block_t_RSMI_GPU_BLOCK_UMC;
    let none = bindings::rsmi_error_count_t {
        correctable_err: 0,
        uncorrectable_err: 0,
    };
    let mut count = Roomy::new(none);
    // SAFETY: the signature is the header's; there is room behind the structure for what a later
    // release may add.
    let status = unsafe { call(device, block, (&raw mut count).cast()) };
    let count = count.value;
    (status == SUCCESS).then_some((count.correctable_err, count.uncorrectable_err))
}
