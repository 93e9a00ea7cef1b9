//! Time to the first token of a prompt on a server that is warm, ours beside `llama-server`.

use anyhow::Result;

use super::Options;
use super::llama_cpp::{LlamaCpp, Shape};
use super::models::Under;
use super::report::{Cell, Report, Table};
use super::shelf::Shelf;
use super::turns::{self, Pair};

/// Tokens of the prompts.
const PROMPTS: [u64; 2] = [128, 512];
const CONTEXT: u32 = 1024;

pub(super) fn measure(options: &Options, peer: &LlamaCpp, report: &mut Report) -> Result<()> {
    // What is missing is said before anything is made.
    peer.program("llama-server")?;
    let shelf = Shelf::fill(options)?;
    let mut rows = Vec::new();
    shelf.each(options, |model, threads| {
        let server = shelf.serve(model, threads)?;
        let shape = Shape {
            threads,
            streams: 1,
            context: CONTEXT,
        };
        let theirs = peer.serve(model, &shape)?;
        let of = |server| Under {
            model,
            server,
            threads,
        };
        for prompt in PROMPTS {
            let pair = beside(&of(&server), &of(&theirs), prompt, options.pairs)?;
            let mut row = vec![
                Cell::text(&model.name),
                Cell::text(threads),
                Cell::Number(prompt as f64, 0),
            ];
            row.extend(pair.cells(1));
            rows.push(row);
        }
        Ok(())
    })?;
    report.add(Table {
        title: "First token beside llama.cpp",
        command: "cargo xtask bench first --peer PATH-OF-llama.cpp's-programs",
        note: format!(
            "Milliseconds from a request with so many random tokens to the first text of its stream, medians (least–most) of \
             {} turns, on servers that have answered before and have nothing else to do; ours and `llama-server` both \
             over HTTP. Ratios are medians of each turn's ours : peer's; less is better. Goal: at most 1 for every model.",
            options.pairs
        ),
        columns: vec!["model", "threads", "prompt", "ms", "peer", "ratio"],
        rows,
    });
    Ok(())
}

fn beside(ours: &Under<'_>, theirs: &Under<'_>, prompt: u64, pairs: u64) -> Result<Pair> {
    let first_ms = |of: &Under<'_>, turn: u64| {
        // No prompt comes twice to one server, whatever its length.
        Ok(of.first(prompt, turn * 10_000 + prompt)?.ms)
    };
    // Turn 0 is the one that warms.
    first_ms(ours, 0)?;
    first_ms(theirs, 0)?;
    let mut pair = Pair::default();
    turns::take(
        pairs,
        |turn| first_ms(ours, turn),
        |turn| first_ms(theirs, turn),
        |ours, theirs| pair.push(ours, theirs),
    )?;
    Ok(pair)
}
