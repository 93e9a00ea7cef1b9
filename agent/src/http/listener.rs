//! The port: who gets a connection, how long it lives, and how it ends.
//!
//! Our own accept loop, because a server must live through a process without file descriptors,
//! must time the head of every request, and must know how many connections each address has.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;

use super::addresses::{Addresses, Place};
use super::gateway::{Gateway, visit};
use super::limits::{
    ACCEPT_BACKOFF, COMPLAINT_INTERVAL, HANDSHAKE, HEAD_BYTES_MAX, HEADERS_MAX, READER_STALL,
};
use super::patience::Patience;
use super::tls::{TlsError, acceptor, changing};
use crate::acme::{PROOF_PROTOCOL, Shown};
use crate::config::HttpSettings;

/// Why nothing listens.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error(
        "could not listen on `{address}`{}; choose another with `--listen ADDRESS:PORT`",
        if .source.kind() == io::ErrorKind::AddrInUse { ": something else does" } else { "" }
    )]
    Bind {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// Not at all.
    Serving,
    /// No new connections and requests; answers may finish.
    Draining,
    /// Everything is cut.
    Cut,
}

/// Asks the accept loop for a sign of life.
pub type Questions = mpsc::Receiver<oneshot::Sender<()>>;

/// A bound port, not yet served.
pub struct Port {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    shown: Option<Arc<Shown>>,
    address: SocketAddr,
}

impl Port {
    /// Binds, and reads the certificate. Connections wait in the kernel until `Port::serve`.
    ///
    /// # Errors
    /// When the address cannot be had or TLS cannot be served.
    pub async fn bind(settings: &HttpSettings) -> Result<Self, ListenError> {
        let (tls, shown) = match &settings.tls {
            None => (None, None),
            Some(files) if settings.acme.is_some() => {
                let (acceptor, shown) = changing(files)?;
                (Some(acceptor), Some(shown))
            }
            Some(files) => (Some(acceptor(files)?), None),
        };
        let failed = |source| ListenError::Bind {
            address: settings.listen,
            source,
        };
        let listener = TcpListener::bind(settings.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self {
            listener,
            tls,
            shown,
            address,
        })
    }

    /// Where it listens: with the real port when port 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the certificate that is shown is changed; none: it stays.
    #[must_use]
    pub fn shown(&self) -> Option<Arc<Shown>> {
        self.shown.clone()
    }

    /// Whether people reach it by `https`.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Serves until `ending` says otherwise and every connection is gone.
    pub(super) async fn serve(
        self,
        gateway: Arc<Gateway>,
        settings: &HttpSettings,
        mut ending: watch::Receiver<Ending>,
        mut questions: Questions,
    ) {
        let connections = settings.connections_max;
        let rules = Arc::new(Rules {
            http: builder(settings.header_timeout),
            tls: self.tls,
            gateway,
            ending: ending.clone(),
        });
        let slots = Arc::new(Semaphore::new(connections));
        let addresses = Addresses::new(settings.connections_per_address_max);
        let mut complaint = Complaint::default();
        loop {
            let accepted = tokio::select! {
                biased;
                _ = ending.wait_for(|ending| *ending != Ending::Serving) => break,
                Some(question) = questions.recv() => {
                    // Whoever asked may be gone.
                    let _ = question.send(());
                    continue;
                }
                accepted = self.listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    if is_shortage(&error) {
                        complaint.about(&error);
                        tokio::time::sleep(ACCEPT_BACKOFF).await;
                    }
                    continue;
                }
            };
            let slot = slots.clone().try_acquire_owned().ok();
            match (slot, addresses.take(peer.ip())) {
                (Some(slot), Some(place)) => {
                    tokio::spawn(rules.clone().connection(
                        stream,
                        peer,
                        Held {
                            _slot: slot,
                            _place: place,
                        },
                    ));
                }
                _ => rules.gateway.count_turned_away(),
            }
        }
        drop(self.listener);
        // Every connection gives its slot back when it ends.
        let all = u32::try_from(connections).unwrap_or(u32::MAX);
        let mut gone = std::pin::pin!(slots.acquire_many(all));
        loop {
            tokio::select! {
                _ = &mut gone => return,
                Some(question) = questions.recv() => {
                    let _ = question.send(());
                }
            }
        }
    }
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// What a connection gives back when it ends.
struct Held {
    _slot: OwnedSemaphorePermit,
    _place: Place,
}

/// What is the same for every connection.
struct Rules {
    http: http1::Builder,
    tls: Option<TlsAcceptor>,
    gateway: Arc<Gateway>,
    ending: watch::Receiver<Ending>,
}

impl Rules {
    async fn connection(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, held: Held) {
        // Answers are written in whole pieces: nothing is gained by waiting for more.
        let _ = stream.set_nodelay(true);
        let stream = Patience::new(stream, READER_STALL);
        match &self.tls {
            None => self.http(stream, peer).await,
            Some(tls) => match timeout(HANDSHAKE, tls.accept(stream)).await {
                // It wanted to see the proof, and has.
                Ok(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(PROOF_PROTOCOL) => {}
                Ok(Ok(stream)) => self.http(stream, peer).await,
                Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake failed"),
                Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
            },
        }
        drop(held);
    }

    async fn http<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        &self,
        stream: T,
        peer: SocketAddr,
    ) {
        let service = visit(self.gateway.clone(), peer);
        let connection = self.http.serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let mut ending = self.ending.clone();
        let ended = tokio::select! {
            ended = connection.as_mut() => Some(ended),
            _ = ending.wait_for(|ending| *ending != Ending::Serving) => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = connection.as_mut() => ended,
                    _ = ending.wait_for(|ending| *ending == Ending::Cut) => {
                        tracing::info!(%peer, "cut a connection that did not finish in time");
                        return;
                    }
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "connection ended");
        }
    }
}

fn builder(header_timeout: Duration) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // Runs from the moment the connection waits for a head: it also ends idle connections.
        .header_read_timeout(header_timeout)
        .max_headers(HEADERS_MAX)
        .max_header_size(HEAD_BYTES_MAX)
        .max_buf_size(HEAD_BYTES_MAX.max(64 << 10))
        .pipeline_flush(true)
        // A client that closes its half is gone: its request must stop costing.
        .half_close(false);
    builder
}

/// Whether accepting fails for want of something, and so would fail again at once. Anything else
/// is about the one connection that was to be accepted.
fn is_shortage(error: &io::Error) -> bool {
    use rustix::io::Errno;
    Errno::from_io_error(error).is_some_and(|errno| {
        [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM].contains(&errno)
    })
}

/// Says what is wrong with the listener, but not a thousand times.
#[derive(Default)]
struct Complaint {
    last: Option<Instant>,
}

impl Complaint {
    fn about(&mut self, error: &io::Error) {
        if self
            .last
            .is_none_or(|last| last.elapsed() >= COMPLAINT_INTERVAL)
        {
            self.last = Some(Instant::now());
            tracing::error!(%error, "cannot accept connections; trying again");
        }
    }
}
