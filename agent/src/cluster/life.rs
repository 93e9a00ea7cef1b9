//! One membership of this node, from its beginning to its end: the cluster's log, the node's papers and,
//! once there is anybody to talk to, the network.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::pki_types::CertificateDer;
use skep_core::membership::Peer;
use skep_core::state::{Action, Command, Event, Founding};
use skep_core::{ClusterId, NodeId};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use super::adopt::Adoptions;
use super::door::Attempts;
use super::facts::Facts;
use super::files::{Files, Papers};
use super::open::Net;
use super::remote::Remote;
use super::{ClusterError, Parts, advertised, authorities, papers};
use crate::keeper::{Keeper, ProposeError};
use crate::keys::unix_now_s;
use crate::limits::{DECIDED_WAIT, SNAPSHOTS_SENT, VISITORS_WAITING};
use crate::net::{Ask, Entrance, Gate, Hello, Link, Links, Roster, Socket, Swim, Welcome};
use crate::pki::Authority;
use crate::store::EngineKind;

/// One membership.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) parts: Arc<Parts>,
    pub(super) files: Files,
    pub(super) keeper: Keeper,
    pub(super) gate: Gate,
    pub(super) welcome: Option<Welcome>,
    pub(super) papers: Mutex<Option<Papers>>,
    pub(super) attempts: Attempts,
    pub(super) adoptions: Arc<Adoptions>,
    /// What this node says of itself.
    pub(super) facts: watch::Receiver<Option<Arc<Facts>>>,
    pub(super) remote: Remote,
    /// Held by whoever is sent the whole state.
    pub(super) sending: Arc<Semaphore>,
    /// Whom membership was told of.
    pub(super) admitted: Mutex<BTreeSet<NodeId>>,
    /// None while nobody is listened to.
    net: Mutex<Option<Net>>,
    opening: tokio::sync::Mutex<()>,
    tasks: Mutex<JoinSet<()>>,
}

impl Life {
    /// Goes on with the membership in the folder; founds a cluster when there is none.
    pub(super) async fn begin(
        parts: Arc<Parts>,
        adoptions: Arc<Adoptions>,
    ) -> Result<Arc<Self>, ClusterError> {
        let files = Files::open(parts.folder.clone())?;
        let engine = EngineKind::choose(parts.engine, &files.log());
        let (keeper, recovered) = Keeper::open(&files.log(), engine, parts.identity.node())
            .await
            .map_err(|error| ClusterError::Log(error.to_string()))?;
        if let Some(damage) = recovered.damage {
            tracing::error!(?damage, "the cluster's log was damaged");
        }
        let welcome = files.welcome()?;
        let papers = files.papers()?;
        let (facts, newest) = watch::channel(None);
        let observed = parts.router.clone();
        let life = Arc::new(Self {
            facts: newest,
            remote: Remote::new(parts.router.clone()),
            parts,
            files,
            keeper,
            gate: Gate::default(),
            welcome,
            papers: Mutex::new(papers),
            attempts: Attempts::default(),
            adoptions,
            sending: Arc::new(Semaphore::new(SNAPSHOTS_SENT)),
            admitted: Mutex::default(),
            net: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            tasks: Mutex::default(),
        });
        if life.welcome.is_none() && life.keeper.view().cluster().is_none() {
            life.found().await?;
        }
        life.take_stock();
        if life.leads() {
            papers::renew_own(&life)?;
        }
        // It wakes often, as what is between nodes does.
        let observing = super::facts::observe(observed, facts);
        lock(&life.tasks).spawn_on(observing, &life.parts.net);
        life.spawn(super::govern::govern(Arc::downgrade(&life)));
        life.spawn(papers::keep_valid(Arc::downgrade(&life)));
        if !life.leads() {
            life.spawn(super::follow::follow(Arc::downgrade(&life)));
        }
        life.listen_if_wanted().await?;
        Ok(life)
    }

    /// Which cluster this is.
    pub(super) fn cluster(&self) -> Option<ClusterId> {
        let view = self.keeper.view();
        let known = view.cluster().map(|cluster| cluster.id);
        known.or_else(|| self.welcome.as_ref().map(|welcome| welcome.cluster))
    }

    /// The node that leads the cluster's state.
    pub(super) fn leader(&self) -> Option<NodeId> {
        let view = self.keeper.view();
        let founder = view.cluster().map(|cluster| cluster.founder);
        founder.or_else(|| self.welcome.as_ref().map(|welcome| welcome.leader))
    }

    pub(super) fn leads(&self) -> bool {
        self.leader() == Some(self.me())
    }

    pub(super) fn me(&self) -> NodeId {
        self.parts.identity.node()
    }

    /// What people call the leader.
    pub(super) fn leader_name(&self) -> String {
        let view = self.keeper.view();
        let named = self.leader().and_then(|node| view.member(node));
        named.map_or_else(
            || "the founding node".to_owned(),
            |member| member.name.clone(),
        )
    }

    /// Has the cluster decide something.
    pub(super) async fn decide(&self, action: Action) -> Result<Vec<Event>, ClusterError> {
        if !self.leads() {
            return self.ask_leader(action).await;
        }
        let command = Command {
            at: unix_now_s(),
            action,
        };
        self.keeper
            .propose(command)
            .await
            .map_err(|error| match error {
                ProposeError::Refused(refusal) => ClusterError::Refused(refusal),
                stays @ ProposeError::LeaderStays => ClusterError::Denied(stays.to_string()),
                other => ClusterError::Log(other.to_string()),
            })
    }

    /// The connection to the leader, made if there is none.
    pub(super) async fn leader_link(&self) -> Result<Link, ClusterError> {
        let name = self.leader_name();
        let failed = |why: &str| ClusterError::leaderless(&name, why);
        let node = self
            .leader()
            .ok_or_else(|| failed("this node knows none"))?;
        let net = self
            .net()
            .ok_or_else(|| failed("this node is not connected"))?;
        if let Some(link) = net.links.linked(node) {
            return Ok(link);
        }
        let view = self.keeper.view();
        let known = view.member(node).and_then(|member| member.address);
        let told = self.welcome.as_ref().map(|welcome| welcome.leader_address);
        let seen = net.seen.borrow().up.get(&node).map(|peer| peer.address);
        let address = seen.or(known).or(told);
        let address = address.ok_or_else(|| failed("its address is not known"))?;
        let peer = Peer {
            node,
            generation: 0,
            address,
        };
        let link = net.links.to(&peer).await;
        link.map_err(|why| ClusterError::leaderless(&name, why))
    }

    async fn ask_leader(&self, action: Action) -> Result<Vec<Event>, ClusterError> {
        let name = self.leader_name();
        let command = Command {
            at: unix_now_s(),
            action,
        };
        let bytes = command
            .encode()
            .map_err(|error| ClusterError::Log(error.to_string()))?;
        let link = self.leader_link().await?;
        let answer: Result<u64, String> = link
            .call(&Ask::Propose(bytes))
            .await
            .map_err(|why| ClusterError::leaderless(&name, why))?;
        let index = answer.map_err(ClusterError::Denied)?;
        // Whoever asked may look here for what was decided there.
        let mut changes = self.keeper.changes();
        let here = changes.wait_for(|known| *known >= index);
        let _ = tokio::time::timeout(DECIDED_WAIT, here).await;
        Ok(Vec::new())
    }

    /// Who may speak here, as the state (or, before that came, the welcome) says.
    pub(super) fn take_stock(&self) {
        let view = self.keeper.view();
        let mut roster = Roster {
            cluster: self.cluster(),
            ..Roster::default()
        };
        roster.authorities = view
            .authorities()
            .map(|(_, authority)| CertificateDer::from(authority.der.clone()))
            .collect();
        roster.members = view
            .members()
            .filter(|(_, member)| member.standing != skep_core::state::Standing::Pending)
            .map(|(node, _)| node)
            .collect();
        if view.cluster().is_none()
            && let Some(welcome) = &self.welcome
        {
            let authorities = welcome.authorities.iter().cloned();
            roster.authorities = authorities.map(CertificateDer::from).collect();
            roster.members = [welcome.leader, self.me()].into();
        }
        self.gate.set(roster);
    }

    /// Listens when there is, or may soon be, anybody to hear.
    pub(super) async fn listen_if_wanted(self: &Arc<Self>) -> Result<(), ClusterError> {
        let view = self.keeper.view();
        let now = unix_now_s();
        let invited = view.tokens().any(|(_, token)| token.is_open(now));
        let awaited = invited || self.adoptions.is_offered();
        if (awaited || !self.is_alone()) && self.papers().is_some() {
            self.listen().await?;
        }
        Ok(())
    }

    /// Whether this node founded its cluster and nobody else came yet.
    pub(super) fn is_alone(&self) -> bool {
        self.keeper.view().members().len() <= 1 && self.welcome.is_none()
    }

    /// Listens no more where there is nobody to hear.
    pub(super) async fn stop_listening_if_alone(&self) {
        let view = self.keeper.view();
        let now = unix_now_s();
        let invited = view.tokens().any(|(_, token)| token.is_open(now));
        if self.is_alone() && !invited && !self.adoptions.is_busy() {
            self.stop_listening().await;
        }
    }

    /// Listens for other nodes, from now on.
    pub(super) async fn listen(self: &Arc<Self>) -> Result<Net, ClusterError> {
        let _opening = self.opening.lock().await;
        if let Some(net) = self.net() {
            return Ok(net);
        }
        let parts = &self.parts;
        let socket = Socket::bind_soon(parts.settings.listen, &parts.identity, &parts.net).await?;
        let address =
            advertised(&parts.settings, socket.address()).ok_or(ClusterError::NoAddress)?;
        let generation = self.files.next_generation()?;
        let me = Peer {
            node: self.me(),
            generation,
            address,
        };
        let mut seed = [0; 8];
        getrandom::fill(&mut seed)?;
        let (swim, handle, seen) = Swim::new(me, u64::from_le_bytes(seed));
        let (visits, visitors) = mpsc::channel(VISITORS_WAITING);
        let credentials = self.credentials().ok_or(ClusterError::NoAddress)?;
        let links = Links::new(
            self.me(),
            socket.clone(),
            self.gate.clone(),
            &credentials,
            Hello::new(&parts.name, generation, address),
            visits.clone(),
            handle.clone(),
        )?;
        let net = Net {
            socket: socket.clone(),
            links: links.clone(),
            swim: handle.clone(),
            seen: seen.clone(),
            beacon: Arc::new(self.announce(socket.address().port())),
            runtime: parts.net.clone(),
            tasks: Arc::default(),
        };
        *self.net_slot() = Some(net.clone());
        net.spawn(Entrance::new(socket, links.clone(), visits).run());
        net.spawn(swim.run(links));
        net.spawn(crate::net::watch_processes(seen, handle));
        // What others ask for is done where other requests are.
        net.spawn_here(super::serve::serve(Arc::downgrade(self), visitors));
        net.spawn(super::facts::exchange(Arc::downgrade(self), net.clone()));
        net.spawn(super::govern::remember_life(
            Arc::downgrade(self),
            net.clone(),
        ));
        super::govern::admit(self, &net).await;
        tracing::info!(listen = %net.socket.address(), %address, "listening for other nodes");
        Ok(net)
    }

    /// Hears nobody for a while.
    pub(super) async fn stop_listening(&self) {
        let net = self.net_slot().take();
        if let Some(net) = net {
            net.end().await;
            // Nothing of them is reached any more, and nothing of the socket may stay.
            self.remote.forget_all();
        }
    }

    /// Goes on listening, if it did.
    pub(super) async fn listen_again(self: &Arc<Self>) -> Result<(), ClusterError> {
        self.listen_if_wanted().await
    }

    /// Says good-bye and does nothing any more.
    pub(super) async fn end(&self) {
        self.stop_listening().await;
        let mut tasks = std::mem::take(&mut *lock(&self.tasks));
        tasks.shutdown().await;
        self.remote.forget_all();
        self.keeper.clone().close().await;
    }

    pub(super) fn net(&self) -> Option<Net> {
        self.net_slot().clone()
    }

    pub(super) fn papers(&self) -> Option<Papers> {
        lock(&self.papers).clone()
    }

    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        lock(&self.tasks).spawn(task);
    }

    fn net_slot(&self) -> MutexGuard<'_, Option<Net>> {
        lock(&self.net)
    }

    async fn found(&self) -> Result<(), ClusterError> {
        let mut id = [0; 16];
        getrandom::fill(&mut id)?;
        let cluster = ClusterId(id);
        let now = unix_now_s();
        let authority = Authority::create(cluster, now)?;
        let certificate = authorities::describe(&authority)
            .ok_or_else(|| ClusterError::Damaged(self.files.log()))?;
        authority.save(&self.files.authority(certificate.id))?;
        let founding = Founding {
            cluster,
            name: self.parts.name.clone(),
            founder: self.me(),
            founder_name: self.parts.name.clone(),
            public_key: self.parts.identity.public_key_der(),
            address: None::<SocketAddr>,
            authority: certificate,
        };
        let command = Command {
            at: now,
            action: Action::Found(founding),
        };
        let founded = self.keeper.propose(command).await;
        founded.map_err(|error| ClusterError::Log(error.to_string()))?;
        tracing::info!(%cluster, "founded a cluster");
        Ok(())
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
