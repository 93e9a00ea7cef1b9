//! Where a model is loaded.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;

use skep_sdk::scheduler::{Device, Health, Job, Node, Placement, Refusal};

/// The fitting device with the most memory left after loading, on nodes that hold the file before others.
pub(crate) fn choose<'a>(
    nodes: impl Iterator<Item = &'a Node>,
    job: &Job,
) -> Result<Placement, Refusal> {
    let mut known = 0_usize;
    let mut could = false;
    let mut best: Option<(Rank<'_>, &Node, &Device)> = None;
    for node in nodes {
        known += 1;
        if !wanted(node, job) {
            continue;
        }
        for device in node.devices.iter().filter(|device| usable(device, job)) {
            could |= device.memory_bytes >= job.memory_bytes;
            if device.memory_free_bytes < job.memory_bytes {
                continue;
            }
            let rank = (
                node.models.contains(&job.digest),
                device.kind != "cpu",
                node.health == Health::Healthy && device.health == Health::Healthy,
                device.memory_free_bytes - job.memory_bytes,
                Reverse(&node.id),
            );
            if best.as_ref().is_none_or(|(other, ..)| rank > *other) {
                best = Some((rank, node, device));
            }
        }
    }
    match best {
        Some((rank, node, device)) => Ok(Placement {
            node: node.id.clone(),
            devices: Vec::from([device.id.clone()]),
            why: why(&rank, node, device),
        }),
        None if could => Err(Refusal::Busy(format!(
            "`{}` needs {} MiB, more than is free now on any device",
            job.model,
            job.memory_bytes >> 20
        ))),
        None => Err(Refusal::Impossible(format!(
            "none of {known} nodes has a usable device with {} MiB for `{}`",
            job.memory_bytes >> 20,
            job.model
        ))),
    }
}

/// Better first: holds the file, is an accelerator, is healthy, keeps more memory free, lower node id.
type Rank<'a> = (bool, bool, bool, u64, Reverse<&'a String>);

fn wanted(node: &Node, job: &Job) -> bool {
    node.health != Health::Lost
        && !node.draining
        && job.require.iter().all(|label| node.labels.contains(label))
}

fn usable(device: &Device, job: &Job) -> bool {
    device.health != Health::Lost && (job.devices.is_empty() || job.devices.contains(&device.id))
}

fn why(rank: &Rank<'_>, node: &Node, device: &Device) -> String {
    let holds = if rank.0 { ", which holds the file" } else { "" };
    let degraded = if rank.2 {
        ""
    } else {
        "; it is degraded, but nothing better is free"
    };
    format!(
        "`{}` on `{}`{holds}: {} MiB stay free{degraded}",
        device.id,
        node.name,
        rank.3 >> 20
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: &str, free_mib: u64) -> Node {
        let device = Device {
            id: "cpu".into(),
            kind: "cpu".into(),
            health: Health::Healthy,
            memory_bytes: 1024 << 20,
            memory_free_bytes: free_mib << 20,
            bandwidth: 0,
        };
        Node {
            id: id.into(),
            name: id.into(),
            health: Health::Healthy,
            draining: false,
            labels: Vec::new(),
            devices: Vec::from([device]),
            models: Vec::new(),
        }
    }

    fn job(mib: u64) -> Job {
        Job {
            model: "m".into(),
            digest: "d".into(),
            memory_bytes: mib << 20,
            require: Vec::new(),
            devices: Vec::new(),
        }
    }

    fn check(nodes: &[Node], job: &Job, expect: Result<&str, &str>) {
        let found = choose(nodes.iter(), job);
        match (found, expect) {
            (Ok(placement), Ok(node)) => assert_eq!(placement.node, node),
            (Err(Refusal::Busy(_)), Err("busy"))
            | (Err(Refusal::Impossible(_)), Err("impossible")) => {}
            (found, expect) => panic!("{found:?}, expected {expect:?}"),
        }
    }

    #[test]
    fn takes_the_freest_and_says_why_not() {
        check(&[node("a", 100), node("b", 200)], &job(50), Ok("b"));
        check(&[node("a", 200), node("b", 200)], &job(50), Ok("a"));
        check(&[node("a", 100)], &job(500), Err("busy"));
        check(&[node("a", 100)], &job(5000), Err("impossible"));
        check(&[], &job(1), Err("impossible"));
    }

    #[test]
    fn prefers_the_holder_and_shuns_the_sick() {
        let mut holder = node("a", 100);
        holder.models.push("d".into());
        check(&[holder, node("b", 900)], &job(50), Ok("a"));
        let mut lost = node("a", 900);
        lost.health = Health::Lost;
        check(&[lost, node("b", 100)], &job(50), Ok("b"));
        let mut draining = node("a", 900);
        draining.draining = true;
        check(&[draining], &job(50), Err("impossible"));
        let mut degraded = node("a", 900);
        degraded.health = Health::Degraded;
        check(&[degraded, node("b", 100)], &job(50), Ok("b"));
    }

    #[test]
    fn obeys_labels_and_pins() {
        let mut labelled = node("b", 100);
        labelled.labels.push(("room".into(), "cellar".into()));
        let mut wanting = job(50);
        wanting.require.push(("room".into(), "cellar".into()));
        check(&[node("a", 900), labelled], &wanting, Ok("b"));
        let mut pinned = job(50);
        pinned.devices.push("GPU-1".into());
        check(&[node("a", 900)], &pinned, Err("impossible"));
    }
}
