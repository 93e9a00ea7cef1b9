//! Requests per second, latency and processor time of the gateway, with a backend that answers at once.
//!
//! Ours is the agent with a real worker in which a component runs that answers without a model. The
//! peers proxy to an HTTP backend that answers at once; its own processor time is shown apart. All of
//! them stay up while rounds alternate between them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::report::{Cell, Report, Samples, Table};
use super::{Effort, agent, echo, load, peers};

pub(super) fn measure(effort: Effort, report: &mut Report) -> Result<()> {
    load::program()?;
    let field = Field::set_up()?;
    let mut tables = LOADS.map(|load| {
        (
            load,
            field
                .subjects
                .iter()
                .map(|_| Seen::default())
                .collect::<Vec<_>>(),
        )
    });
    for _ in 0..effort.pick(1, 5) {
        for (load, seen) in &mut tables {
            for (subject, seen) in field.subjects.iter().zip(seen) {
                let seconds = effort.pick("1", "4");
                seen.push(&subject.drive(load, seconds)?)?;
            }
        }
    }
    for (load, seen) in tables {
        report.add(load.table(&field.subjects, seen));
    }
    Ok(())
}

/// One way of asking.
#[derive(Clone, Copy)]
struct Load {
    title: &'static str,
    connections: &'static str,
    stream: bool,
    tokens: &'static str,
}

const LOADS: [Load; 5] = [
    Load {
        title: "Gateway, 32 connections",
        connections: "32",
        stream: false,
        tokens: "1",
    },
    Load {
        title: "Gateway, 32 connections, 16 tokens",
        connections: "32",
        stream: false,
        tokens: "16",
    },
    Load {
        title: "Gateway, 1 connection",
        connections: "1",
        stream: false,
        tokens: "1",
    },
    Load {
        title: "Gateway, 1 stream",
        connections: "1",
        stream: true,
        tokens: "16",
    },
    Load {
        title: "Gateway, 100 concurrent streams",
        connections: "100",
        stream: true,
        tokens: "16",
    },
];

/// Everything that is measured, running.
struct Field {
    subjects: Vec<Subject>,
    _servers: Vec<agent::Server>,
}

/// One address to ask, and the processes that it is made of.
struct Subject {
    name: String,
    to: SocketAddr,
    model: &'static str,
    /// The processes that are the gateway.
    own: Vec<u32>,
    /// The HTTP backend behind it, if it has one.
    backend: Option<u32>,
}

impl Field {
    fn set_up() -> Result<Self> {
        let backend = agent::free_address()?;
        let mut servers = vec![backend_server(backend)?];
        let backend_id = servers.first().map(agent::Server::id);
        let mut subjects = vec![Subject {
            name: "the backend itself".into(),
            to: backend,
            model: "echo",
            own: Vec::new(),
            backend: backend_id,
        }];
        for peer in peers::all() {
            let to = agent::free_address()?;
            let server = peer.start(to, agent::free_address()?, backend)?;
            subjects.push(Subject {
                name: peer.name.into(),
                to,
                model: "echo",
                own: vec![server.id()],
                backend: backend_id,
            });
            servers.push(server);
        }
        let ours = echo::serve()?;
        let workers = agent::descendants(ours.id());
        if workers.is_empty() {
            bail!("the agent has no worker");
        }
        subjects.push(Subject {
            name: "skep".into(),
            to: ours.to,
            model: echo::MODEL,
            own: [ours.id()].into_iter().chain(workers).collect(),
            backend: None,
        });
        servers.push(ours);
        for subject in &subjects {
            subject.wait()?;
        }
        Ok(Self {
            subjects,
            _servers: servers,
        })
    }
}

impl Subject {
    /// Waits until it answers without errors.
    fn wait(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        let probe = Load {
            title: "",
            connections: "1",
            stream: false,
            tokens: "1",
        };
        loop {
            let found = self.drive(&probe, "0.2");
            if found.is_ok() {
                return Ok(());
            }
            if Instant::now() > deadline {
                return found
                    .map(drop)
                    .with_context(|| format!("{} does not answer", self.name));
            }
            agent::pause(Duration::from_millis(200));
        }
    }

    /// One round; an answer that is wrong in any way is an error of the whole round.
    fn drive(&self, load: &Load, seconds: &str) -> Result<Value> {
        let mut command = std::process::Command::new(load::program()?);
        command
            .args(["drive", "--to", &self.to.to_string(), "--model", self.model])
            .args(["--connections", load.connections, "--seconds", seconds])
            .args(["--tokens", load.tokens]);
        if load.stream {
            command.arg("--stream");
        }
        for (at, id) in self.own.iter().enumerate() {
            command.args(["--process", &format!("own{at}={id}")]);
        }
        if let Some(id) = self.backend {
            command.args(["--process", &format!("backend={id}")]);
        }
        let found = load::call_with(&mut command)?;
        if load::number(&found, "/errors")? > 0.0 || load::number(&found, "/requests")? < 1.0 {
            bail!("{}: {found}", self.name);
        }
        Ok(found)
    }
}

/// The rounds of one subject under one load.
#[derive(Default)]
struct Seen {
    rate: Samples,
    events: Samples,
    p50: Samples,
    p99: Samples,
    first_p50: Samples,
    own: Samples,
    backend: Samples,
    load: Samples,
    resident: Samples,
}

impl Seen {
    fn push(&mut self, found: &Value) -> Result<()> {
        self.rate.push(load::number(found, "/requests_per_second")?);
        self.events.push(load::number(found, "/events_per_second")?);
        self.p50.push(load::number(found, "/latency_us/p50")? / 1e3);
        self.p99.push(load::number(found, "/latency_us/p99")? / 1e3);
        if let Ok(first) = load::number(found, "/first_us/p50") {
            self.first_p50.push(first / 1e3);
        }
        self.own.push(own(found, "/cpu_us_per_request"));
        self.resident
            .push(own(found, "/resident_bytes") / f64::from(1 << 20));
        if let Ok(backend) = load::number(found, "/cpu_us_per_request/backend") {
            self.backend.push(backend);
        }
        self.load
            .push(load::number(found, "/cpu_us_per_request/load")?);
        Ok(())
    }
}

/// The sum over the gateway's own processes.
fn own(found: &Value, table: &str) -> f64 {
    let entries = found.pointer(table).and_then(Value::as_object);
    entries
        .into_iter()
        .flatten()
        .filter(|(name, _)| name.starts_with("own"))
        .filter_map(|(_, value)| value.as_f64())
        .sum()
}

impl Load {
    fn table(&self, subjects: &[Subject], seen: Vec<Seen>) -> Table {
        let peers = || {
            subjects
                .iter()
                .zip(&seen)
                .filter(|(subject, _)| is_peer(subject))
        };
        let best_rate = peers()
            .filter_map(|(_, seen)| seen.rate.median())
            .fold(0.0, f64::max);
        let direct = seen
            .first()
            .and_then(|seen| seen.p50.median())
            .unwrap_or_default();
        let mut columns = vec!["gateway", "requests/s", "of the better router"];
        columns.extend(match self.stream {
            true => ["first text p50 ms", "events/s"],
            false => ["p50 ms", "added p50 ms"],
        });
        columns.extend([
            "p99 ms",
            "CPU µs/request",
            "backend µs",
            "load µs",
            "resident MiB",
        ]);
        let rows = subjects.iter().zip(seen).map(|(subject, seen)| {
            let ratio = seen
                .rate
                .median()
                .filter(|_| best_rate > 0.0)
                .map(|rate| rate / best_rate);
            let added = seen.p50.median().map(|p50| p50 - direct);
            let mut row = vec![
                Cell::text(&subject.name),
                Cell::Samples(seen.rate, 0),
                ratio.map_or(Cell::Nothing, |ratio| Cell::Number(ratio, 2)),
            ];
            row.extend(match self.stream {
                true => [
                    Cell::Samples(seen.first_p50, 3),
                    Cell::Samples(seen.events, 0),
                ],
                false => [
                    Cell::Samples(seen.p50, 3),
                    added.map_or(Cell::Nothing, |added| Cell::Number(added, 3)),
                ],
            });
            row.extend([
                Cell::Samples(seen.p99, 2),
                if subject.own.is_empty() {
                    Cell::Nothing
                } else {
                    Cell::Samples(seen.own, 1)
                },
                Cell::Samples(seen.backend, 1),
                Cell::Samples(seen.load, 1),
                if subject.own.is_empty() {
                    Cell::Nothing
                } else {
                    Cell::Samples(seen.resident, 0)
                },
            ]);
            row
        });
        Table {
            title: self.title,
            command: "cargo xtask bench gateway",
            note: format!(
                "{} chat completions of {} tokens in a closed loop, each answer checked, rounds in turn; \
                 median (least–most). The CPU of skep is that of agent and worker together: its backend \
                 is a component in the worker that gives one token a step, that of the others one that \
                 gives all at once.",
                if self.stream { "Streamed" } else { "Whole" },
                self.tokens,
            ),
            columns,
            rows: rows.collect(),
        }
    }
}

/// Neither the bare backend nor ours.
fn is_peer(subject: &Subject) -> bool {
    !subject.own.is_empty() && subject.backend.is_some()
}

fn backend_server(to: SocketAddr) -> Result<agent::Server> {
    let mut command = std::process::Command::new(load::program()?);
    command.args(["echo", "--listen", &to.to_string(), "--tokens", "16"]);
    let mut server = agent::Server::start("backend", to, &mut command)?;
    server.wait("/health", Duration::from_secs(10))?;
    Ok(server)
}
