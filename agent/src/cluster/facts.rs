//! What nodes tell each other for placing work: their devices, replicas and models. Each node asks every
//! other for it over one long stream, which brings the whole at first and after each change.
//!
//! What comes is another's word: bounded here, and believed only about the node that says it.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use skep_core::{Health, Node, NodeId, Replica, ReplicaState};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::life::Life;
use super::open::Net;
use crate::limits::{
    FACTS_DEVICES_MAX, FACTS_MODELS_MAX, FACTS_PERIOD, FACTS_PLACED_MAX, FACTS_REPLICAS_MAX,
    FACTS_TEXT_BYTES_MAX,
};
use crate::net::{Answers, Ask, Asked, Closed, FrameError, Priority};
use crate::router::{ModelFacts, Router};

/// What one node says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    pub node: Node,
    pub replicas: Vec<Replica>,
    /// The models that it could load from its own files.
    pub models: Vec<Arc<str>>,
    /// What is known of the models that it has loaded.
    pub loaded: Vec<(Arc<str>, ModelFacts)>,
    /// Its release.
    pub software: String,
}

/// A device of a node, for people.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeviceFacts {
    pub id: String,
    pub kind: String,
    /// `healthy`, `degraded` or `lost`.
    pub health: String,
    /// The cause, when it is not healthy.
    pub why: Option<String>,
    pub memory_bytes: u64,
    pub memory_free_bytes: u64,
}

impl DeviceFacts {
    pub(super) fn of(facts: &Facts) -> Vec<Self> {
        facts
            .node
            .devices
            .iter()
            .map(|device| {
                let (health, why) = match &device.health {
                    Health::Healthy => ("healthy", None),
                    Health::Degraded(why) => ("degraded", Some(why.clone())),
                    Health::Lost(why) => ("lost", Some(why.clone())),
                };
                Self {
                    id: device.id.clone(),
                    kind: device.kind.clone(),
                    health: health.to_owned(),
                    why,
                    memory_bytes: device.memory_bytes,
                    memory_free_bytes: device.memory_free_bytes,
                }
            })
            .collect()
    }
}

impl Facts {
    /// What this node says.
    pub(super) fn of(router: &Router) -> Option<Self> {
        let (node, replicas, models, loaded) = router.own()?;
        Some(Self {
            node,
            replicas,
            models,
            loaded,
            software: env!("CARGO_PKG_VERSION").into(),
        })
    }

    /// The same with nothing in it that could be about others, or without bound.
    pub(super) fn bounded(mut self, from: NodeId) -> Self {
        let is_short = |text: &str| text.len() <= FACTS_TEXT_BYTES_MAX;
        self.node.id = from;
        shorten(&mut self.node.name);
        shorten(&mut self.software);
        bound(&mut self.node.health);
        self.node.devices.truncate(FACTS_DEVICES_MAX);
        for device in &mut self.node.devices {
            shorten(&mut device.id);
            shorten(&mut device.kind);
            bound(&mut device.health);
        }
        // Labels are what the cluster agreed on, not what a node says.
        self.node.labels = BTreeMap::new();
        self.replicas.truncate(FACTS_REPLICAS_MAX);
        self.replicas.retain(|replica| is_short(&replica.model));
        for replica in &mut self.replicas {
            replica.node = from;
            replica.devices.truncate(FACTS_PLACED_MAX);
            replica.devices.retain(|device| is_short(device));
            if let ReplicaState::Failed(why) = &mut replica.state {
                shorten(why);
            }
        }
        self.loaded.truncate(FACTS_REPLICAS_MAX);
        self.loaded.retain(|(model, _)| is_short(model));
        for (_, facts) in &mut self.loaded {
            shorten(&mut facts.fingerprint);
            if let Some(info) = &mut facts.info {
                shorten(&mut info.architecture);
                shorten(&mut info.name);
                shorten(&mut info.quantisation);
            }
        }
        self.models.truncate(FACTS_MODELS_MAX);
        self.models.retain(|model| is_short(model));
        self
    }
}

fn bound(health: &mut Health) {
    match health {
        Health::Healthy => {}
        Health::Degraded(why) | Health::Lost(why) => shorten(why),
    }
}

fn shorten(text: &mut String) {
    if text.len() > FACTS_TEXT_BYTES_MAX {
        let end = text.floor_char_boundary(FACTS_TEXT_BYTES_MAX);
        text.truncate(end);
        text.shrink_to_fit();
    }
    text.retain(|letter| !letter.is_control());
}

/// Keeps one stream from each node that is up; who is gone is forgotten.
pub(super) async fn exchange(life: Weak<Life>, net: Net) {
    let mut seen = net.seen.clone();
    let mut listening: BTreeMap<NodeId, tokio::task::AbortHandle> = BTreeMap::new();
    let mut tasks = JoinSet::new();
    loop {
        let now = seen.borrow_and_update().clone();
        let Some(here) = life.upgrade() else {
            return;
        };
        let gone: Vec<NodeId> = listening
            .keys()
            .filter(|node| !now.up.contains_key(node))
            .copied()
            .collect();
        for node in gone {
            if let Some(task) = listening.remove(&node) {
                task.abort();
            }
            // What runs there is lost, and goes on elsewhere.
            net.links.close(node, Closed::Gone);
            here.remote.lost(node);
        }
        for node in now.up.keys() {
            if !listening.contains_key(node) {
                let task = tasks.spawn(listen(life.clone(), net.clone(), *node));
                listening.insert(*node, task);
            }
        }
        drop(here);
        tokio::select! {
            changed = seen.changed() => if changed.is_err() {
                return;
            },
            Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
        }
    }
}

async fn listen(life: Weak<Life>, net: Net, node: NodeId) {
    loop {
        let peer = net.seen.borrow().up.get(&node).cloned();
        let Some(peer) = peer else {
            return;
        };
        if let Ok(link) = net.links.to(&peer).await {
            if let Some(here) = life.upgrade() {
                here.remote.connected(node, &net.links);
            }
            if let Err(why) = hear(&life, node, &link).await {
                tracing::debug!(%node, %why, "tells nothing for a moment");
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn hear(life: &Weak<Life>, node: NodeId, link: &crate::net::Link) -> Result<(), FrameError> {
    let (mut asked, _answers) = link.ask(&Ask::Facts, Priority::Control).await?;
    while let Some(facts) = asked.next::<Facts>().await? {
        let Some(here) = life.upgrade() else {
            return Ok(());
        };
        let mut facts = facts.bounded(node);
        here.agreed(node, &mut facts.node);
        here.remote.take(node, facts);
        drop(here);
        // Whoever tells more than it should is heard as often as others are.
        tokio::time::sleep(FACTS_PERIOD / 2).await;
    }
    Ok(())
}

/// Looks at this node for all who want to hear of it, for as long as anybody may.
pub(super) async fn observe(router: Router, newest: watch::Sender<Option<Arc<Facts>>>) {
    let mut changes = router.fleet().changes();
    loop {
        let now = Facts::of(&router);
        newest.send_if_modified(|last| {
            let news = now != last.as_deref().cloned();
            if news {
                *last = now.map(Arc::new);
            }
            news
        });
        if router.is_busy() {
            tokio::time::sleep(FACTS_PERIOD).await;
            continue;
        }
        // A replica's change is told at once; free memory and the like can wait for the next look at this
        // node, for which an idle agent wakes anyway.
        tokio::select! {
            changed = changes.changed() => match changed {
                Ok(()) => tokio::time::sleep(FACTS_PERIOD).await,
                Err(_) => return,
            },
            () = router.looked() => {}
            () = tokio::time::sleep(IDLE_PERIOD) => {}
        }
    }
}

/// Tells one node what changes here, until it wants no more.
pub(super) async fn tell(
    mut newest: watch::Receiver<Option<Arc<Facts>>>,
    mut asked: Asked,
    mut answers: Answers,
) -> Result<(), FrameError> {
    newest.mark_changed();
    loop {
        tokio::select! {
            () = asked.ended() => return Ok(()),
            changed = newest.changed() => if changed.is_err() {
                return Ok(());
            },
        }
        let now = newest.borrow_and_update().clone();
        if let Some(facts) = now {
            answers.send(&*facts).await?;
        }
    }
}

/// After a stream was lost.
const RETRY: Duration = Duration::from_millis(500);

/// After this long an idle node looks whether there is anything to tell, also where nobody looks at the node.
const IDLE_PERIOD: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use skep_core::{Device, ReplicaId};

    use super::*;

    #[test]
    fn what_a_node_says_is_about_itself_and_bounded() {
        let long = "\u{1b}é".repeat(5_000);
        let device = Device {
            id: long.clone(),
            kind: long.clone(),
            health: Health::Lost(long.clone()),
            memory_bytes: u64::MAX,
            memory_free_bytes: u64::MAX,
            bandwidth: u64::MAX,
        };
        let replica = Replica {
            id: ReplicaId(u64::MAX),
            model: "m".into(),
            node: NodeId([9; 16]),
            devices: vec!["cpu".into(); 1_000],
            state: ReplicaState::Failed(long.clone()),
            running: u32::MAX,
            waiting: u32::MAX,
            capacity: u32::MAX,
            cache_pages: u32::MAX,
            cache_pages_used: u32::MAX,
            first_token_us: u64::MAX,
            token_us: u64::MAX,
        };
        let info = crate::protocol::ModelInfo {
            architecture: long.clone(),
            name: long.clone(),
            quantisation: long.clone(),
            ..Default::default()
        };
        let loaded = ModelFacts {
            fingerprint: long.clone(),
            info: Some(info),
        };
        let facts = Facts {
            node: Node {
                id: NodeId([8; 16]),
                name: long.clone(),
                health: Health::Degraded(long.clone()),
                draining: false,
                labels: [("key".to_owned(), long.clone())].into(),
                devices: vec![device; 1_000],
            },
            replicas: vec![replica; 1_000],
            models: vec![long.as_str().into(); 10_000],
            loaded: vec![("m".into(), loaded); 1_000],
            software: long.clone(),
        };
        let from = NodeId([1; 16]);
        let facts = facts.bounded(from);
        assert_eq!(facts.node.id, from);
        assert!(facts.node.labels.is_empty());
        assert!(facts.replicas.iter().all(|replica| replica.node == from));
        assert_eq!(facts.replicas.len(), FACTS_REPLICAS_MAX);
        assert_eq!(facts.node.devices.len(), FACTS_DEVICES_MAX);
        assert_eq!(facts.replicas[0].devices.len(), FACTS_PLACED_MAX);
        assert!(facts.models.is_empty());
        // Each name is a few hundred bytes at most, and there is nothing else.
        let names = 6 * (FACTS_REPLICAS_MAX + FACTS_DEVICES_MAX) + FACTS_REPLICAS_MAX;
        let bytes = postcard::to_stdvec(&facts).unwrap();
        assert!(
            bytes.len() < names * FACTS_TEXT_BYTES_MAX,
            "{}",
            bytes.len()
        );
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("\u{1b}é"));
    }
}
