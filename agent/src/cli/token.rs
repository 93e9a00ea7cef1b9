//! `skep token`: what lets machines in.

use std::io::IsTerminal as _;
use std::time::Duration;

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;

use super::figures;
use super::table::{Cell, Hue, Table};
use super::terminal::{Paint, complain, printable, say};
use super::{Failure, print_json, segment};
use crate::client::Client;
use crate::wire::{Invitation, JoinToken, JoinTokens, NewToken};

pub(super) fn make(
    client: &Client,
    role: &str,
    name: Option<String>,
    ttl: Duration,
    json: bool,
) -> Result<(), Failure> {
    let wish = NewToken {
        role: Some(role.to_owned()),
        name,
        ttl_s: Some(ttl.as_secs()),
    };
    let made: Invitation = client.post("/api/v1/cluster/tokens", &wish)?;
    if json {
        return print_json(&made);
    }
    if !std::io::stdout().is_terminal() {
        // The token alone, so that it can be taken from there.
        return Ok(say(printable(&made.token))?);
    }
    let paint = Paint::for_stdout();
    if let Some(picture) = picture(&made.token) {
        say(picture)?;
    }
    say(render(&made, paint, ttl))?;
    complain("");
    complain(&paint.yellow("whoever has this token can join with it, once; it is shown only now"));
    Ok(())
}

pub(super) fn render(made: &Invitation, paint: Paint, ttl: Duration) -> String {
    let who = match &made.name {
        Some(name) => format!("a machine by the name of `{name}`"),
        None => "one machine".to_owned(),
    };
    let role = match made.role.as_str() {
        "voter" => "a voter, once it is approved with `skep node approve`",
        role => &format!("a {role}"),
    };
    let at: Vec<String> = made.addresses.iter().map(ToString::to_string).collect();
    format!(
        "on the other machine:\n\n  {}\n\nlets in {} as {role}, within {}; it looks for this cluster at {}",
        paint.bold(printable(&made.command)),
        printable(&who),
        figures::span(ttl.as_secs()),
        at.join(", ")
    )
}

/// A text for a camera; none where it cannot be drawn.
pub(super) fn picture(token: &str) -> Option<String> {
    let code = QrCode::new(token).ok()?;
    // Light on dark, as most terminals are: cameras read it either way.
    let drawn = code
        .render::<Dense1x2>()
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .build();
    Some(drawn)
}

pub(super) fn list(client: &Client, json: bool) -> Result<(), Failure> {
    let tokens: JoinTokens = client.get("/api/v1/cluster/tokens")?;
    if json {
        return print_json(&tokens);
    }
    Ok(say(table(&tokens.tokens, Paint::for_stdout(), expiry))?)
}

pub(super) fn table(tokens: &[JoinToken], paint: Paint, when: impl Fn(u64) -> String) -> String {
    if tokens.is_empty() {
        return "there are no join tokens; `skep token new` makes one".to_owned();
    }
    let mut table = Table::new(["ID", "STATE", "ROLE", "FOR", "ENDS", "USED BY"]);
    for token in tokens {
        let hue = match token.state.as_str() {
            "open" => Hue::Good,
            _ => Hue::Faint,
        };
        let ends = match token.state.as_str() {
            "open" => when(token.expires_unix_s),
            _ => "-".to_owned(),
        };
        table.row([
            Cell::new(token.id.as_str(), Hue::Strong),
            Cell::new(token.state.as_str(), hue),
            token.role.as_str().into(),
            token.name.as_deref().unwrap_or("any machine").into(),
            ends.into(),
            token.used_by.as_deref().unwrap_or("-").into(),
        ]);
    }
    table.render(paint)
}

fn expiry(unix_s: u64) -> String {
    let left = unix_s.saturating_sub(crate::keys::unix_now_s());
    format!("in {}", figures::span(left))
}

pub(super) fn revoke(client: &Client, token: &str) -> Result<(), Failure> {
    let path = format!("/api/v1/cluster/tokens/{}", segment(token));
    let revoked: JoinToken = client.delete(&path)?;
    let text = match revoked.state.as_str() {
        "open" => format!("revoked {}: nobody joins by it any more", revoked.id),
        state => format!("{} was {state} already, and is forgotten", revoked.id),
    };
    Ok(say(printable(&text))?)
}
