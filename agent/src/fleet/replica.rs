//! What is known of one replica, for those who ask and for the task that tends it. Decides nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;

use super::error::SubmitError;
use super::spec::{ModelSpec, Plugin};
use super::status::{ReplicaId, ReplicaState, ReplicaStatus};
use super::wire::Wire;
use crate::protocol::{ModelInfo, Opened};

#[derive(Debug)]
pub(super) struct Replica {
    pub(super) id: ReplicaId,
    pub(super) spec: ModelSpec,
    pub(super) plugin: Plugin,
    now: Mutex<Now>,
    /// Until when it may drain, once it has to.
    orders: watch::Sender<Option<Instant>>,
    gone: watch::Sender<bool>,
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
struct Now {
    state: ReplicaState,
    since: SystemTime,
    wire: Option<Arc<Wire>>,
    info: Option<ModelInfo>,
    device: String,
    computes_on: String,
    pid: Option<u32>,
    restarts: u32,
    opened_in: Option<Duration>,
    card_bytes: Option<u64>,
}

impl Replica {
    pub(super) fn new(
        id: ReplicaId,
        spec: ModelSpec,
        plugin: Plugin,
        changes: watch::Sender<u64>,
    ) -> Self {
        let now = Now {
            state: ReplicaState::Starting,
            since: SystemTime::now(),
            wire: None,
            info: None,
            device: String::new(),
            computes_on: String::new(),
            pid: None,
            restarts: 0,
            opened_in: None,
            card_bytes: None,
        };
        let (orders, gone) = (watch::Sender::new(None), watch::Sender::new(false));
        Self {
            id,
            spec,
            plugin,
            now: Mutex::new(now),
            orders,
            gone,
            changes,
        }
    }

    pub(super) fn model(&self) -> &str {
        &self.spec.name
    }

    pub(super) fn status(&self) -> ReplicaStatus {
        let now = self.now();
        let (living, load) = now
            .wire
            .as_ref()
            .map(|wire| wire.fill())
            .unwrap_or_default();
        ReplicaStatus {
            id: self.id,
            model: self.spec.name.clone(),
            plugin: self.plugin.name.clone(),
            state: now.state.clone(),
            info: now.info.clone(),
            device: now.device.clone(),
            devices: self.spec.devices.clone(),
            computes_on: now.computes_on.clone(),
            load,
            living: u32::try_from(living).unwrap_or(u32::MAX),
            pid: now.pid,
            restarts: now.restarts,
            since: now.since,
            opened_in: now.opened_in,
            card_bytes: now.card_bytes,
        }
    }

    /// The socket, if requests are taken.
    pub(super) fn wire(&self) -> Result<Arc<Wire>, SubmitError> {
        let now = self.now();
        let not_ready =
            |what: String| SubmitError::NotReady(format!("the model `{}` {what}", self.spec.name));
        match (&now.state, &now.wire) {
            (ReplicaState::Ready, Some(wire)) => Ok(Arc::clone(wire)),
            (ReplicaState::Ready | ReplicaState::Starting, _) => {
                Err(not_ready("is loading".to_owned()))
            }
            (ReplicaState::Draining, _) => Err(not_ready("is being unloaded".to_owned())),
            (ReplicaState::Restarting { delay, why, .. }, _) => Err(not_ready(format!(
                "starts again in {:.1} s: {why}",
                delay.as_secs_f32()
            ))),
            (ReplicaState::Failed { why }, _) => Err(not_ready(format!("has failed: {why}"))),
        }
    }

    /// Whether a model is open.
    pub(super) fn is_serving(&self) -> bool {
        self.now().wire.is_some()
    }

    /// Asks it to leave; the earliest deadline counts.
    pub(super) fn drain(&self, deadline: Instant) {
        self.orders
            .send_modify(|order| *order = Some(order.map_or(deadline, |set| set.min(deadline))));
    }

    pub(super) fn orders(&self) -> watch::Receiver<Option<Instant>> {
        self.orders.subscribe()
    }

    /// Waits until nothing of it is left.
    pub(super) async fn gone(&self) {
        // The sender lives as long as `self`.
        let _ = self.gone.subscribe().wait_for(|gone| *gone).await;
    }

    pub(super) fn set_gone(&self) {
        self.gone.send_replace(true);
    }

    pub(super) fn set_state(&self, state: ReplicaState) {
        {
            let mut now = self.now();
            now.state = state;
            now.since = SystemTime::now();
        }
        self.changes.send_modify(|count| *count += 1);
    }

    pub(super) fn set_started(&self, pid: Option<u32>, again: bool) {
        let mut now = self.now();
        now.pid = pid;
        now.restarts += u32::from(again);
    }

    pub(super) fn set_ready(&self, wire: &Arc<Wire>, opened: Opened) {
        {
            let mut now = self.now();
            now.wire = Some(Arc::clone(wire));
            now.info = Some(opened.info);
            now.device = opened.device;
            now.computes_on = opened.computes_on;
            now.card_bytes = opened.card_bytes;
            now.opened_in = Some(Duration::from_millis(opened.took_ms));
        }
        self.set_state(ReplicaState::Ready);
    }

    pub(super) fn set_dead(&self) {
        let mut now = self.now();
        now.wire = None;
        now.pid = None;
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
