//! Asking at one address who is there: what a node tells the local network by mDNS, told over QUIC to whoever knows where to ask.
//!
//! Decides what is said: where and what a node is, nothing that lets anybody in. What is heard is anybody's word: bounded
//! here, and believed by nobody.

use std::net::SocketAddr;

use quinn::Connection;
use serde::{Deserialize, Serialize};
use skep_core::{ClusterId, NodeId};
use tokio::time::timeout;

use super::entrance::Counted;
use super::frames::{Answers, Asked, FrameError};
use super::link::Closed;
use super::neighbours::Heard;
use super::tls::{self, ASKERS};
use super::transport::Socket;
use super::wire::{PROTOCOL, PROTOCOL_OLDEST, Priority};
use crate::limits::{WHO_BYTES_MAX, WHO_TIMEOUT};

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    pub node: NodeId,
    pub cluster: ClusterId,
    pub name: String,
    /// Its release.
    pub software: String,
    /// The oldest and the newest version of the protocol that it speaks.
    pub protocol: (u16, u16),
    /// Whether it waits to be adopted.
    pub adoptable: bool,
}

/// Why nobody said anything.
#[derive(Debug, thiserror::Error)]
pub enum WhoError {
    /// Nobody answers there.
    #[error(
        "nobody answers: does an agent run there that has, or invites, others, and does a firewall let UDP through?"
    )]
    Silent,
    /// Somebody answers who speaks otherwise.
    #[error("whoever answers there does not say who it is: {0}")]
    Other(String),
    /// This node cannot ask.
    #[error("this node cannot ask: {0}")]
    Here(String),
}

/// What is asked; a later release may ask for more.
#[derive(Debug, Serialize, Deserialize)]
struct Question {
    /// The newest version that the asker speaks.
    protocol: u16,
}

/// Somebody who asks, not heard yet.
#[derive(Debug)]
pub struct WhoDoor {
    connection: Connection,
    _counted: Counted,
}

impl WhoDoor {
    pub(super) fn new(connection: Connection, counted: Counted) -> Self {
        Self {
            connection,
            _counted: counted,
        }
    }

    /// Says it, and ends. Whoever asks gets little time.
    pub async fn answer(self, said: &Said) {
        let exchange = async {
            let streams = self.connection.accept_bi().await;
            let (send, receive) = streams.map_err(|_| FrameError::Lost)?;
            let mut asked = Asked::new(receive, WHO_BYTES_MAX);
            let Some(Question { .. }) = asked.next().await? else {
                return Err(FrameError::Ended);
            };
            let mut answers = Answers::new(send, Priority::Control);
            answers.send(said).await?;
            answers.end();
            // Until it was heard.
            self.connection.closed().await;
            Ok(())
        };
        match timeout(WHO_TIMEOUT, exchange).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "somebody asked nothing"),
            Err(_) => tracing::debug!("somebody took too long to ask"),
        }
        self.connection.close(Closed::Stopping.code(), b"");
    }
}

/// Asks whoever is there.
///
/// # Errors
/// See [`WhoError`].
pub async fn who(socket: &Socket, address: SocketAddr) -> Result<Heard, WhoError> {
    let config = tls::stranger(ASKERS).map_err(|error| WhoError::Here(error.to_string()))?;
    let connecting = socket
        .endpoint
        .connect_with(config, address, FACE)
        .map_err(|error| WhoError::Here(error.to_string()))?;
    let connection = match timeout(WHO_TIMEOUT, connecting).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(quinn::ConnectionError::TimedOut)) | Err(_) => return Err(WhoError::Silent),
        Ok(Err(error)) => return Err(WhoError::Other(error.to_string())),
    };
    let exchange = async {
        let streams = connection.open_bi().await;
        let (send, receive) = streams.map_err(|_| FrameError::Lost)?;
        let mut answers = Answers::new(send, Priority::Control);
        answers.send(&Question { protocol: PROTOCOL }).await?;
        answers.end();
        let said = Asked::new(receive, WHO_BYTES_MAX).next::<Said>().await?;
        said.ok_or(FrameError::Ended)
    };
    let said = timeout(WHO_TIMEOUT, exchange).await;
    connection.close(Closed::Stopping.code(), b"");
    let said = said.map_err(|_| WhoError::Silent)?;
    let said = said.map_err(|error| WhoError::Other(error.to_string()))?;
    Ok(Heard {
        name: super::neighbours::word(&said.name).unwrap_or_else(|| "unnamed".into()),
        node: Some(said.node),
        cluster: Some(said.cluster),
        software: super::neighbours::word(&said.software),
        protocol: Some(said.protocol),
        addresses: vec![address],
        adoptable: said.adoptable,
    })
}

impl Said {
    /// What this node says.
    #[must_use]
    pub fn of(node: NodeId, cluster: ClusterId, name: String, adoptable: bool) -> Self {
        Self {
            node,
            cluster,
            name,
            software: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: (PROTOCOL_OLDEST, PROTOCOL),
            adoptable,
        }
    }
}

/// Nobody is called so: the certificate is not looked at.
const FACE: &str = "who.skep";
