//! One request to a granted host, and its answer. Decides what a request may be, that it names the host that was checked, and
//! how much comes back. Follows no redirect: that is a request of its own, and is checked like any other. Packs and unpacks
//! nothing.

mod answer;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body;
use hyper::client::conn::http1;
use hyper::http::uri::{Authority, Scheme};
use hyper::http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, Version, header,
};
use hyper_util::rt::TokioIo;
use skep_core::capability::Host;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::timeout;

pub use self::answer::AnswerBody;

use super::rights::{Scope, Way};
use super::tally::Tally;
use super::{Egress, EgressError, tls};
use crate::limits::{OUT_BODY_BYTES, OUT_HEADERS_BYTES, OUT_HEADERS_MAX};

/// Headers that say where a message ends or who it is for: the host sets them.
pub const FORBIDDEN_HEADERS: [HeaderName; 13] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::HOST,
    HeaderName::from_static("http2-settings"),
    header::TE,
    header::TRAILER,
    header::EXPECT,
    header::VIA,
];

/// How long a plugin wants to wait; never longer than the host would.
#[derive(Clone, Copy, Debug, Default)]
pub struct Waits {
    /// Until a connection stands.
    pub connect: Option<Duration>,
    /// Until the answer begins.
    pub first: Option<Duration>,
    /// Between two pieces of it.
    pub between: Option<Duration>,
}

/// An answer that comes in.
pub type Answer = Response<AnswerBody>;

/// Where a request goes.
struct Target {
    host: Host,
    port: u16,
    tls: bool,
}

impl Egress {
    /// Sends a request. Dropping the answer, or the wait for it, closes the connection.
    ///
    /// # Errors
    /// See [`EgressError`]. What is not granted is not even looked up.
    pub async fn send<B>(
        &self,
        scope: &Scope,
        request: Request<B>,
        waits: Waits,
    ) -> Result<Answer, EgressError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        Tally::add(&self.tally.requests_out, 1);
        let (mut parts, body) = request.into_parts();
        let target = Target::of(&parts.uri)?;
        check(&parts.method, &parts.headers)?;
        self.check_name(Way::Http, &target.host, target.port)?;
        let places = [&scope.in_flight, &self.in_flight];
        let [of_call, of_service] = places.map(|places| Arc::clone(places).try_acquire_owned());
        let (Ok(of_call), Ok(of_service)) = (of_call, of_service) else {
            return Err(EgressError::TooMany);
        };
        if !scope.one_more() {
            return Err(EgressError::TooMany);
        }
        let connect = self.connect.min(waits.connect.unwrap_or(Duration::MAX));
        let (stream, public) = timeout(connect, self.open(scope, &target))
            .await
            .map_err(|_| EgressError::ConnectTimeout)??;

        self.fill_in(scope, &mut parts.headers, public && !target.tls)?;
        parts.headers.insert(header::HOST, target.authority()?);
        parts.version = Version::HTTP_11;
        // Only the path and the query are said: whole addresses are for proxies.
        parts.uri = self.fill_in_path(scope, &parts.uri, public && !target.tls)?;
        let body = Limited::new(body, OUT_BODY_BYTES);

        let (mut sender, connection) = http1::Builder::new()
            .max_headers(OUT_HEADERS_MAX)
            .max_buf_size(OUT_HEADERS_BYTES)
            .handshake(TokioIo::new(stream))
            .await?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            // Whoever waits for the answer hears of it.
            let _ = connection.await;
        });
        let first = self.silence.min(waits.first.unwrap_or(Duration::MAX));
        let request = Request::from_parts(parts, body.boxed_unsync());
        let answer = timeout(first, sender.send_request(request))
            .await
            .map_err(|_| EgressError::Silence)?
            .map_err(failed)?;
        scope.answered(answer.status(), answer.headers());
        let between = self.silence.min(waits.between.unwrap_or(Duration::MAX));
        let held = (of_call, of_service, driver);
        Ok(answer.map(|body| AnswerBody::new(body, between, held)))
    }

    async fn open(
        &self,
        scope: &Scope,
        target: &Target,
    ) -> Result<(Box<dyn Stream>, bool), EgressError> {
        let reached = self
            .reach(Way::Http, &target.host, target.port, scope)
            .await?;
        if !target.tls {
            return Ok((Box::new(reached.stream), reached.public));
        }
        let alpn = Some(b"http/1.1".as_slice());
        let started = tls::start(&self.tls, &target.host, alpn, reached.stream).await;
        let stream = started.inspect_err(|error| self.tell_of_tls(&target.host, error))?;
        Ok((Box::new(stream), reached.public))
    }
}

/// A connection, with TLS or without.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Target {
    fn of(uri: &Uri) -> Result<Self, EgressError> {
        let tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(EgressError::Malformed("its scheme is not http or https")),
        };
        let authority = uri
            .authority()
            .ok_or(EgressError::Malformed("it names no host"))?;
        let port = match authority.port() {
            None if tls => 443,
            None => 80,
            Some(port) => port.as_u16(),
        };
        let host: Host = authority.host().parse().map_err(|_| {
            EgressError::Malformed("its host is none, or is written in another way")
        })?;
        let target = Self { host, port, tls };
        target.is_all_of(authority)?;
        Ok(target)
    }

    /// Whether the address holds a host and a port and nothing else, so that nobody reads it in another way.
    fn is_all_of(&self, authority: &Authority) -> Result<(), EgressError> {
        let text = authority.as_str();
        let plain = match authority.port() {
            None => text == authority.host(),
            Some(_) => text == format!("{}:{}", authority.host(), self.port),
        };
        let wildcard = matches!(self.host, Host::Below(_));
        if plain && !wildcard && self.port != 0 {
            Ok(())
        } else {
            Err(EgressError::Malformed(
                "it names more than a host and a port",
            ))
        }
    }

    /// As it is said to the server.
    fn authority(&self) -> Result<HeaderValue, EgressError> {
        let host = match &self.host {
            Host::Address(std::net::IpAddr::V6(address)) => format!("[{address}]"),
            host => host.to_string(),
        };
        let usual = if self.tls { 443 } else { 80 };
        let text = if self.port == usual {
            host
        } else {
            format!("{host}:{}", self.port)
        };
        HeaderValue::try_from(text).map_err(|_| EgressError::Malformed("its host is none"))
    }
}

/// What a plugin may not send, wherever it goes.
fn check(method: &Method, headers: &HeaderMap) -> Result<(), EgressError> {
    if method == Method::CONNECT {
        return Err(EgressError::Malformed("`CONNECT` is for proxies"));
    }
    for (name, value) in headers {
        // The bindings put the address there as the plugin wrote it; it is overwritten.
        if name != header::HOST && FORBIDDEN_HEADERS.contains(name) {
            return Err(EgressError::Header(name.to_string()));
        }
        if value
            .as_bytes()
            .iter()
            .any(|byte| matches!(byte, b'\r' | b'\n' | 0))
        {
            return Err(EgressError::Header(name.to_string()));
        }
    }
    let lengths = headers.get_all(header::CONTENT_LENGTH).iter().count();
    if lengths > 1 {
        return Err(EgressError::Header(header::CONTENT_LENGTH.to_string()));
    }
    Ok(())
}

/// How it looks when somebody hangs up in the middle.
const BROKEN_OFF: [std::io::ErrorKind; 3] = [
    std::io::ErrorKind::UnexpectedEof,
    std::io::ErrorKind::ConnectionReset,
    std::io::ErrorKind::BrokenPipe,
];

/// What hyper says, in our words where we have some.
fn failed(error: hyper::Error) -> EgressError {
    if error.is_parse_too_large() {
        return EgressError::AnswerHeaders;
    }
    if error.is_incomplete_message() {
        return EgressError::Cut;
    }
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(cause) = source {
        if cause.is::<LengthLimitError>() {
            return EgressError::RequestBody(OUT_BODY_BYTES as u64);
        }
        let io = cause
            .downcast_ref::<std::io::Error>()
            .map(std::io::Error::kind);
        if io.is_some_and(|kind| BROKEN_OFF.contains(&kind)) {
            return EgressError::Cut;
        }
        source = cause.source();
    }
    EgressError::Http(error)
}

#[cfg(test)]
mod tests;
