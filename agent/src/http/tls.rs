//! The certificate that the listener shows, read from the operator's files, or had by ACME.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ResolvesServerCert;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::TlsAcceptor;

use crate::acme::{PROOF_PROTOCOL, Shown};
use crate::config::TlsFiles;

/// Why TLS cannot be served. Nothing listens.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("could not read the {what} `{path}`, which must be PEM")]
    Read {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: pem::Error,
    },
    #[error("there is no certificate in `{0}`")]
    Empty(PathBuf),
    #[error("the key does not fit the certificate")]
    Pair(#[source] rustls::Error),
}

/// Reads certificate and key once; TLS 1.2 and 1.3, HTTP/1.1 only.
///
/// # Errors
/// When a file cannot be read, is not PEM, or the two do not belong together.
pub(super) fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, TlsError> {
    let shown = SingleCertAndKey::from(read(files)?);
    serve(Arc::new(shown), &[HTTP])
}

/// The same, where an authority's certificate comes and goes beside the one in the files.
///
/// # Errors
/// As for [`acceptor`].
pub(super) fn changing(files: &TlsFiles) -> Result<(TlsAcceptor, Arc<Shown>), TlsError> {
    let shown = Arc::new(Shown::new(read(files)?));
    Ok((serve(shown.clone(), &[HTTP, PROOF_PROTOCOL])?, shown))
}

fn read(files: &TlsFiles) -> Result<CertifiedKey, TlsError> {
    let chain: Vec<_> = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect)
        .map_err(|source| read_error("certificate", &files.certificate, source))?;
    if chain.is_empty() {
        return Err(TlsError::Empty(files.certificate.clone()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|source| read_error("private key", &files.key, source))?;
    let provider = rustls::crypto::ring::default_provider();
    CertifiedKey::from_der(chain, key, &provider).map_err(TlsError::Pair)
}

fn serve(shown: Arc<dyn ResolvesServerCert>, protocols: &[&[u8]]) -> Result<TlsAcceptor, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Pair)?
        .with_no_client_auth()
        .with_cert_resolver(shown);
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(TlsAcceptor::from(Arc::new(config)))
}

const HTTP: &[u8] = b"http/1.1";

fn read_error(what: &'static str, path: &Path, source: pem::Error) -> TlsError {
    TlsError::Read {
        what,
        path: path.into(),
        source,
    }
}
