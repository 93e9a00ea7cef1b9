//! The rule that decides where no policy does: the least loaded replica, the device with the most free memory.
//!
//! A function of what is known and asked, in plain Rust, so that it cannot fail. It remembers nothing, so it knows of no
//! conversation's place; a policy is better, and this is always there.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::check::{node_fault, replica_fault, unfit};
use crate::host::Known;
use crate::host::scheduler::{
    Candidate, Choice, Health, Job, Node, Placement, Refusal, Replica, Request, Spot,
};
use crate::limits::RANKED_MAX;

/// Ranks the replicas that may serve a request: healthy before degraded, then by the share of places taken.
///
/// # Errors
/// `Unknown` when there is no replica of the model, `Busy` when none may serve.
pub fn route(known: &Known, request: &Request) -> Result<Choice, Refusal> {
    // Few nodes are anything but well; finding none of them is cheap.
    let unwell: HashMap<&str, &Node> = known
        .nodes()
        .filter(|node| is_unwell(node))
        .map(|node| (node.id.as_str(), node))
        .collect();
    let (mut fit, mut passed_over, mut any) = (Vec::new(), Vec::new(), false);
    for replica in known.of_model(&request.model) {
        any = true;
        let node = unwell.get(replica.node.as_str()).copied();
        match replica_fault(replica, node) {
            None => {
                let degraded = node.is_some_and(|node| is_degraded(node, replica));
                fit.push(((degraded, share(replica), replica.id), replica));
            }
            Some(why) if passed_over.len() < RANKED_MAX => passed_over.push(Candidate {
                replica: replica.id,
                why,
            }),
            Some(_) => {}
        }
    }
    best(&mut fit);
    let Some((_, first)) = fit.first() else {
        let model = &request.model;
        return Err(if any {
            Refusal::Busy(format!("no replica of `{model}` can serve it now"))
        } else {
            Refusal::Unknown(format!("no replica of `{model}` is loaded"))
        });
    };
    let why = format!(
        "built-in rule: {} of {} places taken, the smallest share",
        taken(first),
        first.capacity
    );
    let ranked = fit.into_iter().map(|((degraded, ..), replica)| Candidate {
        replica: replica.id,
        why: format!(
            "{} of {} taken{}",
            taken(replica),
            replica.capacity,
            if degraded { ", degraded" } else { "" }
        ),
    });
    Ok(Choice {
        ranked: ranked.collect(),
        passed_over,
        why,
    })
}

/// Ranks the devices that may hold a model: healthy before degraded, accelerators before processors, then by free memory.
///
/// # Errors
/// `Busy` when memory has to become free first, `Impossible` when that would not do.
pub fn place(known: &Known, job: &Job) -> Result<Placement, Refusal> {
    let (mut fit, mut passed_over, mut could) = (Vec::new(), Vec::new(), false);
    for node in known.nodes() {
        let devices = node.devices.iter().filter(|device| {
            device.health != Health::Lost
                && (job.devices.is_empty() || job.devices.contains(&device.id))
        });
        let mut why = node_fault(node).or_else(|| unfit(node, job));
        if why.is_none() {
            why = Some(format!(
                "`{}` has no usable device with the memory free",
                node.name
            ));
            for device in devices {
                could |= device.memory_bytes >= job.memory_bytes;
                if device.memory_free_bytes < job.memory_bytes {
                    continue;
                }
                why = None;
                let degraded = node.health == Health::Degraded || device.health == Health::Degraded;
                let left = Reverse(device.memory_free_bytes - job.memory_bytes);
                fit.push((
                    (degraded, device.kind == "cpu", left, &node.id),
                    (node, device),
                ));
            }
        }
        if let Some(why) = why
            && passed_over.len() < RANKED_MAX
        {
            passed_over.push(Spot {
                node: node.id.clone(),
                devices: Vec::new(),
                why,
            });
        }
    }
    best(&mut fit);
    let Some((_, (node, device))) = fit.first() else {
        let text = format!(
            "no node has a usable device with {} MiB{} for `{}`",
            job.memory_bytes >> 20,
            if could { " free" } else { "" },
            job.model
        );
        return Err(if could {
            Refusal::Busy(text)
        } else {
            Refusal::Impossible(text)
        });
    };
    let why = format!(
        "built-in rule: `{}` on `{}` has the most memory free",
        device.id, node.name
    );
    let ranked = fit.iter().map(|((_, _, left, _), (node, device))| Spot {
        node: node.id.clone(),
        devices: vec![device.id.clone()],
        why: format!("{} MiB stay free", left.0 >> 20),
    });
    Ok(Placement {
        ranked: ranked.collect(),
        passed_over,
        why,
    })
}

/// Leaves the few smallest, in order, without sorting thousands.
fn best<K: Ord, T>(found: &mut Vec<(K, T)>) {
    if found.len() > RANKED_MAX {
        found.select_nth_unstable_by(RANKED_MAX, |(one, _), (other, _)| one.cmp(other));
        found.truncate(RANKED_MAX);
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
}

fn is_unwell(node: &Node) -> bool {
    node.draining
        || node.health != Health::Healthy
        || node
            .devices
            .iter()
            .any(|device| device.health != Health::Healthy)
}

fn is_degraded(node: &Node, replica: &Replica) -> bool {
    let its = |id: &String| replica.devices.contains(id);
    node.health == Health::Degraded
        || node
            .devices
            .iter()
            .any(|device| device.health == Health::Degraded && its(&device.id))
}

fn taken(replica: &Replica) -> u64 {
    u64::from(replica.running) + u64::from(replica.waiting)
}

/// In 1024ths.
fn share(replica: &Replica) -> u64 {
    taken(replica) * 1024 / u64::from(replica.capacity.max(1))
}
