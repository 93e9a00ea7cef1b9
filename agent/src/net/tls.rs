//! TLS between nodes: version 1.3 alone, both sides show a certificate of the cluster, no session is
//! resumed (a node that was removed in the meantime would slip in) and nothing is sent before the
//! handshake is over.
//!
//! What a refused peer is told is no more than that it was refused; the reason goes to our log.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible,
    SignatureScheme,
};

mod anybody;

pub(in crate::net) use self::anybody::stranger;

use super::roster::Gate;
use super::transport::transport;
use crate::pki::{self, Certified, Pin, Purpose, Refused};

/// What members speak.
pub(super) const MEMBERS: &[u8] = b"skep/1";

/// What a machine speaks that is no member: it asks for a certificate.
pub(super) const JOINERS: &[u8] = b"skep-join/1";

/// What a node speaks that adopts another, or is adopted: neither knows the other yet.
pub(super) const ADOPTERS: &[u8] = b"skep-adopt/1";

/// What somebody speaks who only wants to know who is there.
pub(super) const ASKERS: &[u8] = b"skep-who/1";

/// What this node shows: its certificate, the authority that gave it, and the key.
pub struct Credentials {
    /// The node's certificate.
    pub certificate: CertificateDer<'static>,
    /// The authority that signed it: a joiner compares its key with the token's pin.
    pub authority: CertificateDer<'static>,
    /// The node's private key.
    pub key: PrivateKeyDer<'static>,
    /// The same from other authorities, each certificate with the authority that signed it: for machines
    /// that know no other.
    pub others: Vec<(CertificateDer<'static>, CertificateDer<'static>)>,
}

impl Credentials {
    fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![self.certificate.clone(), self.authority.clone()]
    }

    fn faces(&self, provider: &CryptoProvider) -> Result<Faces, Error> {
        let certified = |chain| CertifiedKey::from_der(chain, self.key.clone_key(), provider);
        let usual = Arc::new(certified(self.chain())?);
        let mut others = Vec::new();
        for (certificate, authority) in &self.others {
            let Some(pin) = pki::pin(authority) else {
                continue;
            };
            let chain = vec![certificate.clone(), authority.clone()];
            others.push((pki::face(&pin), Arc::new(certified(chain)?)));
        }
        Ok(Faces { usual, others })
    }
}

/// What a node shows: its usual certificate, unless the caller asks for one from another authority.
#[derive(Debug)]
struct Faces {
    usual: Arc<CertifiedKey>,
    others: Vec<(String, Arc<CertifiedKey>)>,
}

impl ResolvesServerCert for Faces {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let asked = hello.server_name();
        let mut others = self.others.iter();
        let other = others.find(|(name, _)| Some(name.as_str()) == asked);
        Some(other.map_or_else(|| self.usual.clone(), |(_, certified)| certified.clone()))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// How this node answers.
pub(super) fn server(credentials: &Credentials, gate: &Gate) -> Result<quinn::ServerConfig, Error> {
    let members = Members::new(gate);
    let faces = credentials.faces(&members.provider)?;
    let mut config = rustls::ServerConfig::builder_with_provider(members.provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::new(members))
        .with_cert_resolver(Arc::new(faces));
    config.alpn_protocols = [MEMBERS, JOINERS, ADOPTERS, ASKERS]
        .map(<[u8]>::to_vec)
        .to_vec();
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    let config = QuicServerConfig::try_from(config).map_err(|_| no_suite())?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(config));
    super::transport::limit(&mut config);
    Ok(config)
}

/// How this node calls a member.
pub(super) fn client(credentials: &Credentials, gate: &Gate) -> Result<quinn::ClientConfig, Error> {
    let members = Members::new(gate);
    let config = rustls::ClientConfig::builder_with_provider(members.provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(members))
        .with_client_auth_cert(credentials.chain(), credentials.key.clone_key())?;
    finish(config, MEMBERS)
}

/// How a machine that is no member calls one: whom it trusts is the authority with this pin. The
/// authority's certificate is found in `met` after the handshake.
pub(super) fn joiner(
    pin: Pin,
    cluster: skep_core::ClusterId,
    met: &Met,
) -> Result<quinn::ClientConfig, Error> {
    let pinned = Pinned {
        pin,
        cluster,
        met: met.clone(),
        provider: Arc::new(ring::default_provider()),
    };
    let config = rustls::ClientConfig::builder_with_provider(pinned.provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(pinned))
        .with_no_client_auth();
    finish(config, JOINERS)
}

/// Whom a joiner met: the authority that has the token's pin, once it was seen.
pub(super) type Met = Arc<Mutex<Option<(Certified, CertificateDer<'static>)>>>;

fn finish(mut config: rustls::ClientConfig, alpn: &[u8]) -> Result<quinn::ClientConfig, Error> {
    config.alpn_protocols = vec![alpn.to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    config.enable_early_data = false;
    let config = QuicClientConfig::try_from(config).map_err(|_| no_suite())?;
    let mut config = quinn::ClientConfig::new(Arc::new(config));
    config.transport_config(Arc::new(transport()));
    Ok(config)
}

fn no_suite() -> Error {
    Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon)
}

/// Believes members of the cluster alone.
#[derive(Debug)]
struct Members {
    gate: Gate,
    provider: Arc<CryptoProvider>,
}

impl Members {
    fn new(gate: &Gate) -> Self {
        Self {
            gate: gate.clone(),
            provider: Arc::new(ring::default_provider()),
        }
    }

    fn check(
        &self,
        certificate: &CertificateDer<'_>,
        now: UnixTime,
        purpose: Purpose,
    ) -> Result<Certified, Refused> {
        let roster = self.gate.roster();
        let cluster = roster.cluster.ok_or(Refused::OtherCluster)?;
        let certified = pki::check(certificate, &roster.authorities, cluster, now, purpose)?;
        if !roster.members.contains(&certified.node) {
            return Err(Refused::Stranger);
        }
        Ok(certified)
    }
}

impl ClientCertVerifier for Members {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    /// Joiners have none; they are let no further than to the door (`entrance`).
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        short(intermediates)
            .and_then(|()| self.check(end_entity, now, Purpose::Client))
            .map(|_| ClientCertVerified::assertion())
            .map_err(|why| refuse("a node that called", &why))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

impl ServerCertVerifier for Members {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let checked = short(intermediates)
            .and_then(|()| self.check(end_entity, now, Purpose::Server))
            .and_then(|certified| {
                let name = pki::name(certified.node, certified.cluster);
                if server_name.to_str() == name {
                    Ok(())
                } else {
                    Err(Refused::OtherNode)
                }
            });
        checked
            .map(|()| ServerCertVerified::assertion())
            .map_err(|why| refuse("a node that was called", &why))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

/// Believes whom the authority with one key vouches for.
#[derive(Debug)]
struct Pinned {
    pin: Pin,
    cluster: skep_core::ClusterId,
    met: Met,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let check = || {
            short(intermediates)?;
            let authority = intermediates.first().ok_or(Refused::Untrusted)?;
            if pki::pin(authority) != Some(self.pin) {
                return Err(Refused::Untrusted);
            }
            let trusted = [authority.clone()];
            let certified = pki::check(end_entity, &trusted, self.cluster, now, Purpose::Server)?;
            Ok((certified, authority.clone().into_owned()))
        };
        match check() {
            Ok(met) => {
                *self.met.lock().unwrap_or_else(PoisonError::into_inner) = Some(met);
                Ok(ServerCertVerified::assertion())
            }
            Err(why) => Err(refuse("whoever answers for the cluster", &why)),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

/// A node's certificate and its authority's are all that is looked at.
fn short(intermediates: &[CertificateDer<'_>]) -> Result<(), Refused> {
    let fits = intermediates.len() <= 1
        && intermediates
            .iter()
            .all(|certificate| certificate.len() <= AUTHORITY_BYTES_MAX);
    fits.then_some(()).ok_or(Refused::Malformed)
}

/// The peer is told that it was refused; why, our log.
fn refuse(who: &str, why: &Refused) -> Error {
    match why {
        // Also one that joined a moment ago, of whom the log has not told here yet.
        Refused::Stranger => {
            tracing::info!(%why, "{who} showed a certificate that is not believed");
        }
        _ => tracing::warn!(%why, "{who} showed a certificate that is not believed"),
    }
    let error = match why {
        Refused::Expired => CertificateError::Expired,
        Refused::NotYetValid => CertificateError::NotValidYet,
        Refused::Malformed => CertificateError::BadEncoding,
        _ => CertificateError::ApplicationVerificationFailure,
    };
    Error::InvalidCertificate(error)
}

/// Ours have some 400 bytes.
const AUTHORITY_BYTES_MAX: usize = 4_096;
