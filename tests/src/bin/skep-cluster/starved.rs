//! Whether a healthy machine is taken for dead while a quarter of them gets no processor time for seconds at a time.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use skep_tests::lab::Lab;

use crate::{MACHINES, PATIENCE, SETTLE, without_models};

pub(crate) fn measure(runs: u64, seconds: u64) -> Result<Value> {
    let (mut wrong, mut looks) = (Vec::new(), 0_u64);
    for run in 0..runs {
        let mut lab = Lab::new(MACHINES)?;
        without_models(&mut lab);
        lab.form()?;
        lab.wait_for(MACHINES.into(), PATIENCE)?;
        std::thread::sleep(SETTLE);
        let starved = usize::from(MACHINES) / 4;
        let (ill, well) = lab.machines.split_at(starved);
        let healthy: Vec<String> = (starved + 1..=usize::from(MACHINES))
            .map(|number| format!("n{number}"))
            .collect();
        let end = Instant::now() + Duration::from_secs(seconds);
        let mut burst = run;
        while Instant::now() < end {
            // Stopped for half a second to eight, then a moment of life; each of them at its own pace.
            for (number, machine) in ill.iter().enumerate() {
                let stopped = (burst + u64::try_from(number)?) % 2 == 0;
                machine.signal(if stopped { "STOP" } else { "CONT" })?;
            }
            burst = burst
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407)
                .rotate_left(17);
            let until = Instant::now() + Duration::from_millis(500 + burst % 7_500);
            while Instant::now() < until.min(end) {
                for machine in well {
                    let up = machine.up()?;
                    looks += 1;
                    for name in &healthy {
                        if !up.contains(name) {
                            let told = format!("run {run}: {} missed {name}", machine.address);
                            wrong.push(told);
                        }
                    }
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        for machine in ill {
            machine.signal("CONT").context("it died")?;
        }
    }
    Ok(json!({"looks": looks, "healthy_taken_for_dead": wrong}))
}
