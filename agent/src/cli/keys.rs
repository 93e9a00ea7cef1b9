//! `skep keys`: who may ask this agent.

use super::figures;
use super::table::{Cell, Hue, Table};
use super::terminal::{Paint, complain, printable, say};
use super::{Failure, print_json, segment};
use crate::client::Client;
use crate::wire::{Key, Keys, MadeKey, NewKey};

pub(super) fn list(client: &Client, json: bool) -> Result<(), Failure> {
    let keys: Keys = client.get("/api/v1/keys")?;
    if json {
        return print_json(&keys);
    }
    Ok(say(render(&keys, Paint::for_stdout(), figures::ago))?)
}

pub(super) fn render(keys: &Keys, paint: Paint, ago: impl Fn(u64) -> String) -> String {
    if keys.keys.is_empty() {
        return "there are no keys; `skep keys new NAME` makes one".to_owned();
    }
    let mut table = Table::new([">ID", "NAME", "KEY", "MADE", "LAST USED"]);
    for key in &keys.keys {
        let used = match key.last_used_unix_s {
            Some(used) => ago(used).into(),
            None => Cell::new("never", Hue::Faint),
        };
        table.row([
            Cell::from(key.id.to_string()),
            Cell::new(key.name.as_str(), Hue::Strong),
            Cell::new(format!("{}…", key.prefix), Hue::Faint),
            ago(key.created_unix_s).into(),
            used,
        ]);
    }
    table.render(paint)
}

pub(super) fn make(client: &Client, name: String, json: bool) -> Result<(), Failure> {
    let made: MadeKey = client.post("/api/v1/keys", &NewKey { name })?;
    if json {
        return print_json(&made);
    }
    // The key alone on standard output, so that it can be taken from there.
    complain("this key is shown only once; keep it where you keep passwords:");
    Ok(say(printable(&made.secret))?)
}

pub(super) fn revoke(client: &Client, key: &str) -> Result<(), Failure> {
    let key: Key = client.delete(&format!("/api/v1/keys/{}", segment(key)))?;
    Ok(say(format!(
        "revoked `{}` ({}…)",
        printable(&key.name),
        printable(&key.prefix)
    ))?)
}
