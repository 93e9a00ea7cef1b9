//! How long until all others know of a dead process, and of a silent machine.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use skep_tests::lab::{Lab, Machine};

use crate::{MACHINES, PATIENCE, SETTLE, milliseconds, without_models};

pub(crate) fn measure(rounds: u64, loss: u64) -> Result<Value> {
    let mut lab = Lab::new(MACHINES)?;
    without_models(&mut lab);
    lab.form()?;
    let all = usize::from(MACHINES);
    lab.wait_for(all, PATIENCE)?;
    if loss > 0 {
        lab.lose(loss)?;
    }
    let (mut died, mut silent) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let victim = 1 + usize::try_from(round)? % (all - 1);
        std::thread::sleep(SETTLE);
        let machine = lab.machines.get_mut(victim).context("a machine")?;
        let started = Instant::now();
        machine.kill()?;
        lab.wait_for(all - 1, PATIENCE)?;
        died.push(milliseconds(started.elapsed()));
        lab.machines.get_mut(victim).context("a machine")?.start()?;
        lab.wait_for(all, PATIENCE)?;
        std::thread::sleep(SETTLE);
        lab.plug(victim, false)?;
        let started = Instant::now();
        let lost = |machine: &Machine| Ok::<_, anyhow::Error>(machine.up()?.len() == all - 1);
        for (number, machine) in lab.machines.iter().enumerate() {
            while number != victim && !lost(machine)? {
                ensure!(started.elapsed() < PATIENCE, "nobody notices");
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        silent.push(milliseconds(started.elapsed()));
        lab.plug(victim, true)?;
        lab.wait_for(all, PATIENCE)?;
    }
    Ok(json!({"died_ms": died, "silent_ms": silent}))
}
