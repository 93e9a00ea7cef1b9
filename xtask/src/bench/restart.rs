//! A server's start with a model that the machine has had before, ours beside `llama-server`: how long until it is
//! healthy and until the first token, and the memory that it then holds.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::agent::{self, Memory, Server};
use super::bytes::Model;
use super::llama_cpp::{LlamaCpp, Shape};
use super::report::{Cell, Report, Samples, Table};
use super::shelf::Shelf;
use super::turns::{self, Pair};
use super::{Options, ask};

/// Tokens that both make room for.
const CONTEXT: u32 = 2048;

pub(super) fn measure(options: &Options, peer: &LlamaCpp, report: &mut Report) -> Result<()> {
    // What is missing is said before anything is made.
    peer.program("llama-server")?;
    let shelf = Shelf::fill(options)?;
    let (mut times, mut memories) = (Vec::new(), Vec::new());
    shelf.each(options, |model, threads| {
        let seen = beside(&shelf, peer, model, threads, options.pairs)?;
        let file = std::fs::metadata(&model.path)?.len() as f64;
        let name = [Cell::text(&model.name), Cell::text(threads)];
        let [healthy, first] = [seen.healthy.cells(0), seen.first.cells(0)];
        times.push(name.into_iter().chain(healthy).chain(first).collect());
        let mut row = vec![
            Cell::text(&model.name),
            Cell::text(threads),
            Cell::Number(file / 1e6, 1),
        ];
        for held in [seen.ours, seen.peers] {
            row.extend(held.cells(file));
        }
        row.push(Cell::Samples(seen.agent, 1));
        memories.push(row);
        Ok(())
    })?;
    report.add(Table {
        title: "Start beside llama.cpp",
        command: "cargo xtask bench start --peer PATH-OF-llama.cpp's-programs",
        note: format!(
            "Milliseconds from the start of the process, medians (least–most) of {} turns, the model's file in memory as \
             the kernel's cache. Ours is `skep up`, whose worker has started with this model before, so that weights that it packed \
             (from 64 MiB on) are mapped from their file; the peer is `llama-server`. Healthy: `/readyz` and `/health` \
             say 200. First token: the first text of a stream that is asked for at once after that, 16 tokens in. Ratios are \
             medians of each turn's ours : peer's; less is better. Goal: at most 1.",
            options.pairs
        ),
        columns: vec![
            "model", "threads", "healthy", "peer", "ratio", "first token", "peer", "ratio",
        ],
        rows: times,
    });
    report.add(Table {
        title: "Memory beside llama.cpp",
        command: "cargo xtask bench start --peer PATH-OF-llama.cpp's-programs",
        note: format!(
            "Resident MB (`VmRSS`, 10⁶ bytes) after the first token of the starts above, of our worker process and of \
             `llama-server`, both with room for {CONTEXT} tokens of one request, and as a ratio to the model's file. Mapped: \
             the part that is pages of files (`RssFile`): the model's file, packed weights that are kept, and the program. \
             The kernel can drop those and read them again; the rest is the process's own. Beside: our agent process, \
             the one that serves HTTP."
        ),
        columns: vec![
            "model", "threads", "file MB", "worker MB", "mapped", ": file", "peer MB", "mapped", ": file",
            "agent MB",
        ],
        rows: memories,
    });
    Ok(())
}

/// The turns of one model.
#[derive(Default)]
struct Seen {
    healthy: Pair,
    first: Pair,
    ours: Held,
    peers: Held,
    agent: Samples,
}

/// Bytes that a process held.
#[derive(Default)]
struct Held {
    resident: Samples,
    mapped: Samples,
}

/// One start, ended again.
struct Begun {
    healthy_ms: f64,
    first_ms: f64,
    /// What holds the model.
    memory: Memory,
    /// Our agent, which does not.
    agent_bytes: f64,
}

fn beside(
    shelf: &Shelf,
    peer: &LlamaCpp,
    model: &Model,
    threads: &str,
    pairs: u64,
) -> Result<Seen> {
    let shape = Shape {
        threads,
        streams: 1,
        context: CONTEXT,
    };
    let ours = || {
        let to = agent::free_address()?;
        let mut command = agent::client(&shelf.binary, &shelf.home);
        command
            .arg("up")
            .env("SKEP_HTTP_LISTEN", to.to_string())
            .env("SKEP_MODELS_DEFAULT", &model.name)
            .env("SKEP_MODELS_CONTEXT_TOKENS", CONTEXT.to_string())
            .env("SKEP_MODELS_SEQUENCES", "1")
            .env("SKEP_NODE_THREADS", threads);
        begin("skep-start", to, &mut command, "/readyz", model)
    };
    let peers = || {
        let to = agent::free_address()?;
        let mut command = peer.serving(model, to, &shape)?;
        begin("llama-server", to, &mut command, "/health", model)
    };
    // Both once for nothing, so that their files are in the kernel's cache.
    ours().context("ours did not start")?;
    peers().context("the peer did not start")?;
    let mut seen = Seen::default();
    turns::take(
        pairs,
        |_| ours(),
        |_| peers(),
        |ours, peers| {
            seen.healthy.push(ours.healthy_ms, peers.healthy_ms);
            seen.first.push(ours.first_ms, peers.first_ms);
            seen.ours.push(ours.memory);
            seen.peers.push(peers.memory);
            seen.agent.push(ours.agent_bytes / 1e6);
        },
    )?;
    Ok(seen)
}

fn begin(
    name: &str,
    to: SocketAddr,
    command: &mut Command,
    healthy: &str,
    model: &Model,
) -> Result<Begun> {
    let start = Instant::now();
    let millis = || start.elapsed().as_secs_f64() * 1e3;
    let mut server = Server::start(name, to, command)?;
    server.wait_closely(healthy, Duration::from_secs(300))?;
    let healthy_ms = millis();
    ask::first_text(to, &model.name)
        .with_context(|| format!("{name} gave no token; its log may say why"))?;
    let first_ms = millis();
    let own = agent::memory(server.id())?;
    let mut memory = Memory::default();
    for id in agent::descendants(server.id()) {
        memory += agent::memory(id)?;
    }
    // A server without workers holds the model itself.
    let (memory, agent_bytes) = if memory.resident_bytes > 0.0 {
        (memory, own.resident_bytes)
    } else {
        (own, 0.0)
    };
    Ok(Begun {
        healthy_ms,
        first_ms,
        memory,
        agent_bytes,
    })
}

impl Held {
    fn push(&mut self, memory: Memory) {
        self.resident.push(memory.resident_bytes);
        self.mapped.push(memory.mapped_bytes);
    }

    /// Resident and mapped in MB, and resident as a ratio to the file.
    fn cells(self, file_bytes: f64) -> [Cell; 3] {
        [
            Cell::Samples(self.resident.scaled(1e-6), 1),
            Cell::Samples(self.mapped.scaled(1e-6), 1),
            Cell::Samples(self.resident.scaled(1.0 / file_bytes), 2),
        ]
    }
}
