//! From `skep up` to the first token of the embedded model, with nothing compiled yet and with everything warm.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::report::{Cell, Report, Samples, Table};
use super::{Effort, agent, load};
use crate::assemble::{self, Profile};

pub(super) fn measure(effort: Effort, report: &mut Report) -> Result<()> {
    let binary = assemble::build(Profile::Release)?;
    load::program()?;
    let mut fresh = Times::default();
    let mut warm = Times::default();
    for _ in 0..effort.pick(1, 5) {
        let home = agent::fresh_home("start")?;
        fresh.push(&binary, &home)?;
        warm.push(&binary, &home)?;
    }
    report.add(Table {
        title: "Start",
        command: "cargo xtask bench start",
        note: "Milliseconds from the start of the process, median (least–most). Fresh: an empty state \
               folder, so keys are made and the plugins' compiled forms are taken out of the binary. First \
               token: the first text of a streamed chat with the embedded model, asked for as soon as the port is open. \
               Goal: first token within 2,000."
            .into(),
        columns: vec!["state folder", "listening", "ready", "first token"],
        rows: vec![fresh.row("fresh"), warm.row("warm")],
    });
    Ok(())
}

#[derive(Default)]
struct Times {
    listening: Samples,
    ready: Samples,
    first_token: Samples,
}

impl Times {
    /// Starts once and ends it again.
    fn push(&mut self, binary: &Path, home: &Path) -> Result<()> {
        let to = agent::free_address()?.to_string();
        let mut command = Command::new(load::program()?);
        command.args(["start", "--to", &to, "--model", "tiny", "--"]);
        let server = agent::client(binary, home);
        for (name, value) in server.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.env("SKEP_HTTP_LISTEN", &to).arg(binary).arg("up");
        let found = load::call_with(&mut command)?;
        self.listening.push(load::number(&found, "/listening_ms")?);
        self.ready.push(load::number(&found, "/ready_ms")?);
        self.first_token
            .push(load::number(&found, "/first_token_ms")?);
        Ok(())
    }

    fn row(self, name: &str) -> Vec<Cell> {
        vec![
            Cell::text(name),
            Cell::Samples(self.listening, 0),
            Cell::Samples(self.ready, 0),
            Cell::Samples(self.first_token, 0),
        ]
    }
}
