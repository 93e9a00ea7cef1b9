//! `skep upstream`: models elsewhere. What it shares with `skep notifier` is in `services`.

use std::sync::Arc;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ureq::http::Method;

use super::arguments::{Find, NewService, Service};
use super::events::{Happening, Interrupts};
use super::table::{Cell, Hue, Table};
use super::terminal::{Paint, printable, say};
use super::waiting::Waiting;
use super::{Exit, Failure, figures, print_json, segment, services};
use crate::client::Client;
use crate::services::{Kind, OLLAMA_PORTS, OPENAI_PORTS};
use crate::wire::{FindUpstreams, FoundUpstreams, UpstreamModels, UpstreamPull, UpstreamPullEvent};

pub(super) fn add(
    client: &Client,
    typed: &NewService,
    models: Vec<String>,
    prefix: bool,
    timeout: Option<u64>,
) -> Result<(), Failure> {
    let wish = services::wish(typed)?;
    let wish = crate::wire::NewService {
        models,
        prefix,
        timeout_s: timeout,
        ..wish
    };
    services::add(client, Kind::Upstream, typed, wish)
}

/// Asks the upstream now.
pub(super) fn models(client: &Client, wish: &Service) -> Result<(), Failure> {
    let waiting = Waiting::begin("asking");
    let path = format!("/api/v1/upstreams/{}/test", segment(&wish.name));
    let found: Result<UpstreamModels, _> = client.post(&path, &());
    drop(waiting);
    let found = found?;
    if wish.json {
        return print_json(&found);
    }
    Ok(say(render(&found, Paint::for_stdout()))?)
}

pub(super) fn render(found: &UpstreamModels, paint: Paint) -> String {
    if found.models.is_empty() {
        return "it answers for no model that is exposed; `skep upstream show NAME` tells more"
            .to_owned();
    }
    let mut table = Table::new(["NAME", "THERE", ">CONTEXT", ">PARAMETERS", "QUANTISATION"]);
    for model in &found.models {
        let number = |n: Option<u64>| n.map_or_else(String::new, |n| n.to_string());
        table.row([
            Cell::new(model.name.as_str(), Hue::Strong),
            Cell::new(model.id.as_str(), Hue::Faint),
            number(model.context_tokens.map(u64::from)).into(),
            number(model.parameters).into(),
            model.quantisation.clone().unwrap_or_default().into(),
        ]);
    }
    table.render(paint)
}

/// Model servers that could become upstreams.
pub(super) fn find(client: &Client, wish: Find) -> Result<(), Failure> {
    let waiting = Waiting::begin("looking around");
    let hosts = FindUpstreams { hosts: wish.hosts };
    let found: Result<FoundUpstreams, _> = client.post("/api/v1/upstreams/-/find", &hosts);
    drop(waiting);
    let found = found?;
    if wish.json {
        return print_json(&found);
    }
    say(finds(&found, &hosts.hosts, Paint::for_stdout()))?;
    Ok(())
}

pub(super) fn finds(found: &FoundUpstreams, hosts: &[String], paint: Paint) -> String {
    if found.found.is_empty() {
        let others = found.nodes.iter().chain(hosts).map(|name| printable(name));
        let others: String = others.map(|name| format!(", `{name}`")).collect();
        let (first, last) = (OLLAMA_PORTS.start(), OLLAMA_PORTS.end());
        return format!(
            "no model server answers on this machine{others} (ports {first} to {last} and {}); \
             `skep upstream find HOST:PORT` looks elsewhere",
            OPENAI_PORTS.map(|port| port.to_string()).join(", ")
        );
    }
    let mut table = Table::new(["ADDRESS", "PLUGIN", ">MODELS", "SOME", "USED AS"]);
    for one in &found.found {
        let some: Vec<&str> = one.models.iter().take(3).map(String::as_str).collect();
        let some = match one.wants_key {
            true => Cell::new("it wants a key", Hue::Doubtful),
            false => Cell::new(some.join(", "), Hue::Faint),
        };
        table.row([
            Cell::new(one.base_url.as_str(), Hue::Strong),
            one.plugin.as_str().into(),
            one.models.len().to_string().into(),
            some,
            one.upstream.clone().unwrap_or_default().into(),
        ]);
    }
    let mut parts = vec![table.render(paint)];
    let commands: Vec<&String> = found
        .found
        .iter()
        .filter_map(|one| one.command.as_ref())
        .collect();
    if !commands.is_empty() {
        parts.push(format!(
            "\nto use {}:",
            if commands.len() == 1 { "it" } else { "them" }
        ));
    }
    for command in commands {
        parts.push(format!("  {}", printable(command)));
    }
    if found.found.iter().any(|one| one.wants_key) {
        parts.push(
            "first keep its key: `skep secret set NAME`, with the name behind `key=`".to_owned(),
        );
    }
    parts.join("\n")
}

pub(super) fn pull(client: Client, name: &str, model: &str, json: bool) -> Result<(), Failure> {
    let interrupts = Interrupts::watch();
    let client = Arc::new(client);
    let path = format!("/api/v1/upstreams/{}/pull", segment(name));
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if json {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let wish = UpstreamPull {
        model: model.to_owned(),
    };
    for happening in interrupts.ask(&client, Method::POST, &path, Some(wish)) {
        let line = match happening {
            Happening::Line(line) if line.trim().is_empty() => continue,
            Happening::Line(line) => line,
            Happening::End | Happening::Broken(_) => break,
            Happening::Failed(error) => return Err(error.into()),
            Happening::Interrupted => {
                bar.finish_and_clear();
                return Err(Failure::silent(Exit::Interrupted));
            }
        };
        if json {
            say(&line)?;
        }
        let event = serde_json::from_str(&line)
            .map_err(|_| Failure::new("the agent sent a line that is not understood"))?;
        match event {
            UpstreamPullEvent::Progress {
                what,
                done_bytes,
                total_bytes,
            } => progress(&bar, &what, done_bytes, total_bytes),
            UpstreamPullEvent::Done => {
                bar.finish_and_clear();
                if !json {
                    let paint = Paint::for_stdout();
                    let (model, name) = (printable(model), printable(name));
                    say(format!("{} `{model}` to `{name}`", paint.green("pulled")))?;
                }
                return Ok(());
            }
            UpstreamPullEvent::Failed { error } => {
                bar.finish_and_clear();
                return Err(Failure::new(error.message).with_hint(error.hint));
            }
        }
    }
    bar.finish_and_clear();
    Err(Failure::new("the connection to the agent broke off")
        .with_hint(Some("type the same again; what is there already is kept")))
}

fn progress(bar: &ProgressBar, what: &str, done: u64, total: Option<u64>) {
    let template = match total {
        Some(_) => "{msg} {wide_bar:.cyan/dim} {eta} left",
        None => "{msg} {spinner}",
    };
    if bar.length() != total || bar.position() == 0 {
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━━─"));
        }
        if let Some(total) = total {
            bar.set_length(total);
        }
    }
    let of = total.map_or_else(String::new, |total| format!(" of {}", figures::size(total)));
    bar.set_message(format!("{} {}{of}", printable(what), figures::size(done)));
    bar.set_position(done);
}
