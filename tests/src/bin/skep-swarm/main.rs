//! `skep-swarm FIRST COUNT FOLDER`: makes components by seed and puts each through everything that a plugin passes: the look
//! at its shape, the compiler, our linker, and the code that runs when it is instantiated.
//!
//! Prints a line `seed N` before each, so that whoever watches knows which one hangs or takes the process along, and at last
//! what became of all as JSON. It runs behind the walls of a worker; `FOLDER` is all that it may write to.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    reason = "a command-line tool speaks on its terminal"
)]

mod make;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;
use skep::confine::{self, Walls};
use skep::host::{Fault, Model, OpenError, Opening, Scheduler, SchedulerLoadError, World};
use skep::host::{inspect, precompile};
use skep::protocol::{Settings, Timeouts};
use skep_hw::{CpuSettings, Device};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [first, count, folder] = arguments.as_slice() else {
        bail!("usage: skep-swarm FIRST COUNT FOLDER");
    };
    let (first, count): (u64, u64) = (first.parse()?, count.parse()?);
    let folder = Path::new(folder);
    confine::begin()?;
    Walls {
        write: vec![folder.to_owned()],
        ..Walls::default()
    }
    .raise()?;
    let device = Device::cpu(CpuSettings {
        threads: std::num::NonZeroUsize::new(1),
        isa: None,
    })?;
    let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
    let mut panics = Vec::new();
    let (mut slowest, mut slowest_seed) = (Duration::ZERO, first);
    for seed in first..first + count {
        println!("seed {seed}");
        let begun = Instant::now();
        let path = folder.join(format!("{seed}.cwasm"));
        // A panic is what is looked for; what it may leave half done is dropped with the instance.
        let outcome = catch_unwind(AssertUnwindSafe(|| pass(seed, count == 1, &path, &device)));
        if begun.elapsed() > slowest {
            (slowest, slowest_seed) = (begun.elapsed(), seed);
        }
        match outcome {
            Ok(outcome) => *outcomes.entry(outcome?).or_default() += 1,
            Err(_) => panics.push(seed),
        }
    }
    println!(
        "{}",
        json!({
            "outcomes": outcomes,
            "panics": panics,
            "slowest_ms": slowest.as_millis() as u64,
            "slowest_seed": slowest_seed,
        })
    );
    Ok(())
}

/// What became of one, in a few words. An error is one of this program, and not of the component.
fn pass(seed: u64, alone: bool, path: &Path, device: &Device) -> Result<String> {
    let made = make::component(seed)?;
    let inspection = match inspect(&made) {
        Ok(inspection) => inspection,
        Err(error) => return Ok(format!("refused at sight: {}", kind(&error.to_string()))),
    };
    // What no world wants goes to the compiler all the same: it must bear it.
    let world = inspection.world.unwrap_or(World::Engine);
    let compiled = match precompile(world, &made) {
        Ok(compiled) => compiled,
        Err(error) => {
            let why = format!("{error:#}");
            // Of one alone, everything is told.
            if alone {
                println!("{why}");
            }
            return Ok(format!("not compiled: {}", kind(&why)));
        }
    };
    std::fs::write(path, compiled).context("could not keep a compiled component")?;
    let outcome = match world {
        World::Engine => engine(path, device),
        _ => scheduler(path),
    };
    std::fs::remove_file(path).context("could not remove a compiled component")?;
    let shape = if inspection.world.is_some() {
        world.name()
    } else {
        "no world"
    };
    Ok(format!("{shape}: {outcome}"))
}

fn scheduler(path: &Path) -> String {
    match Scheduler::load("swarm", path) {
        Ok(_) => "loaded".to_owned(),
        Err(SchedulerLoadError::Stale(why)) => format!("stale: {}", kind(&why)),
        Err(SchedulerLoadError::Fault(fault)) => told(&fault),
    }
}

fn engine(path: &Path, device: &Device) -> String {
    let opened = Model::open(Opening {
        plugin: "swarm",
        compiled: path,
        files: Vec::new(),
        draft: None,
        settings: Settings::default(),
        device: device.clone(),
        memory_bytes: 64 << 20,
        timeouts: Timeouts {
            open: Duration::from_millis(200),
            ..Timeouts::default()
        },
    });
    match opened {
        Ok(_) => "loaded".to_owned(),
        Err(OpenError::Stale(why)) => format!("stale: {}", kind(&why)),
        Err(OpenError::Refused(error)) => format!("refused: {}", kind(&error.to_string())),
        Err(OpenError::Fault(fault)) => told(&fault),
    }
}

fn told(fault: &Fault) -> String {
    match fault {
        Fault::Deadline { .. } => "ran too long".to_owned(),
        Fault::Fuel { .. } => "used too much".to_owned(),
        Fault::Limit { what, .. } => format!("reached its {}", kind(what)),
        Fault::Trap { what, .. } => format!("trapped: {}", kind(what)),
        Fault::Nonsense { what, .. } => format!("answered nonsense: {}", kind(what)),
        Fault::Device(_) => "failed the device".to_owned(),
        Fault::Unfit { what, .. } => format!("does not fit: {}", kind(what)),
    }
}

/// The first words, without numbers and names, so that alike is counted together.
fn kind(text: &str) -> String {
    let words = text
        .split_whitespace()
        .take_while(|word| !word.contains(|c: char| c.is_ascii_digit() || c == '`'))
        .take(6);
    let words: Vec<&str> = words.collect();
    words.join(" ").trim_end_matches([':', ',', ';']).to_owned()
}
