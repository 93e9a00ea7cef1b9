//! NVIDIA's management library, as far as the agent calls it (`nvml.h`).
//!
//! Figures of the script: `name`, `uuid`, `utilisation`, `memory_busy`, `memory_total`,
//! `memory_used`, `power_mw`, `power_limit_mw`, `energy_mj`, `temperature`, `slowdown`,
//! `memory_temperature`, `fan`, `clock`, `throttle`, `corrected`, `uncorrected`, `row_pending`,
//! `row_failed`, `events` (0: the driver reports nothing by itself).

use std::ffi::{c_char, c_int, c_uint, c_ulonglong, c_void};

use crate::script::{Answer, Report, Script, hang, refresh, script};

/// A device's handle: its number and one, so that none is null.
type Handle = *mut c_void;

const SUCCESS: c_int = 0;
const INVALID_ARGUMENT: c_int = 2;
const NOT_SUPPORTED: c_int = 3;
const INSUFFICIENT_SIZE: c_int = 7;
const TIMEOUT: c_int = 10;
const GPU_IS_LOST: c_int = 15;

fn name_of(handle: Handle) -> String {
    (handle.addr().wrapping_sub(1)).to_string()
}

fn tell<T>(answer: Answer<T>, write: impl FnOnce(T) -> c_int) -> c_int {
    match answer {
        Answer::Is(value) => write(value),
        Answer::NotSupported => NOT_SUPPORTED,
        Answer::Lost => GPU_IS_LOST,
    }
}

fn number<T>(handle: Handle, key: &str, default: Option<u64>, out: *mut T) -> c_int
where
    T: TryFrom<u64>,
{
    let answer = script().number(&name_of(handle), key, default);
    tell(answer, |value| put(out, value))
}

fn put<T: TryFrom<u64>>(out: *mut T, value: u64) -> c_int {
    let Ok(value) = T::try_from(value) else {
        return INVALID_ARGUMENT;
    };
    // SAFETY: the header asks for a pointer to one such value.
    unsafe { out.write(value) };
    SUCCESS
}

fn put_text(text: &str, out: *mut c_char, length: c_uint) -> c_int {
    if text.len() + 1 > length as usize {
        return INSUFFICIENT_SIZE;
    }
    // SAFETY: the header asks for a buffer of `length` bytes, and the text with its end fits.
    unsafe {
        out.cast::<u8>().copy_from(text.as_ptr(), text.len());
        out.add(text.len()).write(0);
    }
    SUCCESS
}

/// Figures of one number.
macro_rules! figures {
    ($($function:ident($type:ty) = $key:literal, $default:expr;)*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $function(device: Handle, out: *mut $type) -> c_int {
            number(device, $key, $default, out)
        }
    )*};
}

figures! {
    nvmlDeviceGetPowerUsage(c_uint) = "power_mw", Some(120_000);
    nvmlDeviceGetEnforcedPowerLimit(c_uint) = "power_limit_mw", Some(700_000);
    nvmlDeviceGetTotalEnergyConsumption(c_ulonglong) = "energy_mj", Some(9_876_543_210);
    nvmlDeviceGetPerformanceState(c_int) = "state", Some(0);
    nvmlDeviceGetCurrentClocksThrottleReasons(c_ulonglong) = "throttle", Some(1);
    nvmlDeviceGetCurrPcieLinkGeneration(c_uint) = "link", Some(5);
    nvmlDeviceGetMaxPcieLinkGeneration(c_uint) = "link_max", Some(5);
    nvmlDeviceGetCurrPcieLinkWidth(c_uint) = "lanes", Some(16);
    nvmlDeviceGetMaxPcieLinkWidth(c_uint) = "lanes_max", Some(16);
    nvmlDeviceGetPcieReplayCounter(c_uint) = "replays", Some(0);
    nvmlDeviceGetArchitecture(c_uint) = "architecture", Some(9);
    nvmlDeviceGetNumGpuCores(c_uint) = "cores", Some(16_896);
    nvmlDeviceGetMemoryBusWidth(c_uint) = "bus_bits", Some(5_120);
}

/// Figures that are asked for with a choice which the script does not know.
macro_rules! chosen {
    ($($function:ident($type:ty) = $key:literal, $default:expr;)*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $function(device: Handle, _which: c_int, out: *mut $type) -> c_int {
            number(device, $key, $default, out)
        }
    )*};
}

chosen! {
    nvmlDeviceGetTemperature(c_uint) = "temperature", Some(41);
    nvmlDeviceGetFanSpeed_v2(c_uint) = "fan", None;
    nvmlDeviceGetClockInfo(c_uint) = "clock", Some(1_755);
    nvmlDeviceGetMaxClockInfo(c_uint) = "clock_max", Some(1_980);
    nvmlDeviceGetPcieThroughput(c_uint) = "link_kb", Some(0);
}

#[unsafe(no_mangle)]
extern "C" fn nvmlInit_v2() -> c_int {
    refresh();
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn nvmlShutdown() -> c_int {
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn nvmlSystemGetDriverVersion(out: *mut c_char, length: c_uint) -> c_int {
    put_text("580.95.05", out, length)
}

#[unsafe(no_mangle)]
extern "C" fn nvmlSystemGetNVMLVersion(out: *mut c_char, length: c_uint) -> c_int {
    put_text("13.580.95.05", out, length)
}

#[unsafe(no_mangle)]
extern "C" fn nvmlSystemGetCudaDriverVersion_v2(out: *mut c_int) -> c_int {
    put(out, 13_000)
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetCount_v2(out: *mut c_uint) -> c_int {
    put(out, script().count("devices").into())
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetHandleByIndex_v2(index: c_uint, out: *mut Handle) -> c_int {
    refresh();
    let name = index.to_string();
    hang(&name);
    let script = script();
    if index >= script.count("devices") {
        return INVALID_ARGUMENT;
    }
    if script.is_lost(&name) {
        return GPU_IS_LOST;
    }
    // SAFETY: the header asks for a pointer to a handle.
    unsafe { out.write(std::ptr::without_provenance_mut(index as usize + 1)) };
    SUCCESS
}

fn text(device: Handle, key: &str, default: &str, out: *mut c_char, length: c_uint) -> c_int {
    let answer = script().text(&name_of(device), key, default);
    tell(answer, |text| put_text(&text, out, length))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetName(device: Handle, out: *mut c_char, length: c_uint) -> c_int {
    text(device, "name", "NVIDIA H100 80GB HBM3", out, length)
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetUUID(device: Handle, out: *mut c_char, length: c_uint) -> c_int {
    let uuid = format!("GPU-{}aa1b2c3-0000-1111-2222-333344445555", name_of(device));
    text(device, "uuid", &uuid, out, length)
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetSerial(device: Handle, out: *mut c_char, length: c_uint) -> c_int {
    text(device, "serial", "1652823004711", out, length)
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetVbiosVersion(device: Handle, out: *mut c_char, length: c_uint) -> c_int {
    text(device, "vbios", "96.00.99.00.01", out, length)
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetCudaComputeCapability(
    device: Handle,
    major: *mut c_int,
    minor: *mut c_int,
) -> c_int {
    match number(device, "capability", Some(9), major) {
        SUCCESS => put(minor, 0),
        refused => refused,
    }
}

/// `nvmlPciInfo_t`
#[repr(C)]
struct Pci {
    legacy: [c_char; 16],
    domain: c_uint,
    bus: c_uint,
    device: c_uint,
    pci_device: c_uint,
    pci_subsystem: c_uint,
    id: [c_char; 32],
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetPciInfo_v3(device: Handle, out: *mut Pci) -> c_int {
    let answer = script().number(&name_of(device), "bus", Some(0x3a + handle_number(device)));
    tell(answer, |bus| {
        let mut pci = Pci {
            legacy: [0; 16],
            domain: 0,
            bus: c_uint::try_from(bus).unwrap_or_default(),
            device: 0,
            pci_device: 0x2330_10de,
            pci_subsystem: 0,
            id: [0; 32],
        };
        let id = format!("00000000:{bus:02X}:00.0");
        let written = put_text(&id, (&raw mut pci.id).cast(), 32);
        // SAFETY: the header asks for a pointer to one such structure.
        unsafe { out.write(pci) };
        written
    })
}

fn handle_number(device: Handle) -> u64 {
    device.addr() as u64
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetUtilizationRates(device: Handle, out: *mut [c_uint; 2]) -> c_int {
    let out = out.cast::<c_uint>();
    match number(device, "utilisation", Some(0), out) {
        // SAFETY: the header asks for a pointer to two numbers.
        SUCCESS => number(device, "memory_busy", Some(0), unsafe { out.add(1) }),
        refused => refused,
    }
}

/// `nvmlMemory_v2_t`
#[repr(C)]
struct Memory {
    version: c_uint,
    total: c_ulonglong,
    reserved: c_ulonglong,
    free: c_ulonglong,
    used: c_ulonglong,
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetMemoryInfo_v2(device: Handle, out: *mut Memory) -> c_int {
    let (name, script) = (name_of(device), script());
    let total = match script.number(&name, "memory_total", Some(85_520_809_984)) {
        Answer::Is(total) => total,
        Answer::NotSupported => return NOT_SUPPORTED,
        Answer::Lost => return GPU_IS_LOST,
    };
    tell(script.number(&name, "memory_used", Some(0)), |used| {
        let reserved = 500 << 20;
        // SAFETY: the header asks for a pointer to one such structure, its version filled in.
        unsafe {
            (*out).total = total;
            (*out).reserved = reserved;
            (*out).used = used;
            (*out).free = total.saturating_sub(used).saturating_sub(reserved);
        }
        SUCCESS
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetPowerManagementLimitConstraints(
    device: Handle,
    low: *mut c_uint,
    high: *mut c_uint,
) -> c_int {
    match number(device, "power_min_mw", Some(200_000), low) {
        SUCCESS => number(device, "power_max_mw", Some(700_000), high),
        refused => refused,
    }
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetTemperatureThreshold(
    device: Handle,
    kind: c_int,
    out: *mut c_uint,
) -> c_int {
    // 0 is where it switches itself off, 1 where it slows itself down.
    match kind {
        0 => number(device, "shutdown", Some(95), out),
        _ => number(device, "slowdown", Some(87), out),
    }
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetEccMode(device: Handle, now: *mut c_int, next: *mut c_int) -> c_int {
    match number(device, "ecc", Some(1), now) {
        SUCCESS => number(device, "ecc", Some(1), next),
        refused => refused,
    }
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetTotalEccErrors(
    device: Handle,
    kind: c_int,
    _since: c_int,
    out: *mut c_ulonglong,
) -> c_int {
    let key = if kind == 1 {
        "uncorrected"
    } else {
        "corrected"
    };
    number(device, key, Some(0), out)
}

/// `nvmlFieldValue_t`
#[repr(C)]
struct FieldValue {
    field: c_uint,
    scope: c_uint,
    time: i64,
    latency: i64,
    kind: c_int,
    result: c_int,
    value: u64,
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetFieldValues(
    device: Handle,
    count: c_int,
    values: *mut FieldValue,
) -> c_int {
    let (name, script) = (name_of(device), script());
    if script.is_lost(&name) {
        return GPU_IS_LOST;
    }
    for at in 0..usize::try_from(count).unwrap_or_default() {
        // SAFETY: the header asks for a pointer to `count` such structures.
        let value = unsafe { &mut *values.add(at) };
        let answer = match value.field {
            82 => script.number(&name, "memory_temperature", Some(52)),
            142 | 143 => script.number(&name, "rows", Some(0)),
            144 => script.number(&name, "row_pending", Some(0)),
            145 => script.number(&name, "row_failed", Some(0)),
            _ => Answer::NotSupported,
        };
        value.kind = 1; // an unsigned int
        value.result = tell(answer, |found| {
            value.value = found;
            SUCCESS
        });
    }
    SUCCESS
}

/// `nvmlProcessInfo_t`
#[repr(C)]
struct Process {
    pid: c_uint,
    used: c_ulonglong,
    gpu: c_uint,
    compute: c_uint,
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetComputeRunningProcesses_v3(
    device: Handle,
    count: *mut c_uint,
    out: *mut Process,
) -> c_int {
    let (name, script) = (name_of(device), script());
    if script.is_lost(&name) {
        return GPU_IS_LOST;
    }
    let found: Vec<(u32, u64)> = processes(&script, &name);
    // SAFETY: the header asks for a pointer to how many there is room for.
    let room = unsafe { count.replace(c_uint::try_from(found.len()).unwrap_or_default()) };
    if (room as usize) < found.len() {
        return INSUFFICIENT_SIZE;
    }
    for (at, (pid, used)) in found.into_iter().enumerate() {
        let process = Process {
            pid,
            used,
            gpu: u32::MAX,
            compute: u32::MAX,
        };
        // SAFETY: there is room for it, as was just seen.
        unsafe { out.add(at).write(process) };
    }
    SUCCESS
}

fn processes(script: &Script, device: &str) -> Vec<(u32, u64)> {
    let line = |value: &String| {
        let (pid, bytes) = value.split_once(char::is_whitespace)?;
        Some((pid.parse().ok()?, bytes.trim().parse().ok()?))
    };
    script
        .all(device, "process")
        .iter()
        .filter_map(line)
        .collect()
}

/// A set is the number of the one device that was registered with it.
struct EventSet {
    device: Option<String>,
}

#[unsafe(no_mangle)]
extern "C" fn nvmlEventSetCreate(out: *mut *mut EventSet) -> c_int {
    // SAFETY: the header asks for a pointer to a handle.
    unsafe { out.write(Box::into_raw(Box::new(EventSet { device: None }))) };
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlEventSetFree(set: *mut EventSet) -> c_int {
    // SAFETY: it was made by `nvmlEventSetCreate` and is freed once, says the header.
    drop(unsafe { Box::from_raw(set) });
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceRegisterEvents(
    device: Handle,
    _types: c_ulonglong,
    set: *mut EventSet,
) -> c_int {
    let name = name_of(device);
    let answer = script().number(&name, "events", Some(1));
    tell(answer, |reports| {
        if reports == 0 {
            return NOT_SUPPORTED;
        }
        // SAFETY: it was made by `nvmlEventSetCreate`.
        unsafe { (*set).device = Some(name) };
        SUCCESS
    })
}

/// `nvmlEventData_t`
#[repr(C)]
struct EventData {
    device: Handle,
    kind: c_ulonglong,
    data: c_ulonglong,
    gpu: c_uint,
    compute: c_uint,
}

#[unsafe(no_mangle)]
extern "C" fn nvmlEventSetWait_v2(
    set: *mut EventSet,
    out: *mut EventData,
    _timeout_ms: c_uint,
) -> c_int {
    // SAFETY: it was made by `nvmlEventSetCreate`.
    let Some(device) = (unsafe { &*set }).device.as_deref() else {
        return TIMEOUT;
    };
    let Some(report) = script().take_report(device) else {
        return TIMEOUT;
    };
    let (kind, data) = match report {
        Report::Xid(number) => (8, number),
        Report::DoubleBitError => (2, 0),
    };
    let index: usize = device.parse().unwrap_or_default();
    let event = EventData {
        device: std::ptr::without_provenance_mut(index + 1),
        kind,
        data,
        gpu: u32::MAX,
        compute: u32::MAX,
    };
    // SAFETY: the header asks for a pointer to one such structure.
    unsafe { out.write(event) };
    SUCCESS
}
