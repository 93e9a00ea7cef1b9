//! `skep alerts`: what is wrong now, what was, and what could not be told yet.

use super::figures;
use super::table::{Cell, Hue, Table};
use super::terminal::{Paint, printable, say};
use super::{Failure, print_json};
use crate::client::Client;
use crate::wire::Alerts;

pub(super) fn list(client: &Client, json: bool) -> Result<(), Failure> {
    let alerts: Alerts = client.get("/api/v1/alerts")?;
    if json {
        return print_json(&alerts);
    }
    Ok(say(render(&alerts, Paint::for_stdout(), figures::ago))?)
}

pub(super) fn render(alerts: &Alerts, paint: Paint, ago: impl Fn(u64) -> String) -> String {
    let mut parts = Vec::new();
    if alerts.raised.is_empty() {
        parts.push("nothing is wrong that would be told".to_owned());
    }
    if !(alerts.raised.is_empty() && alerts.past.is_empty()) {
        let mut table = Table::new(["SEVERITY", "WHAT", "NODE", "SINCE", "OVER"]);
        for alert in alerts.raised.iter().chain(&alerts.past) {
            let hue = match (alert.resolved_unix_s, alert.severity.as_str()) {
                (Some(_), _) => Hue::Faint,
                (None, "critical") => Hue::Bad,
                (None, "warning") => Hue::Doubtful,
                (None, _) => Hue::Plain,
            };
            table.row([
                Cell::new(alert.severity.as_str(), hue),
                alert.title.as_str().into(),
                alert.node.clone().unwrap_or_default().into(),
                ago(alert.raised_unix_s).into(),
                alert.resolved_unix_s.map_or_else(String::new, &ago).into(),
            ]);
        }
        parts.push(table.render(paint));
    }
    for (notifier, waiting) in &alerts.waiting {
        if waiting.count == 0 && waiting.dropped == 0 {
            continue;
        }
        let why = waiting.why.as_deref().unwrap_or("they are on their way");
        parts.push(paint.yellow(format!(
            "{} wait for `{}`, {} found no room: {}",
            waiting.count,
            printable(notifier),
            waiting.dropped,
            printable(why)
        )));
    }
    parts.join("\n")
}
