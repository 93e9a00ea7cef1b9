//! `skep models`, `rm`, `load`, `unload`: what is on the disk, and what of it is in memory.

use super::arguments::Rm;
use super::figures;
use super::table::{Cell, Hue, Table};
use super::terminal::{Paint, complain, printable, say};
use super::{Failure, print_json, segment};
use crate::client::Client;
use crate::wire::{Models, Removed, Replica};

pub(super) fn list(client: &Client, json: bool) -> Result<(), Failure> {
    let models: Models = client.get("/api/v1/models")?;
    if json {
        return print_json(&models);
    }
    say(render(&models, Paint::for_stdout(), figures::ago))?;
    let paint = Paint::for_stderr();
    for damaged in &models.damaged {
        let text = format!("`{}`: {}", damaged.path, damaged.reason);
        complain(&format!(
            "{} {}",
            paint.yellow("damaged:"),
            printable(&text)
        ));
    }
    Ok(())
}

pub(super) fn render(models: &Models, paint: Paint, ago: impl Fn(u64) -> String) -> String {
    if models.models.is_empty() && models.offered.is_empty() {
        return "no models here yet; `skep pull ADDRESS` brings one".to_owned();
    }
    let mut table = Table::new(["NAME", ">SIZE", "STATE", "ADDED", "DIGEST", "FROM"]);
    for model in &models.models {
        let state = match &model.state {
            Some(state) => Cell::new(state.as_str(), Hue::of_state(state)),
            None => Cell::new("on disk", Hue::Faint),
        };
        let digest = model
            .digest
            .strip_prefix("sha256:")
            .unwrap_or(&model.digest);
        table.row([
            Cell::new(model.name.as_str(), Hue::Strong),
            figures::size(model.bytes).into(),
            state,
            ago(model.added_unix_s).into(),
            Cell::new(digest.chars().take(12).collect::<String>(), Hue::Faint),
            Cell::new(model.source.as_str(), Hue::Faint),
        ]);
    }
    for offered in &models.offered {
        let nothing = || Cell::new("-", Hue::Faint);
        table.row([
            Cell::new(offered.name.as_str(), Hue::Strong),
            nothing(),
            Cell::new(offered.state.as_str(), Hue::of_state(&offered.state)),
            nothing(),
            nothing(),
            Cell::new(
                format!("upstream {} of {}", offered.upstream, offered.node),
                Hue::Faint,
            ),
        ]);
    }
    table.render(paint)
}

pub(super) fn remove(client: &Client, wish: &Rm) -> Result<(), Failure> {
    let force = if wish.force { "?force=true" } else { "" };
    let removed: Removed =
        client.delete(&format!("/api/v1/models/{}{force}", segment(&wish.model)))?;
    let freed = match removed.freed_bytes {
        0 => "its file stays: another name uses it".to_owned(),
        bytes => format!("{} freed", figures::size(bytes)),
    };
    Ok(say(format!(
        "removed `{}`; {freed}",
        printable(&removed.name)
    ))?)
}

pub(super) fn load(client: &Client, model: &str) -> Result<(), Failure> {
    let replica: Replica = client.post(
        &format!("/api/v1/models/{}/load", segment(model)),
        &Empty {},
    )?;
    let took = replica.opened_in_ms.map_or_else(String::new, |ms| {
        format!(
            " after {}",
            figures::duration(std::time::Duration::from_millis(ms))
        )
    });
    let name = printable(&replica.model).into_owned();
    Ok(say(format!(
        "`{name}` is {}{took}",
        printable(&replica.state)
    ))?)
}

pub(super) fn unload(client: &Client, model: &str) -> Result<(), Failure> {
    let _: serde_json::Value = client.post(
        &format!("/api/v1/models/{}/unload", segment(model)),
        &Empty {},
    )?;
    Ok(say(format!(
        "`{}` is unloaded; it stays on the disk",
        printable(model)
    ))?)
}

/// `{}`: these calls say everything in their address.
#[derive(serde::Serialize)]
struct Empty {}
