//! `skep explain`: why a request went where it did, and what it waited for.

use std::time::Duration;

use super::figures;
use super::table::{Cell, Hue, Table};
use super::terminal::{Paint, printable, say};
use super::{Failure, print_json, segment};
use crate::client::Client;
use crate::router::{Considered, Move, Trace, TracedOutcome};

pub(super) fn explain(client: &Client, request: &str, json: bool) -> Result<(), Failure> {
    let trace: Trace = client.get(&format!("/api/v1/requests/{}", segment(request)))?;
    if json {
        return print_json(&trace);
    }
    Ok(say(render(&trace, Paint::for_stdout(), figures::ago))?)
}

pub(super) fn render(trace: &Trace, paint: Paint, ago: impl Fn(u64) -> String) -> String {
    let id = trace
        .id
        .as_ref()
        .map_or_else(String::new, |id| format!(" ({id})"));
    let outcome = match trace.outcome {
        TracedOutcome::Answered => paint.green("answered"),
        TracedOutcome::Failed => paint.red("failed"),
        TracedOutcome::Cut => paint.yellow("cut off"),
    };
    let head = format!("request {}{id} to {}", trace.request, trace.model);
    let mut text = format!(
        "{}, {}, {outcome}\n",
        paint.bold(printable(&head)),
        ago(trace.at_unix_s)
    );
    let mut line = |what: &str, said: String| {
        text += &format!("\n{what:<9} {}", printable(&said).replace('\n', " "));
    };
    line("chosen", chosen(trace));
    line("why", trace.why.clone());
    if let Some(fault) = &trace.fault {
        line("failure", format!("{fault}; the built-in rule decided"));
    }
    for one in &trace.moves {
        line("moved", moved(one));
    }
    line("waited", waited(trace));
    line("took", took(trace));
    line("used", used(trace));
    if !trace.ranked.is_empty() {
        text += &format!(
            "\n\n{}",
            table("RANKING", &trace.ranked, trace.replica, paint)
        );
    }
    if !trace.passed_over.is_empty() {
        text += &format!(
            "\n\n{}",
            table("PASSED OVER", &trace.passed_over, trace.replica, paint)
        );
    }
    text
}

fn chosen(trace: &Trace) -> String {
    let by = &trace.policy;
    match (trace.replica, &trace.node) {
        (0, _) => format!("nothing, by {by}"),
        (replica, None) => format!("replica {replica}, by {by}"),
        (replica, Some(node)) => format!("replica {replica} on {node}, by {by}"),
    }
}

fn moved(one: &Move) -> String {
    let why = &one.why;
    let after = time(one.after_us);
    match (one.from, one.to) {
        (from, to) if from == to => format!("after {after}, to replica {to} started anew: {why}"),
        (from, to) => format!("after {after}, from replica {from} to {to}: {why}"),
    }
}

fn waited(trace: &Trace) -> String {
    format!(
        "{} for a slot and the model, {} µs for the choice",
        time(trace.admitted_after_us),
        trace.decided_in_us
    )
}

fn took(trace: &Trace) -> String {
    match trace.first_after_us {
        None => format!("{} in all, without a token", time(trace.took_us)),
        Some(first) => format!(
            "{} to the first token, {} in all",
            time(first),
            time(trace.took_us)
        ),
    }
}

fn used(trace: &Trace) -> String {
    format!(
        "{} prompt tokens, {} of them cached, and {} tokens of answer",
        trace.prompt_tokens, trace.cached_tokens, trace.completion_tokens
    )
}

fn table(head: &'static str, considered: &[Considered], taken: u64, paint: Paint) -> String {
    let mut table = Table::new([head, "NODE", "SAID OF IT", "OFFERED"]);
    for one in considered {
        let offered = match &one.refused {
            Some(why) => Cell::new(format!("refused: {why}"), Hue::Doubtful),
            None if one.replica == taken => Cell::new("took it", Hue::Good),
            None => Cell::new("-", Hue::Faint),
        };
        table.row([
            format!("replica {}", one.replica).into(),
            one.node.as_deref().unwrap_or("-").into(),
            one.why.as_str().into(),
            offered,
        ]);
    }
    table.render(paint)
}

fn time(us: u64) -> String {
    figures::duration(Duration::from_micros(us))
}
