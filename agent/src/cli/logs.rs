//! `skep logs`: what the agent logged lately, and what it logs now.

use std::sync::Arc;

use ureq::http::Method;

use super::arguments::Logs as Wish;
use super::events::{Happening, Interrupts};
use super::table::Hue;
use super::terminal::{Paint, printable, say};
use super::{Exit, Failure, figures};
use crate::client::Client;
use crate::logs::LogEntry;
use crate::wire::Logs;

pub(super) fn logs(client: Client, wish: &Wish) -> Result<(), Failure> {
    let paint = Paint::for_stdout();
    if !wish.follow {
        let logs: Logs = client.get(&format!("/api/v1/logs?lines={}", wish.lines))?;
        for entry in &logs.entries {
            show(entry, wish.json, paint)?;
        }
        return Ok(());
    }
    let url = client.endpoint().url().to_owned();
    let interrupts = Interrupts::watch();
    let path = format!("/api/v1/logs?follow=true&lines={}", wish.lines);
    let happenings = interrupts.ask(&Arc::new(client), Method::GET, &path, None::<()>);
    for happening in happenings {
        match happening {
            // Some lines only keep the connection alive.
            Happening::Line(line) if line.trim().is_empty() => {}
            Happening::Line(line) => {
                let entry = serde_json::from_str(&line)
                    .map_err(|_| Failure::new("the agent sent a line that is no log entry"))?;
                show(&entry, wish.json, paint)?;
            }
            Happening::End | Happening::Broken(_) => {
                return Err(Failure::new(format!("the agent at {url} has ended")));
            }
            Happening::Failed(error) => return Err(error.into()),
            Happening::Interrupted => return Err(Failure::silent(Exit::Interrupted)),
        }
    }
    Ok(())
}

fn show(entry: &LogEntry, json: bool, paint: Paint) -> Result<(), Failure> {
    if json {
        let line = serde_json::to_string(entry)
            .map_err(|error| Failure::new(format!("could not write JSON: {error}")))?;
        return Ok(say(line)?);
    }
    Ok(say(render(entry, paint))?)
}

pub(super) fn render(entry: &LogEntry, paint: Paint) -> String {
    let hue = match entry.level.as_str() {
        "error" => Hue::Bad,
        "warn" => Hue::Doubtful,
        "info" => Hue::Good,
        _ => Hue::Faint,
    };
    let level = hue.paint(&format!("{:<5}", printable(&entry.level)), paint);
    let when = paint.dim(figures::moment(entry.time_unix_ms));
    let target = paint.dim(printable(&entry.target));
    // Lines of one entry stay under it.
    let message = printable(&entry.message).replace('\n', "\n    ");
    format!("{when} {level} {target} {message}")
}
