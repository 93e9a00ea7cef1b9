//! What serving costs: models through the whole product beside their kernels alone, in turns.
//!
//! The kernels run a decoder of the same sizes and types in a process of its own (`hw/examples/bench.rs`); what
//! is between the two is HTTP, the agent, its worker, the sandboxed plugin, and sampling.

use std::process::Command;

use anyhow::{Context, Result};

use super::bytes::Model;
use super::models::Under;
use super::report::{Cell, Report, Table};
use super::shelf::Shelf;
use super::turns::{self, Pair};
use super::{Options, kernels, load};

/// Tokens of a prompt whose reading is measured.
const PROMPT: u64 = 512;
/// Tokens before the one whose decoding the kernels repeat; answers lie around it.
const BEFORE: u64 = 128;

pub(super) fn measure(options: &Options, report: &mut Report) -> Result<()> {
    kernels::program()?;
    let shelf = Shelf::fill(options)?;
    let mut rows = Vec::new();
    shelf.each(options, |model, threads| {
        let server = shelf.serve(model, threads)?;
        let ours = Under {
            model,
            server: &server,
            threads,
        };
        let [prefill, decode] = beside(&ours, options.pairs)?;
        let mut row = vec![Cell::text(&model.name), Cell::text(threads)];
        row.extend(prefill.cells(0));
        row.extend(decode.cells(1));
        rows.push(row);
        Ok(())
    })?;
    report.add(Table {
        title: "The whole path beside its kernels",
        command: "cargo xtask bench serving",
        note: format!(
            "Tokens per second of one stream, medians (least–most) of {} turns, by wall time. Ours over HTTP: a prompt of \
             {PROMPT} tokens, and an answer around token {BEFORE}. Kernels: `hw/examples/bench.rs` runs the plan of a decoder of the same \
             sizes and types, random weights, again and again at those places; the mean of its rounds. Ratios are medians of \
             each turn's ours : kernels'. Goal: 0.97.",
            options.pairs
        ),
        columns: vec![
            "model", "threads", "prefill", "kernels", "ratio", "decode", "kernels", "ratio",
        ],
        rows,
    });
    Ok(())
}

fn beside(ours: &Under<'_>, pairs: u64) -> Result<[Pair; 2]> {
    let tokens = ours.model.tokens();
    let prompt = BEFORE - u64::from(tokens / 2);
    ours.round(prompt, 8, 1, 0)?;
    let served = |turn: u64| {
        let prefill = ours.first(PROMPT, turn)?.tokens_per_second;
        let found = ours.round(prompt, tokens, 1, turn)?;
        let decode = load::number(&found, "/decode_tokens_per_second")?;
        Ok([prefill, decode])
    };
    let [mut prefill, mut decode] = [Pair::default(), Pair::default()];
    turns::take(
        pairs,
        served,
        |_| alone(ours.model, ours.threads),
        |ours, kernels| {
            prefill.push(ours[0], kernels[0]);
            decode.push(ours[1], kernels[1]);
        },
    )?;
    Ok([prefill, decode])
}

/// Tokens per second of prefill and decoding that the kernels alone make.
fn alone(model: &Model, threads: &str) -> Result<[f64; 2]> {
    let size = SIZES.iter().find(|(shape, _)| *shape == model.shape);
    let (_, size) = size.with_context(|| {
        format!(
            "`hw/examples/bench` knows no decoder of the sizes of `{}`",
            model.name
        )
    })?;
    let mut command = Command::new(kernels::program()?);
    command
        .args(["--json", "--quick", "--wall", "--only", "decoders"])
        .args(["--model", size, "--type", &model.kind.replace('_', "-")])
        .args(["--streams", "0,1", "--threads", threads]);
    let found = load::call_with(&mut command)?;
    Ok([
        load::number(&found, "/decoders/0/prefill_512")?,
        load::number(&found, "/decoders/0/decode_1")?,
    ])
}

/// Shapes of random models, and the example's names for them.
const SIZES: [(&str, &str); 3] = [("15m", "15M"), ("110m", "110M"), ("1b", "1.1B")];
