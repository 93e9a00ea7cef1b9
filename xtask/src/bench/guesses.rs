//! What guessing tokens ahead is worth: the same questions to two agents, of which one guesses, in turns.
//!
//! The embedded model speaks a language, in which some things are said twice. Random models do not: at temperature 1 none of
//! their answers repeats itself, so nothing comes true and the ratio tells what trying costs; at 0 they soon go round
//! in circles, which is the other end.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::bytes::{self, Model};
use super::report::{Cell, Report, Table};
use super::shelf::Shelf;
use super::turns::{self, Pair};
use super::{Options, agent, ask, load, models};

/// Texts that are gone on with, one each turn.
const PROMPTS: [&str; 4] = [
    "The borrow checker",
    "fn main() {\n    let x = 5;\n",
    "A slice is",
    "Returns `true` if",
];

/// What each answer is long.
const TOKENS: u64 = 192;

pub(super) fn measure(options: &Options, report: &mut Report) -> Result<()> {
    let shelf = Shelf::fill(options)?;
    let tiny = bytes::tiny()?;
    let mut rows = Vec::new();
    for model in std::iter::once(&tiny).chain(&shelf.models) {
        for threads in options.threads() {
            eprintln!("    {}, {threads} threads", model.name);
            let without = shelf.serve(model, &threads)?;
            let home = agent::fresh_home("guesses")?;
            models::add(&shelf.binary, &home, std::slice::from_ref(model))?;
            let guessing = models::serve_with(&shelf.binary, &home, model, &threads, "true");
            let mut with = guessing?;
            with.wait("/readyz", Duration::from_secs(300))?;
            for temperature in [0, 1] {
                rows.push(row(
                    model,
                    &threads,
                    temperature,
                    [&with, &without],
                    options.pairs,
                )?);
            }
        }
    }
    report.add(Table {
        title: "Guessing ahead",
        command: "cargo xtask bench guesses",
        note: format!(
            "Tokens per second of whole answers of {TOKENS} tokens over HTTP, one client, medians (least–most) of {} turns of \
             `models.speculate = true` and `false`; both gave the same texts. Of the guesses that were computed, kept: those that \
             became part of an answer. Random models repeat nothing at temperature 1 and go round in circles at 0.",
            options.pairs
        ),
        columns: vec![
            "model", "threads", "temperature", "guessing", "not", "ratio", "guessed", "kept",
        ],
        rows,
    });
    Ok(())
}

fn row(
    model: &Model,
    threads: &str,
    temperature: u32,
    [with, without]: [&agent::Server; 2],
    pairs: u64,
) -> Result<Vec<Cell>> {
    let before = counts(with, model)?;
    let mut pair = Pair::default();
    let mut different = 0;
    turns::take(
        pairs,
        |turn| answer(with, model, temperature, turn),
        |turn| answer(without, model, temperature, turn),
        |ours, others| {
            different += u32::from(ours.text != others.text);
            pair.push(ours.rate, others.rate);
        },
    )?;
    if different > 0 {
        bail!(
            "{different} answers of `{}` became others by guessing",
            model.name
        );
    }
    let after = counts(with, model)?;
    let mut row = vec![
        Cell::text(&model.name),
        Cell::text(threads),
        Cell::Number(temperature.into(), 0),
    ];
    row.extend(pair.cells(1));
    row.push(Cell::Number(after.guessed - before.guessed, 0));
    row.push(Cell::Number(after.kept - before.kept, 0));
    Ok(row)
}

struct Answer {
    text: String,
    /// Tokens per second.
    rate: f64,
}

fn answer(server: &agent::Server, model: &Model, temperature: u32, turn: u64) -> Result<Answer> {
    let prompt = PROMPTS.iter().cycle().nth(turn as usize);
    let body = json!({
        "model": model.name, "prompt": prompt, "max_tokens": TOKENS, "temperature": temperature, "seed": turn,
        "ignore_eos": true,
    });
    let begin = Instant::now();
    let found = ask::call(server.to, "POST", "/v1/completions", &body.to_string())?;
    let rate = load::number(&found, "/usage/completion_tokens")? / begin.elapsed().as_secs_f64();
    let text = found.pointer("/choices/0/text").and_then(Value::as_str);
    Ok(Answer {
        text: text.context("an answer without text")?.to_owned(),
        rate,
    })
}

/// Guesses computed, and kept, since the model was loaded.
struct Counts {
    guessed: f64,
    kept: f64,
}

fn counts(server: &agent::Server, model: &Model) -> Result<Counts> {
    let found = ask::call(server.to, "GET", "/api/v1/ps", "")?;
    let replicas = found.get("replicas").and_then(Value::as_array);
    let replica = replicas
        .into_iter()
        .flatten()
        .find(|replica| replica["model"] == model.name.as_str());
    let replica = replica.context("the model is not loaded")?;
    Ok(Counts {
        guessed: load::number(replica, "/guessed")?,
        kept: load::number(replica, "/guesses_kept")?,
    })
}
