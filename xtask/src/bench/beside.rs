//! Models through the whole product beside `llama-bench`, in turns, so that both meet the same minutes.
//!
//! The peer is measured inside its own process and ours over HTTP: what serving costs is ours to bear.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::bytes::Model;
use super::llama_cpp::LlamaCpp;
use super::models::{self, Under};
use super::report::{Cell, Report, Samples, Table};
use super::shelf::Shelf;
use super::{Options, load};
use crate::step::output;

/// Tokens of a prompt, and of an answer.
const PROMPT: u64 = 512;
const ANSWER: u32 = 128;

pub(super) fn measure(options: &Options, peer: &LlamaCpp, report: &mut Report) -> Result<()> {
    let pairs = options.pairs;
    let peer = peer.program("llama-bench")?;
    let shelf = Shelf::fill(options)?;
    let mut rows = Vec::new();
    shelf.each(options, |model, threads| {
        let server = shelf.serve(model, threads)?;
        let ours = Under {
            model,
            server: &server,
            threads,
        };
        rows.push(beside(&ours, &peer, pairs)?);
        Ok(())
    })?;
    report.add(Table {
        title: "Models beside llama.cpp",
        command: "cargo xtask bench models --peer PATH-OF-llama.cpp's-programs",
        note: format!(
            "Tokens per second, medians (least–most) of {pairs} turns. Prefill of {PROMPT} tokens and decoding of \
             {ANSWER}, ours over HTTP, the peer's in its own process (`llama-bench -p {PROMPT} -n {ANSWER}`). \
             Ratios are medians of each turn's ours : peer's. %: of the bytes that as many threads read from memory \
             on 2 MiB pages right before and after ours."
        ),
        columns: vec![
            "model", "threads", "prefill", "peer", "ratio", "decode", "peer", "ratio", "% of limit",
        ],
        rows,
    });
    Ok(())
}

fn beside(ours: &Under<'_>, peer: &Path, pairs: u64) -> Result<Vec<Cell>> {
    let mut samples: [Samples; 7] = Default::default();
    ours.round(16, 8, 1, 0)?;
    for seed in 1..=pairs {
        let before = models::memory_speed(ours.threads)?;
        let prefill = ours.first(PROMPT, seed)?.tokens_per_second;
        let found = ours.round(16, ANSWER, 1, seed)?;
        let decode = load::number(&found, "/decode_tokens_per_second")?;
        let limit = before.midpoint(models::memory_speed(ours.threads)?);
        let [peer_prefill, peer_decode] = peers(peer, ours.model, ours.threads)?;
        let share = decode * ours.model.token_bytes / limit * 100.0;
        let figures = [
            prefill,
            peer_prefill,
            prefill / peer_prefill,
            decode,
            peer_decode,
            decode / peer_decode,
            share,
        ];
        for (samples, figure) in samples.iter_mut().zip(figures) {
            samples.push(figure);
        }
    }
    let mut row = vec![Cell::text(&ours.model.name), Cell::text(ours.threads)];
    let decimals = [0, 0, 2, 1, 1, 2, 0];
    let cells = samples.into_iter().zip(decimals);
    row.extend(cells.map(|(samples, decimals)| Cell::Samples(samples, decimals)));
    Ok(row)
}

/// Tokens per second of prefill and decoding.
fn peers(peer: &Path, model: &Model, threads: &str) -> Result<[f64; 2]> {
    let found = output(
        Command::new(peer)
            .arg("-m")
            .arg(&model.path)
            .args(["-t", threads, "-r", "1", "-o", "json"])
            .args(["-p", &PROMPT.to_string(), "-n", &ANSWER.to_string()]),
    )?;
    let tests: Value = serde_json::from_str(&found)
        .with_context(|| format!("`{}` said no JSON", peer.display()))?;
    let speed = |answer: bool| {
        let all = tests.as_array()?;
        let tokens = |test: &&Value| test.get("n_gen").and_then(Value::as_u64);
        let test = all.iter().find(|test| (tokens(test) > Some(0)) == answer)?;
        test.get("avg_ts").and_then(Value::as_f64)
    };
    let both = speed(false).zip(speed(true));
    let (prefill, decode) = both.context("the peer did not tell both speeds")?;
    Ok([prefill, decode])
}
