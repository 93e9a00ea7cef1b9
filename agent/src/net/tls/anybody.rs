//! TLS with a node that nobody knows yet: it is to be adopted, and people are about to compare digits; or it is only asked
//! who it is, and believed as little as what anybody says on the local network.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, PeerIncompatible, SignatureScheme};

use super::{finish, refuse, short};

/// How a node calls one that it does not know: whoever answers is believed to be somebody, and no more. Where one is to be
/// adopted, what is said is bound to the session's exporter, and people compare what comes of it.
pub(in crate::net) fn stranger(protocol: &[u8]) -> Result<quinn::ClientConfig, Error> {
    let anybody = Anybody {
        provider: Arc::new(ring::default_provider()),
    };
    let config = rustls::ClientConfig::builder_with_provider(anybody.provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(anybody))
        .with_no_client_auth();
    finish(config, protocol)
}

/// Believes that whoever answers has the key of the certificate that it shows, and nothing else.
#[derive(Debug)]
struct Anybody {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        short(intermediates)
            .map(|()| ServerCertVerified::assertion())
            .map_err(|why| refuse("a node that nobody knows yet", &why))
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
