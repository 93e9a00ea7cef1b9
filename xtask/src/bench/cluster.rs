//! What a cluster of real agents costs, and how soon it knows of a death.

use std::process::Command;

use anyhow::Result;
use serde_json::Value;

use super::report::{Cell, Report, Samples, Table};
use super::{Effort, load};
use crate::assemble::{self, Profile};
use crate::setup;

pub(super) fn measure(effort: Effort, report: &mut Report) -> Result<()> {
    setup::debian("ip", "iproute2", "a network of its own")?;
    let binary = assemble::build(Profile::Release)?;
    let measuring = load::binary("skep-cluster")?;
    let (rounds, seconds) = effort.pick(("2", "5"), ("7", "60"));
    let found = load::call_with(
        Command::new(measuring)
            .args([rounds, seconds])
            .env("SKEP_BIN", binary),
    )?;
    let row = |what: &str, pointer: &str, decimals| {
        let values = found.pointer(pointer).and_then(Value::as_array);
        let mut samples = Samples::default();
        for value in values.into_iter().flatten().filter_map(Value::as_f64) {
            samples.push(value);
        }
        vec![Cell::text(what), Cell::Samples(samples, decimals)]
    };
    report.add(Table {
        title: "A cluster of real agents",
        command: "cargo xtask bench cluster",
        note: "Each agent in a network namespace of its own, all on one machine, no model loaded while idle; three agents, \
               eight for deaths. Median (least–most). Goals: first answer 5 s, idle 25 MiB and 0.2 % of a core, a dead \
               process known within 500 ms, a silent machine within 3,000 ms."
            .into(),
        columns: vec!["what", "figure"],
        rows: vec![
            row("from `skep token new` until the machine is in, ms", "/join_ms", 0),
            row("from `skep token new` to the first answer there, from the other machine, ms", "/first_answer_ms", 0),
            row("one token, asked where the model is, ms", "/hop/local_ms", 2),
            row("one token, asked at another machine, ms", "/hop/remote_ms", 2),
            row("idle: resident, MiB", "/idle/resident_mib", 1),
            row("idle: of one core, %", "/idle/core_percent", 2),
            row("a dead process is known by all seven others after, ms", "/died_ms", 0),
            row("a silent machine is known by all seven others after, ms", "/silent_ms", 0),
        ],
    });
    Ok(())
}
