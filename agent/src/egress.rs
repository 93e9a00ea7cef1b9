//! The way out of a service: requests and mail to hosts that an operator granted, and to nobody else.
//!
//! Decides whom a plugin may reach: its name first, before anybody is asked what it means; then every address that the name
//! turned out to have; and at last who is really at the other end. What was checked is what is connected to: nothing is
//! looked up twice, redirected or passed through a proxy. Decides also where a secret's text may stand, and what of all this
//! an operator is told. Refuses to know who asks (`host::service` does) and what is said.
//!
//! | file | decides |
//! |---|---|
//! | `rights` | which grants cover what, now; what a call has used of them |
//! | `resolve` | which addresses a name has |
//! | `connect` | which of them are connected to |
//! | `tls` | who is believed to be who |
//! | `http` | what a request may be, and how much comes back |
//! | `secrets` | stand-ins in headers, and dots in lines |
//! | `smtp`, `mail` | how mail leaves |
//! | `tally` | what is counted, and what is told |

mod connect;
mod http;
mod mail;
mod resolve;
mod rights;
mod secrets;
mod servers;
mod smtp;
mod tally;
mod tls;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::ClientConfig;
use tokio::sync::Semaphore;

pub use self::http::{Answer, AnswerBody, FORBIDDEN_HEADERS, Waits};
pub(crate) use self::mail::MailError;
pub use self::mail::{Mail, Protection};
pub use self::resolve::ResolveError;
pub(crate) use self::resolve::services;
pub use self::rights::{Limit, Scope, Use};
pub use self::secrets::{Redactor, SecretError};
pub(crate) use self::servers::name_servers;
pub use self::tally::{Tally, Teller};
pub use self::tls::TlsError;

use self::resolve::Resolver;
use crate::limits::REQUESTS_OUT;
use crate::protocol::Rights;

/// How the way out is set up.
#[derive(Debug)]
pub struct Setup {
    /// The plugin's name, for messages.
    pub plugin: String,
    pub rights: Rights,
    /// Where the agent itself listens: never reached.
    pub own_addresses: Vec<SocketAddr>,
    /// The resolver to ask; none: the system's.
    pub resolver: Option<SocketAddr>,
    /// Trusted beside the usual authorities: certificates in DER.
    pub authorities: Vec<Vec<u8>>,
    /// Until a connection stands, TLS included.
    pub connect: Duration,
    /// The longest silence of an answer.
    pub silence: Duration,
}

/// The way out of one service.
pub struct Egress {
    plugin: String,
    rights: Mutex<Arc<Rights>>,
    own_addresses: Vec<SocketAddr>,
    resolver: Resolver,
    tls: Arc<ClientConfig>,
    connect: Duration,
    silence: Duration,
    in_flight: Arc<Semaphore>,
    tally: Arc<Tally>,
    teller: Arc<Teller>,
}

/// Why nothing was sent, or no answer came. The first few are refusals of ours.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// No grant covers the host.
    #[error("{host} is not granted; `{next}` would allow it")]
    NotGranted { host: String, next: String },
    /// The name is granted, and means addresses that are not.
    #[error("{0}")]
    Prohibited(String),
    /// A right that this needs was taken away.
    #[error("the secret `{0}` is not granted any more")]
    SecretGone(String),
    /// Anybody on the way could read it.
    #[error("a secret goes to the internet by HTTPS only")]
    SecretInClear,
    #[error("no request is: {0}")]
    Malformed(&'static str),
    #[error("the header `{0}` is the host's to set")]
    Header(String),
    #[error("too many requests are under way")]
    TooMany,
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    #[error("no connection stood in time")]
    ConnectTimeout,
    #[error("could not connect")]
    Connect(#[source] std::io::Error),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("no answer came in time")]
    Silence,
    #[error("the request's body is over the limit of {0} bytes")]
    RequestBody(u64),
    #[error("the answer's headers are over the limit")]
    AnswerHeaders,
    #[error("the answer's body is over the limit of {0} bytes")]
    AnswerBody(u64),
    #[error("the answer broke off")]
    Cut,
    #[error("the connection failed")]
    Http(#[from] hyper::Error),
}

impl std::fmt::Debug for Egress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Egress")
            .field("plugin", &self.plugin)
            .finish_non_exhaustive()
    }
}

impl Egress {
    /// # Errors
    /// When an authority is no certificate, or the resolver cannot be used.
    pub fn new(setup: Setup, teller: Arc<Teller>) -> Result<Self, SetupError> {
        teller.redact(Redactor::new(&setup.rights));
        Ok(Self {
            plugin: setup.plugin,
            rights: Mutex::new(Arc::new(setup.rights)),
            own_addresses: setup.own_addresses,
            resolver: Resolver::new(setup.resolver)?,
            tls: tls::config(&setup.authorities)?,
            connect: setup.connect,
            silence: setup.silence,
            in_flight: Arc::new(Semaphore::new(REQUESTS_OUT)),
            tally: Arc::default(),
            teller,
        })
    }

    /// What is counted.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Where lines for the operator go.
    #[must_use]
    pub fn teller(&self) -> &Teller {
        &self.teller
    }

    /// What may be touched now.
    #[must_use]
    pub fn rights(&self) -> Arc<Rights> {
        match self.rights.lock() {
            Ok(rights) => Arc::clone(&rights),
            // Nobody panics while holding it, and what is in it is whole.
            Err(poisoned) => Arc::clone(&poisoned.into_inner()),
        }
    }

    /// What may be touched from now on. Calls that used what is gone are the caller's to end ([`Scope::lost`]).
    pub fn set_rights(&self, rights: Rights) {
        self.teller.redact(Redactor::new(&rights));
        let rights = Arc::new(rights);
        match self.rights.lock() {
            Ok(mut held) => *held = rights,
            Err(poisoned) => *poisoned.into_inner() = rights,
        }
    }
}

/// Why there is no way out.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("could not use the resolver: {0}")]
    Resolver(String),
    #[error("an authority of `authorities` is no certificate: {0}")]
    Authority(String),
}
