//! What a cluster of real agents on one machine costs and how soon it knows of a death, as one line of JSON. Needs root.
//! `SKEP_BIN` names the agent; medians are for the reader to take.
//!
//! `skep-cluster costs ROUNDS`: joining, the first answer, and answers from another machine.
//! `skep-cluster idle SECONDS`: what three agents take that have nothing to do, and three of serf's in the same seconds.
//! `skep-cluster deaths ROUNDS LOSS`: how soon eight machines know of a dead one, with so many per cent of datagrams lost.
//! `skep-cluster serf ROUNDS`: the same of serf's agents.
//! `skep-cluster starved RUNS SECONDS`: whether a healthy machine is taken for dead while a quarter of them is stopped in
//! bursts.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    reason = "a command-line tool speaks on its terminal"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "what other processes do has to be looked at again and again"
)]

mod deaths;
mod idle;
mod serf;
mod starved;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use skep_tests::lab::{self, Lab, Machine};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let verb = arguments
        .next()
        .context("give costs, idle, deaths, serf or starved")?;
    let mut number = |what: &str| -> Result<u64> {
        let text = arguments.next().with_context(|| format!("give {what}"))?;
        Ok(text.parse()?)
    };
    if let Some(why) = lab::missing() {
        bail!("{why}");
    }
    let found = match verb.as_str() {
        "costs" => costs(number("the rounds")?)?,
        "idle" => idle::measure(number("the seconds")?)?,
        "deaths" => deaths::measure(number("the rounds")?, number("the loss")?)?,
        "serf" => serf::measure(number("the rounds")?)?,
        "starved" => starved::measure(number("the runs")?, number("their seconds")?)?,
        other => bail!("there is no verb `{other}`"),
    };
    println!("{found}");
    Ok(())
}

fn costs(rounds: u64) -> Result<Value> {
    let mut first_answers = Vec::new();
    for _ in 0..rounds {
        first_answers.push(first_answer()?);
    }
    Ok(json!({"first_answer_ms": first_answers, "hop": hop(rounds)?}))
}

/// A token is made, a machine that has run before joins by it, and a request on it is answered by the first machine.
fn first_answer() -> Result<f64> {
    let mut lab = Lab::new(2)?;
    without_models(&mut lab);
    let [first, second] = lab.machines.as_mut_slice() else {
        bail!("two machines");
    };
    first.start()?;
    first.give("shared")?;
    first.skep(&["load", "shared"])?;
    let started = Instant::now();
    let token = first.skep(&["token", "new"])?;
    second.start_with(&["join", token.trim()])?;
    loop {
        let body = json!({"model": "shared", "prompt": "The hive", "max_tokens": 1}).to_string();
        if second.request("POST", "/v1/completions", &body)?.0 == 200 {
            return Ok(milliseconds(started.elapsed()));
        }
        ensure!(started.elapsed() < PATIENCE, "no answer: {}", second.log());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What it costs to ask at another machine.
fn hop(rounds: u64) -> Result<Value> {
    let mut lab = Lab::new(3)?;
    without_models(&mut lab);
    lab.form()?;
    lab.wait_for(3, PATIENCE)?;
    let (Some(first), Some(third)) = (lab.machines.first(), lab.machines.get(2)) else {
        bail!("three machines");
    };
    first.give("shared")?;
    first.skep(&["load", "shared"])?;
    // A node hears within a second of what another has.
    let started = Instant::now();
    while one_token(third).is_err() {
        ensure!(started.elapsed() < PATIENCE, "no answer: {}", third.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    let (mut local, mut remote) = (Vec::new(), Vec::new());
    for round in 0..rounds * 40 {
        // In turns, so that both have the same noise; the first few warm everything up.
        for (machine, into) in [(first, &mut local), (third, &mut remote)] {
            let took = one_token(machine)?;
            if round >= rounds {
                into.push(took);
            }
        }
    }
    Ok(json!({"local_ms": local, "remote_ms": remote}))
}

pub(crate) fn without_models(lab: &mut Lab) {
    for machine in &mut lab.machines {
        machine
            .settings
            .push(("SKEP_MODELS_DEFAULT".into(), String::new()));
    }
}

fn one_token(machine: &Machine) -> Result<f64> {
    let body = json!({"model": "shared", "prompt": "The hive", "max_tokens": 1}).to_string();
    let started = Instant::now();
    let (status, text) = machine.request("POST", "/v1/completions", &body)?;
    ensure!(status == 200, "{text}");
    Ok(milliseconds(started.elapsed()))
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// More than two: who watches whom matters.
pub(crate) const MACHINES: u8 = 8;

/// Until joining and loading are over for everybody.
pub(crate) const SETTLE: Duration = Duration::from_secs(3);

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
