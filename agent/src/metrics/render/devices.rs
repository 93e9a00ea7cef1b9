//! What accelerators show, each figure with the device that shows it.
//!
//! Decides how a figure of several devices becomes one metric; refuses to know names ([`figures`]).
//! A figure that no device tells is left out.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use skep_hw::telemetry::{Device, HeldBack};

use self::figures::{COUNTS, FIGURES, LINK_COUNTS, UNITS};

mod figures;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    device: String,
}

/// A device has 16 kinds of Xid at most, and 36 links.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PartLabels {
    device: String,
    part: String,
}

type Floats = Family<Labels, Gauge<f64, AtomicU64>>;

pub(super) fn devices(registry: &mut Registry, devices: &[Device]) {
    for (name, help, read) in FIGURES.into_iter().chain(UNITS) {
        let family = Floats::default();
        let mut told = false;
        for device in devices {
            if let Some(value) = read(device) {
                told = true;
                family.get_or_create(&labels(device)).set(value);
            }
        }
        if told {
            registry.register(name, help, family);
        }
    }
    for (name, help, read) in COUNTS {
        let family = Family::<Labels, Counter>::default();
        let mut told = false;
        for device in devices {
            if let Some(count) = read(device) {
                told = true;
                family.get_or_create(&labels(device)).inc_by(count);
            }
        }
        if told {
            registry.register(name, help, family);
        }
    }
    links(registry, devices);
    held_back(registry, devices);
    xids(registry, devices);
}

fn labels(device: &Device) -> Labels {
    Labels {
        device: device.identity.id.to_string(),
    }
}

fn part(device: &Device, part: &impl ToString) -> PartLabels {
    PartLabels {
        device: device.identity.id.to_string(),
        part: part.to_string(),
    }
}

fn links(registry: &mut Registry, devices: &[Device]) {
    for (name, help, read) in LINK_COUNTS {
        let family = Family::<PartLabels, Counter>::default();
        let mut told = false;
        for device in devices {
            for link in device.reading.links.iter().flat_map(|links| &links.links) {
                if let Some(count) = read(link) {
                    told = true;
                    let labels = part(device, &link.number);
                    family.get_or_create(&labels).inc_by(count);
                }
            }
        }
        if told {
            registry.register(name, help, family);
        }
    }
}

fn held_back(registry: &mut Registry, devices: &[Device]) {
    type Seconds = fn(&HeldBack) -> Option<f64>;
    let reasons: [(&str, Seconds); 6] = [
        ("power", |held| held.power_s),
        ("thermal", |held| held.heat_s),
        ("sync_boost", |held| held.group_s),
        ("board_limit", |held| held.board_s),
        ("low_utilisation", |held| held.idle_s),
        ("reliability", |held| held.reliability_s),
    ];
    let family = Family::<PartLabels, Counter<f64, AtomicU64>>::default();
    let mut told = false;
    for device in devices {
        for (reason, read) in reasons {
            if let Some(seconds) = read(&device.reading.held_back) {
                told = true;
                let labels = part(device, &reason);
                family.get_or_create(&labels).inc_by(seconds);
            }
        }
    }
    if told {
        let help = "Time in which the clocks were held back, by reason, since the driver was loaded \
                    (DCGM_FI_DEV_POWER_VIOLATION and others)";
        registry.register("gpu_violation_seconds", help, family);
    }
}

fn xids(registry: &mut Registry, devices: &[Device]) {
    let family = Family::<PartLabels, Counter>::default();
    let mut told = false;
    for device in devices {
        for xid in &device.reading.xids {
            told = true;
            let labels = part(device, &xid.number);
            family.get_or_create(&labels).inc_by(xid.count.into());
        }
    }
    if told {
        let help = "Errors that NVIDIA's driver reported, by number (DCGM_FI_DEV_XID_ERRORS)";
        registry.register("gpu_xid_errors", help, family);
    }
}
