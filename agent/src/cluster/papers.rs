//! The node's own certificate: obtained, renewed at half of its life, shown to the network.

use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use skep_core::AuthorityId;

use super::files::Papers;
use super::life::Life;
use super::{ClusterError, authorities, invite};
use crate::keys::unix_now_s;
use crate::net::{Ask, Credentials, Welcome};
use crate::pki::{pin, validity};

impl Life {
    /// What this node shows others; none before it has a certificate.
    pub(super) fn credentials(&self) -> Option<Credentials> {
        let papers = self.papers()?;
        let active = self.active_face(&papers).unwrap_or_else(|error| {
            tracing::error!(%error, "machines with a new token cannot be let in");
            None
        });
        Some(Credentials {
            certificate: papers.certificate(),
            authority: papers.authority(),
            key: self.parts.identity.private_key(),
            others: active.into_iter().collect(),
        })
    }

    /// From now on this certificate is shown. Connections that are open stay.
    pub(super) fn take_papers(&self, papers: Papers) -> Result<(), ClusterError> {
        self.files.set_papers(&papers)?;
        *self.papers.lock().unwrap_or_else(PoisonError::into_inner) = Some(papers);
        if let (Some(net), Some(credentials)) = (self.net(), self.credentials()) {
            net.links.show(&credentials)?;
        }
        Ok(())
    }

    /// The leader's certificate from the active authority, while its papers are from another: new tokens
    /// pin the active one.
    fn active_face(
        &self,
        papers: &Papers,
    ) -> Result<Option<(CertificateDer<'static>, CertificateDer<'static>)>, ClusterError> {
        let active = authorities::active(&self.keeper.view());
        if !self.leads() || active.is_none_or(|active| active == papers.authority()) {
            return Ok(None);
        }
        let papers = self.sign(&self.request()?)?;
        Ok(Some((papers.certificate(), papers.authority())))
    }

    /// Signs a request with the cluster's active authority.
    pub(super) fn sign(&self, request: &[u8]) -> Result<Papers, ClusterError> {
        let active = self.keeper.view().active_authority().map(|(id, _)| id);
        self.sign_with(active, request)
    }

    fn sign_with(
        &self,
        authority: Option<AuthorityId>,
        request: &[u8],
    ) -> Result<Papers, ClusterError> {
        let authority = authority.ok_or_else(|| ClusterError::Damaged(self.files.log()))?;
        let authority = self.authority(authority)?;
        let cluster = self.cluster().ok_or(ClusterError::NoAddress)?;
        let life = self.parts.settings.certificate_life;
        let certificate = authority.issue(request, cluster, unix_now_s(), life)?;
        Ok(Papers {
            certificate: certificate.to_vec(),
            authority: authority.certificate().to_vec(),
        })
    }

    pub(super) fn request(&self) -> Result<Vec<u8>, ClusterError> {
        let request = self.parts.identity.request();
        request.map_err(|error| ClusterError::Denied(error.to_string()))
    }
}

/// The founding node certifies itself.
pub(super) fn renew_own(life: &Life) -> Result<(), ClusterError> {
    let elder = authorities::elder(&life.keeper.view(), life.parts.settings.certificate_life);
    let papers = life.sign_with(elder, &life.request()?)?;
    life.take_papers(papers)
}

/// Sees to it that the certificate never ends while the cluster is there.
pub(super) async fn keep_valid(life: Weak<Life>) {
    loop {
        let Some(now) = life.upgrade() else {
            return;
        };
        let mut changes = now.keeper.changes();
        // What changes from here on is news.
        changes.borrow_and_update();
        if now.leads() {
            now.tend_authorities().await;
        }
        let wait = match due_in(&now) {
            Some(wait) if !wait.is_zero() => wait,
            _ => match renew(&now).await {
                Ok(()) => LOOK_MIN,
                Err(error) => {
                    tracing::warn!(%error, "could not renew this node's certificate");
                    RETRY
                }
            },
        };
        drop(now);
        tokio::select! {
            () = tokio::time::sleep(wait.min(LOOK_MAX)) => {}
            // Another authority may sign now.
            changed = changes.changed(), if wait > RETRY => if changed.is_err() {
                return;
            },
        }
    }
}

/// How long until it is time for a new certificate; none when there is no certificate.
fn due_in(life: &Life) -> Option<Duration> {
    let papers = life.papers()?;
    let validity = validity(&papers.certificate())?;
    let signed = papers.authority();
    // After a change of authority the old one's certificates are replaced at once, but for the leader's.
    let view = life.keeper.view();
    let signs = if life.leads() {
        authorities::elder(&view, life.parts.settings.certificate_life)
    } else {
        view.active_authority().map(|(id, _)| id)
    };
    if signs.is_some_and(|id| pin(&signed) != Some(id.0)) {
        return Some(Duration::ZERO);
    }
    let now = unix_now_s();
    Some(Duration::from_secs(
        validity.half_unix_s().saturating_sub(now),
    ))
}

async fn renew(life: &Arc<Life>) -> Result<(), ClusterError> {
    if life.leads() {
        return renew_own(life);
    }
    let expired = life
        .papers()
        .and_then(|papers| validity(&papers.certificate()))
        .is_none_or(|validity| validity.left(unix_now_s()).is_zero());
    if expired {
        let welcome = invite::come_back(life).await?;
        return take_welcome(life, &welcome).await;
    }
    let link = life.leader_link().await?;
    let answer: Result<(Vec<u8>, Vec<u8>), String> =
        link.call(&Ask::Renew(life.request()?)).await?;
    let (certificate, authority) = answer.map_err(ClusterError::Denied)?;
    life.take_papers(Papers {
        certificate,
        authority,
    })?;
    tracing::info!("this node has a new certificate");
    Ok(())
}

/// A node that was away, or waited for its approval, is in again.
async fn take_welcome(life: &Arc<Life>, welcome: &Welcome) -> Result<(), ClusterError> {
    if welcome.pending {
        return Err(ClusterError::Denied(format!(
            "this node awaits approval: run `skep node approve {}` on another",
            life.parts.name
        )));
    }
    let authority = welcome.authorities.first().cloned().unwrap_or_default();
    life.take_papers(Papers {
        certificate: welcome.certificate.clone(),
        authority: CertificateDer::from(authority).to_vec(),
    })?;
    life.listen_if_wanted().await?;
    tracing::info!("this node is in the cluster again");
    Ok(())
}

/// After a renewal: the next is far off, but clocks move.
const LOOK_MIN: Duration = Duration::from_secs(1);

/// However far the next renewal is.
const LOOK_MAX: Duration = Duration::from_secs(600);

/// A cluster that is not reached, or an operator who thinks.
const RETRY: Duration = Duration::from_secs(2);
