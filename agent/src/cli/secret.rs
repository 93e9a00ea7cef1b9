//! `skep secret`: texts that plugins use and nobody reads back.
//!
//! Decides where a text comes from: never from the arguments, which others on the machine can see.

use std::io::{self, BufRead as _, IsTerminal as _, Read, Write as _};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use skep_core::capability::SecretName;
use zeroize::Zeroizing;

use super::figures;
use super::table::{Cell, Hue, Table};
use super::terminal::{Paint, printable, say};
use super::{Failure, print_json, segment};
use crate::client::Client;
use crate::limits::SECRET_BYTES_MAX;
use crate::wire::{NewSecret, Secrets};

pub(super) fn set(client: &Client, name: &str) -> Result<(), Failure> {
    // Before anything is typed.
    name.parse::<SecretName>()
        .map_err(|error| Failure::usage(error.to_string()))?;
    let text = if io::stdin().is_terminal() {
        ask(&format!("the text of `{}`", printable(name)))?
    } else {
        read(io::stdin().lock())?
    };
    let text = text.trim_end_matches(['\n', '\r']);
    if text.is_empty() {
        return Err(
            Failure::usage("the secret is empty").with_hint(Some(format!(
                "`skep secret set {name} < FILE` takes it from a file"
            ))),
        );
    }
    let wish = NewSecret {
        text: text.to_owned(),
    };
    let path = format!("/api/v1/secrets/{}", segment(name));
    let _: serde_json::Value = client.put(&path, &wish)?;
    Ok(say(format!("kept the secret `{}`", printable(name)))?)
}

pub(super) fn list(client: &Client, json: bool) -> Result<(), Failure> {
    let secrets: Secrets = client.get("/api/v1/secrets")?;
    if json {
        return print_json(&secrets);
    }
    Ok(say(render(&secrets, Paint::for_stdout(), figures::ago))?)
}

pub(super) fn render(secrets: &Secrets, paint: Paint, ago: impl Fn(u64) -> String) -> String {
    if secrets.secrets.is_empty() {
        return "there are no secrets; `skep secret set NAME` keeps one".to_owned();
    }
    let mut table = Table::new(["NAME", "SET", "USED BY"]);
    for secret in &secrets.secrets {
        table.row([
            Cell::new(secret.name.as_str(), Hue::Strong),
            ago(secret.set_unix_s).into(),
            secret.used_by.join(", ").into(),
        ]);
    }
    table.render(paint)
}

pub(super) fn remove(client: &Client, name: &str) -> Result<(), Failure> {
    let _: serde_json::Value = client.delete(&format!("/api/v1/secrets/{}", segment(name)))?;
    Ok(say(format!("forgot the secret `{}`", printable(name)))?)
}

/// Asks on the terminal, which shows nothing of it.
pub(super) fn ask(what: &str) -> Result<Zeroizing<String>, Failure> {
    let mut terminal = io::stderr().lock();
    write!(terminal, "{what} (not shown): ")?;
    terminal.flush()?;
    let silent = Silent::begin()?;
    let mut text = Zeroizing::new(String::new());
    let asked = io::stdin()
        .lock()
        .take(SECRET_BYTES_MAX as u64 + 2)
        .read_line(&mut text);
    drop(silent);
    writeln!(terminal)?;
    asked.map_err(|error| Failure::new(format!("could not read it: {error}")))?;
    Ok(text)
}

/// What stands on standard input.
pub(super) fn read(input: impl Read) -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::new());
    // One more than fits, and a line break.
    let mut input = input.take(SECRET_BYTES_MAX as u64 + 3);
    input
        .read_to_string(&mut text)
        .map_err(|error| Failure::new(format!("could not read standard input: {error}")))?;
    Ok(text)
}

/// The terminal shows nothing of what is typed while this lives.
struct Silent(Termios);

impl Silent {
    fn begin() -> Result<Self, Failure> {
        let failed = |error: rustix::io::Errno| {
            Failure::new(format!(
                "the terminal cannot be kept from showing it: {error}"
            ))
            .with_hint(Some("give it on standard input instead"))
        };
        let before = tcgetattr(io::stdin()).map_err(failed)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent).map_err(failed)?;
        Ok(Self(before))
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // A terminal that is gone shows nothing anyway.
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_input_is_read_within_bounds() {
        assert_eq!(*read(&b"sk-1\n"[..]).unwrap(), "sk-1\n");
        assert!(read(&b"\xff"[..]).is_err());
        assert_eq!(read(io::repeat(b'x')).unwrap().len(), SECRET_BYTES_MAX + 3);
    }
}
