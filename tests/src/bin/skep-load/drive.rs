//! As many chat completions as a server answers over a number of connections, each checked.
//!
//! A closed loop: a connection sends its next request when the answer before is whole. What is counted
//! begins after a warm-up.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use lexopt::prelude::*;
use serde_json::{Map, Value, json};
use tokio::task::LocalSet;

use crate::connection::{Connection, post};
use crate::echo::contains;
use crate::events::Events;
use crate::order::distribution;
use crate::usage::{Process, own_cpu_us};

#[derive(Clone, Debug)]
pub(crate) struct Options {
    to: SocketAddr,
    model: String,
    connections: usize,
    seconds: f64,
    stream: bool,
    tokens: u32,
    expect: String,
    processes: Vec<Process>,
}

impl Options {
    pub(crate) fn parse(arguments: &mut lexopt::Parser) -> Result<Self> {
        let mut to = None;
        let mut options = Self {
            to: SocketAddr::from(([127, 0, 0, 1], 7420)),
            model: "echo".into(),
            connections: 32,
            seconds: 5.0,
            stream: false,
            tokens: 16,
            expect: "echo".into(),
            processes: Vec::new(),
        };
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("to") => to = Some(arguments.value()?.parse()?),
                Long("model") => options.model = arguments.value()?.string()?,
                Long("connections") => options.connections = arguments.value()?.parse()?,
                Long("seconds") => options.seconds = arguments.value()?.parse()?,
                Long("stream") => options.stream = true,
                Long("tokens") => options.tokens = arguments.value()?.parse()?,
                Long("expect") => options.expect = arguments.value()?.string()?,
                Long("process") => {
                    let text = arguments.value()?.string()?;
                    options.processes.push(Process::parse(&text)?);
                }
                other => return Err(other.unexpected().into()),
            }
        }
        options.to = to.context("give `--to ADDRESS`")?;
        if options.connections == 0 || options.expect.is_empty() {
            bail!("give at least one connection and a text to expect");
        }
        Ok(options)
    }
}

/// What one connection, and in the end all of them, has seen.
#[derive(Default)]
struct Seen {
    latency_us: Vec<f64>,
    first_us: Vec<f64>,
    events: u64,
    errors: u64,
    first_error: Option<String>,
}

/// Drives and reports.
pub(crate) async fn run(options: Options) -> Result<Value> {
    let local = LocalSet::new();
    local.run_until(drive(Rc::new(options))).await
}

async fn drive(options: Rc<Options>) -> Result<Value> {
    let seen = Rc::new(RefCell::new(Seen::default()));
    let span = Duration::from_secs_f64(options.seconds);
    let warm = Instant::now() + span.mul_f64(WARM_PART);
    let end = warm + span;
    let request = Rc::new(request(&options));
    let tasks: Vec<_> = (0..options.connections)
        .map(|_| {
            let (options, request, seen) = (options.clone(), request.clone(), seen.clone());
            tokio::task::spawn_local(async move {
                let mut connection = None;
                while Instant::now() < end {
                    let outcome = once(&options, &request, &mut connection, warm, &seen).await;
                    if let Err(error) = outcome {
                        connection = None;
                        let mut seen = seen.borrow_mut();
                        seen.errors += 1;
                        seen.first_error.get_or_insert_with(|| format!("{error:#}"));
                    }
                }
            })
        })
        .collect();
    tokio::time::sleep_until(warm.into()).await;
    let before = used(&options)?;
    let begin = Instant::now();
    tokio::time::sleep_until(end.into()).await;
    let after = used(&options)?;
    let span = begin.elapsed();
    for task in tasks {
        task.await?;
    }
    let seen = seen.take();
    report(&options, seen, span, &before, &after)
}

/// One request on a connection that is opened when there is none.
async fn once(
    options: &Options,
    request: &[u8],
    connection: &mut Option<Connection>,
    warm: Instant,
    seen: &RefCell<Seen>,
) -> Result<()> {
    let connection = match connection {
        Some(connection) => connection,
        none => none.insert(Connection::open(options.to).await?),
    };
    let start = Instant::now();
    let status = connection.send(request).await?;
    let mut first = None;
    let mut events = Events::default();
    let (mut whole, mut count, mut ended) = (Vec::new(), 0, !options.stream);
    if options.stream && status == 200 {
        while connection.piece(events.body()).await? {
            while let Some(event) = events.next() {
                ended |= event == b"[DONE]";
                if contains(event, options.expect.as_bytes()) {
                    first.get_or_insert_with(|| start.elapsed());
                    count += 1;
                }
            }
        }
    } else {
        while connection.piece(&mut whole).await? {}
        count = u64::from(contains(&whole, options.expect.as_bytes()));
    }
    if status != 200 || count == 0 || !ended {
        let body = String::from_utf8_lossy(whole.get(..whole.len().min(300)).unwrap_or_default())
            .into_owned();
        bail!("status {status}, {count} times the expected text, ended: {ended}; {body}");
    }
    if start >= warm {
        let mut seen = seen.borrow_mut();
        seen.latency_us.push(micros(start.elapsed()));
        seen.first_us.extend(first.map(micros));
        seen.events += count;
    }
    Ok(())
}

fn request(options: &Options) -> Vec<u8> {
    let words = format!("{} ", options.expect).repeat(WORDS);
    let body = json!({
        "model": options.model,
        "messages": [{ "role": "user", "content": words }],
        "max_tokens": options.tokens,
        "stream": options.stream,
    });
    post(options.to, "/v1/chat/completions", &body.to_string())
}

/// Processor time so far: each process in its order, then ourselves.
fn used(options: &Options) -> Result<Vec<f64>> {
    options
        .processes
        .iter()
        .map(Process::cpu_us)
        .chain([own_cpu_us()])
        .collect()
}

fn report(
    options: &Options,
    seen: Seen,
    span: Duration,
    before: &[f64],
    after: &[f64],
) -> Result<Value> {
    let requests = seen.latency_us.len();
    let names = options
        .processes
        .iter()
        .map(|process| process.name.as_str());
    let mut cpu = Map::new();
    for ((name, before), after) in names.chain(["load"]).zip(before).zip(after) {
        cpu.insert(
            name.to_owned(),
            json!((after - before) / requests.max(1) as f64),
        );
    }
    let mut resident = Map::new();
    for process in &options.processes {
        resident.insert(process.name.clone(), json!(process.resident_bytes()?));
    }
    Ok(json!({
        "requests": requests,
        "errors": seen.errors,
        "first_error": seen.first_error,
        "seconds": span.as_secs_f64(),
        "requests_per_second": requests as f64 / span.as_secs_f64(),
        "events_per_second": seen.events as f64 / span.as_secs_f64(),
        "latency_us": distribution(seen.latency_us),
        "first_us": distribution(seen.first_us),
        "cpu_us_per_request": cpu,
        "resident_bytes": resident,
    }))
}

fn micros(span: Duration) -> f64 {
    span.as_secs_f64() * 1e6
}

/// What is asked, so that an engine that repeats its prompt has enough to say.
const WORDS: usize = 16;
/// How long is driven before anything counts, as a part of what counts.
const WARM_PART: f64 = 0.3;
