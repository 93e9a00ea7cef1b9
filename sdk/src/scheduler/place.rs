//! Where a model may be loaded, and ranking those places.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::best::Best;
use super::cluster::{Cluster, Home};
use super::{Device, Health, Job, Node, Placement, RANKED_MAX, Refusal, Spot};

/// A device that may hold a model, with what there is to weigh it by.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The device's node.
    pub node: &'a Node,
    /// The device.
    pub device: &'a Device,
    /// The node or the device is degraded: to be taken when nothing better is there.
    pub is_degraded: bool,
    /// The node has the model's file.
    pub has_file: bool,
    /// Replicas that live on the node already.
    pub replicas: u32,
    /// Memory of the device that stays free once the model is loaded.
    pub left_bytes: u64,
}

impl Place<'_> {
    /// Whether it is more than the processor.
    #[must_use]
    pub fn is_accelerator(&self) -> bool {
        self.device.kind != "cpu"
    }
}

impl Cluster {
    /// Ranks the devices that may hold a model by `key`, the smallest first; `reason` puts a place in a few words, and `why`
    /// says in a sentence why the first is first.
    ///
    /// # Errors
    /// `Busy` when memory has to become free first, `Impossible` when that would not do either; the text says why.
    pub fn rank_places<'a, K: Ord>(
        &'a self,
        job: &Job,
        key: impl Fn(&Place<'a>) -> K,
        reason: impl Fn(&Place<'a>) -> String,
        why: impl FnOnce(&Place<'a>) -> String,
    ) -> Result<Placement, Refusal> {
        let mut search = Search {
            best: Best::new(),
            passed_over: Vec::new(),
            nodes: 0,
            could: false,
        };
        for home in self.homes() {
            if let Some(node) = &home.node {
                search.nodes += 1;
                search.visit(job, home, node, &key);
            }
        }
        search.answer(job, reason, why)
    }
}

struct Search<'a, K> {
    best: Best<K, Place<'a>>,
    passed_over: Vec<Spot>,
    nodes: usize,
    /// Whether some device could hold it if it were empty.
    could: bool,
}

impl<'a, K: Ord> Search<'a, K> {
    fn visit(&mut self, job: &Job, home: &'a Home, node: &'a Node, key: &impl Fn(&Place<'a>) -> K) {
        if let Some(fault) = unfit(node, job) {
            self.pass_over(node, None, || fault.told(node));
            return;
        }
        let has_file = node.models.contains(&job.digest);
        let mut pinned_here = job.devices.is_empty();
        for device in &node.devices {
            if !job.devices.is_empty() && !job.devices.contains(&device.id) {
                continue;
            }
            pinned_here = true;
            if device.health == Health::Lost {
                self.pass_over(node, Some(device), || {
                    format!("`{}` on `{}` is lost", device.id, node.name)
                });
                continue;
            }
            self.could |= device.memory_bytes >= job.memory_bytes;
            let Some(left_bytes) = device.memory_free_bytes.checked_sub(job.memory_bytes) else {
                self.pass_over(node, Some(device), || {
                    let (free, all) = (device.memory_free_bytes >> 20, device.memory_bytes >> 20);
                    format!(
                        "`{}` on `{}` has {free} of {all} MiB free",
                        device.id, node.name
                    )
                });
                continue;
            };
            let place = Place {
                node,
                device,
                is_degraded: node.health == Health::Degraded || device.health == Health::Degraded,
                has_file,
                replicas: home.replicas,
                left_bytes,
            };
            self.best.offer(key(&place), place);
        }
        if !pinned_here {
            self.pass_over(node, None, || {
                format!(
                    "`{}` has none of the devices that the model is pinned to",
                    node.name
                )
            });
        }
    }

    fn pass_over(&mut self, node: &Node, device: Option<&Device>, why: impl FnOnce() -> String) {
        if self.passed_over.len() < RANKED_MAX {
            self.passed_over.push(Spot {
                node: node.id.clone(),
                devices: device.into_iter().map(|device| device.id.clone()).collect(),
                why: why(),
            });
        }
    }

    fn answer(
        self,
        job: &Job,
        reason: impl Fn(&Place<'a>) -> String,
        why: impl FnOnce(&Place<'a>) -> String,
    ) -> Result<Placement, Refusal> {
        let mut why = Some(why);
        let mut sentence = String::new();
        let mut ranked = Vec::with_capacity(RANKED_MAX);
        for (_, place) in self.best.into_ranked() {
            if let Some(why) = why.take() {
                sentence = why(&place);
            }
            ranked.push(Spot {
                node: place.node.id.clone(),
                devices: Vec::from([place.device.id.clone()]),
                why: reason(&place),
            });
        }
        if !ranked.is_empty() {
            return Ok(Placement {
                ranked,
                passed_over: self.passed_over,
                why: sentence,
            });
        }
        let mut text = format!(
            "none of {} nodes has a usable device with {} MiB{} for `{}`",
            self.nodes,
            job.memory_bytes >> 20,
            if self.could { " free" } else { "" },
            job.model
        );
        for (at, spot) in self.passed_over.iter().take(3).enumerate() {
            text += if at == 0 { ": " } else { "; " };
            text += &spot.why;
        }
        Err(if self.could {
            Refusal::Busy(text)
        } else {
            Refusal::Impossible(text)
        })
    }
}

/// Why a whole node may not take a model.
enum Fault<'a> {
    Node(&'static str),
    Label(&'a (String, String)),
}

fn unfit<'a>(node: &Node, job: &'a Job) -> Option<Fault<'a>> {
    if node.health == Health::Lost {
        return Some(Fault::Node("is lost"));
    }
    if node.draining {
        return Some(Fault::Node("is draining"));
    }
    let missing = job
        .require
        .iter()
        .find(|label| !node.labels.contains(label));
    missing.map(Fault::Label)
}

impl Fault<'_> {
    fn told(&self, node: &Node) -> String {
        match self {
            Self::Node(what) => format!("`{}` {what}", node.name),
            Self::Label((key, value)) => format!("`{}` lacks the label `{key}={value}`", node.name),
        }
    }
}
