//! This node as the core is told of it: the processor, then the accelerators, each with its memory
//! and what it is worth.
//!
//! Decides how coarse a figure is, so that small movements are no news; and that a node is degraded
//! when none of its accelerators can be relied on, but not by one of several, which its device
//! tells better.

use std::collections::{BTreeMap, BTreeSet};

use skep_core::{Device, Health};
use skep_hw::telemetry::{self as hw, HostMemory};

use super::calm::Calm;
use super::judge::PROCESSOR;
use super::{Cause, Level};

/// The processor before the first look: unknown memory keeps no model from being tried.
pub(super) fn unseen_processor() -> Device {
    Device {
        id: PROCESSOR.into(),
        kind: PROCESSOR.into(),
        health: Health::Healthy,
        memory_bytes: u64::MAX,
        memory_free_bytes: u64::MAX,
        bandwidth: 0,
    }
}

pub(super) fn processor(memory: &HostMemory) -> Device {
    let unseen = unseen_processor();
    Device {
        memory_bytes: memory
            .limit_bytes
            .or(memory.total_bytes)
            .unwrap_or(unseen.memory_bytes),
        memory_free_bytes: memory
            .usable_bytes
            .or(memory.available_bytes)
            .map_or(unseen.memory_free_bytes, coarse),
        ..unseen
    }
}

/// An accelerator; `total` remembers how large it was while it answered.
pub(super) fn accelerator(
    device: &hw::Device,
    calm: &Calm,
    totals: &mut BTreeMap<String, u64>,
) -> Device {
    let memory = &device.reading.memory;
    let id = device.identity.id.to_string();
    if let Some(total) = memory.memory_total_bytes {
        totals.insert(id.clone(), total);
    }
    let unwatched = device.reading == hw::Reading::default() && device.identity.uuid.is_none();
    // As with the processor: unknown memory keeps no model from being tried, and the worker says if it does not suffice.
    let unknown = if unwatched { u64::MAX } else { 0 };
    Device {
        memory_bytes: totals.get(&id).copied().unwrap_or(unknown),
        memory_free_bytes: memory.memory_free_bytes.map_or(unknown, coarse),
        id,
        kind: match device.identity.vendor {
            hw::Vendor::Nvidia => "nvidia".into(),
            hw::Vendor::Amd => "amd".into(),
        },
        health: health(&calm.first_causes()),
        bandwidth: 0,
    }
}

/// Keeps what is remembered of devices to those that there are.
pub(super) fn forget_strangers<T>(known: &mut BTreeMap<String, T>, devices: &[hw::Device]) {
    let there: BTreeSet<&str> = devices.iter().map(|d| d.identity.id.0.as_str()).collect();
    known.retain(|id, _| there.contains(id.as_str()));
}

/// What the devices make of their node.
pub(super) fn level(devices: &[Level]) -> (Level, Option<String>) {
    let healthy = devices.iter().filter(|level| **level == Level::Healthy);
    if devices.is_empty() || healthy.count() > 0 {
        return (Level::Healthy, None);
    }
    let why = match devices.len() {
        1 => "its only accelerator is not healthy".to_owned(),
        count => format!("none of its {count} accelerators is healthy"),
    };
    (Level::Degraded, Some(why))
}

fn health(causes: &[Cause]) -> Health {
    let worst = causes.iter().map(|cause| cause.level).max();
    let told: Vec<String> = causes.iter().map(ToString::to_string).collect();
    match worst {
        None | Some(Level::Healthy) => Health::Healthy,
        Some(Level::Degraded) => Health::Degraded(told.join("; ")),
        Some(Level::Lost) => Health::Lost(told.join("; ")),
    }
}

fn coarse(bytes: u64) -> u64 {
    bytes / STEP_BYTES * STEP_BYTES
}

/// Free memory moves all the time; only so much of it is a change.
const STEP_BYTES: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_as_good_as_its_best_accelerator() {
        use Level::{Degraded, Healthy, Lost};
        let check = |devices: &[Level], expect: Level| assert_eq!(level(devices).0, expect);
        check(&[], Healthy);
        check(&[Healthy], Healthy);
        check(&[Lost, Healthy, Degraded], Healthy);
        check(&[Lost], Degraded);
        check(&[Lost, Degraded], Degraded);
    }
}
