//! From a process's start to its first token: starts a server and asks it at once, as an impatient client does.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use lexopt::prelude::*;
use serde_json::{Value, json};

use crate::connection::{Connection, get, post};
use crate::events::Events;

#[derive(Debug)]
pub(crate) struct Options {
    to: SocketAddr,
    model: String,
    seconds: f64,
    command: Vec<std::ffi::OsString>,
}

impl Options {
    pub(crate) fn parse(arguments: &mut lexopt::Parser) -> Result<Self> {
        let mut to = None;
        let mut options = Self {
            to: SocketAddr::from(([127, 0, 0, 1], 7420)),
            model: "tiny".into(),
            seconds: 60.0,
            command: Vec::new(),
        };
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("to") => to = Some(arguments.value()?.parse()?),
                Long("model") => options.model = arguments.value()?.string()?,
                Long("seconds") => options.seconds = arguments.value()?.parse()?,
                Value(program) => {
                    options.command.push(program);
                    options.command.extend(arguments.raw_args()?);
                }
                other => return Err(other.unexpected().into()),
            }
        }
        options.to = to.context("give `--to ADDRESS`")?;
        if options.command.is_empty() {
            bail!("give the command that starts the server, after `--`");
        }
        Ok(options)
    }
}

/// Ends the server again, whatever happened.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // By its own signal, so that it can end its workers.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

pub(crate) async fn run(options: Options) -> Result<Value> {
    let (program, arguments) = options.command.split_first().context("no command")?;
    let begin = Instant::now();
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .context("could not start the server")?;
    let mut server = Server(child);
    let deadline = begin + Duration::from_secs_f64(options.seconds);
    loop {
        if Connection::open(options.to).await.is_ok() {
            break;
        }
        if let Some(status) = server.0.try_wait()? {
            bail!("the server ended with {status}");
        }
        pause(deadline).await?;
    }
    let listening = begin.elapsed();
    let (ready, first) = tokio::join!(
        ready(&options, begin, deadline),
        first(&options, begin, deadline)
    );
    Ok(json!({
        "listening_ms": millis(listening),
        "ready_ms": millis(ready?),
        "first_token_ms": millis(first?),
    }))
}

/// When `/readyz` first answers 200.
async fn ready(options: &Options, begin: Instant, deadline: Instant) -> Result<Duration> {
    let mut connection = Connection::open(options.to).await?;
    let request = get(options.to, "/readyz");
    loop {
        let status = connection.send(&request).await?;
        let mut body = Vec::new();
        while connection.piece(&mut body).await? {}
        if status == 200 {
            return Ok(begin.elapsed());
        }
        pause(deadline).await?;
    }
}

/// When the first piece of an answer comes; a server that still loads is asked again.
async fn first(options: &Options, begin: Instant, deadline: Instant) -> Result<Duration> {
    let body = json!({
        "model": options.model,
        "messages": [{ "role": "user", "content": "The borrow checker" }],
        "max_tokens": 4,
        "temperature": 0,
        "stream": true,
    });
    let request = post(options.to, "/v1/chat/completions", &body.to_string());
    let mut connection = Connection::open(options.to).await?;
    loop {
        let status = connection.send(&request).await?;
        if status != 200 {
            let mut body = Vec::new();
            while connection.piece(&mut body).await? {}
            if status != 503 {
                bail!("status {status}: {}", String::from_utf8_lossy(&body));
            }
            pause(deadline).await?;
            continue;
        }
        let mut events = Events::default();
        let mut first = None;
        while connection.piece(events.body()).await? {
            while let Some(event) = events.next() {
                if first.is_none() && has_text(event) {
                    first = Some(begin.elapsed());
                }
            }
        }
        return first.context("the answer had no text");
    }
}

fn has_text(event: &[u8]) -> bool {
    let Ok(event) = serde_json::from_slice::<Value>(event) else {
        return false;
    };
    event
        .pointer("/choices/0/delta/content")
        .and_then(Value::as_str)
        .is_some_and(|text| !text.is_empty())
}

async fn pause(deadline: Instant) -> Result<()> {
    if Instant::now() > deadline {
        bail!("gave up waiting for the server");
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    Ok(())
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}
