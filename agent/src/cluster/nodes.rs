//! The cluster's nodes and tokens, for people.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use skep_core::NodeId;
use skep_core::state::{Member, Standing, State};

use super::ClusterError;
use super::facts::{DeviceFacts, Facts};
use super::life::Life;
use crate::keys::unix_now_s;
use crate::net::Ask;
use crate::pki::validity;

/// Where a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// It is there and works.
    Up,
    /// It is there and gets no new work.
    Draining,
    /// It awaits approval.
    Pending,
    /// It was let in just now, and is about to be there.
    Joining,
    /// It is not there.
    Down,
}

/// A node, for people.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeStatus {
    pub id: String,
    pub name: String,
    pub state: NodeState,
    /// One sentence when it is not simply up; empty otherwise.
    pub why: String,
    pub role: String,
    /// This is the node that answers.
    pub here: bool,
    pub leads: bool,
    /// Its release; none before it was heard of.
    pub version: Option<String>,
    pub address: Option<SocketAddr>,
    pub labels: std::collections::BTreeMap<String, String>,
    pub devices: Vec<DeviceFacts>,
    pub replicas: usize,
    /// Requests that run and wait there.
    pub running: u32,
    pub waiting: u32,
    pub last_seen_s: Option<u64>,
    pub round_trip_us: Option<u64>,
    pub joined_unix_s: u64,
    /// When the certificate of this very node ends.
    pub certificate_until_unix_s: Option<u64>,
}

/// A join token, for people; never its secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenStatus {
    pub id: String,
    pub role: String,
    pub name: Option<String>,
    /// `open`, `used` or `expired`.
    pub state: String,
    pub expires_unix_s: u64,
    /// The node that came with it.
    pub used_by: Option<String>,
    /// The identity of that node.
    #[serde(default)]
    pub used_by_node: Option<String>,
}

impl Life {
    pub(super) fn nodes(&self) -> Vec<NodeStatus> {
        let view = self.keeper.view();
        let mut nodes: Vec<NodeStatus> = view
            .members()
            .map(|(node, member)| self.node(node, member))
            .collect();
        nodes.sort_by(|one, other| (!one.here, &one.name).cmp(&(!other.here, &other.name)));
        nodes
    }

    fn node(&self, node: NodeId, member: &Member) -> NodeStatus {
        let here = node == self.me();
        let known = self.remote.known(node);
        let up = here || known.as_ref().is_some_and(|known| known.up);
        let facts = if here {
            Facts::of(&self.parts.router)
        } else {
            known.as_ref().and_then(|known| known.facts.clone())
        };
        let silent = known.as_ref().map(|known| known.silent_for());
        let last_seen = if up { Some(Duration::ZERO) } else { silent };
        let (state, why) = match (member.standing, up) {
            (Standing::Pending, _) => (
                NodeState::Pending,
                format!(
                    "a {} awaits approval: `skep node approve {}`",
                    member.role, member.name
                ),
            ),
            (_, false) if silent.is_none() && is_new(member) => {
                (NodeState::Joining, "it was let in just now".to_owned())
            }
            (_, false) => (
                NodeState::Down,
                silent.map_or_else(
                    || "it was not heard of since this node started".to_owned(),
                    |silent| format!("silent for {} s", silent.as_secs()),
                ),
            ),
            (Standing::Draining, true) => (
                NodeState::Draining,
                format!("no new work until `skep node resume {}`", member.name),
            ),
            (Standing::Member, true) => (NodeState::Up, String::new()),
        };
        let (running, waiting) = facts.as_ref().map_or((0, 0), |facts| {
            let replicas = facts.replicas.iter();
            replicas.fold((0_u32, 0_u32), |(running, waiting), replica| {
                (
                    running.saturating_add(replica.running),
                    waiting.saturating_add(replica.waiting),
                )
            })
        });
        let net = self.net();
        let link = net.as_ref().and_then(|net| net.links.linked(node));
        let seen_at = net.as_ref().and_then(|net| {
            let seen = net.seen.borrow();
            seen.up.get(&node).map(|peer| peer.address)
        });
        let papers = self.papers().filter(|_| here);
        NodeStatus {
            id: node.to_string(),
            name: member.name.clone(),
            state,
            why,
            role: member.role.to_string(),
            here,
            leads: self.leader() == Some(node),
            version: facts.as_ref().map(|facts| facts.software.clone()),
            address: seen_at.or(member.address),
            labels: member.labels.clone(),
            devices: facts.as_ref().map_or_else(Vec::new, DeviceFacts::of),
            replicas: facts.as_ref().map_or(0, |facts| facts.replicas.len()),
            running,
            waiting,
            last_seen_s: last_seen.map(|silent| silent.as_secs()),
            round_trip_us: link
                .map(|link| u64::try_from(link.round_trip().as_micros()).unwrap_or(u64::MAX)),
            joined_unix_s: member.joined_at,
            certificate_until_unix_s: papers
                .and_then(|papers| validity(&papers.certificate()))
                .map(|validity| validity.until_unix_s),
        }
    }

    pub(super) async fn readings(&self, node: NodeId) -> Result<Vec<u8>, ClusterError> {
        if node == self.me() {
            return Ok(self.parts.readings.now());
        }
        let link = self
            .net()
            .and_then(|net| net.links.linked(node))
            .ok_or_else(|| ClusterError::UnknownNode(node.to_string()))?;
        Ok(link.call(&Ask::Readings).await?)
    }
}

/// The node that somebody means by a name, or by the beginning of an identity.
pub(super) fn find(state: &State, text: &str) -> Result<NodeId, ClusterError> {
    if let Some((node, _)) = state.member_named(text) {
        return Ok(node);
    }
    let unknown = || ClusterError::UnknownNode(text.chars().take(64).collect());
    if text.len() < PREFIX_MIN {
        return Err(unknown());
    }
    let mut found = state
        .members()
        .map(|(node, _)| node)
        .filter(|node| node.to_string().starts_with(text));
    match (found.next(), found.next()) {
        (Some(node), None) => Ok(node),
        _ => Err(unknown()),
    }
}

pub(super) fn tokens(state: &State) -> Vec<TokenStatus> {
    let now = unix_now_s();
    state
        .tokens()
        .map(|(id, token)| TokenStatus {
            id: id.to_string(),
            role: token.role.to_string(),
            name: token.name.clone(),
            state: match token.used {
                Some(_) => "used".into(),
                None if token.is_open(now) => "open".into(),
                None => "expired".into(),
            },
            expires_unix_s: token.expires_at,
            used_by: token.used.map(|used| {
                let member = state.member(used.by);
                member.map_or_else(|| used.by.to_string(), |member| member.name.clone())
            }),
            used_by_node: token.used.map(|used| used.by.to_string()),
        })
        .collect()
}

fn is_new(member: &Member) -> bool {
    unix_now_s().saturating_sub(member.joined_at) < JOINING_S
}

/// A node that was let in is heard of within a second or two.
const JOINING_S: u64 = 10;

/// A shorter beginning of an identity could mean many.
const PREFIX_MIN: usize = 4;
