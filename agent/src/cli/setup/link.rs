//! `skep setup link`: a way into the setup for one browser.

use std::io::IsTerminal as _;

use crate::cli::terminal::{Paint, complain, printable, say};
use crate::cli::{Failure, figures, print_json, token};
use crate::client::Client;
use crate::wire::SetupLink;

pub(super) fn link(client: &Client, json: bool) -> Result<(), Failure> {
    let made: SetupLink = client.post("/api/v1/setup/link", &serde_json::json!({}))?;
    if json {
        return print_json(&made);
    }
    if !std::io::stdout().is_terminal() {
        // The address alone, so that it can be taken from there.
        return Ok(say(printable(&made.url))?);
    }
    for line in show(&made, Paint::for_stdout()) {
        say(line)?;
    }
    complain("");
    let left = made.until_unix_s.saturating_sub(crate::keys::unix_now_s());
    let text = format!("it opens one browser, once, within {}", figures::span(left));
    complain(&Paint::for_stderr().yellow(text));
    Ok(())
}

/// The link, and a picture of it where a phone could use it.
pub(in crate::cli) fn show(made: &SetupLink, paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    let host = made.url.split_once("://").map_or("", |(_, rest)| rest);
    let loopback = ["127.", "[::1]", "localhost"];
    if !loopback.iter().any(|ours| host.starts_with(ours)) {
        lines.extend(token::picture(&made.url));
    }
    lines.push(paint.bold(printable(&made.url)));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_for_machines_elsewhere() {
        let lines = |url: &str| {
            let link = SetupLink {
                url: url.to_owned(),
                until_unix_s: 0,
            };
            show(&link, Paint::none()).len()
        };
        assert_eq!(lines("http://127.0.0.1:7420/#setup=x"), 1);
        assert_eq!(lines("https://[::1]:7420/#setup=x"), 1);
        assert_eq!(lines("https://192.168.1.7:7420/#setup=x"), 2);
    }
}
