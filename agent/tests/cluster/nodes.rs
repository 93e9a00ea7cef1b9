//! Nodes for tests: whole clusters without models, and machines that have a member's papers but run none
//! of our code.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use skep::cluster::{Cluster, ClusterError, ClusterSettings, Invitation, Parts, Readings};
use skep::fleet::{Fleet, FleetSettings};
use skep::identity::Identity;
use skep::models::Catalogue;
use skep::net::{JoinAnswer, JoinAsk, JoinError, Socket, knock};
use skep::paths::Paths;
use skep::pki::{Badge, Token};
use skep::protocol::Settings;
use skep::router::Router;
use skep::scheduling::{Policies, Policy};
use skep::store::EngineKind;
use skep_core::state::{Role, State};
use skep_core::{Health, NodeId};
use tempfile::TempDir;

/// Longer than anything here takes, also on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What a node of ours says when another asks for its readings.
pub(crate) const READINGS: &[u8] = b"{\"all\":\"well\"}";

/// A week, as operators have it.
pub(crate) const WEEK: Duration = Duration::from_secs(7 * 86_400);

/// One of our nodes.
pub(crate) struct Node {
    pub(crate) cluster: Cluster,
    pub(crate) folder: Arc<TempDir>,
    router: Router,
}

impl Node {
    /// A node with a cluster of its own.
    pub(crate) async fn start(name: &str) -> Self {
        Self::start_with(name, WEEK).await
    }

    pub(crate) async fn start_with(name: &str, certificate_life: Duration) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        Self::start_in(folder, name, certificate_life).await
    }

    /// A node that goes on where the one in this folder was.
    pub(crate) async fn start_in(
        folder: Arc<TempDir>,
        name: &str,
        certificate_life: Duration,
    ) -> Self {
        let paths = Paths::under(folder.path()).unwrap();
        paths.create().unwrap();
        let identity = Arc::new(Identity::load_or_create(&paths).unwrap());
        let router = router(&paths, identity.node(), name);
        let cluster = Cluster::start(Parts {
            folder: paths.cluster(),
            identity,
            name: name.to_owned(),
            settings: ClusterSettings {
                listen: any_port(),
                advertise: None,
                certificate_life,
                announce: false,
                look: Vec::new(),
            },
            engine: Some(EngineKind::Redb),
            router: router.clone(),
            net: tokio::runtime::Handle::current(),
            components: skep::plugins::Store::open(&paths.plugins()).unwrap(),
            changed: tokio::sync::watch::Sender::new(0),
            readings: Readings::new(|| READINGS.to_vec()),
        })
        .await
        .unwrap();
        Self {
            cluster,
            folder,
            router,
        }
    }

    pub(crate) fn id(&self) -> NodeId {
        self.cluster.me()
    }

    pub(crate) fn state(&self) -> Arc<State> {
        self.cluster.view()
    }

    pub(crate) fn router(&self) -> &Router {
        &self.router
    }

    pub(crate) async fn invite(&self, role: Role, name: Option<&str>) -> (Token, Invitation) {
        let name = name.map(str::to_owned);
        let made = self.cluster.invite(role, name, WEEK).await.unwrap();
        (made.token.parse().unwrap(), made)
    }

    /// Another node of ours that joins this one.
    pub(crate) async fn with(&self, name: &str, certificate_life: Duration) -> Self {
        let (token, _) = self.invite(Role::Worker, None).await;
        let other = Self::start_with(name, certificate_life).await;
        other.cluster.join(token, &[], None, false).await.unwrap();
        other
    }

    /// A machine that has a member's papers and runs none of our code.
    pub(crate) async fn impostor(&self, name: &str) -> Machine {
        let (token, _) = self.invite(Role::Worker, None).await;
        let mut machine = Machine::new();
        machine.join(&token, name).await.unwrap();
        machine
    }

    /// Where it listens.
    pub(crate) async fn address(&self) -> SocketAddr {
        let (token, made) = self.invite(Role::Worker, None).await;
        let revoked = skep_core::state::Action::RevokeToken(token.id);
        self.cluster.decide(revoked).await.unwrap();
        made.addresses[0]
    }
}

fn any_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

fn router(paths: &Paths, node: NodeId, name: &str) -> Router {
    let fleet = Fleet::start(FleetSettings {
        executable: env!("CARGO_BIN_EXE_skep").into(),
        cache_dir: paths.compiled(),
        plugins: Vec::new(),
    })
    .unwrap();
    Router::start(skep::router::Parts {
        core: skep_core::Settings {
            running_max: 100,
            queued_max: 100,
            per_key_max: 100,
            deadline: PATIENCE,
            load_wait: PATIENCE,
            idle_unload: None,
            loaded_max: 4,
        },
        node: skep_core::Node {
            id: node,
            name: name.to_owned(),
            health: Health::Healthy,
            draining: false,
            labels: Default::default(),
            devices: vec![skep_core::Device {
                id: "cpu".to_owned(),
                kind: "cpu".to_owned(),
                health: Health::Healthy,
                memory_bytes: 1 << 33,
                memory_free_bytes: 1 << 33,
                bandwidth: 0,
            }],
        },
        policies: Policies::new(Policy::built_in()),
        fleet,
        catalogue: Arc::new(Catalogue::open(&paths.models()).unwrap()),
        opening: Settings::default(),
        drafts: Default::default(),
        engines: Default::default(),
        threads: Some(1),
        computes_on: Default::default(),
        devices: Vec::new(),
    })
}

/// A machine with a key, and perhaps a cluster's papers for it.
pub(crate) struct Machine {
    pub(crate) identity: Identity,
    /// Its certificate and the authority that gave it.
    pub(crate) papers: Option<(CertificateDer<'static>, CertificateDer<'static>)>,
    /// Where the cluster saw it join from.
    pub(crate) address: Option<SocketAddr>,
    _folder: TempDir,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::under(folder.path()).unwrap();
        paths.create().unwrap();
        Self {
            identity: Identity::load_or_create(&paths).unwrap(),
            papers: None,
            address: None,
            _folder: folder,
        }
    }

    pub(crate) fn id(&self) -> NodeId {
        self.identity.node()
    }

    /// What an honest joiner asks.
    pub(crate) fn ask(&self, token: &Token, name: &str, badge: &Badge) -> JoinAsk {
        JoinAsk::Join {
            token: token.id,
            proof: token.prove(badge),
            request: self.identity.request().unwrap(),
            name: name.to_owned(),
            software: "0.1.0".to_owned(),
        }
    }

    pub(crate) async fn knock(
        &self,
        token: &Token,
        ask: impl Fn(&Badge) -> JoinAsk,
    ) -> Result<(JoinAnswer, SocketAddr), JoinError> {
        let socket = Socket::bind(
            any_port(),
            &self.identity,
            &tokio::runtime::Handle::current(),
        )
        .unwrap();
        let from = socket.address();
        let ask = |badge: &Badge| Ok(ask(badge));
        let answered = knock(&socket, token.addresses[0], token.pin, token.cluster, ask).await;
        socket.close();
        socket.closed().await;
        answered.map(|(answer, ..)| (answer, from))
    }

    /// Joins as an honest machine does; what the cluster said, when that was no.
    pub(crate) async fn join(&mut self, token: &Token, name: &str) -> Result<(), String> {
        let answered = self
            .knock(token, |badge| self.ask(token, name, badge))
            .await;
        match answered.map_err(|error| error.to_string())? {
            (JoinAnswer::Welcome(welcome), from) => {
                self.papers = Some((
                    welcome.certificate.into(),
                    welcome.authorities[0].clone().into(),
                ));
                self.address = Some(from);
                Ok(())
            }
            (JoinAnswer::Refused(why), _) => Err(why),
            (JoinAnswer::Elsewhere(address), _) => Err(format!("elsewhere: {address}")),
        }
    }
}

/// What a node of ours says of being let in.
pub(crate) async fn join(node: &Node, token: &Token) -> Result<(), ClusterError> {
    let joined = node.cluster.join(token.clone(), &[], None, false);
    joined.await.map(|_| ())
}

/// Waits until it is so.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What was logged on this thread since this was made.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

pub(crate) struct Logging {
    pub(crate) log: Log,
    _guard: tracing::subscriber::DefaultGuard,
}

/// Takes down what is logged on this thread from now on. A runtime of one thread logs nothing elsewhere.
pub(crate) fn logging() -> Logging {
    // With one subscriber alone, `tracing` takes what a thread without one says of a place in the code for
    // what holds everywhere.
    static SECOND: OnceLock<tracing::Dispatch> = OnceLock::new();
    SECOND.get_or_init(|| {
        let nowhere = tracing_subscriber::fmt().with_writer(io::sink);
        tracing::Dispatch::new(nowhere.with_max_level(tracing::Level::DEBUG).finish())
    });
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    Logging {
        log,
        _guard: tracing::subscriber::set_default(subscriber),
    }
}

impl Log {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap().clear();
    }

    pub(crate) async fn says(&self, what: &str) {
        let began = Instant::now();
        while !self.text().contains(what) {
            assert!(
                began.elapsed() < PATIENCE,
                "nothing of `{what}` in:\n{}",
                self.text()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The private key of the cluster's active authority, as it lies in its founder's folder.
pub(crate) fn authority_key(founder: &Node) -> String {
    let folder: PathBuf = Paths::under(founder.folder.path()).unwrap().cluster();
    let state = founder.state();
    let (id, _) = state.active_authority().unwrap();
    let name: String = id.to_string().chars().take(16).collect();
    std::fs::read_to_string(folder.join(format!("authority-{name}.pem"))).unwrap()
}

/// The certificate that a node of ours holds now, and the authority that gave it.
pub(crate) fn papers_of(node: &Node) -> (Vec<u8>, Vec<u8>) {
    let folder = Paths::under(node.folder.path()).unwrap().cluster();
    postcard::from_bytes(&std::fs::read(folder.join("papers")).unwrap()).unwrap()
}

/// Whether one node is answered by another.
pub(crate) async fn reaches(from: &Node, to: &Node) -> bool {
    let asked = from.cluster.readings(to.id());
    let answered = tokio::time::timeout(PATIENCE, asked).await;
    answered.is_ok_and(|said| said.is_ok_and(|said| said == READINGS))
}

/// Waits until one node is answered by another.
pub(crate) async fn until_reaches(from: &Node, to: &Node) {
    let began = Instant::now();
    while !reaches(from, to).await {
        assert!(began.elapsed() < PATIENCE, "not reached");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
