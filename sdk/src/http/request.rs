//! One request and how it is sent. Decides the order of calls that `wasi:http` wants; the host decides where it may go.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use super::url::Url;
use super::{HttpError, Response};
use crate::shared::bindings::skep::plugin::secrets::Secret;
use crate::shared::bindings::wasi::http::outgoing_handler;
use crate::shared::bindings::wasi::http::types::{
    ErrorCode, Fields, HeaderError, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
};
use crate::shared::bindings::wasi::io::streams::StreamError;

/// A request that can be sent once.
///
/// ```no_run
/// # fn run() -> Result<(), skep_sdk::upstream::Error> {
/// use core::time::Duration;
/// use skep_sdk::http::Request;
/// use skep_sdk::upstream::Secret;
///
/// let key = Secret::open("openai")?;
/// let response = Request::post("https://api.openai.com/v1/embeddings")
///     .secret("authorization", "Bearer ", &key)
///     .json(r#"{"model":"text-embedding-3-small","input":"hello"}"#)
///     .silence(Duration::from_secs(60))
///     .send()?;
/// let body = response.read_to_limit(1 << 20)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Request {
    method: Method,
    url: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    connect: Option<Duration>,
    silence: Option<Duration>,
}

impl Request {
    /// Asks for what is at a URL.
    #[must_use]
    pub fn get(url: impl Into<String>) -> Self {
        Self::new(Method::Get, url)
    }

    /// Sends something to a URL.
    #[must_use]
    pub fn post(url: impl Into<String>) -> Self {
        Self::new(Method::Post, url)
    }

    /// A request by any method.
    #[must_use]
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self {
            method,
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
            connect: None,
            silence: None,
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers
            .push((name.to_owned(), value.as_bytes().to_vec()));
        self
    }

    /// Adds a header that carries a secret after `prefix`. What is set here is a stand-in; the host puts the secret in
    /// on the way out, so that the plugin never holds it.
    #[must_use]
    pub fn secret(self, name: &str, prefix: &str, secret: &Secret) -> Self {
        let value = secret.header_value(prefix);
        self.header(name, &value)
    }

    /// Sets the body, and says that it is JSON.
    #[must_use]
    pub fn json(self, body: impl Into<Vec<u8>>) -> Self {
        self.header("content-type", "application/json").body(body)
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// How long a connection may take to come about. The host has a limit of its own, and the smaller one counts.
    #[must_use]
    pub const fn connect(mut self, timeout: Duration) -> Self {
        self.connect = Some(timeout);
        self
    }

    /// How long the service may be silent: before its answer begins and between any two pieces of it. The host has a
    /// limit of its own, and the smaller one counts.
    #[must_use]
    pub const fn silence(mut self, timeout: Duration) -> Self {
        self.silence = Some(timeout);
        self
    }

    /// Sends it and waits until the answer's headers are there. An answer that tells of a failure is an answer, too.
    ///
    /// # Errors
    /// See [`HttpError`].
    pub fn send(self) -> Result<Response, HttpError> {
        let url = Url::parse(&self.url)?;
        let options = self.options();
        let request = self.outgoing(&url)?;
        let host = url.authority;
        let lost = || HttpError::Lost(format!("the request to `{host}` cannot be sent"));
        let of = |code: ErrorCode| HttpError::of(&code, &host);
        let body = request.body().map_err(|()| lost())?;
        let future = outgoing_handler::handle(request, Some(options)).map_err(of)?;
        let written = write(body, &self.body);
        if written.is_ok() {
            future.subscribe().block();
        }
        // What the answer says is better than that writing failed.
        let answer = match (future.get(), written) {
            (Some(answer), _) => answer,
            (None, Err(Some(code))) => return Err(of(code)),
            (None, _) => {
                future.subscribe().block();
                future.get().ok_or_else(lost)?
            }
        };
        let response = answer.map_err(|()| lost())?.map_err(of)?;
        Response::new(&response, host)
    }

    fn options(&self) -> RequestOptions {
        let options = RequestOptions::new();
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        // A host that cannot set a timeout has limits of its own all the same.
        let _ = options.set_connect_timeout(self.connect.map(nanoseconds));
        let _ = options.set_first_byte_timeout(self.silence.map(nanoseconds));
        let _ = options.set_between_bytes_timeout(self.silence.map(nanoseconds));
        options
    }

    fn outgoing(&self, url: &Url) -> Result<OutgoingRequest, HttpError> {
        let headers = Fields::new();
        for (name, value) in &self.headers {
            headers
                .append(name, value)
                .map_err(|error| header(name, error))?;
        }
        if !self.body.is_empty() || matches!(self.method, Method::Post | Method::Put) {
            let length = self.body.len().to_string();
            match headers.append("content-length", length.as_bytes()) {
                // The host sets it then.
                Ok(()) | Err(HeaderError::Forbidden) => {}
                Err(error) => return Err(header("content-length", error)),
            }
        }
        let request = OutgoingRequest::new(headers);
        let scheme = if url.secure {
            Scheme::Https
        } else {
            Scheme::Http
        };
        let wrong = |()| HttpError::Request(format!("`{}` is no URL", super::quoted(&self.url)));
        request.set_method(&self.method).map_err(wrong)?;
        request.set_scheme(Some(&scheme)).map_err(wrong)?;
        request.set_authority(Some(&url.authority)).map_err(wrong)?;
        request
            .set_path_with_query(Some(&url.path))
            .map_err(wrong)?;
        Ok(request)
    }
}

/// Waits. The host ends a call that takes too long, waiting included.
pub fn wait(time: Duration) {
    let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    crate::shared::bindings::wasi::clocks::monotonic_clock::subscribe_duration(nanoseconds).block();
}

fn header(name: &str, error: HeaderError) -> HttpError {
    HttpError::Request(format!("the header `{name}` cannot be sent: {error}"))
}

/// Writes all of a body and ends it; the error is what the connection says of it, if anything.
fn write(body: OutgoingBody, bytes: &[u8]) -> Result<(), Option<ErrorCode>> {
    let stream = body.write().map_err(|()| None)?;
    for piece in bytes.chunks(PIECE_BYTES_MAX) {
        stream
            .blocking_write_and_flush(piece)
            .map_err(|error| match error {
                StreamError::LastOperationFailed(error) => super::code(&error),
                StreamError::Closed => None,
            })?;
    }
    // It is the body's child, and must be gone first.
    drop(stream);
    OutgoingBody::finish(body, None).map_err(Some)
}

/// What `blocking-write-and-flush` takes at once.
const PIECE_BYTES_MAX: usize = 4096;
