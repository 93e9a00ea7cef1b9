//! What a cluster of real agents costs, and how soon it knows of a death.

use std::process::Command;

use anyhow::Result;
use serde_json::Value;

use super::report::{Cell, Report, Samples, Table};
use super::{Effort, load};
use crate::assemble::{self, Profile, with_contents};
use crate::setup;
use crate::step::cargo;

pub(super) fn measure(effort: Effort, report: &mut Report) -> Result<()> {
    let why = "a cluster on one machine";
    for (program, package) in [("ip", "iproute2"), ("nft", "nftables"), ("serf", "serf")] {
        setup::debian(program, package, why)?;
    }
    let binary = assemble::build(Profile::Release)?;
    let measuring = load::binary("skep-cluster")?;
    let (rounds, seconds) = effort.pick(("2", "10"), ("7", "60"));
    let call = |arguments: &[&str]| {
        let mut command = Command::new(&measuring);
        load::call_with(command.args(arguments).env("SKEP_BIN", &binary))
    };
    costs(&call(&["costs", rounds])?, report);
    idle(&call(&["idle", seconds])?, report);
    streams(effort, report)?;
    let mut rows = Vec::new();
    for (name, arguments) in [
        ("skep", ["deaths", rounds, "0"].as_slice()),
        ("skep, 10 % of datagrams lost", &["deaths", rounds, "10"]),
        ("serf of Debian 12, its defaults", &["serf", rounds]),
    ] {
        let found = call(arguments)?;
        rows.push(vec![
            Cell::text(name),
            samples(&found, "/died_ms", 0),
            samples(&found, "/silent_ms", 0),
        ]);
    }
    report.add(Table {
        title: "How soon a death is known",
        command: "cargo xtask bench cluster",
        note: "Eight agents in network namespaces of their own on one machine: from the death until the last of the other seven \
               says so. Median (least–most), ms. Goals: 500 for a process whose machine lives, 3,000 for a machine that falls \
               silent."
            .into(),
        columns: vec!["agents", "process killed", "machine unplugged"],
        rows,
    });
    Ok(())
}

/// Ours beside serf's, which do nothing but membership.
fn idle(found: &Value, report: &mut Report) {
    let row = |name: &str, of: &str| {
        vec![
            Cell::text(name),
            samples(found, &format!("/{of}/resident_mib"), 1),
            samples(found, &format!("/{of}/core_percent"), 2),
        ]
    };
    report.add(Table {
        title: "Idle agents",
        command: "cargo xtask bench cluster",
        note: "Three agents of each in the same seconds, each in a network namespace of its own on one machine, without a model. What \
               the virtual network does with a datagram, to its receiver's socket, counts as its sender's time. Median (least–most). \
               Goals: 25 MiB and 0.2 % of a core."
            .into(),
        columns: vec!["agents", "resident, MiB", "of one core, %"],
        rows: vec![row("skep", "skep"), row("serf of Debian 12", "serf")],
    });
}

/// Between two nodes in one process, without anything that an agent does besides.
fn streams(effort: Effort, report: &mut Report) -> Result<()> {
    let megabytes = effort.pick("64", "512");
    let mut cargo = cargo(["run", "--quiet", "--release", "--package", "skep"]);
    cargo.args(["--example", "streams", "--", megabytes]);
    let found = load::call_with(with_contents(&mut cargo, Profile::Release))?;
    let row = |what, pointer, decimals| figure(&found, what, pointer, decimals);
    report.add(Table {
        title: "Between two nodes",
        command: "cargo xtask bench cluster",
        note: "Two nodes in one process, over loopback: mutual TLS 1.3 with the cluster's certificates, frames and all. A call is a \
               question in a stream of its own, and its answer. Beside them the same bytes over QUIC without us, and over UDP \
               without QUIC. Median (least–most)."
            .into(),
        columns: vec!["what", "figure"],
        rows: vec![
            row("connection made, hello said, µs", "/handshake_us", 0),
            row("call, µs", "/call_us", 0),
            row("one stream, MB/s", "/skep_mb_s", 0),
            row("one stream of quinn, MB/s", "/quinn_mb_s", 0),
            row("UDP, MB/s", "/udp_mb_s", 0),
        ],
    });
    Ok(())
}

fn costs(found: &Value, report: &mut Report) {
    let row = |what, pointer, decimals| figure(found, what, pointer, decimals);
    report.add(Table {
        title: "A cluster of real agents",
        command: "cargo xtask bench cluster",
        note: "Each agent in a network namespace of its own, all on one machine. Median (least–most). Goal: first answer 5 s."
            .into(),
        columns: vec!["what", "figure"],
        rows: vec![
            row("from `skep token new` to the first answer there, from the other machine, ms", "/first_answer_ms", 0),
            row("one token, asked where the model is, ms", "/hop/local_ms", 2),
            row("one token, asked at another machine, ms", "/hop/remote_ms", 2),
        ],
    });
}

fn figure(found: &Value, what: &str, pointer: &str, decimals: usize) -> Vec<Cell> {
    vec![Cell::text(what), samples(found, pointer, decimals)]
}

fn samples(found: &Value, pointer: &str, decimals: usize) -> Cell {
    let values = found.pointer(pointer).and_then(Value::as_array);
    let mut samples = Samples::default();
    for value in values.into_iter().flatten().filter_map(Value::as_f64) {
        samples.push(value);
    }
    Cell::Samples(samples, decimals)
}
