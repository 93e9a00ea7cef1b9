//! A cluster on this machine, for whoever works on skep.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::assemble::{self, Profile};
use crate::plugins;
use crate::setup;
use crate::step::{cargo, execute, target};

/// Builds the agent, then starts so many of them in network namespaces of their own.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let machines = match arguments {
        [] => 3,
        [count] => count
            .parse::<u8>()
            .with_context(|| format!("`{count}` is no number of machines"))?,
        _ => bail!("give the number of machines, or nothing for 3"),
    };
    setup::debian("ip", "iproute2", "a network of its own")?;
    let binary = assemble::build(Profile::Release)?;
    execute(
        cargo(["build", "--workspace", "--bin", "skep-lab"])
            .env("SKEP_PLUGINS_DIR", plugins::folder()),
    )?;
    execute(
        Command::new(target().join("debug/skep-lab"))
            .arg(machines.to_string())
            .env("SKEP_BIN", binary),
    )
}
