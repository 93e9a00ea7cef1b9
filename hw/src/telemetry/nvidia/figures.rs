//! The figures of an NVIDIA device that change from second to second and are cheap to read.
//!
//! Decides how NVML's units and bits become ours; refuses to know when it is called.

use nvml_wrapper::Device as NvmlDevice;
use nvml_wrapper::bitmasks::device::ThrottleReasons;
use nvml_wrapper::enum_wrappers::device::{Clock, TemperatureSensor};
use nvml_wrapper::enums::device::SampleValue;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::structs::device::FieldId;
use nvml_wrapper::sys_exports::field_id;

use super::ask::{Answers, Field};
use super::card::Limits;
use crate::telemetry::{Clocks, DeviceMemory, Power, Thermal, Throttle};

pub(super) fn memory(answers: &mut Answers, device: &NvmlDevice<'_>) -> DeviceMemory {
    let memory = answers.ask(Field::Memory, || device.memory_info());
    let window = answers.ask(Field::Window, || device.bar1_memory_info());
    DeviceMemory {
        memory_total_bytes: memory.as_ref().map(|m| m.total),
        // `used` leaves out what the driver keeps for itself; nobody can allocate that either.
        memory_used_bytes: memory.as_ref().map(|m| m.total.saturating_sub(m.free)),
        memory_free_bytes: memory.map(|m| m.free),
        window_total_bytes: window.as_ref().map(|w| w.total),
        window_used_bytes: window.map(|w| w.used),
        shared_total_bytes: None,
        shared_used_bytes: None,
    }
}

pub(super) fn power(answers: &mut Answers, device: &NvmlDevice<'_>) -> Power {
    let watts = |milliwatts: u32| milliwatts as f32 / 1000.0;
    let range = answers.ask(Field::PowerLimitMax, || {
        device.power_management_limit_constraints()
    });
    Power {
        power_watts: answers
            .ask(Field::Power, || device.power_usage())
            .map(watts),
        limit_watts: answers
            .ask(Field::PowerLimit, || device.enforced_power_limit())
            .map(watts),
        limit_max_watts: range.map(|r| watts(r.max_limit)),
        energy_joules: answers
            .ask(Field::Energy, || device.total_energy_consumption())
            .map(|millijoules| millijoules as f64 / 1000.0),
    }
}

pub(super) fn thermal(answers: &mut Answers, device: &NvmlDevice<'_>, limits: &Limits) -> Thermal {
    let chip = answers.ask(Field::ChipTemperature, || {
        device.temperature(TemperatureSensor::Gpu)
    });
    let memory = answers.ask(Field::MemoryTemperature, || {
        one_value(device, field_id::NVML_FI_DEV_MEMORY_TEMP)
    });
    Thermal {
        chip_celsius: chip.map(|t| t as f32),
        hotspot_celsius: None,
        // Cards without the sensor answer 0.
        memory_celsius: memory.filter(|&t| t > 0).map(|t| t as f32),
        slowdown_celsius: limits.slowdown_celsius,
        shutdown_celsius: limits.shutdown_celsius,
        fan_percent: answers
            .ask(Field::Fan, || device.fan_speed(0))
            .map(|f| f as f32),
        fan_rpm: answers.ask(Field::FanRpm, || device.fan_speed_rpm(0)),
    }
}

pub(super) fn clocks(answers: &mut Answers, device: &NvmlDevice<'_>, limits: &Limits) -> Clocks {
    let reasons = answers.ask(Field::Throttles, || device.current_throttle_reasons());
    let state = answers.ask(Field::PerformanceState, || device.performance_state());
    Clocks {
        core_mhz: answers.ask(Field::CoreClock, || device.clock_info(Clock::SM)),
        core_max_mhz: limits.core_max_mhz,
        memory_mhz: answers.ask(Field::MemoryClock, || device.clock_info(Clock::Memory)),
        memory_max_mhz: limits.memory_max_mhz,
        // The library's own number is the state's; 32 stands for "unknown".
        performance_state: state.map(|s| s.as_c()).filter(|&s| s <= 15),
        throttles: reasons.map(throttles),
    }
}

/// The library's bits in our words, each word once.
fn throttles(reasons: ThrottleReasons) -> Vec<Throttle> {
    THROTTLES
        .iter()
        .filter(|(bit, _)| reasons.contains(*bit))
        .map(|&(_, throttle)| throttle)
        .collect()
}

const THROTTLES: [(ThrottleReasons, Throttle); 9] = [
    (ThrottleReasons::GPU_IDLE, Throttle::Idle),
    (
        ThrottleReasons::APPLICATIONS_CLOCKS_SETTING,
        Throttle::ClockSetting,
    ),
    (ThrottleReasons::SW_POWER_CAP, Throttle::PowerLimit),
    (ThrottleReasons::HW_SLOWDOWN, Throttle::Hardware),
    (ThrottleReasons::SYNC_BOOST, Throttle::Group),
    (ThrottleReasons::SW_THERMAL_SLOWDOWN, Throttle::Heat),
    (ThrottleReasons::HW_THERMAL_SLOWDOWN, Throttle::HardwareHeat),
    (
        ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN,
        Throttle::PowerBrake,
    ),
    (ThrottleReasons::DISPLAY_CLOCK_SETTING, Throttle::Display),
];

/// One of the fields that NVML tells by number.
pub(super) fn one_value(device: &NvmlDevice<'_>, field: u32) -> Result<u64, NvmlError> {
    let sample = device
        .field_values_for(&[FieldId(field)])?
        .pop()
        .ok_or(NvmlError::NoData)??;
    match sample.value? {
        SampleValue::U32(n) => Ok(u64::from(n)),
        SampleValue::U64(n) => Ok(n),
        SampleValue::I64(n) => u64::try_from(n).map_err(|_| NvmlError::NoData),
        SampleValue::F64(_) => Err(NvmlError::NoData),
    }
}
