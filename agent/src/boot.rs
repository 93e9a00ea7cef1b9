//! Starting and stopping the agent, each in one straight line.
//!
//! Decides the order: nothing is made before what it needs, and whatever fails says which step it
//! was. Refuses to know what any part does.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use skep_hw::telemetry::Places;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::acme::Certificates;
use crate::agent::Agent;
use crate::alerts::Alerts;
use crate::backup::{self, Backups};
use crate::cluster::{self, Cluster, Readings};
use crate::config::{self, Override, Settings, Source};
use crate::diagnosis::{self, BurnIns, Choice};
use crate::fleet::{Fleet, FleetSettings};
use crate::http::{Ending, Port, Server, Sessions};
use crate::identity::{Identity, Lock};
use crate::keys::{Keys, Secret, unix_now_s};
use crate::logs::LogRing;
use crate::metrics::Metrics;
use crate::models::Catalogue;
use crate::net::NetThread;
use crate::paths::Paths;
use crate::plugins::{self, Shelf};
use crate::protocol::Timeouts;
use crate::router::{Parts, Router};
use crate::scheduling::{self, Policies, Policy};
use crate::services::{self, Services};
use crate::setup::Setup;
use crate::systemd::Supervisor;
use crate::telemetry;
use crate::users::{Doors, Passwords};

mod endpoint;
mod error;
mod lan;
mod logging;
mod loops;
mod stop;
pub(crate) mod tiny;
mod trim;

pub use self::error::StartError;
pub use self::lan::LanError;
pub(crate) use self::lan::fingerprint;
pub use self::stop::Stop;

/// What the command line says of a start.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// One folder for everything, instead of the usual ones.
    pub home: Option<PathBuf>,
    /// A configuration file that must exist, instead of the usual one.
    pub config: Option<PathBuf>,
    /// Settings given as flags.
    pub overrides: Vec<Override>,
    /// To be reached from the local network.
    pub lan: bool,
}

/// A running agent.
#[derive(Debug)]
pub struct Running {
    pub agent: Arc<Agent>,
    /// The key that was made now, at the first start; to be shown once.
    pub first_key: Option<Secret>,
    ending: watch::Sender<Ending>,
    serving: JoinHandle<()>,
    endpoint: endpoint::EndpointFile,
    telemetry: JoinHandle<()>,
    net: NetThread,
    supervisor: Supervisor,
    /// To the accept loop.
    questions: mpsc::Sender<tokio::sync::oneshot::Sender<()>>,
    signals: stop::Signals,
    /// Given up last, when nothing of this agent is left.
    lock: Lock,
}

/// The runtime for an agent: as many threads as a gateway can use; models compute elsewhere.
///
/// # Errors
/// When the system gives no threads.
pub fn runtime() -> std::io::Result<Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.min(THREADS_MAX))
        .thread_name("skep")
        .enable_all()
        .build()
}

/// Starts an agent. When this returns it serves; its default model may still be loading.
///
/// # Errors
/// The step that failed. Whatever was started is ended.
pub async fn start(start: Start) -> Result<Running, StartError> {
    let environment = |name: &str| std::env::var(name).ok();
    let paths = Paths::choose(start.home.as_deref(), environment)?;
    let (settings, choice) = read_settings(&start, &paths)?;
    let logs = LogRing::new();
    logging::begin(&settings.log, &logs);
    let supervisor = Supervisor::find(environment);
    let starting = supervisor.starting();
    if let Some(choice) = choice {
        let passed_over = choice.passed_over.join("; ");
        tracing::info!(
            device = choice.device,
            name = choice.name,
            passed_over,
            "chose what to compute on"
        );
    }

    paths.create()?;
    let lock = Lock::take(&paths)?;
    if backup::is_half_done(&paths) {
        return Err(StartError::HalfRestored);
    }
    let identity = Identity::load_or_create(&paths)?;
    tracing::debug!(node = %identity.node(), "identity");
    let (keys, first_key) = Keys::open(&paths)?;

    let mut telemetry = telemetry::Watch::start(
        settings.telemetry.interval,
        &places(&settings, &paths),
        settings.node.computes_on.card(),
    )
    .map_err(StartError::Telemetry)?;
    let burn_ins = BurnIns::open(&paths);
    telemetry.heed(burn_ins.clone());
    let machine = telemetry.machine();
    let catalogue = Arc::new(Catalogue::open(&paths.models())?);
    tiny::materialise(&catalogue)?;

    let executable = std::env::current_exe().map_err(StartError::Executable)?;
    let fleet = FleetSettings {
        executable,
        cache_dir: paths.compiled(),
        plugins: engines(),
    };
    let timeouts = Timeouts {
        device: settings.node.device_timeout,
        ..Timeouts::default()
    };
    let fleet = Fleet::start_with(fleet, timeouts)?;
    let (policies, awaited) = policies(&fleet, &settings.scheduler.policy).await?;
    let store = plugins::Store::open(&paths.plugins())?;
    let kept = services::Kept::open(&paths)?;
    let alerts = Alerts::open(paths.alerts_file(), settings.alerts.quiet)?;

    let port = Port::bind(&settings.http).await?;
    let url = endpoint::url(&port, &settings.http);
    let certificates = match (settings.http.acme.clone(), port.shown()) {
        (Some(acme), Some(shown)) => Some(Certificates::start(acme, paths.acme(), shown)?),
        _ => None,
    };
    let node = telemetry
        .first(identity.node(), settings.node.name.as_deref())
        .await;
    let node_name = node.name.clone();
    let router = Router::start(Parts {
        core: core_settings(&settings),
        node,
        policies: policies.clone(),
        fleet: fleet.clone(),
        catalogue: catalogue.clone(),
        opening: crate::protocol::Settings {
            context_tokens: settings.models.context_tokens,
            sequences: settings.models.sequences,
            cache_bytes: settings.models.cache_bytes,
            cache_type: settings.models.cache_type,
            speculate: settings.models.speculate,
        },
        drafts: settings.models.drafts.clone(),
        engines: settings.models.engines.clone(),
        threads: settings.node.threads.map(std::num::NonZero::get),
        computes_on: settings.node.computes_on.clone(),
        devices: settings.models.devices.clone(),
    });
    if let Some(id) = telemetry.card_id() {
        router.card_is(id);
    }
    let net = NetThread::start().map_err(StartError::Network)?;
    let telemetry = telemetry.follow(router.clone(), &net.handle());

    let itself: Arc<OnceLock<Weak<Agent>>> = Arc::default();
    let asked = itself.clone();
    let cluster = Cluster::start(cluster::Parts {
        folder: paths.cluster(),
        identity: Arc::new(identity),
        name: node_name,
        settings: settings.cluster.clone(),
        engine: settings.state.engine,
        router: router.clone(),
        net: net.handle(),
        components: store.clone(),
        changed: watch::Sender::new(0),
        readings: Readings::new(move || {
            let agent = asked.get().and_then(Weak::upgrade);
            agent.map_or_else(Vec::new, |agent| crate::http::readings(&agent))
        }),
    })
    .await?;

    let shelf = Shelf::start(store, cluster.clone(), fleet.clone(), policies, awaited);
    let around = services::Around {
        fleet: fleet.clone(),
        shelf: shelf.clone(),
        router: router.clone(),
        own: endpoint::own_addresses(port.address(), settings.cluster.listen),
    };
    let services = Services::start(kept, around);

    let local = Secret::generate()?;
    // Commands on this machine believe what was made on it.
    let (own, _) = lan::files(&paths);
    let tls = settings.http.tls.as_ref();
    let certificate = tls.filter(|tls| tls.certificate == own).map(|_| own);
    let endpoint = endpoint::EndpointFile::write(&paths, &url, &local, certificate.as_deref())?;
    let backups = settings.backup.clone();
    let backups = backups.map(|wish| Backups::open(wish, paths.backups_file()));
    let agent = Arc::new(Agent {
        node: router.node(),
        sessions: Sessions::open(paths.sessions_file(), router.node()),
        passwords: Passwords::new(),
        doors: Doors::new(),
        setup: Setup::open(
            &paths,
            named_config(&start).unwrap_or_else(|| paths.config_file()),
        ),
        paths,
        keys,
        catalogue,
        fleet,
        router,
        cluster,
        services,
        alerts,
        backups,
        certificates,
        shelf,
        telemetry: machine,
        burn_ins,
        metrics: Arc::new(Metrics::new()),
        logs,
        plugins: plugins::EMBEDDED,
        url,
        started_unix_s: unix_now_s(),
        settings,
    });
    // Nobody else sets it.
    let _ = itself.set(Arc::downgrade(&agent));
    agent.alerts.start(Arc::downgrade(&agent));
    if let Some(backups) = &agent.backups {
        backups.start(Arc::downgrade(&agent));
    }
    // Before anybody is told that it serves, and so can be told to stop.
    let signals = stop::Signals::new().map_err(StartError::Signals)?;
    let ending = watch::Sender::new(Ending::Serving);
    let server = Server::new(agent.clone(), local);
    // One asks, and waits for the answer.
    let (questions, asked) = mpsc::channel(1);
    let serving = tokio::spawn(server.serve(port, ending.subscribe(), asked));
    if let Some(model) = &agent.settings.models.default {
        agent.router.want(model);
    }
    tracing::info!(url = %agent.url, node = %agent.node, "serving");
    drop(starting);
    supervisor.ready(&loops::status(&agent));
    Ok(Running {
        agent,
        first_key,
        ending,
        serving,
        endpoint,
        telemetry,
        net,
        supervisor,
        questions,
        signals,
        lock,
    })
}

fn places(settings: &Settings, paths: &Paths) -> Places {
    let usual = Places::default();
    Places {
        disks: vec![paths.data.clone()],
        sysfs: settings.telemetry.sysfs.clone().unwrap_or(usual.sysfs),
        ..usual
    }
}

/// The configuration file that somebody named.
fn named_config(start: &Start) -> Option<PathBuf> {
    let variable = || std::env::var_os("SKEP_CONFIG").map(PathBuf::from);
    start.config.clone().or_else(variable)
}

/// The settings, and what was chosen to compute on where they leave that open.
fn read_settings(start: &Start, paths: &Paths) -> Result<(Settings, Option<Choice>), StartError> {
    let usual = paths.config_file();
    let named = named_config(start);
    let source = named
        .as_deref()
        .map_or(Source::Default(&usual), Source::Named);
    // A variable that is not text cannot be one of ours.
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let mut config = config::load(source, environment, &start.overrides)?;
    if start.lan {
        lan::open_up(&mut config, paths)?;
    }
    let mut choice = None;
    if config.node.device.as_deref() == Some(DEVICE_AUTO) {
        let executable = std::env::current_exe().map_err(StartError::Executable)?;
        let chosen = diagnosis::choose(&executable, config.node.cuda_library.as_deref());
        config.node.device = Some(chosen.device.clone());
        choice = Some(chosen);
    }
    let mut settings = Settings::try_from(config)?;
    if settings.http.acme.is_some() {
        // For addresses, and for names until the authority has given one.
        settings.http.tls = Some(lan::own(paths)?);
    }
    Ok((settings, choice))
}

/// The policies, and the name of the one that is to be in charge once the cluster's plugins are there.
async fn policies(
    fleet: &Fleet,
    source: &scheduling::Source,
) -> Result<(Policies, Option<String>), StartError> {
    let (source, awaited) = match source {
        scheduling::Source::Installed { name, .. } => {
            let usual = scheduling::Source::Embedded(scheduling::EMBEDDED[0]);
            (usual, Some(name.clone()))
        }
        source => (source.clone(), None),
    };
    let policy = match source.plugin()? {
        None => Policy::built_in(),
        Some(plugin) => {
            let scheduler = fleet.scheduler(&plugin).await;
            Policy::new(source.clone(), scheduler.map_err(StartError::Scheduler)?)
        }
    };
    Ok((Policies::new(policy), awaited))
}

fn engines() -> Vec<crate::fleet::Plugin> {
    plugins::EMBEDDED
        .iter()
        .filter(|plugin| plugin.is_engine() && !scheduling::EMBEDDED.contains(&plugin.name))
        .map(for_fleet)
        .collect()
}

fn for_fleet(plugin: &plugins::Embedded) -> crate::fleet::Plugin {
    crate::fleet::Plugin {
        name: plugin.name.into(),
        component: crate::fleet::Component::Embedded(plugin.bytes),
    }
}

fn core_settings(settings: &Settings) -> skep_core::Settings {
    skep_core::Settings {
        running_max: settings.requests.running_max,
        queued_max: settings.requests.queued_max,
        per_key_max: settings.requests.per_key_max,
        deadline: settings.requests.deadline,
        load_wait: settings.models.load_wait,
        idle_unload: settings.models.idle_unload,
        loaded_max: settings.models.loaded_max,
    }
}

/// `node.device` that leaves the choice to us.
const DEVICE_AUTO: &str = "auto";

/// More threads only take the cores from the workers, and cost memory.
const THREADS_MAX: usize = 4;

/// How long keys may go without their last use on disk.
const FLUSH_INTERVAL: Duration = Duration::from_secs(60);

/// Until a start, and what comes right after one, is over.
const TRIM_AFTER: Duration = Duration::from_secs(10);

/// How often an idle agent gives back what it touched meanwhile.
const TRIM_INTERVAL: Duration = Duration::from_mins(10);
