//! Replicas of other nodes, as this node's router sees them: each has a number here, and requests to it go
//! over the link to its node.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use skep_core::{Input, NodeId, ReplicaId};
use tokio::sync::oneshot;

use super::facts::Facts;
use super::life::lock;
use crate::fleet::{Cancel, Exchange, Pushed, Slot, SubmitError};
use crate::net::{Ask, FrameError, Link, Links, Priority};
use crate::protocol::{Error, Event, Work};
use crate::router::{Elsewhere, FIRST_ELSEWHERE, Router};

/// What other nodes say of themselves.
#[derive(Clone)]
pub struct Remote(Arc<Inner>);

struct Inner {
    router: Router,
    nodes: Mutex<Nodes>,
}

#[derive(Default)]
struct Nodes {
    by_node: BTreeMap<NodeId, Known>,
    /// What each number here means there.
    places: BTreeMap<ReplicaId, (NodeId, u64)>,
    last: u64,
    links: Option<Links>,
}

#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) facts: Option<Facts>,
    pub(super) seen: SystemTime,
    pub(super) up: bool,
    /// Numbers here by numbers there.
    numbers: BTreeMap<u64, ReplicaId>,
}

impl Remote {
    pub(super) fn new(router: Router) -> Self {
        let remote = Self(Arc::new(Inner {
            router,
            nodes: Mutex::default(),
        }));
        remote.0.router.set_elsewhere(Arc::new(remote.clone()));
        remote
    }

    /// A node is reached.
    pub(super) fn connected(&self, node: NodeId, links: &Links) {
        let mut nodes = lock(&self.0.nodes);
        nodes.links = Some(links.clone());
        let known = nodes.by_node.entry(node).or_insert_with(Known::new);
        known.up = true;
        known.seen = SystemTime::now();
    }

    /// A node said this of itself.
    pub(super) fn take(&self, node: NodeId, facts: Facts) {
        let mut inputs = Vec::new();
        let loaded = facts.loaded.clone();
        {
            let mut nodes = lock(&self.0.nodes);
            let Nodes {
                by_node,
                places,
                last,
                ..
            } = &mut *nodes;
            let known = by_node.entry(node).or_insert_with(Known::new);
            known.seen = SystemTime::now();
            known.up = true;
            inputs.push(Input::Node(facts.node.clone()));
            inputs.push(Input::CataloguedAt(node, facts.models.clone()));
            let there: Vec<u64> = facts.replicas.iter().map(|replica| replica.id.0).collect();
            known.numbers.retain(|number, here| {
                let stays = there.contains(number);
                if !stays {
                    places.remove(here);
                    inputs.push(Input::ReplicaGone(*here));
                }
                stays
            });
            for replica in &facts.replicas {
                let here = *known.numbers.entry(replica.id.0).or_insert_with(|| {
                    *last += 1;
                    let here = ReplicaId(FIRST_ELSEWHERE + *last);
                    places.insert(here, (node, replica.id.0));
                    here
                });
                let mut replica = replica.clone();
                replica.id = here;
                inputs.push(Input::Replica(replica));
            }
            known.facts = Some(facts);
        }
        self.0.router.hear_facts(node, loaded);
        for input in inputs {
            self.0.router.hear(input);
        }
    }

    /// A node is believed to be gone.
    pub(super) fn lost(&self, node: NodeId) {
        let mut inputs = Vec::new();
        {
            let mut nodes = lock(&self.0.nodes);
            let Nodes {
                by_node, places, ..
            } = &mut *nodes;
            if let Some(known) = by_node.get_mut(&node) {
                known.up = false;
                for here in std::mem::take(&mut known.numbers).into_values() {
                    places.remove(&here);
                    inputs.push(Input::ReplicaGone(here));
                }
                inputs.push(Input::CataloguedAt(node, Vec::new()));
                inputs.push(Input::NodeGone(node));
            }
        }
        self.0.router.hear_facts(node, Vec::new());
        for input in inputs {
            self.0.router.hear(input);
        }
    }

    /// Nothing is known of any other node any more.
    pub(super) fn forget_all(&self) {
        let nodes: Vec<NodeId> = lock(&self.0.nodes).by_node.keys().copied().collect();
        for node in nodes {
            self.lost(node);
        }
        let mut nodes = lock(&self.0.nodes);
        nodes.by_node.clear();
        nodes.links = None;
    }

    /// A node is no member any more.
    pub(super) fn forget(&self, node: NodeId) {
        self.lost(node);
        lock(&self.0.nodes).by_node.remove(&node);
    }

    pub(super) fn known(&self, node: NodeId) -> Option<Known> {
        lock(&self.0.nodes).by_node.get(&node).cloned()
    }

    /// Everybody who is reached now.
    pub(super) fn links(&self) -> Vec<Link> {
        let nodes = lock(&self.0.nodes);
        let up = nodes.by_node.iter().filter(|(_, known)| known.up);
        let links = nodes.links.as_ref();
        up.filter_map(|(node, _)| links?.linked(*node)).collect()
    }

    fn link(&self, node: NodeId) -> Option<Link> {
        let links = lock(&self.0.nodes).links.clone()?;
        links.linked(node)
    }
}

impl Elsewhere for Remote {
    fn submit(&self, replica: ReplicaId, work: Arc<Work>) -> Result<Exchange, SubmitError> {
        let gone = || SubmitError::NotReady("the node that ran it was lost".into());
        let place = lock(&self.0.nodes).places.get(&replica).copied();
        let (node, there) = place.ok_or_else(gone)?;
        let link = self.link(node).ok_or_else(gone)?;
        let slot = Arc::new(Slot::default());
        let (cancel, cancelled) = oneshot::channel();
        tokio::spawn(carry(link, there, work, slot.clone(), cancelled));
        let cancel = Arc::new(Stop(Mutex::new(Some(cancel))));
        Ok(Exchange::new(slot, cancel, 0))
    }

    fn load(&self, node: NodeId, model: &Arc<str>) {
        let link = self.link(node);
        let (router, model) = (self.0.router.clone(), model.clone());
        tokio::spawn(async move {
            let ask = Ask::Load(model.to_string());
            let answer: Result<Result<(), String>, _> = match link {
                Some(link) => link.call(&ask).await,
                None => Err(FrameError::Lost),
            };
            let why = match answer {
                Ok(Ok(())) => return,
                Ok(Err(why)) => why,
                Err(error) => error.to_string(),
            };
            router.hear(Input::LoadFailed { model, why });
        });
    }
}

/// Carries one request to its node and what comes of it back.
async fn carry(
    link: Link,
    replica: u64,
    work: Arc<Work>,
    slot: Arc<Slot>,
    mut cancelled: oneshot::Receiver<()>,
) {
    let ask = Ask::Submit { replica, work };
    let lost = |why: &dyn fmt::Display| {
        Event::Failed(Error::Lost(format!("the node that ran it was lost: {why}")))
    };
    let (mut asked, _answers) = match link.ask(&ask, Priority::Tokens).await {
        Ok(streams) => streams,
        Err(error) => {
            push(&slot, lost(&error));
            return;
        }
    };
    loop {
        let event = tokio::select! {
            event = asked.next::<Event>() => event,
            // Dropping the streams tells the node that nothing more is wanted.
            _ = &mut cancelled => return,
        };
        let event = match event {
            Ok(Some(event)) => event,
            Ok(None) => lost(&"it ended midway"),
            Err(error) => lost(&error),
        };
        let last = event.is_last();
        if push(&slot, event) == Pushed::Overflow || last {
            return;
        }
    }
}

fn push(slot: &Slot, event: Event) -> Pushed {
    let (pushed, waker) = slot.push(event);
    if let Some(waker) = waker {
        waker.wake();
    }
    pushed
}

/// Ends a request elsewhere.
#[derive(Debug)]
struct Stop(Mutex<Option<oneshot::Sender<()>>>);

impl Cancel for Stop {
    fn cancel(&self, _request: u64) {
        if let Some(cancel) = lock(&self.0).take() {
            // Fails when it is over already.
            let _ = cancel.send(());
        }
    }
}

impl Known {
    fn new() -> Self {
        Self {
            facts: None,
            seen: SystemTime::now(),
            up: false,
            numbers: BTreeMap::new(),
        }
    }

    pub(super) fn silent_for(&self) -> Duration {
        self.seen.elapsed().unwrap_or_default()
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").finish_non_exhaustive()
    }
}
