//! What is told of adopting nodes.

use serde::{Deserialize, Serialize};

pub use crate::cluster::{Adoption, AdoptionRole, AdoptionState, Offer};

/// `GET /api/v1/cluster/adoptions`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Adoptions {
    /// Those that this node remembers, the newest first.
    pub adoptions: Vec<Adoption>,
    /// Whether this node waits to be adopted.
    pub offer: Offer,
}

/// `POST /api/v1/cluster/adoptions`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdoptWish {
    /// Its name or the beginning of its identity, as `GET /api/v1/cluster/neighbours` tells, or `HOST:PORT`.
    pub neighbour: String,
}

/// `PUT /api/v1/cluster/offer`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OfferWish {
    /// For how long; a quarter of an hour by default.
    pub for_s: Option<u64>,
}
