//! What the host told of nodes and replicas, in the order in which decisions need it.
//!
//! Decides how it is found: replicas by model, each with its node at hand, so that a decision among thousands looks
//! nothing up. Refuses to know which of them is better. It holds as much as the host tells, which the host bounds.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use super::{Change, Health, Node, Replica};

/// Everything that a scheduler was told.
#[derive(Debug, Default)]
pub struct Cluster {
    pub(super) homes: Vec<Home>,
    /// Homes by the node's identity.
    by_node: BTreeMap<String, usize>,
    /// Homes that nobody lives in.
    vacant: Vec<usize>,
    pub(super) by_model: BTreeMap<String, BTreeMap<u64, Tenant>>,
    models: BTreeMap<u64, String>,
    /// What was sent lately and where, oldest first.
    sent: VecDeque<(u64, u32)>,
}

/// A node, or the place of one that replicas name before it was told.
#[derive(Debug, Default)]
pub(super) struct Home {
    pub(super) id: String,
    pub(super) node: Option<Node>,
    /// Whether any of its devices is less than healthy.
    pub(super) sick: bool,
    pub(super) replicas: u32,
    /// Requests that run or wait on the node, in all of its replicas.
    pub(super) taken: u64,
}

/// A replica and its node's home.
#[derive(Debug)]
pub(super) struct Tenant {
    pub(super) replica: Replica,
    pub(super) home: usize,
    /// Requests sent since the host last told of it.
    pub(super) sent: u32,
    /// Counts what the host told of it.
    told: u32,
}

impl Cluster {
    /// Learns of a change. A node or replica that is already known is replaced.
    pub fn observe(&mut self, change: Change) {
        match change {
            Change::Node(node) => {
                let at = self.home(&node.id);
                if let Some(home) = self.homes.get_mut(at) {
                    home.sick = node
                        .devices
                        .iter()
                        .any(|device| device.health != Health::Healthy);
                    home.node = Some(node);
                }
            }
            Change::NodeGone(id) => {
                if let Some(at) = self.by_node.get(&id).copied() {
                    if let Some(home) = self.homes.get_mut(at) {
                        home.node = None;
                        home.sick = false;
                    }
                    self.vacate(at);
                }
            }
            Change::Replica(replica) => self.settle(replica),
            Change::ReplicaGone(id) => drop(self.evict(id)),
        }
    }

    /// Remembers that a request goes to a replica, so that those that follow before the host tells its load see it.
    pub fn sent(&mut self, replica: u64) {
        let Some(tenant) = self.tenant(replica) else {
            return;
        };
        tenant.sent = tenant.sent.saturating_add(1);
        let told = tenant.told;
        self.sent.push_back((replica, told));
        if self.sent.len() > SENT_MAX
            && let Some((replica, told)) = self.sent.pop_front()
            && let Some(tenant) = self.tenant(replica)
            && tenant.told == told
        {
            tenant.sent = tenant.sent.saturating_sub(1);
        }
    }

    /// The nodes that were told of.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.by_node
            .values()
            .filter_map(|at| self.homes.get(*at)?.node.as_ref())
    }

    /// The replicas of a model, oldest first.
    pub fn replicas<'a>(&'a self, model: &str) -> impl Iterator<Item = &'a Replica> + use<'a> {
        self.by_model
            .get(model)
            .into_iter()
            .flat_map(|tenants| tenants.values().map(|tenant| &tenant.replica))
    }

    /// Homes in the order of their nodes' identities.
    pub(super) fn homes(&self) -> impl Iterator<Item = &Home> {
        self.by_node.values().filter_map(|at| self.homes.get(*at))
    }

    fn tenant(&mut self, replica: u64) -> Option<&mut Tenant> {
        let model = self.models.get(&replica)?;
        self.by_model.get_mut(model)?.get_mut(&replica)
    }

    fn settle(&mut self, replica: Replica) {
        let told = self
            .evict(replica.id)
            .map_or(0, |before| before.told.wrapping_add(1));
        let at = self.home(&replica.node);
        if let Some(home) = self.homes.get_mut(at) {
            home.replicas += 1;
            home.taken += taken(&replica);
        }
        self.models.insert(replica.id, replica.model.clone());
        let tenant = Tenant {
            home: at,
            sent: 0,
            told,
            replica,
        };
        match self.by_model.get_mut(&tenant.replica.model) {
            Some(tenants) => drop(tenants.insert(tenant.replica.id, tenant)),
            None => {
                let model = tenant.replica.model.clone();
                let tenants = BTreeMap::from([(tenant.replica.id, tenant)]);
                self.by_model.insert(model, tenants);
            }
        }
    }

    fn evict(&mut self, replica: u64) -> Option<Tenant> {
        let model = self.models.remove(&replica)?;
        let tenants = self.by_model.get_mut(&model)?;
        let tenant = tenants.remove(&replica)?;
        if tenants.is_empty() {
            self.by_model.remove(&model);
        }
        if let Some(home) = self.homes.get_mut(tenant.home) {
            home.replicas = home.replicas.saturating_sub(1);
            home.taken = home.taken.saturating_sub(taken(&tenant.replica));
        }
        self.vacate(tenant.home);
        Some(tenant)
    }

    /// The home of a node, made when there is none.
    fn home(&mut self, id: &str) -> usize {
        if let Some(at) = self.by_node.get(id) {
            return *at;
        }
        let home = Home {
            id: id.into(),
            ..Home::default()
        };
        let at = match self.vacant.pop() {
            Some(at) => at,
            None => {
                self.homes.push(Home::default());
                self.homes.len() - 1
            }
        };
        if let Some(place) = self.homes.get_mut(at) {
            *place = home;
        }
        self.by_node.insert(id.into(), at);
        at
    }

    fn vacate(&mut self, at: usize) {
        if let Some(home) = self.homes.get_mut(at)
            && home.node.is_none()
            && home.replicas == 0
        {
            self.by_node.remove(&home.id);
            *home = Home::default();
            self.vacant.push(at);
        }
    }
}

/// Requests that run or wait in a replica.
pub(super) fn taken(replica: &Replica) -> u64 {
    u64::from(replica.running) + u64::from(replica.waiting)
}

/// Choices that are remembered until the host tells of their load, which takes it a tenth of a second.
const SENT_MAX: usize = 64;
