//! Both sides of the door: a machine with a token outside, a member inside.

use std::net::SocketAddr;
use std::sync::PoisonError;
use std::time::Duration;

use quinn::Connection;
use rustls::pki_types::CertificateDer;
use skep_core::ClusterId;
use tokio::time::timeout;

use super::entrance::Counted;
use super::frames::{Answers, Asked, FrameError};
use super::link::{Closed, canonical};
use super::tls::{self, Met};
use super::transport::Socket;
use super::wire::{JoinAnswer, JoinAsk, Priority};
use crate::limits::{DIAL_TIMEOUT, JOIN_BYTES_MAX, JOIN_TIMEOUT};
use crate::pki::{Badge, Certified, Pin, Token, face};

/// A machine that is no member and wants to be, as the member sees it.
#[derive(Debug)]
pub struct Door {
    connection: Connection,
    _counted: Counted,
}

/// Why a machine did not get in.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// Nobody answers there.
    #[error("no answer from {0}: is `skep up` running there, and does a firewall let UDP through?")]
    Silent(SocketAddr),
    /// Somebody answers who is not of the cluster; nothing was sent to them.
    #[error(
        "{0} is not of the cluster that the token is for; nothing was sent to it. Check the address, or whether somebody stands between"
    )]
    Impostor(SocketAddr),
    /// The connection could not be made.
    #[error("could not connect to {address}: {why}")]
    Failed {
        /// Where.
        address: SocketAddr,
        /// In words.
        why: String,
    },
    /// The connection was lost midway.
    #[error("the connection to {address} was lost; try again")]
    Lost {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: FrameError,
    },
    /// The cluster said no.
    #[error("the cluster refused: {0}")]
    Refused(String),
    /// What the cluster answered makes no sense.
    #[error("the cluster's answer cannot be used: {0}")]
    Nonsense(String),
}

impl Door {
    pub(super) fn new(connection: Connection, counted: Counted) -> Self {
        Self {
            connection,
            _counted: counted,
        }
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        canonical(self.connection.remote_address())
    }

    /// What it wants, where the answer goes, and what its proof must be bound to. It gets little time and
    /// room to say it.
    ///
    /// # Errors
    /// When it says nothing, or nothing that can be understood.
    pub async fn open(&self) -> Result<(JoinAsk, Answers, Badge), FrameError> {
        let hear = async {
            let (send, receive) = self
                .connection
                .accept_bi()
                .await
                .map_err(|_| FrameError::Lost)?;
            let mut asked = Asked::new(receive, JOIN_BYTES_MAX);
            let ask = asked.next().await?.ok_or(FrameError::Ended)?;
            Ok((ask, Answers::new(send, Priority::Control)))
        };
        let heard = timeout(JOIN_TIMEOUT, hear).await;
        let (ask, answers) = heard.unwrap_or(Err(FrameError::Lost))?;
        Ok((ask, answers, badge(&self.connection)?))
    }

    /// Waits until the answer was taken, then closes the door.
    pub async fn close(self) {
        let _ = timeout(JOIN_TIMEOUT, self.connection.closed()).await;
        self.connection.close(Closed::Stopping.code(), b"");
    }
}

/// Asks at `address` to be let in, from the socket that will be this node's own. `ask` makes the
/// question from what its proof must be bound to. Nothing is sent to anybody without the pinned authority.
///
/// # Errors
/// See [`JoinError`].
pub async fn knock(
    socket: &Socket,
    address: SocketAddr,
    pin: Pin,
    cluster: ClusterId,
    ask: impl Fn(&Badge) -> Result<JoinAsk, String>,
) -> Result<(JoinAnswer, Certified, CertificateDer<'static>), JoinError> {
    let failed = |why: String| JoinError::Failed { address, why };
    let lost = |source| JoinError::Lost { address, source };
    let met = Met::default();
    let config = tls::joiner(pin, cluster, &met).map_err(|error| failed(error.to_string()))?;
    let connecting = socket
        .endpoint
        .connect_with(config, address, &face(&pin))
        .map_err(|error| failed(error.to_string()))?;
    let connection = match timeout(DIAL_TIMEOUT, connecting).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(quinn::ConnectionError::TimedOut)) | Err(_) => {
            return Err(JoinError::Silent(address));
        }
        // Our own verifier is what ends it here.
        Ok(Err(quinn::ConnectionError::TransportError(error)))
            if error.reason.contains("certificate") =>
        {
            return Err(JoinError::Impostor(address));
        }
        Ok(Err(error)) => return Err(failed(error.to_string())),
    };
    let seen = met.lock().unwrap_or_else(PoisonError::into_inner).take();
    let (member, authority) = seen.ok_or(JoinError::Impostor(address))?;
    let exchange = async {
        let ask = ask(&badge(&connection)?).map_err(FrameError::Malformed)?;
        let streams = connection.open_bi().await;
        let (send, receive) = streams.map_err(|_| FrameError::Lost)?;
        let mut answers = Answers::new(send, Priority::Control);
        answers.send(&ask).await?;
        answers.end();
        let mut asked = Asked::new(receive, JOIN_BYTES_MAX);
        asked.next().await?.ok_or(FrameError::Ended)
    };
    let answer = timeout(ANSWER_TIMEOUT, exchange).await;
    connection.close(Closed::Stopping.code(), b"");
    let answer = answer.unwrap_or(Err(FrameError::Lost)).map_err(lost)?;
    Ok((answer, member, authority))
}

fn badge(connection: &Connection) -> Result<Badge, FrameError> {
    let mut badge = [0; 32];
    connection
        .export_keying_material(&mut badge, Token::EXPORTER, b"")
        .map_err(|_| FrameError::Lost)?;
    Ok(badge)
}

/// The cluster may have to make something durable first.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
