//! What the cluster agreed on takes effect: who is let in, who is sought, who gets no new work.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};

use skep_core::membership::Peer;
use skep_core::state::{Action, Standing};
use skep_core::{Node, NodeId};

use super::life::Life;
use super::open::Net;

/// Follows the state until this life ends.
pub(super) async fn govern(life: Weak<Life>) {
    let Some(mut changes) = life.upgrade().map(|life| life.keeper.changes()) else {
        return;
    };
    loop {
        changes.borrow_and_update();
        let Some(here) = life.upgrade() else {
            return;
        };
        here.take_stock();
        if let Err(error) = here.listen_if_wanted().await {
            tracing::error!(%error, "cannot listen for other nodes");
        }
        if let Some(net) = here.net() {
            admit(&here, &net).await;
            net.links.close_strangers();
        }
        here.apply_agreed();
        here.parts.changed.send_modify(|number| *number += 1);
        drop(here);
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// Membership hears of every member, and forgets who is none any more.
pub(super) async fn admit(life: &Life, net: &Net) {
    let view = life.keeper.view();
    let me = life.me();
    let mut members: Vec<Peer> = view
        .members()
        .filter(|(node, member)| *node != me && member.standing != Standing::Pending)
        .filter_map(|(node, member)| {
            Some(Peer {
                node,
                generation: 0,
                address: member.address?,
            })
        })
        .collect();
    if let Some(welcome) = &life.welcome
        && !members.iter().any(|peer| peer.node == welcome.leader)
    {
        members.push(Peer {
            node: welcome.leader,
            generation: 0,
            address: welcome.leader_address,
        });
    }
    let known: BTreeSet<NodeId> = members.iter().map(|peer| peer.node).collect();
    let before = std::mem::replace(&mut *super::life::lock(&life.admitted), known.clone());
    for node in before.difference(&known) {
        net.swim.dismiss(*node).await;
        life.remote.forget(*node);
    }
    for peer in members {
        net.swim.admit(peer).await;
    }
}

/// Where this node is in its lives is kept, and where it is reached is told to the cluster.
pub(super) async fn remember_life(life: Weak<Life>, net: Net) {
    let mut seen = net.seen.clone();
    let mut generation = 0;
    loop {
        let me = seen.borrow_and_update().me.clone();
        let Some(here) = life.upgrade() else {
            return;
        };
        if let Some(me) = me.filter(|me| me.generation != generation) {
            generation = me.generation;
            if let Err(error) = here.files.set_generation(generation) {
                tracing::error!(%error, "could not keep this node's generation");
            }
            let mut hello = net.links.hello();
            hello.generation = generation;
            net.links.say(hello);
            let view = here.keeper.view();
            let known = view.member(here.me()).and_then(|member| member.address);
            if known != Some(me.address) {
                let node = here.me();
                let moved = Action::Move {
                    node,
                    address: me.address,
                };
                if let Err(error) = here.decide(moved).await {
                    tracing::debug!(%error, "could not tell the cluster where this node is");
                }
            }
        }
        drop(here);
        if seen.changed().await.is_err() {
            return;
        }
    }
}

impl Life {
    /// What the cluster agreed on about a node goes before what the node says.
    pub(super) fn agreed(&self, node: NodeId, known: &mut Node) {
        let view = self.keeper.view();
        if let Some(member) = view.member(node) {
            known.name.clone_from(&member.name);
            known.labels.clone_from(&member.labels);
            known.draining |= member.standing == Standing::Draining;
        }
    }

    /// The same for this node and all that are known.
    fn apply_agreed(self: &Arc<Self>) {
        let view = self.keeper.view();
        if let Some(member) = view.member(self.me()) {
            let (labels, name) = (member.labels.clone(), member.name.clone());
            let draining = member.standing == Standing::Draining;
            self.parts.router.update_node(|node| {
                node.labels = labels;
                node.name = name;
                node.draining = draining;
            });
        }
        for (node, _) in view.members() {
            if let Some(mut facts) = self
                .remote
                .known(node)
                .filter(|k| k.up)
                .and_then(|k| k.facts)
            {
                facts.node.draining = false;
                self.agreed(node, &mut facts.node);
                self.remote.take(node, facts);
            }
        }
    }
}
