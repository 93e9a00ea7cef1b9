//! Who comes: members are let in, joiners, adopters and askers are let to the door, everybody else is sent away before a
//! byte of theirs is read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use quinn::crypto::rustls::HandshakeData;
use quinn::{Connection, Incoming};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::adopt::AdoptDoor;
use super::join::Door;
use super::link::{Call, Closed, canonical};
use super::links::Links;
use super::tls::{ADOPTERS, ASKERS, JOINERS, MEMBERS};
use super::transport::Socket;
use super::who::WhoDoor;
use crate::limits::{DOORS_MAX, HANDSHAKE_TIMEOUT, HANDSHAKES_BEFORE_RETRY, HANDSHAKES_MAX};

/// Somebody who was let in so far.
#[derive(Debug)]
pub enum Visitor {
    /// A member asks something.
    Member(Box<Call>),
    /// A machine wants to become a member.
    Joiner(Door),
    /// A node wants to adopt this one.
    Adopter(AdoptDoor),
    /// Somebody wants to know who this is.
    Asker(WhoDoor),
}

/// Takes in connections until the socket is closed.
#[derive(Debug)]
pub struct Entrance {
    socket: Socket,
    links: Links,
    visitors: mpsc::Sender<Visitor>,
    handshakes: Arc<AtomicUsize>,
    doors: Arc<AtomicUsize>,
}

impl Entrance {
    /// An entrance for this socket.
    #[must_use]
    pub fn new(socket: Socket, links: Links, visitors: mpsc::Sender<Visitor>) -> Self {
        Self {
            socket,
            links,
            visitors,
            handshakes: Arc::default(),
            doors: Arc::default(),
        }
    }

    /// Runs until the socket is closed.
    pub async fn run(self) {
        while let Some(incoming) = self.socket.endpoint.accept().await {
            let waiting = self.handshakes.load(Ordering::Relaxed);
            if waiting >= HANDSHAKES_MAX {
                incoming.ignore();
                continue;
            }
            // Under pressure a caller first proves that it hears us (RFC 9000, section 8.1).
            if waiting >= HANDSHAKES_BEFORE_RETRY && incoming.may_retry() {
                let _ = incoming.retry();
                continue;
            }
            let counted = Counted::new(&self.handshakes);
            let links = self.links.clone();
            let visitors = self.visitors.clone();
            let doors = self.doors.clone();
            tokio::spawn(async move {
                let from = canonical(incoming.remote_address());
                if let Err(why) = admit(incoming, links, visitors, counted, &doors).await {
                    tracing::info!(%from, %why, "refused a connection");
                }
            });
        }
    }
}

async fn admit(
    incoming: Incoming,
    links: Links,
    visitors: mpsc::Sender<Visitor>,
    counted: Counted,
    doors: &Arc<AtomicUsize>,
) -> Result<(), String> {
    let connecting = incoming.accept().map_err(|error| error.to_string())?;
    let connection = timeout(HANDSHAKE_TIMEOUT, connecting)
        .await
        .map_err(|_| "the handshake took too long".to_owned())?
        .map_err(|error| error.to_string())?;
    match protocol(&connection).as_deref() {
        Some(MEMBERS) if connection.peer_identity().is_some() => {
            let taken = links.take(connection, false).await;
            drop(counted);
            taken.map(|_| ()).map_err(|error| error.to_string())
        }
        Some(protocol @ (JOINERS | ADOPTERS | ASKERS)) => {
            drop(counted);
            let crowded = || "too many machines are at the door".to_owned();
            if doors.load(Ordering::Relaxed) >= DOORS_MAX {
                return Err(crowded());
            }
            let counted = Counted::new(doors);
            let visitor = match protocol {
                JOINERS => Visitor::Joiner(Door::new(connection, counted)),
                ADOPTERS => Visitor::Adopter(AdoptDoor::new(connection, counted)),
                _ => Visitor::Asker(WhoDoor::new(connection, counted)),
            };
            visitors.try_send(visitor).map_err(|_| crowded())
        }
        _ => {
            connection.close(Closed::NotAdmitted.code(), b"");
            Err("it showed no certificate".into())
        }
    }
}

fn protocol(connection: &Connection) -> Option<Vec<u8>> {
    let data = connection.handshake_data()?;
    data.downcast::<HandshakeData>().ok()?.protocol
}

/// One of those that are under way.
#[derive(Debug)]
pub(super) struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
