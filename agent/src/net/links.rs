//! The connections to other members: one each, made when it is needed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use quinn::{ClientConfig, Connection, VarInt};
use skep_core::NodeId;
use skep_core::membership::Peer;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::entrance::Visitor;
use super::frames::{Answers, Asked};
use super::hello::{self, Hello, HelloError};
use super::kept::Kept;
use super::link::{Call, Closed, Link};
use super::roster::Gate;
use super::swim::SwimHandle;
use super::tls::{self, Credentials};
use super::transport::Socket;
use super::wire::Ask;
use crate::limits::{ASK_TIMEOUT, DIAL_TIMEOUT, DUPLICATE_LOOK, HANDSHAKE_TIMEOUT};
use crate::pki;

/// Every connection to a member. Copies are one.
#[derive(Clone, Debug)]
pub struct Links(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    socket: Socket,
    gate: Gate,
    config: RwLock<ClientConfig>,
    hello: RwLock<Hello>,
    kept: Kept,
    /// Held by whoever dials that node.
    dialing: Mutex<HashMap<NodeId, Arc<tokio::sync::Mutex<()>>>>,
    visitors: mpsc::Sender<Visitor>,
    swim: SwimHandle,
    changes: watch::Sender<u64>,
}

/// Why a node could not be reached.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// It does not answer.
    #[error("no answer from {0}")]
    Silent(std::net::SocketAddr),
    /// It, or we, refused.
    #[error("{address} did not let us in, or is not who it should be: {why}")]
    Refused {
        /// Where.
        address: std::net::SocketAddr,
        /// In words.
        why: String,
    },
    /// It speaks another language.
    #[error(transparent)]
    Hello(#[from] HelloError),
    /// This node has no cluster, or the other is not of it.
    #[error("it is no member of this cluster")]
    NotAdmitted,
}

impl Links {
    /// No connection yet. Calls from members go to `visitors`, membership's datagrams to `swim`.
    ///
    /// # Errors
    /// When the credentials are none.
    pub fn new(
        me: NodeId,
        socket: Socket,
        gate: Gate,
        credentials: &Credentials,
        hello: Hello,
        visitors: mpsc::Sender<Visitor>,
        swim: SwimHandle,
    ) -> Result<Self, rustls::Error> {
        let links = Self(Arc::new(Inner {
            config: RwLock::new(tls::client(credentials, &gate)?),
            socket,
            gate,
            hello: RwLock::new(hello),
            kept: Kept::new(me),
            dialing: Mutex::default(),
            visitors,
            swim,
            changes: watch::Sender::new(0),
        }));
        links.show(credentials)?;
        Ok(links)
    }

    /// From now on new connections show these; those that are open stay.
    ///
    /// # Errors
    /// When the credentials are none; the ones before stay.
    pub fn show(&self, credentials: &Credentials) -> Result<(), rustls::Error> {
        let client = tls::client(credentials, &self.0.gate)?;
        let server = tls::server(credentials, &self.0.gate)?;
        *self
            .0
            .config
            .write()
            .unwrap_or_else(PoisonError::into_inner) = client;
        self.0.socket.endpoint.set_server_config(Some(server));
        Ok(())
    }

    /// What new connections are told of this node.
    pub fn say(&self, hello: Hello) {
        *self.0.hello.write().unwrap_or_else(PoisonError::into_inner) = hello;
    }

    /// What new connections are told of this node.
    #[must_use]
    pub fn hello(&self) -> Hello {
        self.0
            .hello
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// A number that grows whenever a connection comes or goes.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// The open connection to a node.
    #[must_use]
    pub fn linked(&self, node: NodeId) -> Option<Link> {
        self.0.kept.linked(node)
    }

    /// Every open connection.
    #[must_use]
    pub fn all(&self) -> Vec<Link> {
        self.0.kept.all()
    }

    /// The connection to a member, made if there is none.
    ///
    /// # Errors
    /// See [`DialError`].
    pub async fn to(&self, peer: &Peer) -> Result<Link, DialError> {
        if let Some(link) = self.current(peer) {
            return Ok(link);
        }
        let turn = self.turn(peer.node);
        let _turn = turn.lock().await;
        // Somebody else may have made it meanwhile.
        if let Some(link) = self.current(peer) {
            return Ok(link);
        }
        let dialed = timeout(DIAL_TIMEOUT, self.dial(peer)).await;
        dialed.unwrap_or(Err(DialError::Silent(peer.address)))
    }

    /// Sends a datagram of membership; it may be lost. Where there is no connection one is made, and what
    /// is to be sent meanwhile is lost.
    pub fn send(&self, to: Peer, bytes: Vec<u8>) {
        if let Some(link) = self.current(&to) {
            link.send_datagram(bytes);
            return;
        }
        let turn = self.turn(to.node);
        if turn.try_lock().is_err() {
            return;
        }
        let links = self.clone();
        self.0.socket.runtime.spawn(async move {
            match links.to(&to).await {
                Ok(link) => link.send_datagram(bytes),
                Err(why) => tracing::debug!(node = %to.node, %why, "not reached"),
            }
        });
    }

    /// Ends every connection to a node.
    pub fn close(&self, node: NodeId, why: Closed) {
        for link in self.0.kept.take(node) {
            link.close(why);
        }
        self.0
            .dialing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&node);
    }

    /// Ends the connections to nodes that are no members any more.
    pub fn close_strangers(&self) {
        let known = self.0.kept.nodes().into_iter();
        for node in known.filter(|node| !self.0.gate.admits(*node)) {
            self.close(node, Closed::NotAdmitted);
        }
    }

    /// A connection that came, or that we made: says hello, keeps it, reads it until it ends.
    pub(super) async fn take(
        &self,
        connection: Connection,
        dialed: bool,
    ) -> Result<Link, HelloError> {
        let Some(node) = node(&connection).filter(|node| self.0.gate.admits(*node)) else {
            connection.close(Closed::NotAdmitted.code(), b"");
            return Err(HelloError::Frame(super::FrameError::Lost));
        };
        let hello = self.hello();
        let greeted = timeout(HANDSHAKE_TIMEOUT, hello::greet(&connection, &hello)).await;
        let (theirs, version) = match greeted {
            Ok(Ok(greeted)) => greeted,
            Ok(Err(error)) => {
                connection.close(Closed::Misunderstood.code(), b"");
                return Err(error);
            }
            Err(_) => {
                connection.close(Closed::Misunderstood.code(), b"");
                return Err(HelloError::Frame(super::FrameError::Lost));
            }
        };
        let link = Link::new(connection, node, theirs, version, dialed);
        self.keep(&link);
        let reading = self.clone().read(link.clone());
        self.0.socket.runtime.spawn(reading);
        Ok(link)
    }

    async fn dial(&self, peer: &Peer) -> Result<Link, DialError> {
        let refused = |why: String| DialError::Refused {
            address: peer.address,
            why,
        };
        let cluster = self.0.gate.roster().cluster.ok_or(DialError::NotAdmitted)?;
        let name = pki::name(peer.node, cluster);
        let config = self
            .0
            .config
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let connection = self
            .0
            .socket
            .endpoint
            .connect_with(config, peer.address, &name)
            .map_err(|error| refused(error.to_string()))?
            .await
            .map_err(|error| match error {
                quinn::ConnectionError::TimedOut => DialError::Silent(peer.address),
                error => refused(error.to_string()),
            })?;
        Ok(self.take(connection, true).await?)
    }

    /// The connection to this life of a node.
    fn current(&self, peer: &Peer) -> Option<Link> {
        let link = self.linked(peer.node)?;
        // It was started again since: what we hold leads nowhere.
        if link.hello().generation < peer.generation && link.hello().address != peer.address {
            return None;
        }
        Some(link)
    }

    fn keep(&self, link: &Link) {
        let losers = self.0.kept.keep(link);
        for loser in losers.now {
            loser.close(Closed::Duplicate);
        }
        if let Some(loser) = losers.later {
            self.0.socket.runtime.spawn(async move {
                loop {
                    tokio::time::sleep(DUPLICATE_LOOK).await;
                    if loser.is_closed() || loser.is_quiet() {
                        loser.close(Closed::Duplicate);
                        return;
                    }
                }
            });
        }
        // It may have been removed while it said hello.
        if !self.0.gate.admits(link.node()) {
            self.close(link.node(), Closed::NotAdmitted);
        }
        self.0.changes.send_modify(|count| *count += 1);
    }

    async fn read(self, link: Link) {
        loop {
            tokio::select! {
                datagram = link.datagram() => match datagram {
                    Some(bytes) => self.0.swim.datagram(link.node(), bytes),
                    None => break,
                },
                stream = link.accept() => match stream {
                    Some((asked, answers)) => {
                        tokio::spawn(self.clone().hear(link.clone(), asked, answers));
                    }
                    None => break,
                },
            }
        }
        self.0.kept.remove(&link);
        self.0.changes.send_modify(|count| *count += 1);
    }

    async fn hear(self, link: Link, mut asked: Asked, answers: Answers) {
        match timeout(ASK_TIMEOUT, asked.next::<Ask>()).await {
            Ok(Ok(Some(ask))) => {
                let call = Call {
                    link,
                    ask,
                    asked,
                    answers,
                };
                // Fails when this node stops.
                let _ = self.0.visitors.send(Visitor::Member(Box::new(call))).await;
            }
            Ok(Ok(None)) => {}
            Ok(Err(why)) => tracing::debug!(node = %link.node(), %why, "a call was not understood"),
            Err(_) => tracing::debug!(node = %link.node(), "a call said nothing"),
        }
    }

    fn turn(&self, node: NodeId) -> Arc<tokio::sync::Mutex<()>> {
        let mut dialing = self
            .0
            .dialing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        dialing.entry(node).or_default().clone()
    }
}

/// Who is at the other end, as its certificate says; none when it showed none.
fn node(connection: &Connection) -> Option<NodeId> {
    let identity = connection.peer_identity()?;
    let chain = identity
        .downcast::<Vec<rustls::pki_types::CertificateDer<'static>>>()
        .ok()?;
    let key = pki::spki(chain.first()?)?;
    Some(pki::node_of(&key))
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.socket.endpoint.close(VarInt::from_u32(0), b"");
    }
}
