//! Single calls into AMD's library, each safe to make with any device.
//!
//! Decides what an answer must look like to count; refuses to know what it is for.

#![allow(
    unsafe_code,
    reason = "calls into a C library that is loaded at run time"
)]

use libloading::Error;

use super::super::bindings::{self, RocmSmi};

/// What the library answered other than success.
#[derive(Clone, Copy, Debug)]
pub(super) struct Status(pub(super) u32);

pub(super) type Told<T> = Result<T, Status>;

/// A structure that the library fills, with room behind it: its structures grow between releases
/// under unchanged names, and a newer library would otherwise write past the end of ours.
#[repr(C)]
pub(super) struct Roomy<T> {
    pub(super) value: T,
    room: [u64; 32],
}

impl<T> Roomy<T> {
    pub(super) fn new(value: T) -> Self {
        Self {
            value,
            room: [0; 32],
        }
    }
}

pub(super) type Function<F> = Result<F, Error>;
type Percent = unsafe extern "C" fn(u32, *mut u32) -> u32;
type Amount = unsafe extern "C" fn(u32, u32, *mut u64) -> u32;
type Number = unsafe extern "C" fn(u32, *mut u64) -> u32;
type Text = unsafe extern "C" fn(u32, *mut std::ffi::c_char, usize) -> u32;
type Text32 = unsafe extern "C" fn(u32, *mut std::ffi::c_char, u32) -> u32;

pub(super) const SUCCESS: u32 = bindings::rsmi_status_t_RSMI_STATUS_SUCCESS;
pub(super) const BUSY: u32 = bindings::rsmi_status_t_RSMI_STATUS_BUSY;
pub(super) const INTERRUPTED: u32 = bindings::rsmi_status_t_RSMI_STATUS_INTERRUPT;
pub(super) const NO_DATA: u32 = bindings::rsmi_status_t_RSMI_STATUS_NO_DATA;

/// The library lacks the function.
const MISSING: Status = Status(bindings::rsmi_status_t_RSMI_STATUS_NOT_SUPPORTED);

/// It answered what cannot be.
const NONSENSE: Status = Status(bindings::rsmi_status_t_RSMI_STATUS_UNEXPECTED_DATA);

pub(super) const CURRENT: u32 = bindings::rsmi_temperature_metric_t_RSMI_TEMP_CURRENT;
pub(super) const CRITICAL: u32 = bindings::rsmi_temperature_metric_t_RSMI_TEMP_CRITICAL;
pub(super) const EMERGENCY: u32 = bindings::rsmi_temperature_metric_t_RSMI_TEMP_EMERGENCY;

fn known<F>(function: &Function<F>) -> Told<&F> {
    function.as_ref().map_err(|_| MISSING)
}

fn done<T>(status: u32, value: T) -> Told<T> {
    match status {
        SUCCESS => Ok(value),
        other => Err(Status(other)),
    }
}

pub(super) fn number32(function: &Function<Percent>, device: u32) -> Told<u32> {
    let call = known(function)?;
    let mut value = 0_u32;
    // SAFETY: the signature is the header's; the pointer is to a number that outlives the call.
    let status = unsafe { call(device, &raw mut value) };
    done(status, value)
}

pub(super) fn percent(function: &Function<Percent>, device: u32) -> Told<f32> {
    let value = number32(function, device)?;
    (value <= 100).then_some(value as f32).ok_or(NONSENSE)
}

pub(super) fn number64(function: &Function<Number>, device: u32) -> Told<u64> {
    let call = known(function)?;
    let mut value = 0_u64;
    // SAFETY: as for `number32`.
    let status = unsafe { call(device, &raw mut value) };
    done(status, value)
}

pub(super) fn amount(function: &Function<Amount>, device: u32, which: u32) -> Told<u64> {
    let call = known(function)?;
    let mut value = 0_u64;
    // SAFETY: as for `number32`; an unknown `which` is answered with an error.
    let status = unsafe { call(device, which, &raw mut value) };
    done(status, value)
}

pub(super) fn text(function: &Function<Text>, device: u32) -> Told<String> {
    let call = known(function)?;
    // SAFETY: the signature is the header's; the library writes at most the length it is given.
    read_text(|out, length| unsafe { call(device, out, length) })
}

pub(super) fn text32(function: &Function<Text32>, device: u32) -> Told<String> {
    let call = known(function)?;
    // SAFETY: as for `text`.
    read_text(|out, length| unsafe { call(device, out, length as u32) })
}

/// The length that is told is one less than the buffer's, so that a zero always ends it.
fn read_text(call: impl FnOnce(*mut std::ffi::c_char, usize) -> u32) -> Told<String> {
    let mut buffer = [0_u8; 256];
    let length = buffer.len() - 1;
    done(call(buffer.as_mut_ptr().cast(), length), ())?;
    let text = std::ffi::CStr::from_bytes_until_nul(&buffer).map_err(|_| NONSENSE)?;
    let text = text.to_str().map_err(|_| NONSENSE)?.trim();
    (!text.is_empty()).then(|| text.to_owned()).ok_or(NONSENSE)
}

/// The library counts in steps whose size, in millionths of a joule, it tells.
pub(super) fn energy(library: &RocmSmi, device: u32) -> Told<f64> {
    let call = known(&library.rsmi_dev_energy_count_get)?;
    let (mut steps, mut step, mut time) = (0_u64, 0_f32, 0_u64);
    // SAFETY: as for `number32`, with three pointers.
    let status = unsafe { call(device, &raw mut steps, &raw mut step, &raw mut time) };
    let joules = done(status, steps as f64 * f64::from(step) / 1e6)?;
    let sane = joules.is_finite() && joules > 0.0;
    sane.then_some(joules).ok_or(NONSENSE)
}

/// The least and the most that the limit may be set to, in millionths of a watt.
pub(super) fn power_range(library: &RocmSmi, device: u32) -> Told<(u64, u64)> {
    let call = known(&library.rsmi_dev_power_cap_range_get)?;
    let (mut most, mut least) = (0_u64, 0_u64);
    // SAFETY: as for `number32`, with two pointers.
    let status = unsafe { call(device, 0, &raw mut most, &raw mut least) };
    done(status, (least, most))
}

/// Of the chip, in thousandths of a volt.
pub(super) fn voltage(library: &RocmSmi, device: u32) -> Told<f32> {
    let call = known(&library.rsmi_dev_volt_metric_get)?;
    let mut value = 0_i64;
    let chip = bindings::rsmi_voltage_type_t_RSMI_VOLT_TYPE_VDDGFX;
    let current = bindings::rsmi_voltage_metric_t_RSMI_VOLT_CURRENT;
    // SAFETY: as for `number32`.
    let status = unsafe { call(device, chip, current, &raw mut value) };
    let value = done(status, value)?;
    let sane = (0..=10_000).contains(&value);
    sane.then_some(value as f32 / 1000.0).ok_or(NONSENSE)
}

pub(super) fn fan_rpm(library: &RocmSmi, device: u32) -> Told<u32> {
    let call = known(&library.rsmi_dev_fan_rpms_get)?;
    let mut value = 0_i64;
    // SAFETY: as for `number32`.
    let status = unsafe { call(device, 0, &raw mut value) };
    u32::try_from(done(status, value)?).map_err(|_| NONSENSE)
}

/// In thousandths of a degree.
pub(super) fn temperature(library: &RocmSmi, device: u32, sensor: u32, metric: u32) -> Told<f32> {
    let call = known(&library.rsmi_dev_temp_metric_get)?;
    let mut value = 0_i64;
    // SAFETY: as for `number32`; an unknown sensor is answered with an error.
    let status = unsafe { call(device, sensor, metric, &raw mut value) };
    let value = done(status, value)?;
    let sane = (-273_000..=1_000_000).contains(&value);
    sane.then_some(value as f32 / 1000.0).ok_or(NONSENSE)
}

/// Corrected and uncorrected errors of the memory controllers.
pub(super) fn errors(library: &RocmSmi, device: u32) -> Told<(u64, u64)> {
    let call = known(&library.rsmi_dev_ecc_count_get)?;
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
    done(status, (count.correctable_err, count.uncorrectable_err))
}
