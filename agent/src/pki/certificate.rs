//! What a node's certificate says, and whether to believe it.
//!
//! A certificate names one node of one cluster: `<node id>.<cluster id>.skep` is its only name. It is
//! signed by one of the cluster's authorities directly; a chain through others is not looked at.

use std::time::Duration;

use rustls::pki_types::{CertificateDer, UnixTime};
use skep_core::{ClusterId, NodeId};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::node_of;

/// A certificate and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certified {
    /// Whose.
    pub node: NodeId,
    /// Of which cluster.
    pub cluster: ClusterId,
}

/// What the peer uses its certificate for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It was connected to.
    Server,
    /// It connects.
    Client,
}

/// From when until when a certificate holds, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first second.
    pub from_unix_s: u64,
    /// The last second.
    pub until_unix_s: u64,
}

/// Why a certificate is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It cannot be read.
    #[error("it is not a certificate that can be read")]
    Malformed,
    /// No authority of the cluster signed it.
    #[error("no authority of this cluster signed it")]
    Untrusted,
    /// Its time is over.
    #[error("it has expired")]
    Expired,
    /// Its time has not come; one of the two clocks is wrong.
    #[error("it is not valid yet: check the clocks of both machines")]
    NotYetValid,
    /// It is for other purposes.
    #[error("it may not be used for this")]
    Purpose,
    /// It names another cluster, or none.
    #[error("it is not for a node of this cluster")]
    OtherCluster,
    /// Its key is not the key of the node that it names.
    #[error("its key is not the key of the node that it names")]
    OtherKey,
    /// It is for another node than the one that was asked for.
    #[error("it belongs to another node than the one that was called")]
    OtherNode,
    /// The cluster has no such node (any more).
    #[error("the cluster has no such node")]
    Stranger,
}

/// The name that a node's certificate bears.
#[must_use]
pub fn name(node: NodeId, cluster: ClusterId) -> String {
    format!("{node}.{cluster}.skep")
}

/// Whose certificate this is, when `authorities` vouch for it at `now`.
///
/// # Errors
/// [`Refused`], never [`Refused::Stranger`] or [`Refused::OtherNode`]: who is a member, and who was
/// called, the caller knows.
pub fn check(
    certificate: &CertificateDer<'_>,
    authorities: &[CertificateDer<'_>],
    cluster: ClusterId,
    now: UnixTime,
    purpose: Purpose,
) -> Result<Certified, Refused> {
    if certificate.len() > CERTIFICATE_BYTES_MAX {
        return Err(Refused::Malformed);
    }
    let entity = EndEntityCert::try_from(certificate).map_err(|_| Refused::Malformed)?;
    let anchors: Vec<_> = authorities
        .iter()
        .filter_map(|authority| anchor_from_trusted_cert(authority).ok())
        .collect();
    let usage = match purpose {
        Purpose::Server => KeyUsage::server_auth(),
        Purpose::Client => KeyUsage::client_auth(),
    };
    entity
        .verify_for_usage(
            &[webpki::ring::ED25519],
            &anchors,
            &[],
            now,
            usage,
            None,
            None,
        )
        .map_err(|error| match error {
            webpki::Error::CertExpired { .. } => Refused::Expired,
            webpki::Error::CertNotValidYet { .. } => Refused::NotYetValid,
            webpki::Error::RequiredEkuNotFoundContext(_) | webpki::Error::EmptyEkuExtension => {
                Refused::Purpose
            }
            webpki::Error::UnknownIssuer => Refused::Untrusted,
            _ => Refused::Malformed,
        })?;
    let mut names = entity.valid_dns_names();
    let named = names.next().and_then(parse).ok_or(Refused::OtherCluster)?;
    if names.next().is_some() || named.cluster != cluster {
        return Err(Refused::OtherCluster);
    }
    if node_of(&entity.subject_public_key_info()) != named.node {
        return Err(Refused::OtherKey);
    }
    Ok(named)
}

/// The public key in a certificate, as DER; none when it cannot be read.
#[must_use]
pub fn spki(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let entity = EndEntityCert::try_from(certificate);
    if let Ok(entity) = entity {
        return Some(entity.subject_public_key_info().to_vec());
    }
    // An authority's certificate is none of an end entity.
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    Some(parsed.tbs_certificate.subject_pki.raw.to_vec())
}

/// When a certificate holds; none when it cannot be read.
#[must_use]
pub fn validity(certificate: &CertificateDer<'_>) -> Option<Validity> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let validity = &parsed.tbs_certificate.validity;
    let seconds = |time: x509_parser::time::ASN1Time| u64::try_from(time.timestamp()).ok();
    Some(Validity {
        from_unix_s: seconds(validity.not_before)?,
        until_unix_s: seconds(validity.not_after)?,
    })
}

impl Validity {
    /// When it is time for the next one: half of its life is over.
    #[must_use]
    pub fn half_unix_s(&self) -> u64 {
        self.from_unix_s / 2 + self.until_unix_s / 2
    }

    /// How long it still holds at `now`, in seconds since 1970.
    #[must_use]
    pub fn left(&self, now_unix_s: u64) -> Duration {
        Duration::from_secs(self.until_unix_s.saturating_sub(now_unix_s))
    }
}

fn parse(name: &str) -> Option<Certified> {
    let mut labels = name.split('.');
    let node = labels.next()?.parse().ok()?;
    let cluster = labels.next()?.parse().ok()?;
    let ends = labels.next() == Some("skep") && labels.next().is_none();
    ends.then_some(Certified { node, cluster })
}

/// Ours have some 400 bytes.
const CERTIFICATE_BYTES_MAX: usize = 4_096;
