//! Other ways to sign in, as they are set: what all of them have in common.
//!
//! Decides what a try tells, who somebody is that others know, and which certificates are believed. Refuses to know the protocols.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use skep_core::state::{Arrival, Door};
use zeroize::Zeroizing;

/// Why somebody was not let in whom others should know.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The name, or the password, or both.
    #[error("the name or the password is wrong, or the user is disabled")]
    Wrong,
    /// Known, and not one of those who may.
    #[error("you are known there, and not in a group that may sign in here")]
    NotLetIn,
    /// What they sent cannot be believed.
    #[error("what the provider sent is not believed: {0}")]
    NotBelieved(String),
    /// They cannot be asked.
    #[error("{0}")]
    Away(String),
    #[error("too many people sign in at once: try again in some seconds")]
    Busy,
    /// It is not set, or not as it can be read.
    #[error("{0}")]
    NotSet(String),
}

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub what: &'static str,
    pub ok: bool,
    /// What was seen.
    pub evidence: String,
    /// What mends it.
    pub remedy: Option<String>,
}

/// What a try came to.
#[derive(Clone, Debug, Default)]
pub struct Tried {
    pub checks: Vec<Check>,
    /// Whom the named user would be here.
    pub found: Option<Arrival>,
}

impl Tried {
    pub(super) fn good(&mut self, what: &'static str, evidence: impl Into<String>) {
        self.checks.push(Check {
            what,
            ok: true,
            evidence: evidence.into(),
            remedy: None,
        });
    }

    pub(super) fn bad(
        &mut self,
        what: &'static str,
        evidence: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.checks.push(Check {
            what,
            ok: false,
            evidence: evidence.into(),
            remedy: Some(remedy.into()),
        });
    }

    /// Whether nothing failed.
    #[must_use]
    pub fn is_good(&self) -> bool {
        !self.checks.is_empty() && self.checks.iter().all(|check| check.ok)
    }
}

/// A secret that goes along with settings.
pub type DoorSecret = Option<Zeroizing<String>>;

/// Under which name a node keeps a door's secret.
#[must_use]
pub fn secret_name(door: Door) -> &'static str {
    match door {
        Door::Ldap => "sign-in-ldap",
        Door::Oidc => "sign-in-oidc",
    }
}

/// The certificates in a PEM text.
pub(super) fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let read = read.map_err(|error| format!("the certificates are no PEM: {error}"))?;
    if read.is_empty() {
        return Err("there is no certificate in `certificates`".to_owned());
    }
    Ok(read)
}

/// TLS to a server whose certificate one of these signed; none: one that browsers believe.
pub(super) fn tls(pem: Option<&str>) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    match pem {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(pem) => {
            for certificate in certificates(pem)? {
                let added = roots.add(certificate);
                added.map_err(|error| format!("a certificate cannot be used: {error}"))?;
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let config = config.with_root_certificates(roots).with_no_client_auth();
    Ok(Arc::new(config))
}

/// Whether a host is this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost"
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}
