//! How long serf's agents, with their defaults, take for the same on the same network.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use skep_tests::lab::{Lab, Machine};

use crate::{MACHINES, PATIENCE, SETTLE, milliseconds};

pub(crate) fn measure(rounds: u64) -> Result<Value> {
    let Cluster { mut agents, lab } = Cluster::start(MACHINES)?;
    let all = usize::from(MACHINES);
    let (mut died, mut silent) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let victim = 1 + usize::try_from(round)? % (all - 1);
        std::thread::sleep(SETTLE);
        let agent = agents.0.get_mut(victim).context("an agent")?;
        let started = Instant::now();
        agent.kill()?;
        agent.wait()?;
        wait(&lab, Some(victim), all - 1)?;
        died.push(milliseconds(started.elapsed()));
        *agent = start(&lab, lab.machines.get(victim).context("a machine")?)?;
        wait(&lab, None, all)?;
        std::thread::sleep(SETTLE);
        lab.plug(victim, false)?;
        let started = Instant::now();
        wait(&lab, Some(victim), all - 1)?;
        silent.push(milliseconds(started.elapsed()));
        lab.plug(victim, true)?;
        wait(&lab, None, all)?;
    }
    Ok(json!({"died_ms": died, "silent_ms": silent}))
}

/// Machines with serf's agents, who know each other.
pub(crate) struct Cluster {
    // Ended before their network is.
    agents: Agents,
    lab: Lab,
}

impl Cluster {
    pub(crate) fn start(machines: u8) -> Result<Self> {
        let lab = Lab::new(machines)?;
        let mut agents = Agents(Vec::new());
        for machine in &lab.machines {
            agents.0.push(start(&lab, machine)?);
        }
        wait(&lab, None, machines.into())?;
        Ok(Self { agents, lab })
    }

    pub(crate) fn pids(&self) -> Vec<u32> {
        self.agents.0.iter().map(Child::id).collect()
    }
}

/// Ended with their handle.
struct Agents(Vec<Child>);

impl Drop for Agents {
    fn drop(&mut self) {
        for agent in &mut self.0 {
            let _ = agent.kill();
            let _ = agent.wait();
        }
    }
}

fn start(lab: &Lab, machine: &Machine) -> Result<Child> {
    let mut command = machine.inside(Path::new("serf"));
    command
        .args(["agent", &format!("-node={}", machine.address)])
        .arg(format!("-bind={}", machine.address))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if let Some(first) = lab.machines.first() {
        command.arg(format!("-retry-join={}", first.address));
    }
    Ok(command.spawn()?)
}

/// Waits until every machine but one sees so many alive.
fn wait(lab: &Lab, but: Option<usize>, alive: usize) -> Result<()> {
    let started = Instant::now();
    for (number, machine) in lab.machines.iter().enumerate() {
        while Some(number) != but && sees(machine)? != alive {
            if started.elapsed() > PATIENCE * 3 {
                bail!("{} does not see {alive} alive", machine.address);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    Ok(())
}

fn sees(machine: &Machine) -> Result<usize> {
    let done = machine
        .inside(Path::new("serf"))
        .args(["members", "-status=alive"])
        .output()?;
    ensure!(done.status.code().is_some(), "serf was killed");
    // While its agent starts it says nothing.
    Ok(String::from_utf8_lossy(&done.stdout).lines().count())
}
