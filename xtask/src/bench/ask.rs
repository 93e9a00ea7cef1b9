//! Requests by hand: a streamed completion up to its first text, or a whole answer. It decides what counts as a first token.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// Returns when the first text of an answer to 16 token ids comes.
pub(super) fn first_text(to: SocketAddr, model: &str) -> Result<()> {
    // Far from the special tokens at either end of a vocabulary.
    let prompt: Vec<u64> = (0..16).map(|at| 400 + at * 37).collect();
    let body = json!({
        // The likeliest tokens of a random model may be parts of characters, again and again.
        "model": model, "prompt": prompt, "max_tokens": 32, "temperature": 1, "seed": 1, "ignore_eos": true, "stream": true,
    })
    .to_string();
    let mut stream = TcpStream::connect(to)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    write!(
        stream,
        "POST /v1/completions HTTP/1.1\r\nHost: {to}\r\nContent-Type: application/json\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut lines = BufReader::new(stream).lines();
    let status = lines.next().context("the server closed the connection")??;
    if status.split(' ').nth(1) != Some("200") {
        let rest: Vec<String> = lines.map_while(Result::ok).collect();
        bail!("`{status}`: {}", rest.last().map_or("", String::as_str));
    }
    for line in lines {
        if has_text(&line?) {
            return Ok(());
        }
    }
    bail!("the answer had no text")
}

/// One request, and the JSON that answers it.
pub(super) fn call(to: SocketAddr, method: &str, path: &str, body: &str) -> Result<Value> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {to}\r\nContent-Type: application/json\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let parts = answer.split_once("\r\n\r\n");
    let (head, body) = parts.context("the server closed the connection")?;
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        bail!("`{status}`: {body}");
    }
    serde_json::from_str(body).with_context(|| format!("`{path}` answered no JSON: {body}"))
}

/// Whether a line of a stream of events is one with text. The sizes of chunks stand on lines of their own.
fn has_text(line: &str) -> bool {
    let event = line.strip_prefix("data:").map(str::trim);
    let event: Option<Value> = event.and_then(|event| serde_json::from_str(event).ok());
    event
        .as_ref()
        .and_then(|event| event.pointer("/choices/0/text"))
        .and_then(Value::as_str)
        .is_some_and(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_events_with_text_count() {
        let check = |line, expect| assert_eq!(has_text(line), expect, "{line}");
        check(r#"data: {"choices":[{"text":"a"}]}"#, true);
        check(r#"data: {"choices":[{"text":""}]}"#, false);
        check(r#"data: {"choices":[]}"#, false);
        check("data: [DONE]", false);
        check(": waiting", false);
        check("2f", false);
        check("", false);
    }
}
