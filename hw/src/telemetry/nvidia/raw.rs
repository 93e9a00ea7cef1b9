//! Calls into NVIDIA's library that `nvml-wrapper` lacks, or makes with more trust than we have:
//! it takes a list's length and a text's end on the driver's word.
//!
//! Decides how much memory an answer may cost, and that no text is read past its end; refuses to
//! know what an answer is for. Safe to call with any device of the library.

#![allow(
    unsafe_code,
    reason = "calls into a C library that is loaded at run time"
)]

use std::ffi::{CStr, c_char, c_uint, c_ulong};
use std::mem;
use std::ptr;

use nvml_wrapper::error::{NvmlError, nvml_sym, nvml_try};
use nvml_wrapper::{Device as NvmlDevice, Nvml};
use nvml_wrapper_sys::bindings::{self as sys, nvmlDevice_t, nvmlReturn_t};

/// The texts that a device has.
#[derive(Clone, Copy, Debug)]
pub(super) enum Text {
    Name,
    Uuid,
    Serial,
    PartNumber,
    VbiosVersion,
    GspFirmwareVersion,
}

/// One of a device's texts, as far as it goes.
pub(super) fn text(device: &NvmlDevice<'_>, which: Text) -> Result<String, NvmlError> {
    let lib = device.nvml().lib();
    let handle = handle(device);
    if matches!(which, Text::GspFirmwareVersion) {
        let call = nvml_sym(lib.nvmlDeviceGetGspFirmwareVersion.as_ref())?;
        // SAFETY: the header asks for 64 bytes, and there are more.
        return read_text(|out, _| unsafe { call(handle, out) });
    }
    let call = nvml_sym(match which {
        Text::Name => lib.nvmlDeviceGetName.as_ref(),
        Text::Uuid => lib.nvmlDeviceGetUUID.as_ref(),
        Text::Serial => lib.nvmlDeviceGetSerial.as_ref(),
        Text::PartNumber => lib.nvmlDeviceGetBoardPartNumber.as_ref(),
        Text::VbiosVersion | Text::GspFirmwareVersion => lib.nvmlDeviceGetVbiosVersion.as_ref(),
    })?;
    // SAFETY: the signature is the header's; the library writes at most the length it is given.
    read_text(|out, length| unsafe { call(handle, out, length) })
}

/// The driver's version.
pub(super) fn driver_version(nvml: &Nvml) -> Result<String, NvmlError> {
    let call = nvml_sym(nvml.lib().nvmlSystemGetDriverVersion.as_ref())?;
    // SAFETY: as for a device's text.
    read_text(|out, length| unsafe { call(out, length) })
}

/// The library's version.
pub(super) fn library_version(nvml: &Nvml) -> Result<String, NvmlError> {
    let call = nvml_sym(nvml.lib().nvmlSystemGetNVMLVersion.as_ref())?;
    // SAFETY: as for a device's text.
    read_text(|out, length| unsafe { call(out, length) })
}

/// The place on the bus, as `0000:3b:00.0`.
pub(super) fn pci_bus_id(device: &NvmlDevice<'_>) -> Result<String, NvmlError> {
    let call = nvml_sym(device.nvml().lib().nvmlDeviceGetPciInfo_v3.as_ref())?;
    // SAFETY: the structure is plain numbers, for which all zeros are a value.
    let mut pci: sys::nvmlPciInfo_t = unsafe { mem::zeroed() };
    // SAFETY: the signature is the header's; the structure outlives the call.
    nvml_try(unsafe { call(handle(device), &raw mut pci) })?;
    let (domain, bus, device) = (pci.domain, pci.bus, pci.device);
    Ok(format!("{domain:04x}:{bus:02x}:{device:02x}.0"))
}

/// The lists of processes that a device has.
#[derive(Clone, Copy, Debug)]
pub(super) enum ProcessList {
    Compute,
    Graphics,
}

/// One of a device's lists of processes.
///
/// # Errors
/// `InsufficientSize` when the driver claims more than a machine can have.
pub(super) fn processes(
    device: &NvmlDevice<'_>,
    which: ProcessList,
) -> Result<Vec<sys::nvmlProcessInfo_t>, NvmlError> {
    let lib = device.nvml().lib();
    let handle = handle(device);
    let call = nvml_sym(match which {
        ProcessList::Compute => lib.nvmlDeviceGetComputeRunningProcesses_v3.as_ref(),
        ProcessList::Graphics => lib.nvmlDeviceGetGraphicsRunningProcesses_v3.as_ref(),
    })?;
    // SAFETY: the signature is the header's; the library writes at most the count it is given.
    list(|count, out| unsafe { call(handle, count, out) })
}

/// What single processes used of a device since `since_us`, some samples for each.
pub(super) fn process_utilisation(
    device: &NvmlDevice<'_>,
    since_us: u64,
) -> Result<Vec<sys::nvmlProcessUtilizationSample_t>, NvmlError> {
    let lib = device.nvml().lib();
    let call = nvml_sym(lib.nvmlDeviceGetProcessUtilization.as_ref())?;
    let handle = handle(device);
    // SAFETY: the signature is the header's; the library writes at most the count it is given.
    match list(|count, out| unsafe { call(handle, out, count, since_us) }) {
        // Nobody used the device since then.
        Err(NvmlError::NotFound) => Ok(Vec::new()),
        other => other,
    }
}

/// How many pages were taken out of use for that cause.
pub(super) fn retired_pages(device: &NvmlDevice<'_>, cause: c_uint) -> Result<u64, NvmlError> {
    let call = nvml_sym(device.nvml().lib().nvmlDeviceGetRetiredPages.as_ref())?;
    let mut count: c_uint = 0;
    // SAFETY: the signature is the header's; with a count of 0 no address is written.
    let code = unsafe { call(handle(device), cause, &raw mut count, ptr::null_mut()) };
    match code {
        sys::nvmlReturn_enum_NVML_ERROR_INSUFFICIENT_SIZE => Ok(u64::from(count)),
        code => nvml_try(code).map(|()| u64::from(count)),
    }
}

/// The engines whose load `nvml-wrapper` does not ask for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Engine {
    Jpeg,
    OpticalFlow,
}

/// How busy an engine was, in percent.
pub(super) fn engine(device: &NvmlDevice<'_>, which: Engine) -> Result<u32, NvmlError> {
    let lib = device.nvml().lib();
    let call = nvml_sym(match which {
        Engine::Jpeg => lib.nvmlDeviceGetJpgUtilization.as_ref(),
        Engine::OpticalFlow => lib.nvmlDeviceGetOfaUtilization.as_ref(),
    })?;
    let (mut percent, mut period): (c_uint, c_uint) = (0, 0);
    // SAFETY: the signature is the header's; both numbers outlive the call.
    nvml_try(unsafe { call(handle(device), &raw mut percent, &raw mut period) })?;
    Ok(percent)
}

/// The shares of a device that a partition is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Instance {
    Gpu,
    Compute,
}

/// The number of a partition's share.
pub(super) fn instance(partition: &NvmlDevice<'_>, which: Instance) -> Result<u32, NvmlError> {
    let lib = partition.nvml().lib();
    let call = nvml_sym(match which {
        Instance::Gpu => lib.nvmlDeviceGetGpuInstanceId.as_ref(),
        Instance::Compute => lib.nvmlDeviceGetComputeInstanceId.as_ref(),
    })?;
    let mut number: c_uint = 0;
    // SAFETY: the signature is the header's; the number outlives the call.
    nvml_try(unsafe { call(handle(partition), &raw mut number) })?;
    Ok(number)
}

/// What a partition consists of.
pub(super) fn attributes(
    partition: &NvmlDevice<'_>,
) -> Result<sys::nvmlDeviceAttributes_t, NvmlError> {
    let call = nvml_sym(partition.nvml().lib().nvmlDeviceGetAttributes_v2.as_ref())?;
    // SAFETY: the structure is plain numbers, for which all zeros are a value.
    let mut attributes: sys::nvmlDeviceAttributes_t = unsafe { mem::zeroed() };
    // SAFETY: the signature is the header's; the structure outlives the call.
    nvml_try(unsafe { call(handle(partition), &raw mut attributes) })?;
    Ok(attributes)
}

/// Whether the machine computes confidentially, and whether so in the mode for developers.
pub(super) fn confidential(nvml: &Nvml) -> Result<(bool, bool), NvmlError> {
    let call = nvml_sym(nvml.lib().nvmlSystemGetConfComputeState.as_ref())?;
    // SAFETY: the structure is plain numbers, for which all zeros are a value.
    let mut state: sys::nvmlConfComputeSystemState_t = unsafe { mem::zeroed() };
    // SAFETY: the signature is the header's; the structure outlives the call.
    nvml_try(unsafe { call(&raw mut state) })?;
    Ok((
        state.ccFeature == sys::NVML_CC_SYSTEM_FEATURE_ENABLED,
        state.devToolsMode == sys::NVML_CC_SYSTEM_DEVTOOLS_MODE_ON,
    ))
}

/// The host's processors near a device, a bit for each.
pub(super) fn cpu_affinity(device: &NvmlDevice<'_>) -> Result<Vec<c_ulong>, NvmlError> {
    let call = nvml_sym(device.nvml().lib().nvmlDeviceGetCpuAffinity.as_ref())?;
    let mut words: [c_ulong; CPU_WORDS] = [0; CPU_WORDS];
    let length = words.len() as c_uint;
    // SAFETY: the signature is the header's; the library writes at most the length it is given.
    nvml_try(unsafe { call(handle(device), length, words.as_mut_ptr()) })?;
    Ok(words.to_vec())
}

/// Values that NVML tells by number, each of one link: as many answers as were asked for.
pub(super) fn fields<const N: usize>(
    device: &NvmlDevice<'_>,
    wanted: [(u32, u32); N],
) -> Result<[Result<u64, NvmlError>; N], NvmlError> {
    let call = nvml_sym(device.nvml().lib().nvmlDeviceGetFieldValues.as_ref())?;
    let mut values = wanted.map(|(field, scope)| {
        // SAFETY: the structure is plain numbers, for which all zeros are a value.
        let mut value: sys::nvmlFieldValue_t = unsafe { mem::zeroed() };
        (value.fieldId, value.scopeId) = (field, scope);
        value
    });
    // SAFETY: the signature is the header's; the library writes to as many values as it is told.
    nvml_try(unsafe { call(handle(device), N as i32, values.as_mut_ptr()) })?;
    Ok(values.map(|value| {
        nvml_try(value.nvmlReturn)?;
        number(value.valueType, value.value)
    }))
}

/// A value that counts something; others are told as if there were none.
fn number(kind: sys::nvmlValueType_t, value: sys::nvmlValue_t) -> Result<u64, NvmlError> {
    // SAFETY: every member is a plain number, for which any bits are a value.
    unsafe {
        match kind {
            sys::nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_INT => Ok(u64::from(value.uiVal)),
            sys::nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_LONG
            | sys::nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_LONG_LONG => Ok(value.ullVal),
            sys::nvmlValueType_enum_NVML_VALUE_TYPE_SIGNED_LONG_LONG => {
                u64::try_from(value.sllVal).map_err(|_| NvmlError::NoData)
            }
            _ => Err(NvmlError::NoData),
        }
    }
}

pub(super) fn handle(device: &NvmlDevice<'_>) -> nvmlDevice_t {
    // SAFETY: the handle is only passed to the library that it is from.
    unsafe { device.handle() }
}

/// A text that ends at its zero; one without is none.
fn read_text(call: impl FnOnce(*mut c_char, c_uint) -> nvmlReturn_t) -> Result<String, NvmlError> {
    let mut buffer = [0_u8; TEXT_BYTES];
    nvml_try(call(buffer.as_mut_ptr().cast(), TEXT_BYTES as c_uint))?;
    let text = CStr::from_bytes_until_nul(&buffer).map_err(|_| NvmlError::NoData)?;
    match text.to_str()?.trim() {
        "" => Err(NvmlError::NoData),
        text => Ok(text.to_owned()),
    }
}

/// A list of the length that the library asks for, up to a bound, and never more than it was given
/// room for.
fn list<T: Copy>(
    mut call: impl FnMut(*mut c_uint, *mut T) -> nvmlReturn_t,
) -> Result<Vec<T>, NvmlError> {
    let mut room = LIST_FIRST;
    for _ in 0..LIST_TRIES {
        // SAFETY: this is called for structures of plain numbers alone, for which all zeros are a
        // value.
        let mut items: Vec<T> = vec![unsafe { mem::zeroed() }; room];
        let mut count = room as c_uint;
        match call(&raw mut count, items.as_mut_ptr()) {
            sys::nvmlReturn_enum_NVML_ERROR_INSUFFICIENT_SIZE => {
                // It may have grown again by the next call.
                room = (count as usize).saturating_add(LIST_SPARE);
                if room > LIST_MAX {
                    break;
                }
            }
            code => {
                nvml_try(code)?;
                items.truncate(count as usize);
                return Ok(items);
            }
        }
    }
    Err(NvmlError::InsufficientSize(None))
}

/// Longer than every text of the header (96 bytes).
const TEXT_BYTES: usize = 256;

/// Room for 8,192 processors, as many as Linux can have.
const CPU_WORDS: usize = 8_192 / c_ulong::BITS as usize;

/// More than a device mostly has.
const LIST_FIRST: usize = 64;

/// What may come between two calls.
const LIST_SPARE: usize = 32;

/// Longer lists are nonsense: a device runs some hundred processes at most, each with some
/// samples. Costs 200 KiB.
const LIST_MAX: usize = 4_096;

/// A list that grows faster than it can be read is not read.
const LIST_TRIES: usize = 4;
