//! Tokens of many clients at once, ours beside `llama-server`, both over HTTP.
//!
//! Every client asks one streamed completion of random token ids, takes the likeliest token and ignores the end
//! of the text; so both give the same number of tokens, which is checked.

use anyhow::{Context, Result, bail};

use super::llama_cpp::{LlamaCpp, Shape};
use super::models::{self, Under};
use super::report::{Cell, Report, Table};
use super::shelf::Shelf;
use super::turns::{self, Pair};
use super::{Options, load};

/// Clients at once.
const STREAMS: [u32; 4] = [1, 4, 8, 16];
/// Tokens of each client's prompt, and of each stream's context.
const PROMPT: u64 = 16;
const CONTEXT: u32 = 256;

pub(super) fn measure(options: &Options, peer: &LlamaCpp, report: &mut Report) -> Result<()> {
    // What is missing is said before anything is made.
    peer.program("llama-server")?;
    let shelf = Shelf::fill(options)?;
    let mut rows = Vec::new();
    shelf.each(options, |model, threads| {
        let server = shelf.serve(model, threads)?;
        for streams in STREAMS {
            let shape = Shape {
                threads,
                streams,
                context: CONTEXT,
            };
            let theirs = peer.serve(model, &shape)?;
            let of = |server| Under {
                model,
                server,
                threads,
            };
            let (total, decode) = beside(&of(&server), &of(&theirs), streams, options.pairs)?;
            let mut row = vec![
                Cell::text(&model.name),
                Cell::text(threads),
                Cell::Number(streams.into(), 0),
            ];
            row.extend(total.cells(1));
            row.extend(decode.cells(1));
            rows.push(row);
        }
        Ok(())
    })?;
    report.add(Table {
        title: "Concurrent streams beside llama.cpp",
        command: "cargo xtask bench streams --peer PATH-OF-llama.cpp's-programs",
        note: format!(
            "Tokens per second of all clients together, medians (least–most) of {} turns, both over HTTP: prompts of \
             {PROMPT} random tokens, {} tokens each ({} where a token reads 300 MB or more), the likeliest token taken. Whole: \
             all tokens by the time from the first request to the last token. Decode: counted while every client was \
             getting tokens. The peer is `llama-server --parallel N`, N as many as clients; ours allows 16 throughout. \
             Ratios are medians of each turn's ours : peer's.",
            options.pairs,
            models::MANY_TOKENS,
            models::FEW_TOKENS,
        ),
        columns: vec![
            "model", "threads", "clients", "whole", "peer", "ratio", "decode", "peer", "ratio",
        ],
        rows,
    });
    Ok(())
}

fn beside(ours: &Under<'_>, theirs: &Under<'_>, streams: u32, pairs: u64) -> Result<(Pair, Pair)> {
    let tokens = ours.model.tokens();
    for one in [ours, theirs] {
        one.round(PROMPT, 8, streams, 0)
            .context("the first round failed")?;
    }
    let round = |of: &Under<'_>, turn: u64| {
        // No prompt comes twice to one server.
        let found = of.round(PROMPT, tokens, streams, turn * 100 + u64::from(streams))?;
        let got = load::number(&found, "/tokens")?;
        if got != f64::from(tokens * streams) {
            bail!(
                "{got} tokens instead of {}: {found}",
                u64::from(tokens * streams)
            );
        }
        let decode = load::number(&found, "/decode_tokens_per_second")
            .with_context(|| format!("{streams} clients were never all getting tokens"))?;
        Ok([got / load::number(&found, "/end_s")?, decode])
    };
    let (mut total, mut decode) = (Pair::default(), Pair::default());
    turns::take(
        pairs,
        |turn| round(ours, turn),
        |turn| round(theirs, turn),
        |ours, theirs| {
            total.push(ours[0], theirs[0]);
            decode.push(ours[1], theirs[1]);
        },
    )?;
    Ok((total, decode))
}
