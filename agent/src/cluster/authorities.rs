//! The cluster's authorities: what people see of them, and how one takes over from another.
//!
//! A change overlaps: the new one is trusted by every node before it signs, and the old one after it signs
//! no more, until the last certificate from it is over.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use skep_core::AuthorityId;
use skep_core::state::{Action, AuthorityStanding, Certificate, State};

use super::life::Life;
use super::{ClusterError, papers};
use crate::keys::unix_now_s;
use crate::pki::{Authority, pin, validity};

/// An authority, for people.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuthorityStatus {
    /// SHA-256 of its public key: what tokens pin.
    pub pin: String,
    /// `next`, `active` or `retiring`.
    pub standing: String,
    pub valid_from_unix_s: u64,
    pub valid_until_unix_s: u64,
    /// Less than 30 days are left: time for `skep ca rotate`.
    pub ends_soon: bool,
}

/// What the state has to know of an authority; none when it cannot be read.
pub(super) fn describe(authority: &Authority) -> Option<Certificate> {
    let der = authority.certificate();
    let validity = validity(der)?;
    Some(Certificate {
        id: AuthorityId(pin(der)?),
        der: der.to_vec(),
        valid_from: validity.from_unix_s,
        valid_until: validity.until_unix_s,
    })
}

/// Every authority that is trusted.
pub(super) fn list(state: &State) -> Vec<AuthorityStatus> {
    let now = unix_now_s();
    state
        .authorities()
        .map(|(id, authority)| AuthorityStatus {
            pin: id.to_string(),
            standing: match authority.standing {
                AuthorityStanding::Next => "next".into(),
                AuthorityStanding::Active => "active".into(),
                AuthorityStanding::Retiring { .. } => "retiring".into(),
            },
            valid_from_unix_s: authority.valid_from,
            valid_until_unix_s: authority.valid_until,
            ends_soon: authority.valid_until < now.saturating_add(WARNING.as_secs()),
        })
        .collect()
}

/// The active authority's certificate.
pub(super) fn active(state: &State) -> Option<CertificateDer<'static>> {
    let (_, authority) = state.active_authority()?;
    Some(authority.der.clone().into())
}

/// The authority that signs the leader's own certificate: while one retires, that one. A node that was
/// away when another took over knows no other, and learns of it from the leader alone.
pub(super) fn elder(state: &State, certificate_life: Duration) -> Option<AuthorityId> {
    let now = unix_now_s();
    let retiring = state
        .authorities()
        .filter_map(|(id, authority)| match authority.standing {
            AuthorityStanding::Retiring { since } => Some((since, id)),
            _ => None,
        });
    retiring
        .filter(|(since, _)| now <= overlap_end(*since, certificate_life))
        .min()
        .map(|(_, id)| id)
        .or_else(|| state.active_authority().map(|(id, _)| id))
}

/// When an authority that retires since then is needed no more: the last certificate from it is over, and
/// as much time again has passed for nodes that were away.
fn overlap_end(since: u64, certificate_life: Duration) -> u64 {
    since.saturating_add(2 * certificate_life.as_secs())
}

impl Life {
    /// An authority with its key: only where it was made.
    pub(super) fn authority(&self, id: AuthorityId) -> Result<Authority, ClusterError> {
        let view = self.keeper.view();
        let (_, found) = view
            .authorities()
            .find(|(known, _)| *known == id)
            .ok_or_else(|| ClusterError::Damaged(self.files.log()))?;
        let certificate = CertificateDer::from(found.der.clone());
        Ok(Authority::load(certificate, &self.files.authority(id))?)
    }

    /// A new authority signs from now on. Every node that is reached trusts it before it does.
    pub(super) async fn rotate(self: &Arc<Self>) -> Result<AuthorityStatus, ClusterError> {
        if !self.leads() {
            let leader = self.leader_name();
            return Err(ClusterError::Denied(format!(
                "the authority's key is on `{leader}`: run this there"
            )));
        }
        let cluster = self.cluster().ok_or(ClusterError::NoAddress)?;
        let authority = Authority::create(cluster, unix_now_s())?;
        let certificate =
            describe(&authority).ok_or_else(|| ClusterError::Damaged(self.files.log()))?;
        let id = certificate.id;
        authority.save(&self.files.authority(id))?;
        self.decide(Action::AddAuthority(certificate)).await?;
        tokio::time::sleep(SPREAD).await;
        self.decide(Action::ActivateAuthority(id)).await?;
        papers::renew_own(self)?;
        let listed = list(&self.keeper.view());
        let new = listed.into_iter().find(|one| one.pin == id.to_string());
        new.ok_or_else(|| ClusterError::Damaged(self.files.log()))
    }

    /// Retires authorities whose last certificate is over, and warns of those that end soon.
    pub(super) async fn tend_authorities(&self) {
        let state = self.keeper.view();
        let now = unix_now_s();
        let life = self.parts.settings.certificate_life;
        for (id, authority) in state.authorities() {
            let left = authority.valid_until.saturating_sub(now);
            match authority.standing {
                // After the leader itself has let go of it (`elder`).
                AuthorityStanding::Retiring { since }
                    if now > overlap_end(since, life).saturating_add(RETIRE_GRACE_S) =>
                {
                    let retired = self.decide(Action::RetireAuthority(id)).await;
                    if let Err(error) = retired {
                        tracing::warn!(%error, "could not retire an authority");
                    }
                }
                AuthorityStanding::Active if left < WARNING.as_secs() => {
                    let days = left / 86_400;
                    tracing::warn!(
                        days,
                        "the cluster's authority ends soon; run `skep ca rotate`"
                    );
                }
                _ => {}
            }
        }
    }
}

/// For a handshake that began before.
const RETIRE_GRACE_S: u64 = 1;

/// How long before its end an authority is warned of.
const WARNING: Duration = Duration::from_secs(30 * 86_400);

/// How long a new authority is known before it signs; the log reaches every node in less.
const SPREAD: Duration = Duration::from_secs(2);
