//! Measures the product as users have it, beside the limits of the machine and the peers.
//!
//! Decides which parts there are and in which order they run; how a part measures stands in its own
//! file. Every part prints a table in Markdown on standard output; progress goes to standard error.

mod agent;
mod beside;
mod bytes;
mod cluster;
mod echo;
mod gateway;
mod host;
mod idle;
mod kernels;
mod load;
mod machine;
mod models;
mod peers;
mod report;
mod schedule;
mod start;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use lexopt::prelude::*;

use crate::step::{step, target};
use report::Report;

/// How long and how often.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Shows that everything runs; the figures are rough.
    Quick,
    /// What the results page is made from.
    Full,
}

impl Effort {
    /// One of two values.
    fn pick<T>(self, quick: T, full: T) -> T {
        match self {
            Self::Quick => quick,
            Self::Full => full,
        }
    }
}

type Part = fn(Effort, &mut Report) -> Result<()>;

const PARTS: [(&str, Part); 8] = [
    ("start", start::measure),
    ("idle", idle::measure),
    ("host", host::measure),
    ("schedule", schedule::measure),
    ("cluster", cluster::measure),
    ("kernels", kernels::measure),
    ("models", models::measure),
    ("gateway", gateway::measure),
];

/// Runs all parts, or those named.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let options = Options::parse(arguments)?;
    let mut report = Report::new(machine::facts()?);
    print!("{}", report.heading());
    let mut failed = Vec::new();
    for (name, measure) in PARTS {
        if !options.parts.is_empty() && !options.parts.iter().any(|part| part == name) {
            continue;
        }
        // One part that cannot run does not cost the others' figures.
        let result = step(name, || match (&options.peer, name) {
            (Some(peer), "models") => beside::measure(&options, peer, &mut report),
            _ => measure(options.effort, &mut report),
        });
        if let Err(error) = result {
            eprintln!("    {error:#}");
            failed.push(name);
        }
    }
    if let Some(path) = &options.json {
        std::fs::write(path, report.json())
            .with_context(|| format!("could not write `{}`", path.display()))?;
    }
    if !failed.is_empty() {
        bail!("not measured: {}", failed.join(", "));
    }
    Ok(())
}

struct Options {
    parts: Vec<String>,
    effort: Effort,
    json: Option<PathBuf>,
    /// A `llama-bench` to measure models beside.
    peer: Option<PathBuf>,
    /// Turns of ours and the peer's.
    pairs: u64,
    /// Of random models: those whose names hold it.
    only: String,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self {
            parts: Vec::new(),
            effort: Effort::Full,
            json: None,
            peer: None,
            pairs: 7,
            only: String::new(),
        };
        let mut parser = lexopt::Parser::from_args(arguments);
        while let Some(argument) = parser.next()? {
            match argument {
                Long("json") => options.json = Some(parser.value()?.into()),
                Long("peer") => options.peer = Some(parser.value()?.into()),
                Long("pairs") => options.pairs = parser.value()?.parse()?,
                Long("only") => options.only = parser.value()?.string()?,
                Long("quick") => options.effort = Effort::Quick,
                Value(part) => options.parts.push(part.string()?),
                other => return Err(other.unexpected().into()),
            }
        }
        if let Some(peer) = options.peer.as_ref().filter(|peer| !peer.is_file()) {
            bail!(
                "there is no `{}`; --peer wants llama.cpp's llama-bench",
                peer.display()
            );
        }
        if options.pairs == 0 {
            bail!("--pairs must be 1 or more");
        }
        let known = |part: &&String| PARTS.iter().any(|(name, _)| name == part);
        if let Some(other) = options.parts.iter().find(|part| !known(part)) {
            let names: Vec<&str> = PARTS.iter().map(|(name, _)| *name).collect();
            bail!(
                "there is no part `{other}`; the parts are {}",
                names.join(", ")
            );
        }
        Ok(options)
    }
}

/// Where benches keep what they make: models, peers, logs.
fn folder() -> PathBuf {
    target().join("bench")
}
