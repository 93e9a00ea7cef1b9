//! `skep-load VERB`: what `cargo xtask bench` measures servers with. Each verb prints one line of JSON.
//!
//! Decides how load is made and how time is taken; refuses to know which server answers.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool speaks on its terminal"
)]

mod connection;
mod drive;
mod echo;
mod events;
mod generate;
mod order;
mod start;
mod usage;

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
        _ => {
            print!("{HELP}");
            return Ok(());
        }
    };
    // One thread: a second would only take time from the server that shares the machine.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let found = match verb.as_str() {
        "echo" => runtime.block_on(echo::serve(echo::Options::parse(&mut arguments)?)),
        "drive" => runtime.block_on(drive::run(drive::Options::parse(&mut arguments)?)),
        "generate" => runtime.block_on(generate::run(generate::Options::parse(&mut arguments)?)),
        "start" => runtime.block_on(start::run(start::Options::parse(&mut arguments)?)),
        other => bail!("there is no verb `{other}`; `skep-load` alone lists them"),
    }?;
    println!("{found}");
    Ok(())
}

const HELP: &str = "\
skep-load VERB [OPTIONS]

  echo --listen ADDRESS [--tokens N]
      answers every chat completion at once with up to N words, as a backend for gateways
  drive --to ADDRESS --model NAME [--connections N] [--seconds S] [--stream] [--tokens N]
        [--expect TEXT] [--process NAME=PID]...
      as many chat completions as the server answers; checks each
  generate --to ADDRESS --model NAME [--prompt N] [--tokens N] [--streams N] [--vocabulary N] [--seed N]
      one round of streamed completions of random token ids
  start --to ADDRESS --model NAME [--seconds S] -- COMMAND...
      starts a server and takes the times until it listens, is ready, and gives a first token
";
