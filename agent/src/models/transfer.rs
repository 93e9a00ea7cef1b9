//! One answer of a server, read into a partial file.
//!
//! Decides which answers are believed: the right range of the right version at the right length,
//! not encoded, from an address that may be followed. Refuses to decide how often to ask.

use std::io::{self, Read as _};
use std::time::Duration;

use ureq::http::header::{self, HeaderMap};
use ureq::http::{Response, StatusCode, Uri, Version};
use ureq::{Agent, Body};

use super::digest::Digest;
use super::error::{CatalogueError, PullError};
use super::file;
use super::format::{Format, HEAD_BYTES};
use super::headers::{ContentRange, announced, encoding, follow, number, text, validator};
use super::limits::{
    CHUNK_BYTES, CONNECT_TIMEOUT, IDLE_TIMEOUT, MODEL_BYTES_MAX, REDIRECTS_MAX, SYNC_EVERY_BYTES,
};
use super::partial::Partial;
use super::pull::{Cancel, Pace, Progress, check_room};

/// A download under way.
pub(super) struct Transfer<'a> {
    partial: &'a mut Partial,
    url: &'a Uri,
    expected: Option<Digest>,
    cancel: &'a Cancel,
    agent: Agent,
    /// The digest that the server announced, if it did.
    pub(super) announced: Option<Digest>,
    resumed_bytes: u64,
    head: Vec<u8>,
}

/// Why an attempt did not bring the whole file.
pub(super) enum Interruption {
    /// Another attempt may help.
    Again {
        reason: String,
        /// What the server asked for.
        wait: Option<Duration>,
    },
    /// None will.
    Fatal(PullError),
}

impl<'a> Transfer<'a> {
    pub(super) fn new(
        url: &'a Uri,
        partial: &'a mut Partial,
        expected: Option<Digest>,
        cancel: &'a Cancel,
    ) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(IDLE_TIMEOUT))
            .timeout_per_read(Some(IDLE_TIMEOUT))
            .user_agent(concat!("skep/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            // Each request goes to another host, or comes after a broken connection.
            .max_idle_connections(0)
            .build();
        let resumed_bytes = partial.bytes();
        Self {
            partial,
            url,
            expected,
            cancel,
            agent: config.into(),
            announced: None,
            resumed_bytes,
            head: Vec::new(),
        }
    }

    /// How much is there.
    pub(super) fn bytes(&self) -> u64 {
        self.partial.bytes()
    }

    /// Asks for what is missing and reads it. What came stays, also when the attempt fails.
    pub(super) fn attempt(&mut self, pace: &mut Pace<'_>) -> Result<(), Interruption> {
        if self.is_whole() {
            return Ok(());
        }
        let answer = self.ask()?;
        if let Some(encoding) = encoding(answer.headers()) {
            return Err(Interruption::Fatal(PullError::Encoded(encoding)));
        }
        match answer.status() {
            StatusCode::OK => self.begin(&answer)?,
            StatusCode::PARTIAL_CONTENT => self.go_on(&answer)?,
            StatusCode::RANGE_NOT_SATISFIABLE if self.partial.bytes() > 0 => {
                return self.all_there(answer.headers());
            }
            status => return Err(refused(status, answer.headers())),
        }
        pace.tell_now(self.progress());
        let got = self.read(answer.into_body(), pace);
        pace.tell_now(self.progress());
        // Whatever ended it: what came is not to be fetched again.
        let kept = self.partial.checkpoint().map_err(|e| self.storing(e));
        got.and(kept)
    }

    fn progress(&self) -> Progress {
        Progress::Bytes {
            done_bytes: self.partial.bytes(),
            total_bytes: self.partial.total_bytes(),
            resumed_bytes: self.resumed_bytes,
        }
    }

    fn is_whole(&self) -> bool {
        self.partial.bytes() > 0 && self.partial.total_bytes() == Some(self.partial.bytes())
    }

    /// Asks, following redirects itself: a digest may be announced on the way, and an address
    /// that is followed must be as good as the first.
    fn ask(&mut self) -> Result<Response<Body>, Interruption> {
        let mut url = self.url.clone();
        for _ in 0..=REDIRECTS_MAX {
            self.cancel.check()?;
            let mut request = self.agent.get(&url);
            // Without the server's word for the version, a range could be of another one; that
            // would only be noticed if the digest is known.
            let validator = self.partial.validator();
            let worth_it = self.partial.bytes() >= HEAD_BYTES as u64;
            if worth_it && (validator.is_some() || self.expected.is_some()) {
                let range = format!("bytes={}-", self.partial.bytes());
                request = request.header(header::RANGE, range);
                if let Some(validator) = validator {
                    request = request.header(header::IF_RANGE, validator);
                }
            }
            let answer = request.call().map_err(|e| self.transport(&e))?;
            self.announced = announced(answer.headers()).or(self.announced);
            let status = answer.status();
            if !status.is_redirection() || status == StatusCode::NOT_MODIFIED {
                return Ok(answer);
            }
            url = follow(&url, answer.headers())?;
        }
        Err(Interruption::Fatal(PullError::Redirects))
    }

    /// The whole file comes, from its beginning.
    fn begin(&mut self, answer: &Response<Body>) -> Result<(), Interruption> {
        let headers = answer.headers();
        let total_bytes = number(headers, header::CONTENT_LENGTH);
        let chunked =
            answer.version() == Version::HTTP_11 && headers.contains_key(header::TRANSFER_ENCODING);
        if total_bytes.is_none() && !chunked && self.expected.or(self.announced).is_none() {
            return Err(Interruption::Fatal(PullError::NoLength));
        }
        self.check_size(total_bytes.unwrap_or(0), total_bytes.unwrap_or(0))?;
        self.resumed_bytes = 0;
        self.head.clear();
        self.partial
            .restart(validator(headers), total_bytes)
            .map_err(|e| self.storing(e))
    }

    /// The rest of the file comes, if the server understood.
    fn go_on(&mut self, answer: &Response<Body>) -> Result<(), Interruption> {
        let headers = answer.headers();
        let have = self.partial.bytes();
        let range = text(headers, header::CONTENT_RANGE).and_then(ContentRange::parse);
        let right = range.as_ref().is_some_and(|range| {
            let length = number(headers, header::CONTENT_LENGTH);
            let known = self.partial.total_bytes();
            range.start == have
                && have > 0
                && range.end < range.total
                && range.end >= range.start
                && known.is_none_or(|known| known == range.total)
                && length.is_none_or(|length| length == range.end - range.start + 1)
        });
        // A server may leave the version out of a partial answer to `If-Range`, but not change it.
        let same = match (validator(headers), self.partial.validator()) {
            (Some(now), Some(then)) => now == then,
            (None, _) | (_, None) => true,
        };
        let Some(range) = range.filter(|_| right && same) else {
            return self.again_from_zero("the server sent another range than was asked for");
        };
        self.resumed_bytes = self.resumed_bytes.max(have);
        self.check_size(range.total, range.total - have)
    }

    /// The server says that nothing is missing.
    fn all_there(&mut self, headers: &HeaderMap) -> Result<(), Interruption> {
        let total = text(headers, header::CONTENT_RANGE)
            .and_then(|range| range.strip_prefix("bytes */"))
            .and_then(|total| total.parse().ok());
        if total == Some(self.partial.bytes()) {
            return Ok(());
        }
        self.again_from_zero("the file has changed on the server")
    }

    fn again_from_zero(&mut self, reason: &str) -> Result<(), Interruption> {
        self.partial
            .restart(None, None)
            .map_err(|e| self.storing(e))?;
        self.resumed_bytes = 0;
        self.head.clear();
        Err(again(reason))
    }

    fn check_size(&self, total_bytes: u64, missing_bytes: u64) -> Result<(), Interruption> {
        if total_bytes > MODEL_BYTES_MAX {
            return Err(Interruption::Fatal(PullError::Large(total_bytes)));
        }
        Ok(check_room(self.partial.folder(), missing_bytes)?)
    }

    fn read(&mut self, mut body: Body, pace: &mut Pace<'_>) -> Result<(), Interruption> {
        let mut reader = body.as_reader();
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut unchecked_bytes = 0;
        loop {
            self.cancel.check()?;
            let count = match reader.read(&mut buffer) {
                Ok(count) => count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(self.transport(&e.into())),
            };
            let chunk = buffer.get(..count).unwrap_or_default();
            if chunk.is_empty() {
                return self.end();
            }
            let limit = self.partial.total_bytes().unwrap_or(MODEL_BYTES_MAX);
            if self.partial.bytes().saturating_add(chunk.len() as u64) > limit {
                self.partial
                    .restart(None, None)
                    .map_err(|e| self.storing(e))?;
                return Err(Interruption::Fatal(PullError::Overlong(limit)));
            }
            self.look_at_head(chunk)?;
            self.partial.append(chunk).map_err(|e| self.storing(e))?;
            unchecked_bytes += chunk.len() as u64;
            if unchecked_bytes >= SYNC_EVERY_BYTES {
                unchecked_bytes = 0;
                check_room(self.partial.folder(), 0)?;
            }
            pace.tell(|| self.progress());
        }
    }

    fn end(&mut self) -> Result<(), Interruption> {
        let bytes = self.partial.bytes();
        match self.partial.total_bytes() {
            Some(total) if bytes < total => Err(again("the server closed the connection early")),
            _ if bytes < HEAD_BYTES as u64 => {
                let refused = Format::of(&self.head).map(|_| ());
                self.partial
                    .restart(None, None)
                    .map_err(|e| self.storing(e))?;
                Ok(refused.map_err(PullError::from)?)
            }
            _ => Ok(()),
        }
    }

    /// Refuses what is not a model as soon as its first bytes are here.
    fn look_at_head(&mut self, chunk: &[u8]) -> Result<(), Interruption> {
        if self.partial.bytes() >= HEAD_BYTES as u64 || self.head.len() >= HEAD_BYTES {
            return Ok(());
        }
        let missing = HEAD_BYTES - self.head.len();
        self.head.extend(chunk.iter().take(missing));
        if self.head.len() < HEAD_BYTES {
            return Ok(());
        }
        Format::of(&self.head).map_err(PullError::from)?;
        Ok(())
    }

    fn transport(&self, error: &ureq::Error) -> Interruption {
        use io::ErrorKind as Kind;
        let reason = match error {
            ureq::Error::HostNotFound => "the server's name cannot be resolved".to_owned(),
            ureq::Error::Timeout(_) => "the server does not answer in time".to_owned(),
            ureq::Error::Io(e) if e.kind() == Kind::UnexpectedEof => {
                "the server closed the connection early".to_owned()
            }
            ureq::Error::Io(e) if e.kind() == Kind::ConnectionRefused => {
                "the server refuses the connection".to_owned()
            }
            other => other.to_string(),
        };
        let never = match error {
            ureq::Error::HostNotFound => self.partial.bytes() == 0,
            ureq::Error::Io(e) => match e.kind() {
                Kind::ConnectionRefused => self.partial.bytes() == 0,
                // A certificate that is not valid will not be so in a second.
                kind => kind == Kind::InvalidData,
            },
            ureq::Error::Tls(_)
            | ureq::Error::Rustls(_)
            | ureq::Error::BadUri(_)
            | ureq::Error::Http(_)
            | ureq::Error::InvalidProxyUrl
            | ureq::Error::LargeResponseHeader(..) => true,
            _ => false,
        };
        if never {
            return Interruption::Fatal(PullError::Transport {
                attempts: 1,
                reason,
            });
        }
        Interruption::Again { reason, wait: None }
    }

    fn storing(&self, error: io::Error) -> Interruption {
        let written_bytes = self.partial.bytes();
        if file::is_full(&error) {
            return Interruption::Fatal(PullError::DiskFilled { written_bytes });
        }
        let folder = self.partial.folder();
        Interruption::Fatal(CatalogueError::io("write in", folder)(error).into())
    }
}

impl From<PullError> for Interruption {
    fn from(error: PullError) -> Self {
        Self::Fatal(error)
    }
}

fn again(reason: &str) -> Interruption {
    Interruption::Again {
        reason: reason.to_owned(),
        wait: None,
    }
}

fn refused(status: StatusCode, headers: &HeaderMap) -> Interruption {
    let passing = matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504);
    if !passing {
        return Interruption::Fatal(PullError::Status {
            status: status.as_u16(),
        });
    }
    Interruption::Again {
        reason: format!("the server answered {status}"),
        wait: number(headers, header::RETRY_AFTER).map(Duration::from_secs),
    }
}
