//! The life of one replica: compile, start, open, serve, and again after a death.
//!
//! Decides what a death means: the first failure to open is the answer to `load`; later ones are tried again with growing
//! delays. Whatever lives in a worker that dies is told at once that its replica is lost (see `router::task`); what
//! an unloaded model leaves unfinished has failed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use super::Shared;
use super::backoff::Backoff;
use super::error::LoadError;
use super::handshake::{NotOpened, Worker, opening};
use super::link::{Parted, serve};
use super::replica::Replica;
use super::spec::Plugin;
use super::status::ReplicaState;
use super::wire::Wire;
use crate::host::World;
use crate::protocol::{ComputesOn, Ending, Timeouts};

/// Tends a replica until it is unloaded or its first opening failed.
pub(super) async fn tend(
    shared: Arc<Shared>,
    replica: Arc<Replica>,
    ready: oneshot::Sender<Result<(), LoadError>>,
) {
    let orders = replica.orders();
    let mut tending = Tending {
        shared: &shared,
        replica: &replica,
        orders,
        first: Some(ready),
        started: false,
        plugin: replica.plugin.clone(),
    };
    let error = tending.run().await;
    let waiting = tending.first.take();
    replica.set_dead();
    shared.remove(replica.id);
    replica.set_gone();
    // Only now, so that nothing of it is left when `load` says so. Whoever waited may have gone; the log has it too.
    if let Some(waiting) = waiting {
        let _ = waiting.send(Err(error.unwrap_or(LoadError::Stopping)));
    }
}

struct Tending<'a> {
    shared: &'a Shared,
    replica: &'a Arc<Replica>,
    orders: watch::Receiver<Option<Instant>>,
    /// Whoever called `load` and waits.
    first: Option<oneshot::Sender<Result<(), LoadError>>>,
    /// Whether a worker was started before.
    started: bool,
    /// The version that its worker runs.
    plugin: Plugin,
}

/// How a life ended.
enum End {
    /// It was told to leave.
    Left,
    NotLoaded(LoadError),
    Died {
        ready: Instant,
        why: String,
    },
}

impl Tending<'_> {
    /// Returns why the first opening failed, if it did.
    async fn run(&mut self) -> Option<LoadError> {
        let replica = self.replica;
        let mut backoff = Backoff::default();
        loop {
            let mut orders = self.orders.clone();
            let end = tokio::select! {
                biased;
                // Only while no model is open: `serve` lets requests finish first.
                () = told_to_leave(&mut orders, replica) => End::Left,
                end = self.live() => end,
            };
            self.replica.set_dead();
            let (ready, why) = match end {
                End::Left => return None,
                End::NotLoaded(error) => {
                    if self.first.is_some() {
                        tracing::warn!(model = self.replica.model(), "{error}");
                        return Some(error);
                    }
                    (None, error.to_string())
                }
                End::Died { ready, why } => (Some(ready), why),
            };
            let chance = getrandom::u32().unwrap_or_default();
            let retry = backoff.on_death(ready, Instant::now(), chance);
            let delay = retry.delay;
            tracing::warn!(
                model = self.replica.model(),
                attempts = retry.attempts,
                ?delay,
                "{why}"
            );
            self.replica.set_state(if retry.given_up {
                ReplicaState::Failed { why }
            } else {
                ReplicaState::Restarting {
                    delay,
                    attempts: retry.attempts,
                    why,
                }
            });
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = told_to_leave(&mut self.orders, self.replica) => return None,
            }
            self.replica.set_state(ReplicaState::Starting);
        }
    }

    /// One worker's life.
    async fn live(&mut self) -> End {
        let (mut worker, wire) = match self.start().await {
            Ok(started) => started,
            Err(error) => return End::NotLoaded(error),
        };
        let ready = Instant::now();
        if let Some(waiting) = self.first.take() {
            let _ = waiting.send(Ok(()));
        }
        let stall = self.patience();
        let parted = serve(self.replica, &mut worker, &wire, &mut self.orders, stall).await;
        wire.close("the model's worker has ended");
        let model = self.replica.model();
        let why = match parted {
            Parted::Ending(Ending::Drained) => {
                worker.epitaph().await;
                wire.unload(&format!("the model `{model}` was unloaded"));
                return End::Left;
            }
            Parted::Overdue => {
                wire.unload(&format!(
                    "the model `{model}` was unloaded before the answer was complete"
                ));
                worker.kill().await;
                return End::Left;
            }
            Parted::Ending(Ending::Fault(why)) => {
                self.shared.added.fault(&self.plugin, &why);
                wire.lose(&format!("the worker of `{model}` ended: {why}"));
                worker.epitaph().await;
                why
            }
            Parted::Ending(Ending::Device(why)) => {
                let why = self.blame_device(&why);
                wire.lose(&format!("the worker of `{model}` ended: {why}"));
                worker.epitaph().await;
                why
            }
            Parted::Closed(error) => match worker.epitaph().await {
                Some(end) if end.crashed && self.on_card() => self.blame_device(&end.why),
                Some(end) => end.why,
                None => error,
            },
            Parted::Hung => {
                let why = format!(
                    "the worker gave no sign of life for {} s and was killed",
                    stall.as_secs()
                );
                if self.on_card() {
                    self.blame_device(&why)
                } else {
                    why
                }
            }
        };
        // The second time for a fault, which changes nothing.
        wire.lose(&format!("the worker of `{model}` ended: {why}"));
        worker.kill().await;
        End::Died { ready, why }
    }

    fn on_card(&self) -> bool {
        matches!(self.replica.spec.computes_on, ComputesOn::Card { .. })
    }

    /// How long its worker may give no sign.
    fn patience(&self) -> Duration {
        let Timeouts { stall, device, .. } = self.shared.timeouts;
        if self.on_card() { device } else { stall }
    }

    /// Remembers that what it computes on failed, and returns that with what to do.
    fn blame_device(&self, why: &str) -> String {
        let model = self.replica.model();
        for device in &self.replica.spec.devices {
            let told = format!("`{model}`: {why}");
            self.shared.faults.note(Instant::now(), device, &told);
        }
        format!(
            "{why}; `skep doctor` tells more, and `node.device = \"cpu\"` computes on the processor"
        )
    }

    /// A worker with the model open in it.
    async fn start(&mut self) -> Result<(Worker, Arc<Wire>), LoadError> {
        let model = self.replica.model().to_owned();
        let died = |why: String| LoadError::Died {
            model: model.clone(),
            why,
        };
        let mut compiled = self.compile().await?;
        let mut fresh = false;
        loop {
            let mut worker = Worker::start(self.shared, self.replica)
                .await
                .map_err(|error| died(format!("could not start a worker: {error}")))?;
            self.replica.set_started(
                worker.child.id(),
                std::mem::replace(&mut self.started, true),
            );
            match worker
                .open(
                    self.replica,
                    opening(self.replica, compiled.clone(), self.shared.timeouts),
                )
                .await
            {
                Ok(opened) => {
                    let wire = Arc::new(Wire::default());
                    self.replica.set_ready(&wire, opened);
                    return Ok((worker, wire));
                }
                Err(NotOpened::Refused(error)) => return Err(LoadError::Refused { model, error }),
                Err(NotOpened::Died(why)) => {
                    self.shared.added.fault(&self.plugin, &why);
                    return Err(died(why));
                }
                Err(NotOpened::Device(why)) => return Err(died(self.blame_device(&why))),
                Err(NotOpened::Stale) if fresh => {
                    return Err(died(
                        "its plugin does not fit this program even after it was compiled again"
                            .to_owned(),
                    ));
                }
                Err(NotOpened::Stale) => {
                    fresh = true;
                    self.shared.compiled.forget(&compiled);
                    compiled = self.compile().await?;
                }
            }
        }
    }

    async fn compile(&mut self) -> Result<PathBuf, LoadError> {
        self.plugin = self.shared.added.current(&self.replica.plugin);
        let plugin = &self.plugin;
        let failed = |why: String| LoadError::Compile {
            plugin: plugin.name.clone(),
            why,
        };
        let component = plugin
            .component
            .bytes()
            .map_err(|error| failed(error.to_string()))?;
        self.shared
            .compiled
            .obtain(World::Engine, &component)
            .await
            .map_err(|error| failed(error.to_string()))
    }
}

/// Waits for an order to leave while no model is open; while one is, `serve` obeys it.
async fn told_to_leave(orders: &mut watch::Receiver<Option<Instant>>, replica: &Replica) {
    // The sender lives in the replica, which this task holds.
    let _ = orders.wait_for(Option::is_some).await;
    if replica.is_serving() {
        std::future::pending::<()>().await;
    }
}
