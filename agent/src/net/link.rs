//! A connection to one member that said hello.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use quinn::{Connection, VarInt};
use serde::de::DeserializeOwned;
use skep_core::NodeId;
use tokio::sync::Semaphore;

use super::frames::{Answers, Asked, FrameError};
use super::hello::Hello;
use super::wire::{Ask, Priority};
use crate::limits::{
    ANSWER_BYTES_MAX, ASK_BYTES_MAX, ASKS_ROOM_BYTES, LINK_WINDOW_BYTES, STREAMS_OF_MEMBER,
};

/// A connection to a member. Copies are one; it stays open until it is closed or lost.
#[derive(Clone, Debug)]
pub struct Link(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    node: NodeId,
    hello: Hello,
    version: u16,
    /// Whether we called it.
    dialed: bool,
    connection: Connection,
    /// Bytes of large asks that may be held at once.
    room: Arc<Semaphore>,
}

/// What a member asks of us.
#[derive(Debug)]
pub struct Call {
    /// Over which connection.
    pub link: Link,
    /// What.
    pub ask: Ask,
    /// What else it says; its end means that no answer is wanted any more.
    pub asked: Asked,
    /// Where answers go.
    pub answers: Answers,
}

/// Why a connection is closed, as its other end is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// This node stops.
    Stopping,
    /// Another connection to the same node is used.
    Duplicate,
    /// Nothing was said in time, or nothing that makes sense.
    Misunderstood,
    /// The node may not speak here.
    NotAdmitted,
    /// The node is believed to be gone.
    Gone,
}

impl Closed {
    pub(super) fn code(self) -> VarInt {
        VarInt::from_u32(match self {
            Self::Stopping => 0,
            Self::Duplicate => 1,
            Self::Misunderstood => 2,
            Self::NotAdmitted => 3,
            Self::Gone => 4,
        })
    }
}

impl Link {
    pub(super) fn new(
        connection: Connection,
        node: NodeId,
        hello: Hello,
        version: u16,
        dialed: bool,
    ) -> Self {
        connection.set_receive_window(VarInt::from_u32(LINK_WINDOW_BYTES));
        connection.set_max_concurrent_bi_streams(VarInt::from_u32(STREAMS_OF_MEMBER));
        connection.set_max_concurrent_uni_streams(VarInt::from_u32(0));
        Self(Arc::new(Inner {
            node,
            hello,
            version,
            dialed,
            connection,
            room: Arc::new(Semaphore::new(ASKS_ROOM_BYTES)),
        }))
    }

    /// Who is at the other end.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.0.node
    }

    /// What it said of itself.
    #[must_use]
    pub fn hello(&self) -> &Hello {
        &self.0.hello
    }

    /// The version of the protocol that both speak.
    #[must_use]
    pub fn version(&self) -> u16 {
        self.0.version
    }

    /// Where it calls from.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        canonical(self.0.connection.remote_address())
    }

    /// How long a packet takes there and back.
    #[must_use]
    pub fn round_trip(&self) -> std::time::Duration {
        self.0.connection.rtt()
    }

    /// Whether it can be used no more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.connection.close_reason().is_some()
    }

    /// Waits until it can be used no more.
    pub async fn closed(&self) {
        self.0.connection.closed().await;
    }

    /// Asks something, and gives what answers are read from and what ends it: dropping either tells the
    /// other node that nothing more is wanted.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn ask(&self, ask: &Ask, priority: Priority) -> Result<(Asked, Answers), FrameError> {
        let streams = self.0.connection.open_bi().await;
        let (send, receive) = streams.map_err(|_| FrameError::Lost)?;
        let mut answers = Answers::new(send, priority);
        answers.send(ask).await?;
        Ok((Asked::new(receive, ANSWER_BYTES_MAX), answers))
    }

    /// Asks something that has one answer.
    ///
    /// # Errors
    /// When the connection is lost or the answer is none.
    pub async fn call<M: DeserializeOwned>(&self, ask: &Ask) -> Result<M, FrameError> {
        let (mut asked, mut answers) = self.ask(ask, Priority::Control).await?;
        answers.end();
        asked.next().await?.ok_or(FrameError::Ended)
    }

    /// Ends it; what is under way on it fails on both sides.
    pub fn close(&self, why: Closed) {
        self.0.connection.close(why.code(), b"");
    }

    pub(super) fn dialed(&self) -> bool {
        self.0.dialed
    }

    pub(super) fn id(&self) -> usize {
        self.0.connection.stable_id()
    }

    /// Streams and calls that are under way besides the one who asks.
    pub(super) fn is_quiet(&self) -> bool {
        Arc::strong_count(&self.0) <= QUIET_HOLDERS
    }

    /// A datagram may be lost; one that cannot go now is.
    pub(super) fn send_datagram(&self, bytes: Vec<u8>) {
        // Fails for a lost connection, which its reader notices, and where the other end takes none.
        let _ = self.0.connection.send_datagram(bytes.into());
    }

    pub(super) async fn datagram(&self) -> Option<Bytes> {
        self.0.connection.read_datagram().await.ok()
    }

    /// The next stream that the other end opens, its first message still to be read.
    pub(super) async fn accept(&self) -> Option<(Asked, Answers)> {
        let (send, receive) = self.0.connection.accept_bi().await.ok()?;
        let asked = Asked::new(receive, ASK_BYTES_MAX).within(self.0.room.clone());
        Some((asked, Answers::new(send, Priority::Tokens)))
    }
}

/// IPv4 in its own form.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The task that reads it, the list that it is kept in, and whoever looks.
const QUIET_HOLDERS: usize = 3;
