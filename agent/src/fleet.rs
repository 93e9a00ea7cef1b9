//! The models that run on this node: one worker process each, started, watched and replaced here.
//!
//! Decides when a worker starts, when it counts as dead and when to try again, and carries requests
//! to it. Refuses to know what a request asks (`http` and the plugin do) and which replica it should
//! go to (a scheduler plugin does, see `host::scheduler`).
//!
//! Tasks: one `tend` per replica, which owns its worker process and its socket. A request costs no
//! task: `submit` appends a frame to the replica's outbox, and `tend` puts events where their
//! `Exchange` waits. One thread, `spawner`, starts all processes (see there why).

mod added;
mod backoff;
mod cries;
mod error;
mod exchange;
mod faults;
mod handshake;
mod link;
mod replica;
mod spawner;
mod spec;
mod status;
mod tend;
mod wire;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

pub(crate) use backoff::Backoff;
pub(crate) use cries::pass_on;
pub use error::{LoadError, StartError, SubmitError, UnloadError};
pub use exchange::Exchange;
pub(crate) use exchange::{Cancel, Pushed, Slot};
pub use faults::DeviceFaults;
pub use spec::{Component, FleetSettings, ModelSpec, Plugin};
pub use status::{ReplicaId, ReplicaState, ReplicaStatus};

use self::added::Added;
use self::replica::Replica;
use self::spawner::Spawner;
use crate::compiler::Compiled;
use crate::host::World;
use crate::host::installer::{Installer, InstallerLoadError};
use crate::host::scheduler::{Scheduler, SchedulerLoadError};
use crate::protocol::{Timeouts, ToWorker, Work, WorkerStats};

/// The door to all replicas of this node. Copies share them.
#[derive(Clone, Debug)]
pub struct Fleet(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    plugins: Vec<Plugin>,
    added: Added,
    executable: PathBuf,
    compiled: Compiled,
    spawner: Spawner,
    replicas: RwLock<BTreeMap<ReplicaId, Arc<Replica>>>,
    next: AtomicU64,
    changes: watch::Sender<u64>,
    stopping: AtomicBool,
    timeouts: Timeouts,
    faults: faults::Faults,
}

impl Fleet {
    /// A fleet without replicas. Must be called within the runtime that is to drive it.
    ///
    /// # Errors
    /// See [`StartError`]. Nothing was started.
    pub fn start(settings: FleetSettings) -> Result<Self, StartError> {
        Self::start_with(settings, Timeouts::default())
    }

    /// The same with other limits on how long plugins may run.
    ///
    /// # Errors
    /// See [`StartError`]. Nothing was started.
    pub fn start_with(settings: FleetSettings, timeouts: Timeouts) -> Result<Self, StartError> {
        let FleetSettings {
            executable,
            cache_dir,
            plugins,
        } = settings;
        if !executable.is_file() {
            return Err(StartError::Executable(executable));
        }
        Ok(Self(Arc::new(Shared {
            plugins,
            added: Added::default(),
            compiled: Compiled::open(cache_dir, executable.clone())?,
            executable,
            spawner: Spawner::start().map_err(StartError::Thread)?,
            replicas: RwLock::default(),
            next: AtomicU64::new(1),
            changes: watch::Sender::new(0),
            stopping: AtomicBool::new(false),
            timeouts,
            faults: faults::Faults::default(),
        })))
    }

    /// Loads a model and waits until it is ready. Dropping the future does not stop the loading.
    ///
    /// # Errors
    /// See [`LoadError`]. Nothing of the model stays then.
    pub async fn load(&self, spec: ModelSpec) -> Result<ReplicaId, LoadError> {
        let mut carried = self.0.plugins.iter();
        let carried = carried.find(|plugin| plugin.name == spec.plugin);
        let added = || self.0.added.find(&spec.plugin);
        let Some(plugin) = carried.cloned().or_else(added) else {
            return Err(LoadError::UnknownPlugin(spec.plugin));
        };
        let (ready, loaded) = oneshot::channel();
        let id = self.0.add(spec, plugin, ready)?;
        match loaded.await {
            Ok(Ok(())) => Ok(id),
            Ok(Err(error)) => Err(error),
            // The task ended without a word: the runtime is going down.
            Err(_) => Err(LoadError::Stopping),
        }
    }

    /// Returns once the thread that starts processes has answered; never, when it is gone.
    pub async fn answer(&self) {
        self.0.spawner.answer().await;
    }

    /// Lets the living requests of a model finish for `grace`, then ends its worker.
    ///
    /// # Errors
    /// `Unknown` when no such model is loaded.
    pub async fn unload(&self, model: &str, grace: Duration) -> Result<(), UnloadError> {
        let replica = self.0.find(|replica| replica.model() == model);
        let replica = replica.ok_or_else(|| UnloadError::Unknown(model.to_owned()))?;
        replica.drain(Instant::now() + grace);
        replica.gone().await;
        Ok(())
    }

    /// Every replica as it is now, oldest first.
    #[must_use]
    pub fn replicas(&self) -> Vec<ReplicaStatus> {
        self.0
            .all()
            .iter()
            .map(|replica| replica.status())
            .collect()
    }

    /// What workers said against devices lately.
    #[must_use]
    pub fn device_faults(&self) -> Vec<DeviceFaults> {
        self.0.faults.list(Instant::now())
    }

    /// A number that grows with each change of a replica's state.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// Hands a request to a replica. Dropping the `Exchange` cancels it. Its work stays shared with the caller, who may
    /// have to hand it to another replica.
    ///
    /// # Errors
    /// See [`SubmitError`]. The request never reached the model then.
    pub fn submit(
        &self,
        replica: ReplicaId,
        work: impl Into<Arc<Work>>,
    ) -> Result<Exchange, SubmitError> {
        self.0.ready(replica)?.submit(work.into())
    }

    /// Text to token ids, as the replica's model reads them.
    ///
    /// # Errors
    /// `Refused` when the plugin refused; otherwise see [`SubmitError`].
    pub async fn tokenize(
        &self,
        replica: ReplicaId,
        text: String,
    ) -> Result<Vec<u32>, SubmitError> {
        let wire = self.0.ready(replica)?;
        wire.ask(
            |call| ToWorker::Tokenize { call, text },
            wire::Answer::tokens,
        )
        .await
    }

    /// Token ids to text.
    ///
    /// # Errors
    /// `Refused` when the plugin refused; otherwise see [`SubmitError`].
    pub async fn detokenize(
        &self,
        replica: ReplicaId,
        tokens: Vec<u32>,
    ) -> Result<String, SubmitError> {
        let wire = self.0.ready(replica)?;
        wire.ask(
            |call| ToWorker::Detokenize { call, tokens },
            wire::Answer::text,
        )
        .await
    }

    /// What the replica's worker has used so far.
    ///
    /// # Errors
    /// See [`SubmitError`].
    pub async fn stats(&self, replica: ReplicaId) -> Result<WorkerStats, SubmitError> {
        let wire = self.0.ready(replica)?;
        wire.ask(|call| ToWorker::Stats { call }, wire::Answer::stats)
            .await
    }

    /// Starts this program as another of its parts. It inherits no environment, no terminal input, and leaves with the
    /// agent; the socket is its standard input.
    pub(crate) async fn launch(
        &self,
        part: &str,
    ) -> std::io::Result<(tokio::process::Child, tokio::net::UnixStream)> {
        handshake::launch(&self.0, part).await
    }

    /// Where compiled components are kept.
    pub(crate) fn compiled(&self) -> &Compiled {
        &self.0.compiled
    }

    /// Takes no more work, lets what lives finish for `grace`, then ends all workers.
    pub async fn shutdown(&self, grace: Duration) {
        self.0.stopping.store(true, Ordering::SeqCst);
        let deadline = Instant::now() + grace;
        let replicas = self.0.all();
        for replica in &replicas {
            replica.drain(deadline);
        }
        for replica in replicas {
            replica.gone().await;
        }
    }

    /// Says where engine plugins are found that were not there at the start. Counts once.
    pub fn look_up_plugins(&self, by_name: added::Lookup) {
        self.0.added.look_up(by_name);
    }

    /// Says who hears of faults of plugins that were added. Counts once.
    pub fn report_faults(&self, report: added::FaultReport) {
        self.0.added.report(report);
    }

    /// Compiles a plugin, so that it need not be when it is first used.
    ///
    /// # Errors
    /// The text says why it cannot be.
    pub async fn compile(&self, world: World, plugin: &Plugin) -> Result<(), String> {
        let component = plugin
            .component
            .bytes()
            .map_err(|error| error.to_string())?;
        let compiled = self.0.compiled.obtain(world, &component).await;
        compiled.map(drop).map_err(|error| error.to_string())
    }

    /// Loads a scheduler plugin into this process, compiling it first if need be.
    ///
    /// # Errors
    /// The text says whether it could not be compiled, imports something, or failed at its start.
    pub async fn scheduler(&self, plugin: &Plugin) -> Result<Scheduler, String> {
        let component = plugin
            .component
            .bytes()
            .map_err(|error| error.to_string())?;
        let obtain = || self.0.compiled.obtain(World::Scheduler, &component);
        let unusable =
            |why: String| format!("the scheduler `{}` cannot be used: {why}", plugin.name);
        let path = obtain()
            .await
            .map_err(|error| unusable(error.to_string()))?;
        match Scheduler::load(&plugin.name, &path) {
            Ok(scheduler) => Ok(scheduler),
            Err(SchedulerLoadError::Stale(_)) => {
                self.0.compiled.forget(&path);
                let path = obtain()
                    .await
                    .map_err(|error| unusable(error.to_string()))?;
                Scheduler::load(&plugin.name, &path).map_err(|error| unusable(error.to_string()))
            }
            Err(SchedulerLoadError::Fault(fault)) => Err(unusable(fault.to_string())),
        }
    }

    /// Loads a step of a setup into this process, compiling it first if need be.
    ///
    /// # Errors
    /// The text says whether it could not be compiled, imports something, or failed at its start.
    pub async fn installer(&self, plugin: &Plugin) -> Result<Installer, String> {
        let component = plugin
            .component
            .bytes()
            .map_err(|error| error.to_string())?;
        let obtain = || self.0.compiled.obtain(World::Installer, &component);
        let unusable = |why: String| format!("the step `{}` cannot be used: {why}", plugin.name);
        let path = obtain()
            .await
            .map_err(|error| unusable(error.to_string()))?;
        match Installer::load(&plugin.name, &path) {
            Ok(installer) => Ok(installer),
            Err(InstallerLoadError::Stale(_)) => {
                self.0.compiled.forget(&path);
                let path = obtain()
                    .await
                    .map_err(|error| unusable(error.to_string()))?;
                Installer::load(&plugin.name, &path).map_err(|error| unusable(error.to_string()))
            }
            Err(InstallerLoadError::Fault(fault)) => Err(unusable(fault.to_string())),
        }
    }
}

impl Shared {
    /// Makes a replica and starts tending it.
    fn add(
        self: &Arc<Self>,
        spec: ModelSpec,
        plugin: Plugin,
        ready: oneshot::Sender<Result<(), LoadError>>,
    ) -> Result<ReplicaId, LoadError> {
        let mut replicas = self
            .replicas
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        // Under the lock, so that `shutdown` sees every replica that gets past this.
        if self.stopping.load(Ordering::SeqCst) {
            return Err(LoadError::Stopping);
        }
        if replicas
            .values()
            .any(|replica| replica.model() == spec.name)
        {
            return Err(LoadError::Duplicate(spec.name));
        }
        let id = ReplicaId(self.next.fetch_add(1, Ordering::Relaxed));
        let replica = Arc::new(Replica::new(id, spec, plugin, self.changes.clone()));
        replicas.insert(id, Arc::clone(&replica));
        drop(replicas);
        self.changes.send_modify(|count| *count += 1);
        tokio::spawn(tend::tend(Arc::clone(self), replica, ready));
        Ok(id)
    }

    fn remove(&self, id: ReplicaId) {
        self.replicas
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id);
        self.changes.send_modify(|count| *count += 1);
    }

    fn all(&self) -> Vec<Arc<Replica>> {
        self.replicas
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    fn find(&self, is_it: impl Fn(&Replica) -> bool) -> Option<Arc<Replica>> {
        let replicas = self.replicas.read().unwrap_or_else(PoisonError::into_inner);
        replicas.values().find(|replica| is_it(replica)).cloned()
    }

    /// The socket of a replica that takes requests.
    fn ready(&self, id: ReplicaId) -> Result<Arc<wire::Wire>, SubmitError> {
        let replicas = self.replicas.read().unwrap_or_else(PoisonError::into_inner);
        replicas.get(&id).ok_or(SubmitError::Unknown(id))?.wire()
    }
}
