//! One membership by itself, and a few that hear each other at once.

use std::collections::BTreeMap;
use std::time::Duration;

use foca::{Header, Member, Message, State};

use super::*;

fn peer(number: u8) -> Peer {
    Peer {
        node: NodeId([number; 16]),
        generation: 1,
        address: format!("10.0.0.{number}:7420").parse().unwrap(),
    }
}

fn at(ms: u64) -> Time {
    Time(Duration::from_millis(ms))
}

/// Memberships that hear each other at once.
struct Cluster {
    nodes: BTreeMap<NodeId, Membership>,
    /// Whoever is deaf and dumb.
    silent: Vec<NodeId>,
    now: u64,
}

impl Cluster {
    fn of(count: u8) -> Self {
        let mut nodes = BTreeMap::new();
        for number in 1..=count {
            let mut node = Membership::new(peer(number), u64::from(number));
            (1..=count).for_each(|other| node.admit(at(0), peer(other)));
            nodes.insert(peer(number).node, node);
        }
        Self {
            nodes,
            silent: Vec::new(),
            now: 0,
        }
    }

    fn run(&mut self, ms: u64) {
        for _ in 0..ms / 10 {
            self.now += 10;
            let mut sent = Vec::new();
            for (id, node) in &mut self.nodes {
                if self.silent.contains(id) {
                    continue;
                }
                node.handle_timeout(at(self.now));
                while let Some(doing) = node.poll_doing() {
                    if let Doing::Send { to, bytes } = doing {
                        sent.push((*id, to.node, bytes));
                    }
                }
            }
            for (from, to, bytes) in sent {
                let heard = !self.silent.contains(&to);
                if let Some(node) = self.nodes.get_mut(&to).filter(|_| heard) {
                    node.handle_datagram(at(self.now), from, &bytes).unwrap();
                }
            }
        }
    }

    fn node(&mut self, number: u8) -> &mut Membership {
        self.nodes.get_mut(&peer(number).node).unwrap()
    }

    fn ups(&mut self, number: u8) -> Vec<u8> {
        self.node(number).up().map(|peer| peer.node.0[0]).collect()
    }
}

#[test]
fn nodes_find_each_other_and_miss_the_silent() {
    let mut cluster = Cluster::of(3);
    cluster.run(2_000);
    assert_eq!(cluster.ups(1), [2, 3]);
    assert_eq!(cluster.ups(3), [1, 2]);
    cluster.silent.push(peer(2).node);
    cluster.run(5_000);
    assert_eq!(cluster.ups(1), [3]);
    assert_eq!(cluster.node(1).doubt(), 1, "it is not our fault");
    cluster.silent.clear();
    cluster.run(15_000);
    assert_eq!(cluster.ups(1), [2, 3]);
    assert!(
        cluster.node(2).me().generation > 1,
        "it was given up, so it is in a new life"
    );
}

#[test]
fn an_idle_node_is_woken_for_its_probes_alone() {
    let mut cluster = Cluster::of(3);
    cluster.run(20_000);
    let mut woken = 0;
    for _ in 0..6_000 {
        let now = at(cluster.now + 10);
        let due = cluster.node(1).poll_timeout().is_some_and(|due| due <= now);
        woken += u32::from(due);
        cluster.run(10);
    }
    // One probe in 900 ms, and a look for nodes that were lost in 30 s.
    assert!((60..=75).contains(&woken), "{woken} times in a minute");
    assert_eq!(cluster.ups(1), [2, 3]);
}

#[test]
fn a_node_that_slept_doubts_itself_before_others() {
    let mut cluster = Cluster::of(3);
    cluster.run(2_000);
    let slept = 2_000 + 8_000;
    let sleeper = cluster.node(1);
    sleeper.handle_timeout(at(slept));
    assert!(sleeper.doubt() > 1);
    assert_eq!(sleeper.up().count(), 2);
    assert_eq!(sleeper.suspects().count(), 0);
    let next = sleeper.poll_timeout().unwrap();
    assert!(next > at(slept), "it listens before it judges");
}

#[test]
fn a_process_that_died_is_gone_when_its_machine_says_so() {
    let mut cluster = Cluster::of(3);
    cluster.run(2_000);
    let (now, dead) = (at(cluster.now), peer(3).node);
    cluster.silent.push(dead);
    cluster.node(1).handle_refused(now, dead);
    cluster.run(200);
    assert_eq!(cluster.ups(1), [2]);
    assert_eq!(cluster.ups(2), [1], "the others are told");
}

#[test]
fn a_node_that_doubts_itself_takes_longer_to_believe_it() {
    let mut cluster = Cluster::of(3);
    cluster.run(2_000);
    let (dead, alone) = (peer(3).node, peer(1).node);
    // It was alone for a while, and is back among the others.
    cluster.silent.push(alone);
    cluster.now += 3_000;
    cluster.run(10);
    cluster.silent.clear();
    cluster.now += 3_000;
    cluster.run(10);
    let doubt = cluster.node(1).doubt();
    assert!(doubt > 1, "{doubt}");
    cluster.silent.push(dead);
    let now = at(cluster.now);
    cluster.node(1).handle_refused(now, dead);
    cluster.run(110);
    assert_eq!(cluster.ups(1), [2, 3], "not yet");
    cluster.run(120 * u64::from(doubt));
    assert_eq!(cluster.ups(1), [2]);
}

#[test]
fn a_machine_that_lies_about_a_living_process_is_not_believed() {
    let mut cluster = Cluster::of(3);
    cluster.run(2_000);
    for _ in 0..20 {
        let now = at(cluster.now);
        cluster.node(1).handle_refused(now, peer(3).node);
        cluster.run(100);
    }
    assert_eq!(cluster.ups(1), [2, 3]);
    assert_eq!(cluster.node(3).me().generation, 1);
}

#[test]
fn a_good_bye_is_heard_at_once() {
    let mut cluster = Cluster::of(3);
    cluster.run(2_000);
    let now = at(cluster.now);
    cluster.node(3).leave(now);
    cluster.run(500);
    assert_eq!(cluster.ups(1), [2]);
    let gone = cluster.node(3);
    gone.admit(now, peer(4));
    gone.move_to(now, peer(4).address);
    assert_eq!(gone.poll_timeout(), None, "it does nothing any more");
    assert_eq!(gone.poll_doing(), None);
}

#[test]
fn the_dismissed_are_not_heard() {
    let mut cluster = Cluster::of(3);
    cluster.run(2_000);
    let (now, gone) = (at(cluster.now), peer(3).node);
    cluster.node(1).dismiss(now, gone);
    assert_eq!(cluster.ups(1), [2]);
    let hello = datagram(&peer(3), &peer(1), Message::Announce, &[]);
    let heard = cluster.node(1).handle_datagram(now, gone, &hello);
    assert_eq!(heard, Err(Rejected::Stranger));
}

fn datagram(from: &Peer, to: &Peer, message: Message<Peer>, updates: &[Member<Peer>]) -> Vec<u8> {
    let header = Header {
        src: from.clone(),
        src_incarnation: 0,
        dst: to.clone(),
        message,
    };
    let mut bytes = postcard::to_stdvec(&header).unwrap();
    if !updates.is_empty() {
        bytes.extend(u16::try_from(updates.len()).unwrap().to_be_bytes());
    }
    for update in updates {
        bytes.extend(postcard::to_stdvec(update).unwrap());
    }
    bytes
}

#[test]
fn what_a_peer_may_not_say_is_refused_whole() {
    let mut me = Membership::new(peer(1), 1);
    me.admit(at(0), peer(2));
    me.admit(at(0), peer(3));
    let from = peer(2).node;
    let mut told = |bytes: &[u8]| me.handle_datagram(at(1), from, bytes);
    let gossip = |from: &Peer, to: &Peer, updates: &[Member<Peer>]| {
        datagram(from, to, Message::Gossip, updates)
    };
    let good = gossip(&peer(2), &peer(1), &[Member::alive(peer(3))]);
    assert_eq!(told(&good), Ok(()));
    assert_eq!(told(&[]), Err(Rejected::Malformed));
    assert_eq!(told(&good[..good.len() - 1]), Err(Rejected::Malformed));
    assert_eq!(told(&[&good[..], &[0]].concat()), Err(Rejected::Malformed));
    assert_eq!(
        told(&vec![0; DATAGRAM_BYTES_MAX + 1]),
        Err(Rejected::Malformed)
    );
    let other = gossip(&peer(3), &peer(1), &[]);
    assert_eq!(told(&other), Err(Rejected::Impostor));
    let astray = gossip(&peer(2), &peer(3), &[]);
    assert_eq!(told(&astray), Err(Rejected::Astray));
    let probe = Message::PingReq {
        target: peer(9),
        probe_number: 1,
    };
    let stranger = datagram(&peer(2), &peer(1), probe, &[]);
    assert_eq!(told(&stranger), Err(Rejected::Stranger));
    let far = peer(3).at_generation(u64::MAX);
    let mut nowhere = peer(3).renewed();
    nowhere.address = "224.0.0.1:7420".parse().unwrap();
    let lies = [peer(9), far, nowhere].map(Member::alive);
    assert_eq!(told(&gossip(&peer(2), &peer(1), &lies)), Ok(()));
    let up: Vec<&Peer> = me.up().collect();
    assert_eq!(up, [&peer(2), &peer(3)], "what was true stays");
}

#[test]
fn a_life_of_ours_that_others_believe_in_is_overtaken() {
    let mut me = Membership::new(peer(1), 1);
    me.admit(at(0), peer(2));
    let claimed = peer(1).at_generation(57);
    let down = Member::new(claimed, 0, State::Down);
    let bytes = datagram(&peer(2), &peer(1), Message::Gossip, &[down]);
    me.handle_datagram(at(1), peer(2).node, &bytes).unwrap();
    assert_eq!(me.me().generation, 58);
    let doings: Vec<Doing> = std::iter::from_fn(|| me.poll_doing()).collect();
    assert!(doings.contains(&Doing::Renewed(me.me().clone())));
}
