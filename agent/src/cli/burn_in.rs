//! `skep node burn-in`: tests a card of this node, and lets the agent hold against it what is found.

use std::io::IsTerminal as _;
use std::sync::Arc;

use skep_hw::diag::Level;
use ureq::http::Method;

use super::arguments::BurnIn;
use super::diagnosis::{Bar, render};
use super::events::{Happening, Interrupts};
use super::terminal::{Paint, printable, say};
use super::{Exit, Failure, print_json, segment};
use crate::client::Client;
use crate::wire::{BurnInEvent, BurnInWish, ClusterNodes, Forgotten};

pub(super) fn burn_in(client: Client, wish: &BurnIn) -> Result<(), Failure> {
    if let Some(node) = &wish.node {
        local(&client, node)?;
    }
    if wish.forget {
        return forget(&client, wish);
    }
    let request = BurnInWish {
        device: wish.device.clone(),
        seconds: (wish.minutes * 60.0).round() as u32,
        memory_percent: wish.memory,
        force: wish.force,
    };
    let interrupts = Interrupts::watch();
    let client = Arc::new(client);
    let path = "/api/v1/node/burn-in";
    let mut bar = None;
    let seen = std::io::stderr().is_terminal() && !wish.json;
    for happening in interrupts.ask(&client, Method::POST, path, Some(request)) {
        let line = match happening {
            Happening::Line(line) if line.trim().is_empty() => continue,
            Happening::Line(line) => line,
            Happening::End | Happening::Broken(_) => break,
            Happening::Failed(error) => return Err(error.into()),
            Happening::Interrupted => {
                return Err(Failure::silent(Exit::Interrupted)
                    .with_hint(Some("the burn-in ends; what it proved so far is kept")));
            }
        };
        let event = serde_json::from_str(&line)
            .map_err(|_| Failure::new("the agent sent a line that is not understood"))?;
        match event {
            BurnInEvent::Started { name, .. } => bar = Some(Bar::begin(&name, seen)),
            BurnInEvent::Progress(progress) => {
                if let Some(bar) = &bar {
                    bar.show(progress);
                }
            }
            BurnInEvent::Failed { error } => {
                return Err(Failure::new(error.message).with_hint(error.hint));
            }
            BurnInEvent::Done(report) => {
                drop(bar);
                if wish.json {
                    print_json(&report)?;
                } else {
                    say(render(&report, Paint::for_stdout()))?;
                }
                return match report.verdict.level {
                    Level::Pass => Ok(()),
                    Level::Suspect => Err(Failure::silent(Exit::Findings(1))),
                    Level::Bad => Err(Failure::silent(Exit::Findings(2)).with_hint(Some(
                        "the card is given nothing until it passes, or `skep node burn-in --forget`",
                    ))),
                };
            }
        }
    }
    Err(Failure::new("the connection to the agent broke off"))
}

/// The burn-in of a card runs where the card is.
fn local(client: &Client, name: &str) -> Result<(), Failure> {
    let all: ClusterNodes = client.get("/api/v1/cluster/nodes")?;
    let is_it = |node: &&crate::wire::ClusterNode| node.name == name || node.id.starts_with(name);
    match all.nodes.iter().find(is_it) {
        Some(node) if node.here => Ok(()),
        Some(node) => Err(Failure::new(format!(
            "`{}` is another machine, and a burn-in is begun where the card is",
            node.name
        ))
        .with_hint(Some(
            "type `skep node burn-in` on it, or point `SKEP_URL` at its agent",
        ))),
        None => Err(Failure::new(format!("there is no node `{name}`"))
            .with_hint(Some("`skep nodes` lists them"))),
    }
}

fn forget(client: &Client, wish: &BurnIn) -> Result<(), Failure> {
    let device = wish.device.as_deref().unwrap_or("only");
    let path = format!("/api/v1/node/burn-in/{}", segment(device));
    let forgotten: Forgotten = client.delete(&path)?;
    let text = match forgotten.was_held {
        true => format!("`{}` is as any other card again", forgotten.id),
        false => format!("nothing was held against `{}`", forgotten.id),
    };
    Ok(say(printable(&text))?)
}
