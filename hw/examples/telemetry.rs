//! Prints what telemetry sees on this machine, and what a sample costs.
#![allow(clippy::print_stdout, reason = "printing is what it is for")]

use std::time::{Duration, Instant};

use skep_hw::telemetry::{Places, Telemetry};

fn main() {
    let start = Instant::now();
    let places = Places {
        disks: vec!["/".into()],
        ..Places::default()
    };
    let mut telemetry = Telemetry::detect(&places);
    let detected = start.elapsed();
    let snapshot = telemetry.sample(Instant::now());
    println!("{snapshot:#?}");
    for device in &snapshot.devices {
        println!("{}: {}", device.identity.id, device.verdict);
    }

    let samples = 200;
    let (wall, cpu) = (Instant::now(), processor_time());
    // As if a second passed between them, so that what is read rarely has its share.
    let mut now = Instant::now();
    for _ in 0..samples {
        now += Duration::from_secs(1);
        telemetry.sample(now);
    }
    println!("detection: {detected:?}");
    println!(
        "one sample: {:?} of processor time, {:?} in all",
        (processor_time() - cpu) / samples,
        wall.elapsed() / samples
    );
}

/// Linux, `Documentation/scheduler/sched-stats.rst`: the first number is nanoseconds on a
/// processor.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split_whitespace().next().and_then(|n| n.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or_default())
}
