//! Measures the product as users have it, beside the limits of the machine and the peers.
//!
//! Decides which parts there are and in which order they run; how a part measures stands in its own
//! file. Every part prints a table in Markdown on standard output; progress goes to standard error.

mod agent;
mod ask;
mod beside;
mod bytes;
mod cluster;
mod echo;
mod first;
mod gateway;
mod guesses;
mod host;
mod idle;
mod kernels;
mod llama_cpp;
mod load;
mod machine;
mod models;
mod peers;
mod perplexity;
mod plugins;
mod report;
mod restart;
mod schedule;
mod serving;
mod shelf;
mod start;
mod streams;
mod telemetry;
mod turns;

use std::num::NonZeroU32;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use lexopt::prelude::*;

use crate::step::{step, target};
use llama_cpp::LlamaCpp;
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

/// How a part measures.
#[derive(Clone, Copy)]
enum Part {
    /// The product alone.
    Alone(fn(Effort, &mut Report) -> Result<()>),
    /// The same, in turns, by the options.
    InTurns(fn(&Options, &mut Report) -> Result<()>),
    /// Beside llama.cpp, without which there is nothing to measure.
    Beside(Beside),
    /// Alone, or instead beside llama.cpp where there is one.
    Either(fn(Effort, &mut Report) -> Result<()>, Beside),
}

type Beside = fn(&Options, &LlamaCpp, &mut Report) -> Result<()>;

const PARTS: [(&str, Part); 15] = [
    ("start", Part::Either(start::measure, restart::measure)),
    ("idle", Part::Alone(idle::measure)),
    ("host", Part::Alone(host::measure)),
    ("telemetry", Part::Alone(telemetry::measure)),
    ("schedule", Part::Alone(schedule::measure)),
    ("plugins", Part::InTurns(plugins::measure)),
    ("cluster", Part::Alone(cluster::measure)),
    ("kernels", Part::Alone(kernels::measure)),
    ("models", Part::Either(models::measure, beside::measure)),
    ("serving", Part::InTurns(serving::measure)),
    ("guesses", Part::InTurns(guesses::measure)),
    ("streams", Part::Beside(streams::measure)),
    ("first", Part::Beside(first::measure)),
    ("perplexity", Part::Beside(perplexity::measure)),
    ("gateway", Part::Alone(gateway::measure)),
];

/// Runs all parts, or those named.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let options = Options::parse(arguments)?;
    let mut report = Report::new(machine::facts()?);
    print!("{}", report.heading());
    let mut failed = Vec::new();
    for (name, part) in PARTS {
        if !options.wants(name, part) {
            continue;
        }
        // One part that cannot run does not cost the others' figures.
        let result = step(name, || part.measure(&options, &mut report));
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

impl Part {
    fn measure(self, options: &Options, report: &mut Report) -> Result<()> {
        match (self, &options.peer) {
            (Self::Beside(measure) | Self::Either(_, measure), Some(peer)) => {
                measure(options, peer, report)
            }
            (Self::Alone(measure) | Self::Either(measure, _), _) => measure(options.effort, report),
            (Self::InTurns(measure), _) => measure(options, report),
            (Self::Beside(_), None) => {
                bail!("this is measured beside llama.cpp: give --peer the folder of its programs")
            }
        }
    }
}

struct Options {
    parts: Vec<String>,
    effort: Effort,
    json: Option<PathBuf>,
    /// To measure beside.
    peer: Option<LlamaCpp>,
    /// Turns of ours and the peer's.
    pairs: u64,
    /// Of random models: those whose names hold it; of perplexity: the types.
    only: String,
    /// To compute with; one and two in turn where none is given.
    threads: Option<NonZeroU32>,
    /// Schedulers in other languages, by name.
    components: Vec<(String, PathBuf)>,
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
            threads: None,
            components: Vec::new(),
        };
        let mut parser = lexopt::Parser::from_args(arguments);
        while let Some(argument) = parser.next()? {
            match argument {
                Long("json") => options.json = Some(parser.value()?.into()),
                Long("peer") => {
                    let path = PathBuf::from(parser.value()?);
                    options.peer = Some(LlamaCpp::at(&path)?);
                }
                Long("pairs") => options.pairs = parser.value()?.parse()?,
                Long("only") => options.only = parser.value()?.string()?,
                Long("threads") => {
                    let threads = parser.value()?.parse();
                    options.threads = Some(threads.context("--threads must be 1 or more")?);
                }
                Long("component") => {
                    let named = parser.value()?.string()?;
                    let named = named
                        .split_once('=')
                        .context("--component takes NAME=PATH")?;
                    options
                        .components
                        .push((named.0.to_owned(), named.1.into()));
                }
                Long("quick") => options.effort = Effort::Quick,
                Value(part) => options.parts.push(part.string()?),
                other => return Err(other.unexpected().into()),
            }
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

    /// Whether a part was named; where none is, all are wanted that can run.
    fn wants(&self, name: &str, part: Part) -> bool {
        if self.parts.is_empty() {
            return self.peer.is_some() || !matches!(part, Part::Beside(_));
        }
        self.parts.iter().any(|part| part == name)
    }

    fn threads(&self) -> Vec<String> {
        match self.threads {
            Some(threads) => vec![threads.to_string()],
            None => ["1", "2"].map(str::to_owned).to_vec(),
        }
    }
}

/// Where benches keep what they make: models, peers, logs.
fn folder() -> PathBuf {
    target().join("bench")
}
