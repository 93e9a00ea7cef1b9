//! Which replicas may serve a request, and ranking them.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::best::Best;
use super::cluster::{Cluster, Home, Tenant, taken};
use super::{Candidate, Choice, Health, Node, RANKED_MAX, Refusal, Replica, ReplicaState, Request};

/// A replica that may serve a request, with what there is to weigh it by.
#[derive(Clone, Copy, Debug)]
pub struct Seat<'a> {
    /// The replica.
    pub replica: &'a Replica,
    /// Its node, where the host told of it.
    pub node: Option<&'a Node>,
    /// The node, or a device that the replica runs on, is degraded: to be taken when nothing better is there.
    pub is_degraded: bool,
    /// Requests that run or wait on the whole node.
    pub node_taken: u64,
    /// Requests that were sent here since the host last told of the replica's load.
    pub sent: u32,
}

impl Seat<'_> {
    /// Requests that run or wait in the replica.
    #[must_use]
    pub fn taken(&self) -> u64 {
        taken(self.replica)
    }

    /// How many requests it can serve at once, at least one.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        u64::from(self.replica.capacity.max(1))
    }

    /// Whether a further request would wait.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.taken() >= self.capacity()
    }

    /// The share of its places that is taken, what was sent since included, in 1024ths.
    #[must_use]
    pub fn share(&self) -> u64 {
        (self.taken() + u64::from(self.sent)) * 1024 / self.capacity()
    }

    /// The share of its cache that is used, in 1024ths.
    #[must_use]
    pub fn cache_share(&self) -> u64 {
        u64::from(self.replica.cache_pages_used) * 1024 / u64::from(self.replica.cache_pages.max(1))
    }

    /// How long an answer takes here, as a power of two: what is less than twice as long is no difference, since the means
    /// move. 0 when it is unknown, so that a new replica is tried.
    #[must_use]
    pub fn slowness(&self) -> u32 {
        let answer = self
            .replica
            .first_token_us
            .saturating_add(self.replica.token_us.saturating_mul(ANSWER_TOKENS));
        u64::BITS - answer.leading_zeros()
    }
}

impl Cluster {
    /// Ranks the replicas that may serve a request by `key`, the smallest first; `reason` puts a seat in a few words, and
    /// `why` says in a sentence why the first is first.
    ///
    /// # Errors
    /// `Unknown` when no replica of the model was told of, `Busy` when none is eligible; the text says why.
    pub fn rank<K: Ord>(
        &self,
        request: &Request,
        key: impl Fn(&Seat<'_>) -> K,
        reason: impl Fn(&Seat<'_>) -> String,
        why: impl FnOnce(&Seat<'_>) -> String,
    ) -> Result<Choice, Refusal> {
        let Some(tenants) = self.by_model.get(&request.model) else {
            let text = format!("no replica of `{}` is loaded", request.model);
            return Err(Refusal::Unknown(text));
        };
        let mut best = Best::new();
        let mut passed_over = Vec::new();
        for tenant in tenants.values() {
            match self.seat(tenant) {
                Ok(seat) => best.offer(key(&seat), seat),
                Err(fault) if passed_over.len() < RANKED_MAX => passed_over.push(Candidate {
                    replica: tenant.replica.id,
                    why: fault.told(tenant),
                }),
                Err(_) => {}
            }
        }
        let mut why = Some(why);
        let mut sentence = String::new();
        let mut ranked = Vec::with_capacity(RANKED_MAX);
        for (_, seat) in best.into_ranked() {
            if let Some(why) = why.take() {
                sentence = why(&seat);
            }
            ranked.push(Candidate {
                replica: seat.replica.id,
                why: reason(&seat),
            });
        }
        if ranked.is_empty() {
            let text = format!(
                "no replica of `{}` can serve it{}",
                request.model,
                listed(&passed_over)
            );
            return Err(Refusal::Busy(text));
        }
        Ok(Choice {
            ranked,
            passed_over,
            why: sentence,
        })
    }

    fn seat<'a>(&'a self, tenant: &'a Tenant) -> Result<Seat<'a>, Fault<'a>> {
        let replica = &tenant.replica;
        match replica.state {
            ReplicaState::Ready => {}
            ReplicaState::Starting => return Err(Fault::Replica("is starting")),
            ReplicaState::Draining => return Err(Fault::Replica("is draining")),
            ReplicaState::Failed => return Err(Fault::Replica("has failed")),
        }
        let mut seat = Seat {
            replica,
            node: None,
            is_degraded: false,
            node_taken: 0,
            sent: tenant.sent,
        };
        let Some(home) = self.homes.get(tenant.home) else {
            return Ok(seat);
        };
        seat.node_taken = home.taken;
        if let Some(node) = &home.node {
            seat.node = Some(node);
            seat.is_degraded = is_degraded(home, node, replica)?;
        }
        Ok(seat)
    }
}

/// Whether something that the replica runs on is degraded; what is lost is a fault.
fn is_degraded<'a>(home: &Home, node: &'a Node, replica: &'a Replica) -> Result<bool, Fault<'a>> {
    if node.health == Health::Lost {
        return Err(Fault::Node(node, "is lost"));
    }
    if node.draining {
        return Err(Fault::Node(node, "is draining"));
    }
    let mut degraded = node.health == Health::Degraded;
    if home.sick {
        for device in &node.devices {
            if device.health == Health::Healthy || !replica.devices.contains(&device.id) {
                continue;
            }
            if device.health == Health::Lost {
                return Err(Fault::Device(&device.id));
            }
            degraded = true;
        }
    }
    Ok(degraded)
}

/// Why a replica may not serve.
enum Fault<'a> {
    Replica(&'static str),
    Node(&'a Node, &'static str),
    Device(&'a str),
}

impl Fault<'_> {
    fn told(&self, tenant: &Tenant) -> String {
        match self {
            Self::Replica(what) => format!("replica {} {what}", tenant.replica.id),
            Self::Node(node, what) => format!("its node `{}` {what}", node.name),
            Self::Device(device) => format!("its device `{device}` is lost"),
        }
    }
}

/// The first few reasons, for a refusal.
fn listed(passed_over: &[Candidate]) -> String {
    let mut text = String::new();
    for (at, candidate) in passed_over.iter().take(3).enumerate() {
        text += if at == 0 { ": " } else { "; " };
        text += &candidate.why;
    }
    text
}

/// An answer of usual length, to weigh the time to the first token against the time of those that follow.
const ANSWER_TOKENS: u64 = 64;
