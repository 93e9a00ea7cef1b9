//! Measures the kernels beside what the memory gives, all in one process.
//!
//! `cargo run --release -p skep-hw --example bench -- [--json] [--quick] [--threads N] [--isa NAME]
//! [--only memory|products|ops|attention|decoders] [--type NAME] [--size N] [--cached] [--model NAME]
//! [--streams N[,N]...] [--wall] [--cache NAME] [--start N] [--busy-core]`
//!
//! Tables: reading memory with the same threads (4 KiB and 2 MiB pages); products of one row
//! with square matrices of each type, in GB/s and as a share of reading, and of several rows in
//! GFLOP/s, those of 256 as a share of what the vector units can multiply; other ops beside scaling, and attention; whole decoders made of random numbers, in tokens per second. With one thread, figures
//! are of the processor time that the thread got, the mean of some rounds, which a busy machine
//! spoils least; with several, of wall time, the best of some rounds: neighbours make a round slower,
//! never faster. With `--wall` they are of wall time, the mean of some rounds, always: what whoever waits for
//! them sees.
//! `--busy-core` instead compares one thread with all while another keeps a core busy.

#[path = "bench/busy.rs"]
mod busy;
#[path = "bench/clock.rs"]
mod clock;
#[path = "bench/decoder.rs"]
mod decoder;
#[path = "bench/memory.rs"]
mod memory;
#[path = "bench/ops.rs"]
mod ops;
#[path = "bench/peak.rs"]
mod peak;
#[path = "bench/products.rs"]
mod products;
#[path = "bench/types.rs"]
mod types;
#[path = "bench/weights.rs"]
mod weights;

use std::error::Error;
use std::io::{Write as _, stdout};
use std::num::NonZeroUsize;

use skep_hw::{CpuSettings, Device, Isa};

use self::clock::Clock;

/// What was asked for.
struct Settings {
    json: bool,
    quick: bool,
    wall: bool,
    busy_core: bool,
    device: CpuSettings,
    only: Option<String>,
    products: products::Choice,
}

fn main() -> Result<(), Box<dyn Error>> {
    let settings = settings()?;
    let device = Device::cpu(settings.device)?;
    let clock = if settings.wall {
        Clock::WallMean
    } else {
        Clock::for_threads(device.threads())
    };
    let mut report = Report {
        json: settings.json,
        parts: Vec::new(),
    };
    report.line(&format!("# {}", device.name()))?;
    if settings.busy_core {
        busy::measure(settings.device, &settings.products, &mut report)?;
        return report.end(&device);
    }
    let wanted = |part: &str| settings.only.as_deref().is_none_or(|only| only == part);
    let read = memory::read(device.threads(), clock, settings.quick)?;
    report.line(&format!(
        "reading memory: {:.1} GB/s on 4 KiB pages, {:.1} GB/s on 2 MiB pages",
        read.small, read.huge
    ))?;
    report.part(
        "memory",
        serde_json::json!({ "small_pages_gb_s": read.small, "huge_pages_gb_s": read.huge }),
    );
    if ["products", "ops", "attention"].into_iter().any(wanted) {
        let peak = peak::measure(device.threads(), clock, settings.quick);
        report.line(&format!(
            "multiplying: {} GFLOP/s of floats, {} of bytes",
            words(peak.floats),
            words(peak.bytes)
        ))?;
        report.part(
            "peak",
            serde_json::json!({ "floats_gflop_s": peak.floats, "bytes_gflop_s": peak.bytes }),
        );
        let limits = products::Limits {
            read_gb_s: read.small,
            peak,
        };
        if wanted("products") {
            products::measure(&device, clock, &limits, &settings.products, &mut report)?;
        }
        if wanted("ops") {
            ops::measure(&device, clock, settings.quick, &mut report)?;
        }
        if wanted("attention") {
            ops::attention(&device, clock, &limits, settings.quick, &mut report)?;
        }
    }
    if wanted("decoders") {
        decoder::measure(&device, clock, read.small, &settings.products, &mut report)?;
    }
    report.end(&device)
}

/// A figure, if there is one.
fn words(figure: Option<f64>) -> String {
    figure.map_or_else(|| "unknown".to_owned(), |figure| format!("{figure:.0}"))
}

/// Text as it comes, or one object at the end.
struct Report {
    json: bool,
    parts: Vec<(&'static str, serde_json::Value)>,
}

impl Report {
    fn line(&self, text: &str) -> std::io::Result<()> {
        if self.json {
            return Ok(());
        }
        writeln!(stdout().lock(), "{text}")
    }

    fn part(&mut self, name: &'static str, value: serde_json::Value) {
        self.parts.push((name, value));
    }

    fn end(self, device: &Device) -> Result<(), Box<dyn Error>> {
        if self.json {
            let mut object = serde_json::Map::new();
            object.insert("device".to_owned(), device.name().into());
            for (name, value) in self.parts {
                object.insert(name.to_owned(), value);
            }
            let mut out = stdout().lock();
            serde_json::to_writer_pretty(&mut out, &object)?;
            writeln!(out)?;
        }
        Ok(())
    }
}

fn settings() -> Result<Settings, Box<dyn Error>> {
    let mut settings = Settings {
        json: false,
        quick: false,
        wall: false,
        busy_core: false,
        device: CpuSettings::default(),
        only: None,
        products: products::Choice::default(),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or("a value is missing at the end");
        match argument.as_str() {
            "--json" => settings.json = true,
            "--quick" => settings.quick = true,
            "--wall" => settings.wall = true,
            "--busy-core" => settings.busy_core = true,
            "--type" => settings.products.dtype = Some(value()?),
            "--size" => settings.products.size = Some(value()?.parse()?),
            "--cached" => settings.products.cached = true,
            "--model" => settings.products.model = Some(value()?),
            "--streams" => {
                let counts = value()?;
                let counts = counts.split(',').map(str::parse);
                settings.products.streams = Some(counts.collect::<Result<_, _>>()?);
            }
            "--cache" => settings.products.cache = Some(value()?),
            "--start" => settings.products.start = Some(value()?.parse()?),
            "--only" => settings.only = Some(value()?),
            "--threads" => settings.device.threads = Some(value()?.parse::<NonZeroUsize>()?),
            "--isa" => {
                let name = value()?;
                let isa = Isa::available().into_iter().find(|i| i.name() == name);
                settings.device.isa = Some(isa.ok_or("this processor has no such instructions")?);
            }
            // Given by `cargo bench`, which runs the same way.
            "--bench" => {}
            other => return Err(format!("unknown argument `{other}`").into()),
        }
    }
    settings.products.quick = settings.quick;
    Ok(settings)
}
