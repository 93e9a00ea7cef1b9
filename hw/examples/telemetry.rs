//! Prints what telemetry sees on this machine, and what a sample costs.
//!
//! `cargo run --release -p skep-hw --example telemetry -- [--cost] [--json] [--quick]
//! [--stand-in LIBRARY --counting LIBRARY]`
//!
//! With `--cost` the costs alone: of the host, and of NVIDIA's devices for the samples in which
//! what is slow is not due (nine of ten) and is due. Where there is no such device, a stand-in for
//! NVIDIA's library (`tests/fakes/nvml.c`) is measured: its calls cost next to nothing, so what is
//! left is what is ours. One that writes its calls down tells how many there are.
#![allow(clippy::print_stdout, reason = "printing is what it is for")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use skep_hw::telemetry::{HostWatch, Places, Telemetry, Vendor, VendorWatch};

#[derive(Default)]
struct Settings {
    cost: bool,
    json: bool,
    quick: bool,
    stand_in: Option<PathBuf>,
    counting: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let settings = settings()?;
    if !settings.cost {
        see();
    }
    let rows = costs(&settings)?;
    if settings.json {
        println!("{}", json!({ "costs": rows }));
        return Ok(());
    }
    for row in rows {
        println!("{row}");
    }
    Ok(())
}

fn settings() -> Result<Settings, Box<dyn Error>> {
    let mut settings = Settings::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut path = || arguments.next().map(PathBuf::from);
        match argument.as_str() {
            "--cost" => settings.cost = true,
            "--json" => settings.json = true,
            "--quick" => settings.quick = true,
            "--stand-in" => settings.stand_in = path(),
            "--counting" => settings.counting = path(),
            other => return Err(format!("`{other}` is not known").into()),
        }
    }
    Ok(settings)
}

fn see() {
    let places = Places {
        disks: vec!["/".into()],
        ..Places::default()
    };
    let mut telemetry = Telemetry::detect(&places);
    let snapshot = telemetry.sample(Instant::now());
    println!("{snapshot:#?}");
    for device in &snapshot.devices {
        println!("{}: {}", device.identity.id, device.verdict);
    }
}

fn costs(settings: &Settings) -> Result<Vec<Value>, Box<dyn Error>> {
    let samples = if settings.quick { 200 } else { 5_000 };
    let mut rows = Vec::new();
    let mut places = Places {
        disks: vec!["/".into()],
        ..Places::default()
    };
    let mut host = HostWatch::detect(&places);
    let every = Duration::from_secs(1);
    let (wall, core) = time(samples / 10, every, |now| {
        host.sample(now);
    });
    rows.push(row("host", "any sample", 1, &wall, core, None));

    let mut cards = VendorWatch::detect(Vendor::Nvidia, &places);
    let mut name = "NVIDIA's driver";
    if cards.is_empty() {
        let Some(library) = &settings.stand_in else {
            return Ok(rows);
        };
        name = "stand-in";
        places.nvml = vec![library.clone()];
        cards = VendorWatch::detect(Vendor::Nvidia, &places);
    }
    let first = Instant::now();
    let devices = cards.sample(first).len().max(1);
    let first = vec![first.elapsed()];
    rows.push(row(name, "first sample", devices, &first, None, None));

    // Every tenth of the samples of a second each, and each of those of ten, is a slow one.
    let (mixed, mixed_core) = time(samples, every, |now| drop(cards.sample(now)));
    let (slow, slow_core) = time(samples / 10, every * SLOW, |now| drop(cards.sample(now)));
    let fast_core = mixed_core
        .zip(slow_core)
        .map(|(mixed, slow)| (mixed * SLOW).saturating_sub(slow) / (SLOW - 1));
    let fast: Vec<Duration> = mixed
        .into_iter()
        .enumerate()
        .filter(|(n, _)| !(*n as u32).is_multiple_of(SLOW))
        .map(|(_, lasted)| lasted)
        .collect();
    let calls = match (&settings.counting, name) {
        (Some(library), "stand-in") => Some(count(library, &mut places)?),
        _ => None,
    };
    let (fast_calls, slow_calls) = calls.unzip();
    rows.push(row(
        name,
        "fast sample",
        devices,
        &fast,
        fast_core,
        fast_calls,
    ));
    rows.push(row(
        name,
        "slow sample",
        devices,
        &slow,
        slow_core,
        slow_calls,
    ));
    Ok(rows)
}

/// What each of many samples lasts, and what the mean one takes of a core.
fn time(
    samples: u32,
    step: Duration,
    mut sample: impl FnMut(Instant),
) -> (Vec<Duration>, Option<Duration>) {
    // As if so much time passed between them, so that what is read rarely has its share. The first
    // follows what was before by more than anything rests.
    let mut now = Instant::now() + Duration::from_secs(1 << 20);
    sample(now);
    now += step * (SLOW - 1);
    let mut lasted = Vec::with_capacity(samples as usize);
    let core = on_core();
    for _ in 0..samples {
        now += step;
        let start = Instant::now();
        sample(now);
        lasted.push(start.elapsed());
    }
    let core = on_core().zip(core).map(|(after, before)| after - before);
    (lasted, core.map(|core| core / samples))
}

/// The calls for one device in a fast and in a slow sample, once its refusals are known.
fn count(library: &Path, places: &mut Places) -> Result<(usize, usize), Box<dyn Error>> {
    let mut calls = library.as_os_str().to_owned();
    calls.push(".calls");
    places.nvml = vec![library.to_owned()];
    let mut cards = VendorWatch::detect(Vendor::Nvidia, places);
    let start = Instant::now();
    let mut after = |s| -> Result<usize, Box<dyn Error>> {
        cards.sample(start + Duration::from_secs(s));
        let text = std::fs::read_to_string(&calls)?;
        // Of the first device, or of none (samples are compared); the second device makes none of
        // the latter.
        Ok(text.lines().filter(|call| !call.ends_with(" 1")).count())
    };
    after(0)?;
    // The first sample is refused what it is, and the tenth second brings the slow one.
    let before = after(9)?;
    let slow = after(10)?;
    let fast = after(11)?;
    Ok((fast - slow, slow - before))
}

fn row(
    source: &str,
    what: &str,
    devices: usize,
    wall: &[Duration],
    core: Option<Duration>,
    calls: Option<usize>,
) -> Value {
    let mut wall: Vec<f64> = wall.iter().map(Duration::as_secs_f64).collect();
    wall.sort_by(f64::total_cmp);
    let at = |part: f64| {
        let index = (wall.len().saturating_sub(1)) as f64 * part;
        wall.get(index as usize).copied().unwrap_or_default()
    };
    let each_us = |seconds: f64| seconds * 1e6 / devices as f64;
    json!({
        "source": source,
        "what": what,
        "devices": devices,
        "calls_each": calls,
        "core_us_each": core.map(|core| each_us(core.as_secs_f64())),
        "wall_us_each": each_us(at(0.5)),
        "wall_us_each_p99": each_us(at(0.99)),
    })
}

/// Linux, `Documentation/scheduler/sched-stats.rst`: the first number is nanoseconds on a
/// processor, exact to a tick of some milliseconds.
fn on_core() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = text.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

/// How many samples of a second come to one in which what is slow is due.
const SLOW: u32 = 10;
