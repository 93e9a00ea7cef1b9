//! This node as part of a cluster: what the cluster agreed on, who is there, and what nodes do for each
//! other.
//!
//! Decides when this node listens to others (only once it has, or invites, any), who leads the cluster's
//! state (in this version the node that founded it) and what members may ask of each other. Refuses to
//! know QUIC (`net`), the log's files (`store`) and how requests run (`router`).
//!
//! A node is in one cluster at a time. It founds one of its own at its first start; joining another is the
//! end of that `Life` and the beginning of the next.

mod adopt;
mod authorities;
mod components;
mod door;
mod error;
mod facts;
mod files;
mod follow;
mod govern;
mod invite;
mod life;
mod moving;
mod neighbours;
mod nodes;
mod open;
mod papers;
mod places;
mod remote;
mod serve;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use skep_core::NodeId;
use skep_core::state::{Action, Event, PluginDigest, Role, State};
use tokio::sync::{Mutex, watch};

pub use self::adopt::{Adoption, AdoptionError, AdoptionRole, AdoptionState, Offer};
pub use self::authorities::AuthorityStatus;
pub use self::error::ClusterError;
pub use self::facts::{DeviceFacts, Facts};
pub use self::invite::{Invitation, Joined};
pub use self::neighbours::Neighbour;
pub use self::nodes::{NodeState, NodeStatus, TokenStatus};
pub use self::places::{NotAPlace, Place};
pub use self::remote::Remote;

use self::adopt::Adoptions;
use self::life::Life;
use self::moving::Next;
use crate::identity::Identity;
use crate::keeper::{FollowError, Snapshot};
use crate::pki::Token;
use crate::router::Router;

/// What an operator may set.
#[derive(Clone, Debug)]
pub struct ClusterSettings {
    /// Where to listen for other nodes, UDP.
    pub listen: SocketAddr,
    /// Under which address others reach this node; none: it is found out.
    pub advertise: Option<SocketAddr>,
    /// How long certificates hold.
    pub certificate_life: Duration,
    /// Whether to tell neighbours on the local network that this node is there.
    pub announce: bool,
    /// Where to look for nodes beside the local network.
    pub look: Vec<Place>,
}

/// What this node says of itself when another asks for everything.
#[derive(Clone)]
pub struct Readings(Arc<dyn Fn() -> Vec<u8> + Send + Sync>);

impl Readings {
    /// Asks this whenever somebody wants to know.
    pub fn new(of: impl Fn() -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self(Arc::new(of))
    }

    fn now(&self) -> Vec<u8> {
        (self.0)()
    }
}

impl std::fmt::Debug for Readings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Readings")
    }
}

/// What a cluster needs to begin.
#[derive(Debug)]
pub struct Parts {
    pub folder: PathBuf,
    pub identity: Arc<Identity>,
    /// What people call this machine.
    pub name: String,
    pub settings: ClusterSettings,
    /// What keeps the log; none: what it is in already, or the usual one.
    pub engine: Option<crate::store::EngineKind>,
    pub router: Router,
    /// Where everything between nodes runs; see [`crate::net::NetThread`].
    pub net: tokio::runtime::Handle,
    /// What this node says of itself when another asks for everything, in JSON.
    pub readings: Readings,
    /// Components that others may ask for.
    pub components: crate::plugins::Store,
    /// Counts what changed in what the cluster agreed on.
    pub changed: watch::Sender<u64>,
}

/// This node's place in a cluster. Copies are one.
#[derive(Clone, Debug)]
pub struct Cluster(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    parts: Arc<Parts>,
    life: RwLock<Arc<Life>>,
    adoptions: Arc<Adoptions>,
    /// Held while one life ends and the next begins.
    changing: Mutex<()>,
}

impl Cluster {
    /// Goes on where this node was, or founds a cluster of its own.
    ///
    /// # Errors
    /// See [`ClusterError`].
    pub async fn start(parts: Parts) -> Result<Self, ClusterError> {
        let parts = Arc::new(parts);
        moving::settle(&parts.folder)?;
        let itself = Arc::default();
        let adoptions = Adoptions::new(Arc::clone(&itself));
        let life = Life::begin(parts.clone(), adoptions.clone()).await?;
        let inner = Arc::new(Inner {
            parts,
            life: RwLock::new(life),
            adoptions,
            changing: Mutex::default(),
        });
        // Nobody else sets it.
        let _ = itself.set(Arc::downgrade(&inner));
        Ok(Self(inner))
    }

    /// What the cluster agreed on, as far as this node knows.
    #[must_use]
    pub fn view(&self) -> Arc<State> {
        self.life().keeper.view()
    }

    /// The same as of now, as a log could begin with it.
    ///
    /// # Errors
    /// When there is no cluster here, or the log takes nothing more.
    pub async fn snapshot(&self) -> Result<Snapshot, FollowError> {
        let keeper = self.life().keeper.clone();
        keeper.snapshot().await
    }

    /// A number that grows whenever [`Cluster::view`] may show something new, also when this node joins another cluster.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.parts.changed.subscribe()
    }

    /// A plugin's component of at most so many bytes, from any member that has it.
    ///
    /// # Errors
    /// Why none gave it. Its bytes are to be compared with the digest by the caller.
    pub async fn component(&self, digest: PluginDigest, bytes: u64) -> Result<Vec<u8>, String> {
        let life = self.life();
        components::fetch(&life, digest, bytes).await
    }

    /// This node.
    #[must_use]
    pub fn me(&self) -> NodeId {
        self.0.parts.identity.node()
    }

    /// Whether this node leads the cluster's state.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.life().leads()
    }

    /// Has the cluster decide something; asks the node that leads.
    ///
    /// # Errors
    /// See [`ClusterError`].
    pub async fn decide(&self, action: Action) -> Result<Vec<Event>, ClusterError> {
        self.life().decide(action).await
    }

    /// Lets one machine in: makes a token, and begins to listen for whoever comes with it.
    ///
    /// # Errors
    /// See [`ClusterError`].
    pub async fn invite(
        &self,
        role: Role,
        name: Option<String>,
        valid: Duration,
    ) -> Result<Invitation, ClusterError> {
        self.life().invite(role, name, valid).await
    }

    /// Leaves the cluster that this node founded for itself, and joins the token's. What it kept of the old
    /// one is set aside. `at` names further places to look for it, `HOST:PORT`; `leave`: also one with others.
    ///
    /// # Errors
    /// When this node has others already, or the cluster does not let it in; it stays where it was then.
    pub async fn join(
        &self,
        mut token: Token,
        at: &[String],
        name: Option<String>,
        leave: bool,
    ) -> Result<Joined, ClusterError> {
        let _changing = self.0.changing.lock().await;
        let old = self.life();
        let others = old.keeper.view().members().len() > 1;
        if old.leads() && others {
            return Err(ClusterError::Leads);
        }
        if (others || !old.leads()) && !leave {
            return Err(ClusterError::HasOthers);
        }
        if old.cluster() == Some(token.cluster) && old.leads() {
            return Err(ClusterError::Itself);
        }
        invite::look_there_first(&mut token, at).await?;
        let next = Next::prepare(&self.0.parts.folder)?;
        old.stop_listening().await;
        let joined = invite::join(&self.0.parts, &token, name).await;
        let written = joined.and_then(|accepted| {
            next.write(&accepted.welcome)?;
            Ok(accepted.report)
        });
        let report = match written {
            Ok(report) => report,
            Err(error) => {
                old.listen_again().await?;
                return Err(error);
            }
        };
        old.end().await;
        // What it waited for has come, one way or another.
        self.0.adoptions.close(None);
        let begun = self.begin_next(next).await;
        let (life, begun) = match begun {
            Ok((life, aside)) => (life, Ok(aside)),
            // What was, goes on.
            Err(error) => (self.begin_life().await?, Err(error)),
        };
        *self.0.life.write().unwrap_or_else(PoisonError::into_inner) = life;
        self.0.parts.changed.send_modify(|number| *number += 1);
        Ok(Joined {
            set_aside: Some(begun?),
            ..report
        })
    }

    /// Begins the next membership; the one before lies aside then. On an error it lies where it was.
    async fn begin_next(&self, next: Next) -> Result<(Arc<Life>, PathBuf), ClusterError> {
        let moved = next.move_in()?;
        match self.begin_life().await {
            Ok(life) => Ok((life, moved.aside)),
            Err(error) => {
                moved.back()?;
                Err(error)
            }
        }
    }

    async fn begin_life(&self) -> Result<Arc<Life>, ClusterError> {
        Life::begin(self.0.parts.clone(), self.0.adoptions.clone()).await
    }

    /// Says good-bye to the others.
    pub async fn stop(&self) {
        self.life().end().await;
    }

    /// Every node, this one first.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeStatus> {
        self.life().nodes()
    }

    /// The node that somebody means by a name, or by the beginning of an identity.
    ///
    /// # Errors
    /// When there is none, or several.
    pub fn find(&self, text: &str) -> Result<NodeId, ClusterError> {
        nodes::find(&self.view(), text)
    }

    /// The tokens that the cluster remembers.
    #[must_use]
    pub fn tokens(&self) -> Vec<TokenStatus> {
        nodes::tokens(&self.view())
    }

    /// The authorities that the cluster trusts.
    #[must_use]
    pub fn authorities(&self) -> Vec<AuthorityStatus> {
        authorities::list(&self.view())
    }

    /// Makes a new authority sign; the one before stays trusted until it is retired.
    ///
    /// # Errors
    /// When this node does not lead.
    pub async fn rotate_authority(&self) -> Result<AuthorityStatus, ClusterError> {
        self.life().rotate().await
    }

    /// Who else is on the local network, and where somebody listed it; takes some seconds.
    ///
    /// # Errors
    /// When there is no such place, and multicast cannot be used here.
    pub async fn neighbours(&self) -> Result<Vec<Neighbour>, ClusterError> {
        self.life().neighbours().await
    }

    /// What this node is called.
    #[must_use]
    pub fn name(&self) -> String {
        let view = self.view();
        let member = view.member(self.me());
        member.map_or_else(|| self.0.parts.name.clone(), |member| member.name.clone())
    }

    /// The newest look of any node at its machine, in JSON.
    ///
    /// # Errors
    /// When the node is not reached.
    pub async fn readings(&self, node: NodeId) -> Result<Vec<u8>, ClusterError> {
        self.life().readings(node).await
    }

    fn life(&self) -> Arc<Life> {
        self.0
            .life
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Under which address others reach a node that listens there. Sends nothing.
fn advertised(settings: &ClusterSettings, bound: SocketAddr) -> Option<SocketAddr> {
    let port = bound.port();
    if let Some(address) = settings.advertise {
        let port = if address.port() == 0 {
            port
        } else {
            address.port()
        };
        return Some(SocketAddr::new(address.ip(), port));
    }
    if !bound.ip().is_unspecified() {
        return Some(bound);
    }
    local_addresses()
        .first()
        .map(|ip| SocketAddr::new(*ip, port))
}

/// The addresses of this machine that another could call, the likeliest first: the one that a packet to
/// elsewhere would leave from, then what the interfaces have, loopback last.
pub fn local_addresses() -> Vec<IpAddr> {
    let mut found: Vec<IpAddr> = Vec::new();
    // Connecting a UDP socket chooses a route and sends nothing. The address is one for documentation
    // (RFC 5737).
    let routed = std::net::UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        socket.connect("192.0.2.1:7420")?;
        socket.local_addr()
    });
    if let Ok(address) = routed {
        found.push(address.ip());
    }
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    found.extend(interfaces.iter().map(if_addrs::Interface::ip));
    found.retain(|ip| !ip.is_unspecified() && !ip.is_multicast());
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|ip| seen.insert(*ip));
    // Link-local addresses of IPv6 mean nothing without an interface.
    found.retain(|ip| !matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local()));
    found.sort_by_key(|ip| (ip.is_loopback(), ip.is_ipv6()));
    found
}
