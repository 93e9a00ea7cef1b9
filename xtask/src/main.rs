//! `cargo xtask VERB`: everything that is done to this repository. Each verb does its own set-up and says what it does.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool speaks on its terminal"
)]

mod arm;
mod assemble;
mod bench;
mod bindgen;
mod bindings;
mod ci;
mod cluster;
mod crash;
mod dist;
mod fuzz;
mod kernels;
mod lavapipe;
mod plugins;
mod python;
mod record;
mod reference;
mod server;
mod setup;
mod step;
mod steps;
mod swarm;
mod test;
mod tidy;
mod ui;

use std::process::ExitCode;

use anyhow::{Result, bail};
use lexopt::prelude::*;

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
    let verb = match arguments.next()? {
        Some(Value(verb)) => verb.string()?,
        Some(Short('h') | Long("help")) | None => {
            print!("{HELP}");
            return Ok(());
        }
        Some(other) => return Err(other.unexpected().into()),
    };
    match verb.as_str() {
        "up" => assemble::up(&rest(&mut arguments)?),
        "build" => assemble::build(profile(&mut arguments)?).map(drop),
        "plugins" => plugins::build_and_print(),
        "test" => test::run(&rest(&mut arguments)?),
        "bench" => bench::run(&rest(&mut arguments)?),
        "cluster" => cluster::run(&rest(&mut arguments)?),
        "crash" => crash::run(&rest(&mut arguments)?),
        "fuzz" => fuzz::run(&rest(&mut arguments)?),
        "steps" => steps::run(&rest(&mut arguments)?),
        "swarm" => swarm::run(&rest(&mut arguments)?),
        "sim" => sim(&rest(&mut arguments)?),
        "bindgen" => bindgen::run(),
        "kernels" => kernels::run(&rest(&mut arguments)?),
        "dist" => dist::run(&rest(&mut arguments)?),
        "reference" => reference::write().and_then(|()| bindings::write()),
        "record" => record::run(&rest(&mut arguments)?),
        "ci" => ci::run(),
        "tidy" => tidy::run(),
        "ui" => ui::run(&rest(&mut arguments)?),
        "help" => {
            print!("{HELP}");
            Ok(())
        }
        other => bail!("there is no verb `{other}`; `cargo xtask help` lists them"),
    }
}

/// Many cores on virtual time: what takes longer than a test may.
fn sim(arguments: &[String]) -> Result<()> {
    let run = ["run", "--release", "--quiet", "--package", "skep-sim", "--"];
    step::execute(step::cargo(run).args(arguments))
}

fn rest(arguments: &mut lexopt::Parser) -> Result<Vec<String>> {
    arguments
        .raw_args()?
        .map(|argument| Ok(argument.string()?))
        .collect()
}

fn profile(arguments: &mut lexopt::Parser) -> Result<assemble::Profile> {
    let mut profile = assemble::Profile::Release;
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("release") => profile = assemble::Profile::Release,
            Long("debug") => profile = assemble::Profile::Debug,
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(profile)
}

const HELP: &str = "\
cargo xtask VERB

  up [ARGS]      build everything and start it (`skep up ARGS`)
  build          the plugins, then the agent with them embedded (--release, the default, or --debug)
  plugins        build each plugin and print its size, imports and digest
  test [PART]    every test; PART is `rust`, `arm` (the kernels, emulated), `reference` or `browser`
  bench [PART]   measure, beside the limits and the peers; PART is one or more of: start, idle, host,
                 telemetry, schedule, plugins, cluster, kernels, models, serving, streams, first, perplexity, gateway;
                 --quick for a first look, --json FILE for programs
                 --peer PATH the folder of llama.cpp's programs: then start and models are measured beside
                 them instead, and streams, first and perplexity at all; [--pairs N] turns (7), [--only NAME]
                 of models or types, [--threads N] instead of 1 and 2
                 plugins: [--component NAME=PATH] a scheduler in another language, beside ours
  cluster [N]    a cluster of N machines (3) on this one, in network namespaces; as root
  crash          the log against kill -9 and power loss: --cycles N of each kind and engine (1000); as root
  fuzz [SECONDS] each fuzz target for so long (60); with nightly and `cargo fuzz`; writes tests/hostile/FUZZ.md
  steps          every step of a setup on a Debian machine in namespaces: --every N points of a crash (1), --only TEXT;
                 as root; writes tests/steps/RESULTS.md
  swarm [N]      N generated components (10000) through compiler and linker; writes tests/hostile/RESULTS.md
  dist           what people download, into target/dist: a tarball, a Debian package, install.sh, digests, a signature
                 [--target TRIPLE] for another kind of machine, [--binary FILE] built before, [--documents-by SKEP] that runs
                 here, [--key FILE] minisign's secret key (password in SKEP_SIGN_PASSWORD), [--url BASE] where install.sh
                 fetches from, [--maintainer 'NAME <MAIL>'], [--into DIR]
  record VERSION  components of the contract as it is now, for tests/compat, once for each version of it
  reference      write sdk/REFERENCE.md anew from wit/ and the limits; `tidy` says when that is needed
  sim [VERB]     many cores on virtual time; alone it lists its verbs
  ci             format, rules, lints, plugins, tests, documents, licences
  bindgen        write the bindings to AMD's library anew from its header
  kernels        compile the kernels for GPUs anew into hw/kernels/prebuilt; --check only says whether that is needed
  ui             build the page anew into agent/ui/dist; --check only says whether that is needed
  tidy           the repository's own rules: who may import whom, file sizes, names
";
