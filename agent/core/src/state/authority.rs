//! Whose signatures the cluster trusts. One authority signs; others are trusted before they do and
//! for a while after, so that a change of authority cuts nobody off.

use serde::{Deserialize, Serialize};

use super::State;
use super::event::Event;
use super::refusal::Refusal;
use crate::ids::AuthorityId;
use crate::limits::{AUTHORITIES_MAX, CERTIFICATE_BYTES_MAX};

/// An authority's certificate, and what of it the state has to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Of its public key.
    pub id: AuthorityId,
    /// The certificate in DER.
    pub der: Vec<u8>,
    /// Seconds since 1970.
    pub valid_from: u64,
    /// Seconds since 1970.
    pub valid_until: u64,
}

/// An authority that is trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authority {
    /// The certificate in DER.
    pub der: Vec<u8>,
    /// Seconds since 1970.
    pub valid_from: u64,
    /// Seconds since 1970.
    pub valid_until: u64,
    /// Whether it signs.
    pub standing: AuthorityStanding,
    /// When it was added, seconds since 1970.
    pub added_at: u64,
}

/// Whether an authority signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthorityStanding {
    /// Not yet.
    Next,
    /// It does.
    Active,
    /// No more; what it signed still counts.
    Retiring {
        /// Seconds since 1970.
        since: u64,
    },
}

/// The authority that a cluster begins with.
pub(super) fn first(at: u64, certificate: &Certificate) -> Result<Authority, Refusal> {
    trusted(at, certificate, AuthorityStanding::Active)
}

fn trusted(
    at: u64,
    certificate: &Certificate,
    standing: AuthorityStanding,
) -> Result<Authority, Refusal> {
    let bytes = certificate.der.len();
    if bytes == 0 || bytes > CERTIFICATE_BYTES_MAX {
        return Err(Refusal::Length {
            what: "the certificate",
            bytes,
        });
    }
    if certificate.valid_until <= at.max(certificate.valid_from) {
        return Err(Refusal::Validity);
    }
    Ok(Authority {
        der: certificate.der.clone(),
        valid_from: certificate.valid_from,
        valid_until: certificate.valid_until,
        standing,
        added_at: at,
    })
}

impl State {
    pub(super) fn add_authority(
        &mut self,
        at: u64,
        certificate: &Certificate,
    ) -> Result<Vec<Event>, Refusal> {
        let authority = trusted(at, certificate, AuthorityStanding::Next)?;
        if self.authorities.contains_key(&certificate.id) {
            return Err(Refusal::AuthorityExists(certificate.id));
        }
        let kept = self.authorities.values().filter(|kept| !kept.is_over(at));
        if kept.count() >= AUTHORITIES_MAX {
            return Err(Refusal::TooManyAuthorities);
        }
        self.authorities.insert(certificate.id, authority);
        Ok(vec![Event::AuthorityAdded(certificate.id)])
    }

    pub(super) fn activate_authority(
        &mut self,
        at: u64,
        id: AuthorityId,
    ) -> Result<Vec<Event>, Refusal> {
        let chosen = self.authorities.get(&id);
        match chosen.map(|authority| (authority.standing, authority.valid_until)) {
            None => return Err(Refusal::UnknownAuthority(id)),
            Some((AuthorityStanding::Active, _)) => return Err(Refusal::AuthorityActive(id)),
            Some((_, until)) if until <= at => return Err(Refusal::Validity),
            Some(_) => {}
        }
        for (other, authority) in &mut self.authorities {
            if *other == id {
                authority.standing = AuthorityStanding::Active;
            } else if authority.standing == AuthorityStanding::Active {
                authority.standing = AuthorityStanding::Retiring { since: at };
            }
        }
        Ok(vec![Event::AuthorityActivated(id)])
    }

    pub(super) fn retire_authority(&mut self, id: AuthorityId) -> Result<Vec<Event>, Refusal> {
        match self.authorities.get(&id) {
            None => return Err(Refusal::UnknownAuthority(id)),
            Some(authority) if authority.standing == AuthorityStanding::Active => {
                return Err(Refusal::AuthorityActive(id));
            }
            Some(_) => {}
        }
        self.authorities.remove(&id);
        Ok(vec![Event::AuthorityRetired(id)])
    }

    pub(super) fn prune_authorities(&mut self, at: u64, events: &mut Vec<Event>) {
        self.authorities.retain(|id, authority| {
            let over = authority.is_over(at);
            if over {
                events.push(Event::AuthorityRetired(*id));
            }
            !over
        });
    }
}

impl Authority {
    /// The active one stays, however old: it is what a way back starts from.
    fn is_over(&self, at: u64) -> bool {
        self.standing != AuthorityStanding::Active && self.valid_until <= at
    }
}
