//! Models that upstreams of this node answer for, as replicas that take no room.
//!
//! Decides that a model of which somebody has files is theirs: an upstream that offers the same name stands back.
//! Refuses to know how an upstream is reached.

use std::sync::Arc;

use skep_core::{Replica, ReplicaId, ReplicaState};

use super::{FIRST_ELSEWHERE, ModelFacts, Router, facts};
use crate::fleet::{self, Exchange, SubmitError};
use crate::protocol::{ModelInfo, Work};

/// What upstreams of this node answer for.
pub trait Offers: std::fmt::Debug + Send + Sync {
    /// Every model that an upstream answers for, or would if it were well.
    fn offered(&self) -> Vec<Offered>;

    /// Hands a request to an upstream. Dropping the `Exchange` cancels it.
    ///
    /// # Errors
    /// When the upstream takes none now.
    fn submit(&self, replica: ReplicaId, work: Arc<Work>) -> Result<Exchange, SubmitError>;
}

/// A model that an upstream answers for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// From [`FIRST_OFFERED`]; never used twice while the agent runs.
    pub id: ReplicaId,
    /// What clients call it.
    pub model: Arc<str>,
    /// The upstream's name.
    pub upstream: Arc<str>,
    /// Its plugin.
    pub plugin: Arc<str>,
    pub state: ReplicaState,
    /// Requests under way.
    pub running: u32,
    /// How many it takes at once.
    pub capacity: u32,
    pub info: Option<ModelInfo>,
}

impl Offered {
    pub(super) fn facts(&self) -> ModelFacts {
        ModelFacts {
            fingerprint: format!("fp_{}", self.upstream),
            info: self.info.clone(),
        }
    }
}

impl Router {
    /// What upstreams answer for from now on.
    pub fn set_offers(&self, offers: Arc<dyn Offers>) {
        *facts::lock(&self.shared.offers) = Some(offers);
        self.offers_changed();
    }

    /// Takes in what upstreams answer for now.
    pub fn offers_changed(&self) {
        if facts::lock(&self.shared.offers).is_some() {
            self.look();
        }
    }

    /// What upstreams of this node answer for, without the models of which somebody has files.
    #[must_use]
    pub fn offered(&self) -> Vec<Offered> {
        let offers = facts::lock(&self.shared.offers).clone();
        let mut offered = offers.map_or_else(Vec::new, |offers| offers.offered());
        if !offered.is_empty() {
            let state = self.state();
            offered.retain(|offer| {
                let view = state.core.model(&offer.model);
                view.is_none_or(|view| !view.on_disk && view.at.is_empty())
            });
        }
        offered
    }

    /// Every replica that an upstream answers for, of all nodes.
    #[must_use]
    pub fn upstream_replicas(&self) -> Vec<Replica> {
        let state = self.state();
        let replicas = state.core.registry().replicas();
        replicas
            .filter(|replica| replica.upstream().is_some())
            .cloned()
            .collect()
    }

    /// Hands work to a replica of this node.
    pub(super) fn submit_here(
        &self,
        replica: u64,
        work: Arc<Work>,
    ) -> Result<Exchange, SubmitError> {
        if replica < FIRST_OFFERED {
            return self.shared.fleet.submit(fleet::ReplicaId(replica), work);
        }
        let gone = || SubmitError::Unknown(fleet::ReplicaId(replica));
        let offers = facts::lock(&self.shared.offers).clone().ok_or_else(gone)?;
        offers.submit(ReplicaId(replica), work)
    }

    pub(super) fn offer_for_core(&self, offer: &Offered) -> Replica {
        let means = self.shared.latencies.of(offer.id.0);
        Replica {
            id: offer.id,
            model: offer.model.clone(),
            node: self.shared.node,
            devices: vec![format!("{}{}", Replica::UPSTREAM, offer.upstream).into()],
            state: offer.state.clone(),
            running: offer.running,
            waiting: 0,
            capacity: offer.capacity,
            cache_pages: 0,
            cache_pages_used: 0,
            first_token_us: means.first_token_us,
            token_us: means.token_us,
        }
    }
}

/// Replicas that upstreams answer for are numbered from here, up to [`FIRST_ELSEWHERE`].
pub const FIRST_OFFERED: u64 = FIRST_ELSEWHERE / 2;
