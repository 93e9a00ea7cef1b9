//! The certificate that the listener shows, read from the operator's files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

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
    let chain: Vec<_> = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect)
        .map_err(|source| read_error("certificate", &files.certificate, source))?;
    if chain.is_empty() {
        return Err(TlsError::Empty(files.certificate.clone()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|source| read_error("private key", &files.key, source))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Pair)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(TlsError::Pair)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn read_error(what: &'static str, path: &Path, source: pem::Error) -> TlsError {
    TlsError::Read {
        what,
        path: path.into(),
        source,
    }
}
