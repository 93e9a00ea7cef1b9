//! `skep-sim VERB`: many cores on virtual time.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool speaks on its terminal"
)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use foca::{Header, Member};
use lexopt::prelude::*;
use skep_core::membership::{Doing, Membership, Peer};
use skep_sim::log::{Log, Told};
use skep_sim::{Broken, Plan, World, measure, poison};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut arguments = lexopt::Parser::from_env();
    let (mut verb, mut path) = (None, None);
    let (mut from, mut count) = (1, None);
    let mut place = None;
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("from") => from = arguments.value()?.parse()?,
            Long("count") => count = Some(arguments.value()?.parse()?),
            Long("node") => place = Some(arguments.value()?.parse()?),
            Long("help") => verb = None,
            Value(value) if verb.is_none() => verb = Some(value.string()?),
            Value(value) => path = Some(PathBuf::from(value)),
            _ => return Err(argument.unexpected().into()),
        }
    }
    match verb.as_deref() {
        Some("seeds") => seeds(from, count.unwrap_or(1_000), hostile),
        Some("lies") => seeds(from, count.unwrap_or(100), lying),
        Some("detection") => detection(from, count.unwrap_or(20)),
        Some("starved") => starved(from, count.unwrap_or(10)),
        Some("traffic") => traffic(from),
        Some("replay") => replay(&path.context("say which log")?, place),
        Some(other) => bail!("there is no verb `{other}`; `skep-sim` alone lists them"),
        None => {
            print!("{HELP}");
            Ok(())
        }
    }
}

const HELP: &str = "\
Many cores on virtual time, over a network that a seed makes bad.

    skep-sim seeds [--from N] [--count N]      five virtual minutes of faults for each seed
    skep-sim lies [--from N] [--count N]       a member that lies 10,000 times, for each seed
    skep-sim detection [--from N] [--count N]  how soon a death is known
    skep-sim starved [--from N] [--count N]    who is wrongly taken for dead
    skep-sim traffic [--from N]                what membership sends
    skep-sim replay LOG [--node N]             tells cores again what a failing run told them
";

/// One kind of run from a seed, keeping what the cores are told or not.
type Kind = fn(u64, bool) -> Result<(), Box<Broken>>;

fn hostile(seed: u64, keep_log: bool) -> Result<(), Box<Broken>> {
    World::new(Plan {
        keep_log,
        ..Plan::hostile(seed)
    })
    .run()
}

fn lying(seed: u64, keep_log: bool) -> Result<(), Box<Broken>> {
    let plan = Plan {
        keep_log,
        ..Plan::honest(seed)
    };
    poison(plan, 10_000)
}

fn seeds(from: u64, count: u64, kind: Kind) -> Result<()> {
    let started = Instant::now();
    for seed in from..from + count {
        if kind(seed, false).is_err() {
            return Err(failed(seed, kind));
        }
        if (seed + 1 - from).is_multiple_of(1_000) {
            eprintln!("{} seeds, {:.0?}", seed + 1 - from, started.elapsed());
        }
    }
    println!(
        "{count} seeds without a violation, {:.1?}",
        started.elapsed()
    );
    Ok(())
}

/// Runs a failing seed again, this time keeping what the cores are told.
fn failed(seed: u64, kind: Kind) -> anyhow::Error {
    let Err(broken) = kind(seed, true) else {
        return anyhow::anyhow!("seed {seed} failed once and not again");
    };
    let path = std::env::temp_dir().join(format!("skep-sim-{seed}.log"));
    let saved = match std::fs::write(&path, broken.log.to_bytes()) {
        Ok(()) => format!("; `skep-sim replay {}` tells it again", path.display()),
        Err(error) => format!("; its log could not be kept: {error}"),
    };
    anyhow::anyhow!("seed {seed} at {:.3?}: {}{saved}", broken.at, broken.what)
}

fn detection(from: u64, count: u64) -> Result<()> {
    for nodes in [3, 8, 32] {
        for loss in [0, 100] {
            let (mut each, mut all, mut wrong) = (Vec::new(), Vec::new(), 0);
            for seed in from..from + count {
                let found = measure::detection(seed, nodes, loss)
                    .map_err(|broken| anyhow::anyhow!("seed {seed}: {}", broken.what))?;
                each.extend(found.each);
                all.push(found.all);
                wrong += found.wrong;
            }
            println!(
                "{nodes:3} nodes, {:2} % loss: known to one {:.2?} (p99 {:.2?}), to all {:.2?} (p99 {:.2?}); {wrong} wrong",
                loss / 10,
                part(&mut each, 50),
                part(&mut each, 99),
                part(&mut all, 50),
                part(&mut all, 99),
            );
        }
    }
    Ok(())
}

fn part(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    let at = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(at).copied().unwrap_or_default()
}

fn starved(from: u64, count: u64) -> Result<()> {
    let length = Duration::from_secs(60);
    for (nodes, starved, loss) in [
        (32, 0, 0),
        (32, 0, 100),
        (32, 8, 0),
        (32, 8, 100),
        (8, 2, 0),
    ] {
        let mut wrong = 0;
        for seed in from..from + count {
            wrong += measure::wrongly_dead(seed, nodes, starved, loss, length)
                .map_err(|broken| anyhow::anyhow!("seed {seed}: {}", broken.what))?;
        }
        println!(
            "{nodes} nodes, {starved} of them starved, {} % loss, {count} × 60 s: healthy ones taken for dead {wrong} times",
            loss / 10
        );
    }
    Ok(())
}

fn traffic(from: u64) -> Result<()> {
    for nodes in [8, 32, 128] {
        let [bytes, datagrams] =
            measure::traffic(from, nodes).map_err(|broken| anyhow::anyhow!("{}", broken.what))?;
        println!("{nodes:3} nodes: {bytes:.0} bytes and {datagrams:.1} datagrams a second each");
    }
    Ok(())
}

fn replay(path: &std::path::Path, place: Option<usize>) -> Result<()> {
    let bytes =
        std::fs::read(path).with_context(|| format!("could not read `{}`", path.display()))?;
    Log::from_bytes(&bytes)?.replay(|entry, core: &mut Membership| {
        let shown = place.is_none_or(|place| place == entry.place);
        if shown {
            let told = match &entry.told {
                Told::Datagram { from, bytes } => format!("{from}: {}", datagram(bytes)),
                other => format!("{other:?}"),
            };
            println!("{:9.3} s  {} ← {told}", entry.at.as_secs_f64(), entry.place);
        }
        while let Some(doing) = core.poll_doing() {
            if shown {
                let done = match &doing {
                    Doing::Send { to, bytes } => format!("to {}: {}", to.node, datagram(bytes)),
                    other => format!("{other:?}"),
                };
                println!("                → {done}");
            }
        }
    })
}

/// What a datagram says.
fn datagram(bytes: &[u8]) -> String {
    let Ok((header, mut rest)) = postcard::take_from_bytes::<Header<Peer>>(bytes) else {
        return String::from("not readable");
    };
    let short = |peer: &Peer| {
        let node = peer.node.to_string();
        let node = node.get(..4).unwrap_or_default();
        format!("{node}/{}@{}", peer.generation, peer.address)
    };
    let mut said = format!(
        "{:?} from {} ({}) to {}",
        header.message,
        short(&header.src),
        header.src_incarnation,
        short(&header.dst)
    );
    rest = rest.get(2..).unwrap_or_default();
    while let Ok((member, after)) = postcard::take_from_bytes::<Member<Peer>>(rest) {
        let about = format!(
            ", {} {:?} ({})",
            short(member.id()),
            member.state(),
            member.incarnation()
        );
        said.push_str(&about);
        rest = after;
    }
    said
}
