//! Asking an authority over HTTPS: one connection for each question.
//!
//! Decides which authority of TLS is believed, and that nothing it says or withholds takes more than its bounds. Refuses to know
//! what is asked.

use std::error::Error as StdError;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Full, Limited};
use hyper::body::Body;
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::AcmeError;
use crate::keys::unix_now_s;
use crate::limits::{ACME_ANSWER_BYTES, ACME_ANSWER_TIMEOUT, ACME_ASKED_PAUSE_MAX};

/// The way to an authority. Copies share what it asked us to wait.
#[derive(Clone)]
pub(super) struct Authority {
    tls: TlsConnector,
    /// Until when it wants to be left alone, in seconds since 1970; 0: it does not say.
    pause: Arc<AtomicU64>,
}

/// No answer came: the authority was not asked anything that it would count.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unreached(pub(super) String);

impl Authority {
    /// Believes those that browsers know, or `root` alone.
    pub(super) fn new(root: Option<&Path>) -> Result<Self, AcmeError> {
        let mut roots = RootCertStore::empty();
        match root {
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Some(path) => {
                let failed = |why: String| AcmeError::Root {
                    path: path.to_owned(),
                    why,
                };
                let chain = CertificateDer::pem_file_iter(path)
                    .map_err(|error| failed(error.to_string()))?;
                for one in chain {
                    let one = one.map_err(|error| failed(error.to_string()))?;
                    roots.add(one).map_err(|error| failed(error.to_string()))?;
                }
                if roots.is_empty() {
                    return Err(failed("there is no certificate in it".to_owned()));
                }
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| AcmeError::Own(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            tls: Arc::new(config).into(),
            pause: Arc::default(),
        })
    }

    /// Until when it asked to be left alone.
    pub(super) fn pause_until(&self) -> Option<u64> {
        Some(self.pause.load(Ordering::Relaxed)).filter(|until| *until > 0)
    }

    /// Where its terms are; none: it has none.
    pub(super) async fn terms(&self, directory: &str) -> Result<Option<String>, Error> {
        #[derive(Deserialize)]
        struct Directory {
            #[serde(default)]
            meta: Meta,
        }
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Meta {
            terms_of_service: Option<String>,
        }
        let request = Request::get(directory)
            .header(USER_AGENT, AGENT)
            .body(Empty::<Bytes>::new())?;
        let answer = self.ask(request).await?;
        if !answer.status().is_success() {
            let why = format!("`{directory}` answers {}", answer.status());
            return Err(Error::Other(Box::new(Unreached(why))));
        }
        let said: Directory = serde_json::from_slice(answer.body())?;
        Ok(said.meta.terms_of_service)
    }

    /// Asks once, within all bounds.
    async fn ask<B>(&self, request: Request<B>) -> Result<Response<Bytes>, Error>
    where
        B: Body + Send + Unpin + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let unreached = |why: String| Error::Other(Box::new(Unreached(format!("`{host}`: {why}"))));
        match timeout(ACME_ANSWER_TIMEOUT, self.exchange(request)).await {
            Ok(Ok(answer)) => {
                self.note(&answer);
                Ok(answer)
            }
            Ok(Err(error)) => Err(unreached(chain(error.as_ref()))),
            Err(_) => Err(unreached("no answer in time".to_owned())),
        }
    }

    async fn exchange<B>(
        &self,
        mut request: Request<B>,
    ) -> Result<Response<Bytes>, Box<dyn StdError + Send + Sync>>
    where
        B: Body + Send + Unpin + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let uri = request.uri().clone();
        if uri.scheme_str() != Some("https") {
            return Err("it is no `https` address".into());
        }
        let authority = uri.authority().ok_or("it has no host")?;
        let name = authority.host().trim_matches(['[', ']']).to_owned();
        let port = authority.port_u16().unwrap_or(443);
        request
            .headers_mut()
            .insert(HOST, HeaderValue::from_str(authority.as_str())?);
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = path.parse::<Uri>()?;
        let stream = TcpStream::connect((name.as_str(), port)).await?;
        let stream = self
            .tls
            .connect(ServerName::try_from(name)?, stream)
            .await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let driven = tokio::spawn(connection);
        let answer = sender.send_request(request).await?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, ACME_ANSWER_BYTES).collect().await?;
        driven.abort();
        Ok(Response::from_parts(head, body.to_bytes()))
    }

    /// Remembers how long it wants to be left alone, where it refuses.
    fn note(&self, answer: &Response<Bytes>) {
        if !matches!(answer.status().as_u16(), 429 | 503) {
            return;
        }
        let said = answer.headers().get(RETRY_AFTER);
        let Some(said) = said.and_then(|said| said.to_str().ok()) else {
            return;
        };
        if let Some(pause) = retry_after(said.trim(), unix_now_s()) {
            self.pause.store(pause, Ordering::Relaxed);
        }
    }
}

impl HttpClient for Authority {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let authority = self.clone();
        Box::pin(async move {
            let answer = authority.ask(request).await?;
            Ok(answer.map(Full::new).into())
        })
    }
}

/// Seconds, or a date (RFC 9110, 10.2.3).
fn retry_after(said: &str, now: u64) -> Option<u64> {
    let until = match said.parse::<u64>() {
        Ok(seconds) => now.saturating_add(seconds),
        Err(_) => {
            let at = httpdate::parse_http_date(said).ok()?;
            at.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs()
        }
    };
    Some(until.min(now + ACME_ASKED_PAUSE_MAX.as_secs()))
}

/// An error's text and its causes'.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = cause.source();
    }
    text
}

const AGENT: &str = concat!("skep/", env!("CARGO_PKG_VERSION"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_seconds_or_a_date_and_has_an_end() {
        let now = 1_900_000_000;
        assert_eq!(retry_after("120", now), Some(now + 120));
        let week = now + ACME_ASKED_PAUSE_MAX.as_secs();
        assert_eq!(retry_after("99999999999", now), Some(week));
        assert_eq!(retry_after("18446744073709551615", now), Some(week));
        let date = "Sun, 17 Mar 2030 17:48:00 GMT";
        assert_eq!(retry_after(date, now), Some(1_900_000_080));
        assert_eq!(retry_after("soon", now), None);
        assert_eq!(retry_after("-1", now), None);
    }

    #[test]
    fn only_a_root_that_is_one_is_believed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.pem");
        for text in ["", "nothing"] {
            std::fs::write(&path, text).unwrap();
            assert!(Authority::new(Some(&path)).is_err());
        }
        let made = rcgen::generate_simple_self_signed(["a.b".to_owned()]).unwrap();
        std::fs::write(&path, made.cert.pem()).unwrap();
        assert!(Authority::new(Some(&path)).is_ok());
        assert!(Authority::new(None).is_ok());
        assert!(Authority::new(Some(&folder.path().join("absent"))).is_err());
    }
}
