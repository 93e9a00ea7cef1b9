//! TLS to services elsewhere. Decides who is believed: the authorities that browsers trust, and those that the operator added.

use std::io;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use skep_core::capability::Host;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::SetupError;

/// Why there is no TLS with somebody.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("`{0}` is no name that a certificate has")]
    Name(String),
    /// The certificate is not believed; the text says why.
    #[error("its certificate is not believed: {0}")]
    Certificate(String),
    #[error("it speaks no TLS that is understood: {0}")]
    Protocol(String),
}

/// How all connections of a service are made.
pub(super) fn config(authorities: &[Vec<u8>]) -> Result<Arc<ClientConfig>, SetupError> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    for authority in authorities {
        roots
            .add(CertificateDer::from(authority.as_slice()))
            .map_err(|error| SetupError::Authority(error.to_string()))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| SetupError::Authority(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Starts TLS with the host that was checked.
pub(super) async fn start<S: AsyncRead + AsyncWrite + Unpin>(
    config: &Arc<ClientConfig>,
    host: &Host,
    alpn: Option<&[u8]>,
    stream: S,
) -> Result<TlsStream<S>, TlsError> {
    let name = match host {
        Host::Address(address) => ServerName::from(*address),
        Host::Name(name) | Host::Below(name) => {
            ServerName::try_from(name.clone()).map_err(|_| TlsError::Name(name.clone()))?
        }
    };
    let connector = TlsConnector::from(Arc::clone(config));
    let started = match alpn {
        Some(protocol) => {
            let connector = connector.with_alpn(vec![protocol.to_vec()]);
            connector.connect(name, stream).await
        }
        None => connector.connect(name, stream).await,
    };
    started.map_err(|error| wrong(&error))
}

fn wrong(error: &io::Error) -> TlsError {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::InvalidCertificate(why)) => TlsError::Certificate(why.to_string()),
        Some(other) => TlsError::Protocol(other.to_string()),
        None => TlsError::Protocol(error.to_string()),
    }
}
