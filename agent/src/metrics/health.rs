//! What devices are worth, in figures.

use std::sync::atomic::AtomicU64;
use std::time::Instant;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::telemetry::{Level, Machine};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    device: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CauseLabels {
    device: String,
    cause: String,
}

pub(super) fn devices(registry: &mut Registry, machine: &Machine) {
    let health = Family::<Labels, Gauge>::default();
    let healthy = Family::<Labels, Gauge>::default();
    let causes = Family::<CauseLabels, Gauge>::default();
    let age = Family::<Labels, Gauge<f64, AtomicU64>>::default();
    let now = Instant::now();
    for (device, standing) in machine.snapshot.devices.iter().zip(&machine.standings) {
        let labels = Labels {
            device: device.identity.id.to_string(),
        };
        let figure = match standing.level {
            Level::Healthy => 0,
            Level::Degraded => 1,
            Level::Lost => 2,
        };
        health.get_or_create(&labels).set(figure);
        healthy
            .get_or_create(&labels)
            .set(i64::from(standing.level == Level::Healthy));
        let read_ago = now.saturating_duration_since(standing.read_at);
        age.get_or_create(&labels).set(read_ago.as_secs_f64());
        for cause in &standing.causes {
            let labels = CauseLabels {
                device: labels.device.clone(),
                cause: cause.code.clone(),
            };
            causes.get_or_create(&labels).set(1);
        }
    }
    registry.register(
        "device_health",
        "What an accelerator is worth: 0 healthy, 1 degraded, 2 lost",
        health,
    );
    registry.register(
        "gpu_healthy",
        "1 when nothing speaks against the device",
        healthy,
    );
    registry.register(
        "device_cause",
        "1 for each thing that speaks against an accelerator",
        causes,
    );
    registry.register(
        "device_reading_age_seconds",
        "How old the newest reading of an accelerator is",
        age,
    );
}
