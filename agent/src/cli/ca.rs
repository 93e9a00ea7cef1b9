//! `skep ca`: the authority that certifies this cluster's nodes.

use super::figures;
use super::table::{Cell, Hue, Table};
use super::terminal::{Paint, complain, printable, say};
use super::{Failure, print_json};
use crate::client::Client;
use crate::keys::unix_now_s;
use crate::wire::{Authorities, Authority};

pub(super) fn show(client: &Client, json: bool) -> Result<(), Failure> {
    let found: Authorities = client.get("/api/v1/cluster/ca")?;
    if json {
        return print_json(&found);
    }
    say(render(&found, Paint::for_stdout(), unix_now_s()))?;
    if found
        .authorities
        .iter()
        .any(|one| one.ends_soon && one.standing == "active")
    {
        let paint = Paint::for_stderr();
        complain(&format!(
            "{} the authority ends within 30 days; `skep ca rotate` lets a new one take over",
            paint.yellow("note:")
        ));
    }
    Ok(())
}

pub(super) fn render(found: &Authorities, paint: Paint, now: u64) -> String {
    let mut table = Table::new(["AUTHORITY (SHA-256 OF ITS KEY)", "STATE", "ENDS"]);
    for one in &found.authorities {
        let (state, hue) = match one.standing.as_str() {
            "active" => ("signs", Hue::Good),
            "next" => ("signs soon", Hue::Plain),
            _ => ("trusted, signs no more", Hue::Faint),
        };
        let ends = if one.ends_soon {
            Hue::Doubtful
        } else {
            Hue::Plain
        };
        table.row([
            Cell::new(one.pin.as_str(), Hue::Strong),
            Cell::new(state, hue),
            Cell::new(left(one.valid_until_unix_s, now), ends),
        ]);
    }
    let mut text = table.render(paint);
    if let Some(until) = found.certificate_until_unix_s {
        text += &format!(
            "\n\nthis node's certificate ends {}; it renews itself at half of its life",
            left(until, now)
        );
    }
    text
}

pub(super) fn rotate(client: &Client, json: bool) -> Result<(), Failure> {
    let new: Authority = client.post("/api/v1/cluster/ca/rotate", &serde_json::json!({}))?;
    if json {
        return print_json(&new);
    }
    Ok(say(printable(&format!(
        "{} signs from now on; nodes get their new certificates within moments, or when they are back.\n\
         Tokens that were made before are good for nothing now: make new ones with `skep token new`",
        new.pin
    )))?)
}

fn left(until: u64, now: u64) -> String {
    match until.checked_sub(now) {
        Some(left) => format!("in {}", figures::span(left)),
        None => "already over".to_owned(),
    }
}
