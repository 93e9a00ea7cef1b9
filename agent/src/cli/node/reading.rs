//! What an accelerator shows, in short lines: each of things that belong together, and none of what
//! the device does not tell.
//!
//! Decides words and rounding; refuses to judge.

use skep_hw::telemetry::{
    Activity, Clocks, ComputeMode, Links, Modes, Pcie, Power, Reading, Thermal, Throttle,
};

use crate::cli::figures;

/// The lines, the most asked for first.
pub(super) fn lines(reading: &Reading) -> Vec<String> {
    let groups = [
        now(reading),
        reading.activity.as_ref().map(units).unwrap_or_default(),
        engines(reading),
        clocks(&reading.clocks),
        heat(&reading.thermal, &reading.power),
        pcie(&reading.pcie),
        reading.links.as_ref().map(links).unwrap_or_default(),
        memory_faults(reading),
        modes(&reading.modes, reading),
        processes(reading),
    ];
    let lines = groups.into_iter().map(|group| group.join(" · "));
    lines.filter(|line| !line.is_empty()).collect()
}

type Group = Vec<String>;

fn now(reading: &Reading) -> Group {
    let memory = &reading.memory;
    let mut group = Group::new();
    group.extend(share("", reading.utilisation_percent, " busy"));
    if let (Some(used), Some(total)) = (memory.memory_used_bytes, memory.memory_total_bytes) {
        let (used, total) = (figures::memory(used), figures::memory(total));
        group.push(format!("{used} of {total} used"));
    }
    group.extend(celsius("", reading.thermal.chip_celsius));
    group.extend(
        reading
            .power
            .power_watts
            .map(|watts| format!("{watts:.0} W")),
    );
    group
}

fn units(activity: &Activity) -> Group {
    [
        share("SMs ", activity.sm_percent, ""),
        share("occupancy ", activity.sm_occupancy_percent, ""),
        share("tensor cores ", activity.tensor_percent, ""),
        share("memory bandwidth ", activity.memory_bandwidth_percent, ""),
        share("FP32 ", activity.fp32_percent, ""),
        share("FP16 ", activity.fp16_percent, ""),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Of those that do anything.
fn engines(reading: &Reading) -> Group {
    [
        ("encoder ", reading.encoder_percent),
        ("decoder ", reading.decoder_percent),
        ("video ", reading.video_percent),
        ("JPEG ", reading.jpeg_percent),
        ("optical flow ", reading.optical_flow_percent),
    ]
    .into_iter()
    .filter_map(|(name, percent)| share(name, percent.filter(|&p| p > 0.0), ""))
    .collect()
}

fn clocks(clocks: &Clocks) -> Group {
    let clock = |name: &str, now: Option<u32>, most: Option<u32>| {
        let most = most.map_or_else(String::new, |most| format!(" of {most}"));
        now.map(|now| format!("{name} at {now}{most} MHz"))
    };
    let mut group = Group::new();
    group.extend(clock("cores", clocks.core_mhz, clocks.core_max_mhz));
    group.extend(clock("memory", clocks.memory_mhz, clocks.memory_max_mhz));
    group.extend(clocks.performance_state.map(|state| format!("P{state}")));
    let held: Vec<&str> = clocks
        .throttles
        .iter()
        .flatten()
        .filter_map(|throttle| held_by(*throttle))
        .collect();
    if !held.is_empty() {
        group.push(format!("held back by {}", held.join(", ")));
    }
    group
}

/// Having nothing to do holds nothing back.
fn held_by(throttle: Throttle) -> Option<&'static str> {
    Some(match throttle {
        Throttle::Idle => return None,
        Throttle::ClockSetting => "a setting",
        Throttle::PowerLimit => "the power limit",
        Throttle::Heat | Throttle::HardwareHeat => "heat",
        Throttle::Hardware => "the hardware",
        Throttle::PowerBrake => "the power brake",
        Throttle::Current => "the current",
        Throttle::Group => "its group",
        Throttle::Display => "the display",
        Throttle::Other => "something unknown",
    })
}

fn heat(thermal: &Thermal, power: &Power) -> Group {
    let mut group = Group::new();
    group.extend(celsius("hotspot ", thermal.hotspot_celsius));
    group.extend(celsius("memory ", thermal.memory_celsius));
    group.extend(celsius("slows itself from ", thermal.slowdown_celsius));
    match (thermal.fan_percent, thermal.fan_rpm) {
        (Some(percent), Some(rpm)) => group.push(format!("fan {percent:.0} %, {rpm} rpm")),
        (Some(percent), None) => group.push(format!("fan {percent:.0} %")),
        (None, Some(rpm)) => group.push(format!("fan {rpm} rpm")),
        (None, None) => {}
    }
    group.extend(
        power
            .limit_watts
            .map(|watts| format!("limited to {watts:.0} W")),
    );
    group
}

fn pcie(pcie: &Pcie) -> Group {
    let mut group = Group::new();
    if let (Some(generation), Some(lanes)) = (pcie.generation, pcie.lanes) {
        group.push(format!("PCIe {generation} x{lanes}"));
    }
    let rate = |bytes: Option<u64>, way: &str| Some(format!("{}/s {way}", figures::size(bytes?)));
    group.extend(rate(pcie.received_bytes_per_s, "in"));
    group.extend(rate(pcie.sent_bytes_per_s, "out"));
    let replays = pcie.replays.filter(|&n| n > 0);
    group.extend(replays.map(|n| format!("{n} packets sent again")));
    group
}

fn links(links: &Links) -> Group {
    let told = links.links.iter().filter(|link| link.active.is_some());
    let active = links.links.iter().filter(|link| link.active == Some(true));
    let (told, active) = (told.count(), active.count());
    let mut group = Group::new();
    if told > 0 {
        group.push(format!("{active} of {told} links to other devices work"));
    }
    let bytes = |bytes: Option<u64>, way: &str| Some(format!("{} {way}", figures::size(bytes?)));
    group.extend(bytes(links.received_bytes, "in"));
    group.extend(bytes(links.sent_bytes, "out"));
    let errors: u64 = links
        .links
        .iter()
        .flat_map(|link| [link.crc_flit_errors, link.crc_data_errors])
        .flatten()
        .fold(0, u64::saturating_add);
    if errors > 0 {
        group.push(format!("{errors} wrong checksums"));
    }
    group
}

fn memory_faults(reading: &Reading) -> Group {
    let faults = &reading.faults;
    let mut group = Group::new();
    group.extend(faults.ecc_enabled.map(|on| match on {
        true => "ECC on".to_owned(),
        false => "ECC off".to_owned(),
    }));
    let count = |count: Option<u64>, what: &str| {
        let count = count.filter(|&count| count > 0)?;
        Some(format!("{count} {what}"))
    };
    group.extend(count(faults.corrected, "errors corrected"));
    group.extend(count(faults.uncorrected, "errors past correcting"));
    group.extend(count(faults.retired, "pages or rows replaced"));
    group
}

fn modes(modes: &Modes, reading: &Reading) -> Group {
    let mut group = Group::new();
    group.extend(modes.compute.and_then(|mode| match mode {
        ComputeMode::Shared => None,
        ComputeMode::ExclusiveThread => Some("for one thread alone".to_owned()),
        ComputeMode::ExclusiveProcess => Some("for one process alone".to_owned()),
        ComputeMode::Prohibited => Some("nobody may compute on it".to_owned()),
    }));
    if let Some(partitions) = &reading.partitions {
        group.push(format!("{} partitions (MIG)", partitions.len()));
    }
    match (modes.confidential, modes.confidential_debug) {
        (Some(true), Some(true)) => group.push("computes confidentially, but for debugging".into()),
        (Some(true), _) => group.push("computes confidentially".into()),
        _ => {}
    }
    if modes.persistence == Some(false) {
        group.push("its driver is unloaded when idle".into());
    }
    group
}

fn processes(reading: &Reading) -> Group {
    let processes = reading.processes.as_deref().unwrap_or_default();
    let mut group = Group::new();
    let Some(largest) = processes.first() else {
        return group;
    };
    group.push(match processes.len() {
        1 => format!("process {}", largest.pid),
        count => format!("{count} processes, {} the largest", largest.pid),
    });
    group.extend(
        largest
            .memory_bytes
            .map(|bytes| format!("holds {}", figures::memory(bytes))),
    );
    group.extend(share("", largest.utilisation_percent, " busy"));
    group
}

fn share(before: &str, percent: Option<f32>, after: &str) -> Option<String> {
    percent.map(|percent| format!("{before}{percent:.0} %{after}"))
}

fn celsius(before: &str, celsius: Option<f32>) -> Option<String> {
    celsius.map(|celsius| format!("{before}{celsius:.0} °C"))
}

#[cfg(test)]
mod tests {
    use skep_hw::telemetry::{Link, Process, ProcessKind};

    use super::*;

    #[test]
    fn a_device_that_tells_nothing_has_no_lines() {
        assert_eq!(lines(&Reading::default()), [""; 0]);
    }

    #[test]
    fn what_belongs_together_is_one_line() {
        let mut reading = Reading {
            utilisation_percent: Some(97.0),
            encoder_percent: Some(0.0),
            decoder_percent: Some(12.0),
            ..Reading::default()
        };
        reading.activity = Some(Activity {
            sm_percent: Some(88.4),
            tensor_percent: Some(35.0),
            ..Activity::default()
        });
        reading.memory.memory_used_bytes = Some(40 << 30);
        reading.memory.memory_total_bytes = Some(80 << 30);
        reading.thermal.memory_celsius = Some(77.0);
        reading.thermal.fan_rpm = Some(1450);
        reading.power.power_watts = Some(683.2);
        reading.power.limit_watts = Some(700.0);
        reading.clocks.core_mhz = Some(1755);
        reading.clocks.core_max_mhz = Some(1980);
        reading.clocks.performance_state = Some(0);
        reading.clocks.throttles = Some(vec![Throttle::Idle, Throttle::PowerLimit]);
        (reading.pcie.generation, reading.pcie.lanes) = (Some(5), Some(16));
        reading.pcie.received_bytes_per_s = Some(52_000_000);
        let link = |active| Link {
            active: Some(active),
            crc_flit_errors: Some(3),
            ..Link::default()
        };
        reading.links = Some(Links {
            links: vec![link(true), link(false)],
            sent_bytes: Some(2_000_000),
            ..Links::default()
        });
        reading.faults.ecc_enabled = Some(true);
        reading.faults.corrected = Some(7);
        reading.modes.compute = Some(ComputeMode::ExclusiveProcess);
        reading.partitions = Some(Vec::new());
        reading.processes = Some(vec![Process::new(
            1001,
            Some(39 << 30),
            ProcessKind::Compute,
        )]);
        assert_eq!(
            lines(&reading),
            [
                "97 % busy · 40 GiB of 80 GiB used · 683 W",
                "SMs 88 % · tensor cores 35 %",
                "decoder 12 %",
                "cores at 1755 of 1980 MHz · P0 · held back by the power limit",
                "memory 77 °C · fan 1450 rpm · limited to 700 W",
                "PCIe 5 x16 · 52 MB/s in",
                "1 of 2 links to other devices work · 2.0 MB out · 6 wrong checksums",
                "ECC on · 7 errors corrected",
                "for one process alone · 0 partitions (MIG)",
                "process 1001 · holds 39 GiB",
            ]
        );
    }
}
