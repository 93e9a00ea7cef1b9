//! AMD's system management library, as far as the agent calls it (`rocm_smi.h`).
//!
//! The library is asked only for what the driver's files do not tell. Devices stand at
//! `0000:03:00.0`, `0000:04:00.0`, …. Figures of the script: `name`, `utilisation`, `power_uw`,
//! `temperature` (in degrees), `corrected`, `uncorrected`.

use std::ffi::{c_char, c_int};

use crate::script::{Answer, hang, refresh, script};

const SUCCESS: u32 = 0;
const INVALID_ARGUMENT: u32 = 1;
const NOT_SUPPORTED: u32 = 2;
const BUSY: u32 = 16;

fn number(index: u32, key: &str, default: Option<u64>) -> Result<u64, u32> {
    let script = script();
    if index >= script.count("amd_devices") {
        return Err(INVALID_ARGUMENT);
    }
    match script.number(&format!("amd{index}"), key, default) {
        Answer::Is(value) => Ok(value),
        Answer::NotSupported => Err(NOT_SUPPORTED),
        Answer::Lost => Err(BUSY),
    }
}

fn put<T>(answer: Result<u64, u32>, out: *mut T, into: impl FnOnce(u64) -> T) -> u32 {
    match answer {
        Ok(value) => {
            // SAFETY: the header asks for a pointer to one such value.
            unsafe { out.write(into(value)) };
            SUCCESS
        }
        Err(status) => status,
    }
}

#[unsafe(no_mangle)]
extern "C" fn rsmi_init(_flags: u64) -> u32 {
    refresh();
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn rsmi_shut_down() -> u32 {
    SUCCESS
}

/// `rsmi_version_t`
#[repr(C)]
struct Version {
    major: u32,
    minor: u32,
    patch: u32,
    build: *const c_char,
}

#[unsafe(no_mangle)]
extern "C" fn rsmi_version_get(out: *mut Version) -> u32 {
    let version = Version {
        major: 7,
        minor: 8,
        patch: 0,
        build: std::ptr::null(),
    };
    // SAFETY: the header asks for a pointer to one such structure.
    unsafe { out.write(version) };
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn rsmi_num_monitor_devices(out: *mut u32) -> u32 {
    // SAFETY: the header asks for a pointer to one number.
    unsafe { out.write(script().count("amd_devices")) };
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn rsmi_dev_pci_id_get(index: u32, out: *mut u64) -> u32 {
    put(
        number(index, "bus", Some(3 + u64::from(index))),
        out,
        |bus| bus << 8,
    )
}

#[unsafe(no_mangle)]
extern "C" fn rsmi_dev_name_get(index: u32, out: *mut c_char, length: usize) -> u32 {
    let name = match script().text(&format!("amd{index}"), "name", "AMD Instinct MI300X") {
        Answer::Is(name) if name.len() < length => name,
        _ => return NOT_SUPPORTED,
    };
    // SAFETY: the header asks for a buffer of `length` bytes, and the text with its end fits.
    unsafe {
        out.cast::<u8>().copy_from(name.as_ptr(), name.len());
        out.add(name.len()).write(0);
    }
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn rsmi_dev_busy_percent_get(index: u32, out: *mut u32) -> u32 {
    refresh();
    hang(&format!("amd{index}"));
    put(number(index, "utilisation", Some(0)), out, |percent| {
        u32::try_from(percent).unwrap_or_default()
    })
}

#[unsafe(no_mangle)]
extern "C" fn rsmi_dev_power_ave_get(index: u32, _sensor: u32, out: *mut u64) -> u32 {
    put(number(index, "power_uw", Some(99_000_000)), out, |power| {
        power
    })
}

#[unsafe(no_mangle)]
extern "C" fn rsmi_dev_temp_metric_get(
    index: u32,
    _sensor: u32,
    _metric: c_int,
    out: *mut i64,
) -> u32 {
    put(number(index, "temperature", Some(51)), out, |celsius| {
        i64::try_from(celsius.saturating_mul(1_000)).unwrap_or_default()
    })
}

#[unsafe(no_mangle)]
extern "C" fn rsmi_dev_ecc_count_get(index: u32, _block: u64, out: *mut [u64; 2]) -> u32 {
    let corrected = match number(index, "corrected", Some(0)) {
        Ok(corrected) => corrected,
        Err(status) => return status,
    };
    put(number(index, "uncorrected", Some(0)), out, |uncorrected| {
        [corrected, uncorrected]
    })
}
