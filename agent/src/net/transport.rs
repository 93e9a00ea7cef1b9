//! The UDP socket and QUIC's limits: none of them is quinn's default without a thought.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::{Endpoint, EndpointConfig, IdleTimeout, ServerConfig, TransportConfig, VarInt};
use tokio::runtime::Handle;

use super::filter;
use super::thread::On;
use crate::identity::Identity;
use crate::limits::{
    DATAGRAMS_WAITING_BYTES, HANDSHAKES_BUFFER_BYTES, HANDSHAKES_MAX, LINK_IDLE, LINK_KEEP_ALIVE,
    LINK_WINDOW_BYTES, STREAM_WINDOW_BYTES, STREAMS_BEFORE_HELLO, WINDOW_BEFORE_HELLO_BYTES,
};

/// A bound UDP port with QUIC on it.
#[derive(Clone, Debug)]
pub struct Socket {
    pub(super) endpoint: Endpoint,
    pub(super) runtime: Handle,
    address: SocketAddr,
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
#[error(
    "could not listen on UDP {address} for other nodes; choose another with `cluster.listen` in the configuration"
)]
pub struct SocketError {
    address: SocketAddr,
    #[source]
    source: io::Error,
}

impl Socket {
    /// Binds a port; 0 takes any. It is driven on that runtime. Answers nobody until told how.
    ///
    /// # Errors
    /// When the port is taken or may not be used.
    pub fn bind(
        address: SocketAddr,
        identity: &Identity,
        runtime: &Handle,
    ) -> Result<Self, SocketError> {
        let failed = |source| SocketError { address, source };
        let socket = bind(address).map_err(failed)?;
        let bound = socket.local_addr().map_err(failed)?;
        if let Err(error) = filter::no_canaries(&socket) {
            tracing::debug!(%error, "neighbours that look after this node wake it");
        }
        let key = identity
            .sign(b"skep stateless reset")
            .map_err(|error| failed(io::Error::other(error)))?;
        // The same after a restart: whoever still holds a connection to the life before is told so at once.
        let reset = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &key);
        let endpoint = Endpoint::new(
            EndpointConfig::new(Arc::new(reset)),
            None,
            socket,
            Arc::new(On(runtime.clone())),
        )
        .map_err(failed)?;
        Ok(Self {
            endpoint,
            runtime: runtime.clone(),
            address: bound,
        })
    }

    /// The same; waits a moment for a port that this process itself is about to give up.
    ///
    /// # Errors
    /// As for [`Socket::bind`].
    pub async fn bind_soon(
        address: SocketAddr,
        identity: &Identity,
        runtime: &Handle,
    ) -> Result<Self, SocketError> {
        let deadline = tokio::time::Instant::now() + PORT_PATIENCE;
        loop {
            match Self::bind(address, identity, runtime) {
                Err(error)
                    if error.source.kind() == io::ErrorKind::AddrInUse
                        && tokio::time::Instant::now() < deadline =>
                {
                    tokio::time::sleep(PORT_LOOK).await;
                }
                bound => return bound,
            }
        }
    }

    /// The address that it is bound to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every connection and answers nobody any more.
    pub fn close(&self) {
        self.endpoint.close(VarInt::from_u32(0), b"");
    }

    /// Waits until those at the other ends were told of the end.
    pub async fn closed(&self) {
        let _ = tokio::time::timeout(CLOSE_GRACE, self.endpoint.wait_idle()).await;
    }
}

/// IPv6 takes IPv4 as well where the machine has both.
fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    match UdpSocket::bind(address) {
        Err(_) if address.ip() == Ipv6Addr::UNSPECIFIED => {
            UdpSocket::bind((Ipv4Addr::UNSPECIFIED, address.port()))
        }
        bound => bound,
    }
}

/// What holds for each connection.
pub(super) fn transport() -> TransportConfig {
    let mut config = TransportConfig::default();
    let streams = VarInt::from_u32(STREAMS_BEFORE_HELLO);
    config
        .max_concurrent_bidi_streams(streams)
        .max_concurrent_uni_streams(streams)
        .receive_window(VarInt::from_u32(WINDOW_BEFORE_HELLO_BYTES))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .send_window(LINK_WINDOW_BYTES.into())
        .datagram_receive_buffer_size(Some(DATAGRAMS_WAITING_BYTES))
        .datagram_send_buffer_size(DATAGRAMS_WAITING_BYTES)
        .initial_rtt(ROUND_TRIP_GUESS)
        .max_idle_timeout(IdleTimeout::try_from(LINK_IDLE).ok())
        .keep_alive_interval(Some(LINK_KEEP_ALIVE))
        .allow_spin(false);
    config
}

/// What holds for those who come.
pub(super) fn limit(config: &mut ServerConfig) {
    config
        .transport_config(Arc::new(transport()))
        .max_incoming(HANDSHAKES_MAX)
        .incoming_buffer_size(HANDSHAKES_BUFFER_BYTES / HANDSHAKES_MAX as u64)
        .incoming_buffer_size_total(HANDSHAKES_BUFFER_BYTES)
        .migration(true);
}

/// Before it is measured. A third of what RFC 9002 (section 6.2.2) takes for networks it knows nothing of: these machines
/// are mostly in one building, and what was lost of a handshake is sent again that much sooner.
const ROUND_TRIP_GUESS: Duration = Duration::from_millis(100);

/// How long a port may take to be free again after the socket on it was closed.
/// Connections that were closed linger for three probe timeouts (RFC 9000, section 10.2).
const PORT_PATIENCE: Duration = Duration::from_secs(10);

const PORT_LOOK: Duration = Duration::from_millis(20);

/// How long the last word to the others may take.
const CLOSE_GRACE: Duration = Duration::from_millis(500);
