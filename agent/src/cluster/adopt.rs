//! Adopting a node: a machine that stands alone becomes a member without anybody copying a token, because
//! two people, or one who walks, saw the same six digits on both machines.
//!
//! Decides who can be adopted (a node that is alone, while somebody lets it wait for that), how often it
//! may be tried, and that nothing is given away before a person has confirmed on both sides. Refuses to know the
//! digits (`pki::compare`) and the connection (`net::adopt`). Once both have confirmed, a token that is good once
//! goes over that connection, and the rest is joining as ever.

mod error;
mod ledger;
mod talk;
mod tries;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use skep_core::state::Role;

pub use self::error::AdoptionError;
pub(super) use self::ledger::Adoptions;
pub(super) use self::talk::answer;

use super::life::Life;
use super::{Cluster, ClusterError};
use crate::net::{AdoptError, Compared, Heard, Myself, Socket, answers, call_to_adopt};

/// One adoption, as either side shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adoption {
    pub id: String,
    pub role: AdoptionRole,
    pub state: AdoptionState,
    /// What both machines show, as `042 917`.
    pub code: String,
    /// What the other machine says that it is called.
    pub name: String,
    /// Its identity; it has proved the key.
    pub node: String,
    /// Its release, as it says.
    pub version: String,
    pub address: SocketAddr,
    pub started_unix_s: u64,
    /// Whether somebody has confirmed the digits on this machine.
    pub confirmed_here: bool,
    /// Whether somebody has on the other.
    pub confirmed_there: bool,
    /// Why it came to nothing.
    pub why: Option<String>,
}

/// Which side of it this node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdoptionRole {
    /// The other node becomes a member of this one's cluster.
    Adopter,
    /// This node becomes a member of the other's.
    Adopted,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdoptionState {
    /// People compare digits.
    Comparing,
    /// Confirmed here; the other side, or the joining, is waited for.
    Confirmed,
    Joined,
    /// A person said no, here or there.
    Refused,
    /// It broke off, or nobody came to compare.
    Failed,
}

/// Whether this node waits to be adopted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    pub open: bool,
    /// When it ends by itself.
    pub until_unix_s: Option<u64>,
    /// How often it may still be tried.
    pub tries_left: u32,
    /// Why it is not open any more, where that was not its time or somebody's wish.
    pub why: Option<String>,
}

impl AdoptionState {
    /// Whether nothing more comes of it.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Joined | Self::Refused | Self::Failed)
    }
}

impl Cluster {
    /// Lets this node be adopted for a while: it listens, says so on the local network, and shows digits to
    /// whoever tries. Said again, it begins anew.
    ///
    /// # Errors
    /// When it is not alone, or cannot listen.
    pub async fn offer(&self, time: Duration) -> Result<Offer, ClusterError> {
        let _changing = self.0.changing.lock().await;
        let life = self.life();
        if !life.leads() || !life.is_alone() {
            return Err(AdoptionError::NotAlone.into());
        }
        let until = Instant::now() + time;
        life.adoptions.open(until, time);
        if let Err(error) = life.listen().await {
            life.adoptions.close(None);
            return Err(error);
        }
        life.announce_again();
        tracing::info!(for_s = time.as_secs(), "waits to be adopted");
        let (cluster, adoptions) = (Arc::downgrade(&self.0), life.adoptions.clone());
        tokio::spawn(async move {
            tokio::time::sleep_until(until.into()).await;
            // Somebody may have let it wait for longer since.
            if let Some(inner) = cluster.upgrade()
                && !adoptions.is_offered()
            {
                Self(inner).settle_offer().await;
            }
        });
        Ok(life.adoptions.offer())
    }

    /// Lets nobody begin to adopt this node any more. What is being compared goes on.
    pub async fn withdraw_offer(&self) -> Offer {
        self.0.adoptions.close(None);
        self.settle_offer().await;
        self.0.adoptions.offer()
    }

    /// Whether this node waits to be adopted.
    #[must_use]
    pub fn offered(&self) -> Offer {
        self.0.adoptions.offer()
    }

    /// Every adoption that this node remembers, the newest first.
    #[must_use]
    pub fn adoptions(&self) -> Vec<Adoption> {
        self.0.adoptions.list()
    }

    /// One of them.
    ///
    /// # Errors
    /// When there is none of that id.
    pub fn adoption(&self, id: &str) -> Result<Adoption, ClusterError> {
        Ok(self.0.adoptions.find(id)?)
    }

    /// A person has seen the same digits on both machines.
    ///
    /// # Errors
    /// When there is no such adoption, or it is over.
    pub fn confirm_adoption(&self, id: &str) -> Result<Adoption, ClusterError> {
        Ok(self.0.adoptions.decide(id, true)?)
    }

    /// A person wants it no more; one that is over is forgotten.
    ///
    /// # Errors
    /// When there is no such adoption.
    pub fn refuse_adoption(&self, id: &str) -> Result<Adoption, ClusterError> {
        Ok(self.0.adoptions.decide(id, false)?)
    }

    /// Calls a node that waits to be adopted: its name, the beginning of its identity, or `HOST:PORT`. The digits
    /// are in what is given back; [`Cluster::confirm_adoption`] goes on.
    ///
    /// # Errors
    /// When it is not found, is not reached, says no, or does what only somebody between would.
    pub async fn adopt(&self, neighbour: &str) -> Result<Adoption, ClusterError> {
        let life = self.life();
        life.may_adopt()?;
        let places = life.find(neighbour).await?;
        life.adoptions.may_call(Instant::now())?;
        let compared = life.call_first(&places, &self.name()).await?;
        let stranger = &compared.stranger;
        let known = life.keeper.view().member(stranger.node).is_some();
        if known {
            let name = stranger.name.clone();
            compared.line.refuse("it is a member already").await;
            return Err(AdoptionError::Member(name).into());
        }
        let (adoption, record) = life
            .adoptions
            .take_up(AdoptionRole::Adopter, &compared.stranger, &compared.code)
            .ok_or(AdoptionError::Busy)?;
        tracing::info!(node = %adoption.node, name = adoption.name, "digits are compared with a node that is to be adopted");
        let talk = talk::adopter(self.clone(), record, compared.line, compared.stranger.node);
        tokio::spawn(talk);
        Ok(adoption)
    }

    /// What follows from an offer that is over, or an adoption that came to nothing.
    async fn settle_offer(&self) {
        let _changing = self.0.changing.lock().await;
        let life = self.life();
        life.announce_again();
        life.stop_listening_if_alone().await;
    }
}

impl Life {
    /// Whether this node's word lets anybody in.
    fn may_adopt(&self) -> Result<(), AdoptionError> {
        let view = self.keeper.view();
        let voter = view
            .member(self.me())
            .is_some_and(|member| member.role == Role::Voter);
        (voter || self.leads())
            .then_some(())
            .ok_or_else(|| AdoptionError::Worker(self.leader_name()))
    }

    /// Calls at each place until somebody answers.
    async fn call_first(
        &self,
        places: &[SocketAddr],
        name: &str,
    ) -> Result<Compared, ClusterError> {
        let any = SocketAddr::new(self.parts.settings.listen.ip(), 0);
        let socket = Socket::bind(any, &self.parts.identity, &self.parts.net)?;
        let me = Myself {
            identity: &self.parts.identity,
            name,
        };
        let mut last = None;
        for place in places {
            match call_to_adopt(&socket, *place, me).await {
                Ok(compared) => return Ok(compared),
                Err(error @ (AdoptError::Silent(_) | AdoptError::Failed { .. })) => {
                    last = Some(error);
                }
                // Whoever answers there is who was meant.
                Err(error) => return Err(AdoptionError::from(error).into()),
            }
        }
        let nowhere = || AdoptionError::NobodyWaits("it".to_owned());
        Err(last.map_or_else(nowhere, Into::into).into())
    }

    /// Where a node that waits to be adopted is reached.
    async fn find(&self, neighbour: &str) -> Result<Vec<SocketAddr>, AdoptionError> {
        if neighbour.contains(':') {
            let found = tokio::net::lookup_host(neighbour).await;
            let found = found.map_err(|error| AdoptionError::NoPlace {
                place: neighbour.escape_debug().take(PLACE_LETTERS).collect(),
                why: error.to_string(),
            })?;
            return Ok(found.take(PLACES_TRIED).collect());
        }
        let heard = self.heard().await;
        let (heard, _) = heard.map_err(|error| AdoptionError::Deaf(error.to_string()))?;
        let meant = |one: &Heard| {
            let by_id = one
                .node
                .is_some_and(|node| node.to_string().starts_with(neighbour));
            one.name == neighbour || (by_id && neighbour.len() >= ID_LETTERS)
        };
        let mut found: Vec<_> = heard.into_iter().filter(meant).collect();
        // What is said of a node that does not wait is no help, unless nobody does.
        if found.iter().any(|one| one.adoptable) {
            found.retain(|one| one.adoptable);
        }
        let shown = || neighbour.escape_debug().take(PLACE_LETTERS).collect();
        let [one] = found.as_slice() else {
            return Err(match found.is_empty() {
                true => AdoptionError::NobodyWaits(shown()),
                false => AdoptionError::Several {
                    name: shown(),
                    addresses: found.iter().flat_map(|one| one.addresses.clone()).collect(),
                },
            });
        };
        if !one.adoptable {
            return Err(AdoptionError::NobodyWaits(shown()));
        }
        let mut reached = Vec::new();
        for address in one.addresses.iter().take(PLACES_TRIED) {
            if answers(*address).await {
                reached.push(*address);
            }
        }
        match reached.is_empty() {
            true => Ok(one.addresses.iter().take(1).copied().collect()),
            false => Ok(reached),
        }
    }
}

/// As many as one machine has interfaces.
const PLACES_TRIED: usize = 8;

/// Of what was typed, how much is repeated.
const PLACE_LETTERS: usize = 128;

/// Fewer digits of an identity say too little.
const ID_LETTERS: usize = 4;
