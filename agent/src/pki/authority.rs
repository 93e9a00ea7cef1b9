//! The cluster's own authority: a key pair that signs its nodes' certificates and nothing else.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ED25519, PublicKeyData,
    SerialNumber,
};
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer};
use skep_core::{ClusterId, NodeId};
use time::OffsetDateTime;

use super::certificate::name;
use super::node_of;
use crate::paths::replace_durably;

/// The cluster's authority with its private key. Its `Debug` shows no secret.
pub struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// Why there is no authority, or no certificate from it.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The key's file could not be read or written.
    #[error("could not read or write the authority's key `{path}`")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What the file holds is no key, or the key of another authority.
    #[error("`{path}` is not the key of this cluster's authority; restore it from a backup")]
    Damaged {
        /// Which.
        path: PathBuf,
    },
    /// The signing request cannot be read, its signature is wrong or its key is of another kind.
    #[error("the signing request is not one: {0}")]
    Request(String),
    /// Making a key or a certificate failed.
    #[error("could not make a certificate")]
    Make(#[source] rcgen::Error),
}

impl Authority {
    /// A new authority for a cluster, valid from `now` for ten years.
    ///
    /// # Errors
    /// When no key could be made.
    pub fn create(cluster: ClusterId, now_unix_s: u64) -> Result<Self, AuthorityError> {
        let key = KeyPair::generate_for(&PKCS_ED25519).map_err(AuthorityError::Make)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, format!("skep {cluster}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        params.serial_number = Some(serial()?);
        params.not_before = moment(now_unix_s.saturating_sub(SKEW.as_secs()));
        params.not_after = moment(now_unix_s.saturating_add(AUTHORITY_LIFE.as_secs()));
        let certificate = params
            .self_signed(&key)
            .map_err(AuthorityError::Make)?
            .der()
            .clone();
        let issuer = Issuer::new(params, key);
        Ok(Self {
            certificate,
            issuer,
        })
    }

    /// The authority with this certificate, whose key is in a file.
    ///
    /// # Errors
    /// When the file cannot be read or holds another key; it is left as it is.
    pub fn load(certificate: CertificateDer<'static>, path: &Path) -> Result<Self, AuthorityError> {
        let damaged = || AuthorityError::Damaged { path: path.into() };
        let text = std::fs::read_to_string(path).map_err(|source| AuthorityError::File {
            path: path.into(),
            source,
        })?;
        let key = KeyPair::from_pem(&text).map_err(|_| damaged())?;
        if super::spki(&certificate).as_deref() != Some(key.subject_public_key_info().as_slice()) {
            return Err(damaged());
        }
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(|_| damaged())?;
        Ok(Self {
            certificate,
            issuer,
        })
    }

    /// Puts the private key into a file that its owner alone may read; durable when this returns.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), AuthorityError> {
        let text = self.issuer.key().serialize_pem();
        replace_durably(path, text.as_bytes()).map_err(|source| AuthorityError::File {
            path: path.into(),
            source,
        })
    }

    /// What nodes trust.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Which node a signing request comes from: whoever has the private key of the request.
    ///
    /// # Errors
    /// [`AuthorityError::Request`].
    pub fn requester(request: &[u8]) -> Result<(NodeId, Vec<u8>), AuthorityError> {
        let request = read(request)?;
        let key = request.public_key.subject_public_key_info();
        Ok((node_of(&key), key))
    }

    /// A certificate for the node that made the request, valid from `now` for `life`. Whatever else
    /// the request asks for is not given.
    ///
    /// # Errors
    /// [`AuthorityError::Request`], or when signing failed.
    pub fn issue(
        &self,
        request: &[u8],
        cluster: ClusterId,
        now_unix_s: u64,
        life: Duration,
    ) -> Result<CertificateDer<'static>, AuthorityError> {
        let usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        self.issue_for(request, cluster, now_unix_s, life, usages)
    }

    fn issue_for(
        &self,
        request: &[u8],
        cluster: ClusterId,
        now_unix_s: u64,
        life: Duration,
        usages: Vec<ExtendedKeyUsagePurpose>,
    ) -> Result<CertificateDer<'static>, AuthorityError> {
        let request = read(request)?;
        let node = node_of(&request.public_key.subject_public_key_info());
        let mut params =
            CertificateParams::new(vec![name(node, cluster)]).map_err(AuthorityError::Make)?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = usages;
        params.serial_number = Some(serial()?);
        params.not_before = moment(now_unix_s.saturating_sub(SKEW.as_secs()));
        params.not_after = moment(now_unix_s.saturating_add(life.as_secs()));
        let certificate = params
            .signed_by(&request.public_key, &self.issuer)
            .map_err(AuthorityError::Make)?;
        Ok(certificate.der().clone())
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

fn read(request: &[u8]) -> Result<CertificateSigningRequestParams, AuthorityError> {
    if request.len() > REQUEST_BYTES_MAX {
        return Err(AuthorityError::Request("it is too long".into()));
    }
    let request = CertificateSigningRequestDer::from(request.to_vec());
    let request = CertificateSigningRequestParams::from_der(&request)
        .map_err(|error| AuthorityError::Request(error.to_string()))?;
    if request.public_key.algorithm() != &PKCS_ED25519 {
        return Err(AuthorityError::Request("its key is not Ed25519".into()));
    }
    Ok(request)
}

fn serial() -> Result<SerialNumber, AuthorityError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| AuthorityError::Make(rcgen::Error::RingUnspecified))?;
    // Positive, as RFC 5280 section 4.1.2.2 wants it.
    bytes[0] &= 0x7f;
    Ok(SerialNumber::from_slice(&bytes))
}

fn moment(unix_s: u64) -> OffsetDateTime {
    i64::try_from(unix_s)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Ten years: as long as machines last. It is replaced with overlap at any time.
const AUTHORITY_LIFE: Duration = Duration::from_secs(3_653 * 86_400);

/// How far the clocks of two machines may differ: a certificate begins so long before it is made.
const SKEW: Duration = Duration::from_secs(15 * 60);

/// Ours have some 200 bytes.
const REQUEST_BYTES_MAX: usize = 4_096;

#[cfg(test)]
mod tests;
