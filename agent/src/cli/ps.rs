//! `skep ps`: the models that are loaded, and the workers that hold them.

use super::figures;
use super::table::{Cell, Hue, Table};
use super::terminal::{Paint, complain, printable, say};
use super::{Failure, print_json};
use crate::client::Client;
use crate::wire::{Replica, Replicas};

pub(super) fn list(client: &Client, json: bool) -> Result<(), Failure> {
    let replicas: Replicas = client.get("/api/v1/ps")?;
    if json {
        return print_json(&replicas);
    }
    say(render(&replicas, Paint::for_stdout()))?;
    let paint = Paint::for_stderr();
    for replica in &replicas.replicas {
        if let Some(why) = &replica.why {
            let text = format!("{}: {why}", replica.model);
            complain(&format!("{} {}", paint.yellow("note:"), printable(&text)));
        }
        for cause in &replica.causes {
            let (health, what) = (&replica.health, &cause.text);
            let text = format!("{} is {health}: {what} ({})", replica.model, cause.evidence);
            complain(&format!("{} {}", paint.yellow("note:"), printable(&text)));
        }
    }
    Ok(())
}

pub(super) fn render(replicas: &Replicas, paint: Paint) -> String {
    if replicas.replicas.is_empty() {
        return "no model is loaded; the first request for one loads it".to_owned();
    }
    let mut table = Table::new([
        "MODEL",
        "STATE",
        ">REQUESTS",
        ">TOKENS/S",
        ">MEMORY",
        ">CACHE",
        ">CONTEXT",
        "KIND",
        ">PID",
        ">RESTARTS",
        "ON",
    ]);
    for replica in &replicas.replicas {
        let restarts = if replica.restarts == 0 {
            Hue::Plain
        } else {
            Hue::Doubtful
        };
        table.row([
            Cell::new(replica.model.as_str(), Hue::Strong),
            Cell::new(replica.state.as_str(), Hue::of_state(&replica.state)),
            requests(replica).into(),
            or_dash(replica.tokens_per_s.map(|rate| format!("{rate:.0}"))).into(),
            or_dash(replica.resident_bytes.map(figures::memory)).into(),
            or_dash(cache(replica)).into(),
            or_dash(
                replica
                    .info
                    .as_ref()
                    .map(|info| info.context_tokens.to_string()),
            )
            .into(),
            or_dash(kind(replica)).into(),
            or_dash(replica.pid.map(|pid| pid.to_string())).into(),
            Cell::new(replica.restarts.to_string(), restarts),
            Cell::new(
                or_dash(Some(replica.device.clone()).filter(|device| !device.is_empty())),
                if replica.causes.is_empty() {
                    Hue::Plain
                } else {
                    Hue::Doubtful
                },
            ),
        ]);
    }
    table.render(paint)
}

fn requests(replica: &Replica) -> String {
    match replica.waiting {
        0 => replica.requests.to_string(),
        waiting => format!("{} ({waiting} waiting)", replica.requests),
    }
}

fn cache(replica: &Replica) -> Option<String> {
    let (used, all) = (
        u64::from(replica.cache_pages_used),
        u64::from(replica.cache_pages),
    );
    let percent = (used * 100).checked_div(all)?;
    let bytes = replica.info.as_ref().map(|info| info.cache_bytes);
    Some(match bytes.filter(|bytes| *bytes > 0) {
        Some(bytes) => format!("{percent} % of {}", figures::memory(bytes)),
        None => format!("{percent} %"),
    })
}

fn kind(replica: &Replica) -> Option<String> {
    let info = replica.info.as_ref()?;
    let parameters = figures::count(info.parameters);
    Some(format!(
        "{} {parameters} {}",
        info.architecture, info.quantisation
    ))
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}
