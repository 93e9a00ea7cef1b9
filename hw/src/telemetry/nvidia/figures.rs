//! The figures of an NVIDIA device that change from second to second and are cheap to read.
//!
//! Decides how NVML's units and bits become ours; refuses to know when it is called.

use nvml_wrapper::Device as NvmlDevice;
use nvml_wrapper::bitmasks::device::ThrottleReasons;
use nvml_wrapper::enum_wrappers::device::{Clock, PerformancePolicy, TemperatureSensor};
use nvml_wrapper::sys_exports::field_id;

use super::ask::{Answers, Field};
use super::identity::Limits;
use super::raw::{self, Engine};
use crate::telemetry::{Clocks, DeviceMemory, HeldBack, Power, Thermal, Throttle};

/// How busy the engines beside the shaders are.
#[derive(Debug)]
pub(super) struct Engines {
    pub(super) encoder: Option<f32>,
    pub(super) decoder: Option<f32>,
    pub(super) jpeg: Option<f32>,
    pub(super) optical_flow: Option<f32>,
}

pub(super) fn engines(answers: &mut Answers, device: &NvmlDevice<'_>) -> Engines {
    let encoder = answers.ask(Field::Encoder, || device.encoder_utilization());
    let decoder = answers.ask(Field::Decoder, || device.decoder_utilization());
    let jpeg = answers.ask(Field::Jpeg, || raw::engine(device, Engine::Jpeg));
    let optical_flow = answers.ask(Field::OpticalFlow, || {
        raw::engine(device, Engine::OpticalFlow)
    });
    Engines {
        encoder: encoder.and_then(|e| percent(e.utilization)),
        decoder: decoder.and_then(|d| percent(d.utilization)),
        jpeg: jpeg.and_then(percent),
        optical_flow: optical_flow.and_then(percent),
    }
}

pub(super) fn memory(answers: &mut Answers, device: &NvmlDevice<'_>) -> DeviceMemory {
    let memory = answers.ask(Field::Memory, || device.memory_info());
    let window = answers.ask(Field::Window, || device.bar1_memory_info());
    DeviceMemory {
        memory_total_bytes: memory.as_ref().map(|m| m.total),
        // `used` leaves out what the driver keeps for itself; nobody can allocate that either.
        memory_used_bytes: memory.as_ref().map(|m| m.total.saturating_sub(m.free)),
        memory_free_bytes: memory.as_ref().map(|m| m.free),
        memory_reserved_bytes: memory.map(|m| m.reserved),
        window_total_bytes: window.as_ref().map(|w| w.total),
        window_used_bytes: window.map(|w| w.used),
        shared_total_bytes: None,
        shared_used_bytes: None,
    }
}

pub(super) fn power(answers: &mut Answers, device: &NvmlDevice<'_>) -> Power {
    let range = answers.ask(Field::PowerLimitRange, || {
        device.power_management_limit_constraints()
    });
    Power {
        power_watts: answers
            .ask(Field::Power, || device.power_usage())
            .and_then(watts),
        limit_watts: answers
            .ask(Field::PowerLimit, || device.enforced_power_limit())
            .and_then(watts),
        limit_set_watts: answers
            .ask(Field::PowerLimitSet, || device.power_management_limit())
            .and_then(watts),
        limit_default_watts: answers
            .ask(Field::PowerLimitDefault, || {
                device.power_management_limit_default()
            })
            .and_then(watts),
        limit_min_watts: range.as_ref().and_then(|r| watts(r.min_limit)),
        limit_max_watts: range.and_then(|r| watts(r.max_limit)),
        energy_joules: answers
            .ask(Field::Energy, || device.total_energy_consumption())
            .map(|millijoules| millijoules as f64 / 1000.0),
        voltage_volts: None,
    }
}

pub(super) fn thermal(answers: &mut Answers, device: &NvmlDevice<'_>, limits: &Limits) -> Thermal {
    let chip = answers.ask(Field::ChipTemperature, || {
        device.temperature(TemperatureSensor::Gpu)
    });
    let memory = answers.ask(Field::MemoryTemperature, || {
        let [value] = raw::fields(device, [(field_id::NVML_FI_DEV_MEMORY_TEMP, 0)])?;
        value
    });
    Thermal {
        chip_celsius: chip.and_then(celsius),
        hotspot_celsius: None,
        // Cards without the sensor answer 0.
        memory_celsius: memory
            .and_then(|t| celsius(u32::try_from(t).ok()?))
            .filter(|&t| t > 0.0),
        chip_max_celsius: limits.chip_max_celsius,
        memory_max_celsius: limits.memory_max_celsius,
        slowdown_celsius: limits.slowdown_celsius,
        shutdown_celsius: limits.shutdown_celsius,
        fan_percent: answers
            .ask(Field::Fan, || device.fan_speed(0))
            // Of what the fan is made for, which it may exceed.
            .filter(|&f| f <= 200)
            .map(|f| f as f32),
        fan_rpm: answers.ask(Field::FanRpm, || device.fan_speed_rpm(0)),
    }
}

/// Cheap as each is, they change by the second only while something is amiss.
pub(super) fn held_back(answers: &mut Answers, device: &NvmlDevice<'_>) -> HeldBack {
    let mut seconds = |policy: PerformancePolicy| {
        let time = answers.ask_part(Field::HeldBack, policy.as_c(), || {
            device.violation_status(policy)
        })?;
        Some(time.violation_time as f64 / 1e9)
    };
    HeldBack {
        power_s: seconds(PerformancePolicy::Power),
        heat_s: seconds(PerformancePolicy::Thermal),
        group_s: seconds(PerformancePolicy::SyncBoost),
        board_s: seconds(PerformancePolicy::BoardLimit),
        idle_s: seconds(PerformancePolicy::LowUtilization),
        reliability_s: seconds(PerformancePolicy::Reliability),
    }
}

/// A megawatt and more is nonsense.
fn watts(milliwatts: u32) -> Option<f32> {
    (milliwatts < 1_000_000_000).then_some(milliwatts as f32 / 1000.0)
}

/// A share; more than all of it is nonsense.
pub(super) fn percent(figure: u32) -> Option<f32> {
    (figure <= 100).then_some(figure as f32)
}

/// Hotter than this nothing computes; a broken sensor tells things like 2^31.
fn celsius(figure: u32) -> Option<f32> {
    (figure <= 1_000).then_some(figure as f32)
}

pub(super) fn clocks(answers: &mut Answers, device: &NvmlDevice<'_>, limits: &Limits) -> Clocks {
    let reasons = answers.ask(Field::Throttles, || device.current_throttle_reasons());
    let state = answers.ask(Field::PerformanceState, || device.performance_state());
    Clocks {
        core_mhz: answers.ask(Field::CoreClock, || device.clock_info(Clock::SM)),
        core_max_mhz: limits.core_max_mhz,
        graphics_mhz: answers.ask(Field::GraphicsClock, || device.clock_info(Clock::Graphics)),
        graphics_max_mhz: limits.graphics_max_mhz,
        video_mhz: answers.ask(Field::VideoClock, || device.clock_info(Clock::Video)),
        video_max_mhz: limits.video_max_mhz,
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
