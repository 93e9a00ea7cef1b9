//! Talking to an agent over HTTP, from commands: plain calls, and answers that come line by line.
//!
//! Decides where the agent is and how a refusal reads. Blocking, and small: a command starts in
//! milliseconds. Refuses to know what the answers mean.

mod endpoint;
mod error;

use std::io::{self, BufRead, BufReader, Read as _};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::http::{Method, Request};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

pub use self::endpoint::{Endpoint, EndpointError};
pub use self::error::ClientError;

/// A connection to one agent.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
    endpoint: Endpoint,
}

/// An answer that comes line by line, for as long as it lasts.
pub struct Lines(BufReader<ureq::BodyReader<'static>>);

impl Client {
    /// Connects nothing yet.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .user_agent(concat!("skep/", env!("CARGO_PKG_VERSION")));
        // A proxy is for the world outside; on loopback it would ask another machine for this one.
        let config = if endpoint.is_loopback() {
            config.proxy(None)
        } else {
            config
        };
        let config = match endpoint.certificate() {
            Some(certificate) => {
                let own = Certificate::from_der(certificate).to_owned();
                let roots = RootCerts::new_with_certs(&[own]);
                config.tls_config(TlsConfig::builder().root_certs(roots).build())
            }
            None => config,
        };
        Self {
            agent: config.build().into(),
            endpoint,
        }
    }

    /// Where it talks to.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// `GET`, as JSON.
    ///
    /// # Errors
    /// When there is no agent, it refuses, or its answer is not what this version understands.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.json(self.send(Method::GET, path, None::<&()>, Some(ANSWER_TIMEOUT))?)
    }

    /// `POST` with a JSON body; waits as long as it takes.
    ///
    /// # Errors
    /// As for [`Client::get`].
    pub fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.json(self.send(Method::POST, path, Some(body), None)?)
    }

    /// `POST` of nothing, for an answer that is only a status.
    ///
    /// # Errors
    /// When there is no agent, or it refuses.
    pub fn post_nothing(&self, path: &str) -> Result<(), ClientError> {
        self.send(Method::POST, path, None::<&()>, None).map(drop)
    }

    /// `PUT` with a JSON body; waits as long as it takes.
    ///
    /// # Errors
    /// As for [`Client::get`].
    pub fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.json(self.send(Method::PUT, path, Some(body), None)?)
    }

    /// `POST` of a component, with its signature's file in Base64.
    ///
    /// # Errors
    /// As for [`Client::get`].
    pub fn offer<T: DeserializeOwned>(
        &self,
        path: &str,
        component: Vec<u8>,
        signature: Option<String>,
    ) -> Result<T, ClientError> {
        let mut request = Request::builder()
            .method(Method::POST)
            .header("content-type", "application/wasm");
        if let Some(signature) = signature {
            request = request.header("skep-signature", signature);
        }
        self.json(self.send_bytes(request, path, component, None)?)
    }

    /// `DELETE`; waits as long as it takes.
    ///
    /// # Errors
    /// As for [`Client::get`].
    pub fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.json(self.send(Method::DELETE, path, None::<&()>, None)?)
    }

    /// `POST` with a JSON body, for an answer that is bytes; waits as long as it takes.
    ///
    /// # Errors
    /// As for [`Client::get`], for what can go wrong before the first byte.
    pub fn download(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<ureq::BodyReader<'static>, ClientError> {
        let answer = self.send(Method::POST, path, Some(body), None)?;
        Ok(answer.into_reader())
    }

    /// An answer in lines.
    ///
    /// # Errors
    /// As for [`Client::get`], for what can go wrong before the first line.
    pub fn lines(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<Lines, ClientError> {
        let answer = self.send(method, path, body, None)?;
        Ok(Lines(BufReader::new(answer.into_reader())))
    }

    fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
        timeout: Option<Duration>,
    ) -> Result<Body, ClientError> {
        let mut request = Request::builder().method(method);
        let text = match body {
            Some(body) => serde_json::to_vec(body).map_err(|e| self.unreadable(&e))?,
            None => Vec::new(),
        };
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        self.send_bytes(request, path, text, timeout)
    }

    fn send_bytes(
        &self,
        request: ureq::http::request::Builder,
        path: &str,
        body: Vec<u8>,
        timeout: Option<Duration>,
    ) -> Result<Body, ClientError> {
        let mut request = request.uri(format!("{}{path}", self.endpoint.url()));
        if let Some(key) = self.endpoint.key() {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let request = request
            .body(body)
            .map_err(|_| ClientError::Endpoint(EndpointError::Url(self.endpoint.url().into())))?;
        let configured = self
            .agent
            .configure_request(request)
            .allow_non_standard_methods(true)
            .timeout_recv_response(timeout)
            .build();
        let answer = self
            .agent
            .run(configured)
            .map_err(|e| error::sending(&self.endpoint, e))?;
        let status = answer.status().as_u16();
        let mut body = answer.into_body();
        if (200..300).contains(&status) {
            return Ok(body);
        }
        // What is no refusal of an agent's is told by its status.
        let text = body
            .with_config()
            .limit(REFUSAL_BYTES_MAX)
            .read_to_vec()
            .unwrap_or_default();
        Err(error::refusal(&self.endpoint, status, &text))
    }

    fn json<T: DeserializeOwned>(&self, mut body: Body) -> Result<T, ClientError> {
        let text = body
            .with_config()
            .limit(ANSWER_BYTES_MAX)
            .read_to_vec()
            .map_err(|e| error::sending(&self.endpoint, e))?;
        serde_json::from_slice(&text).map_err(|e| self.unreadable(&e))
    }

    fn unreadable(&self, error: &serde_json::Error) -> ClientError {
        ClientError::Unreadable {
            url: self.endpoint.url().to_owned(),
            reason: error.to_string(),
        }
    }
}

impl Iterator for Lines {
    type Item = io::Result<String>;

    fn next(&mut self) -> Option<io::Result<String>> {
        let mut line = Vec::new();
        let mut limited = (&mut self.0).take(LINE_BYTES_MAX);
        match limited.read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(_) if line.last() != Some(&b'\n') && line.len() as u64 == LINE_BYTES_MAX => Some(
                Err(io::Error::other("the agent sent a line that is too long")),
            ),
            Ok(_) => {
                while line
                    .last()
                    .is_some_and(|last| matches!(last, b'\n' | b'\r'))
                {
                    line.pop();
                }
                Some(Ok(String::from_utf8_lossy(&line).into_owned()))
            }
            Err(e) => Some(Err(e)),
        }
    }
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lines(..)")
    }
}

/// On loopback it is at once or never; across the world a second.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What is only looked up is there at once, unless the machine is very busy.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Largest answer that is read: a catalogue of 4,096 models has some 2 MiB.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// Refusals are a sentence or two.
const REFUSAL_BYTES_MAX: u64 = 64 << 10;

/// One event with log probabilities for every choice stays far below this.
const LINE_BYTES_MAX: u64 = 16 << 20;
