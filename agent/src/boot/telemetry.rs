//! Looking at the machine from a thread of its own, where a sick driver can hold nobody up.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use skep_core::{Device, Health, Node, NodeId};
use skep_hw::telemetry::{Places, Snapshot, Telemetry};
use tokio::sync::watch;

use super::StartError;
use crate::paths::Paths;
use crate::router::Router;

/// The newest look at the machine, and none before.
type Newest = watch::Receiver<Option<Arc<Snapshot>>>;

/// The thread that looks. It ends when this is dropped, or, held by a driver, with the process.
#[derive(Debug)]
pub(super) struct Sampler {
    newest: Newest,
    _stop: mpsc::SyncSender<()>,
}

impl Sampler {
    pub(super) fn start(interval: Duration, paths: &Paths) -> Result<Self, StartError> {
        let (newest, receiver) = watch::channel(None);
        let (stop, stopped) = mpsc::sync_channel(0);
        let places = Places {
            disks: vec![paths.data.clone()],
            ..Places::default()
        };
        let look = move || {
            let mut telemetry = Telemetry::detect(&places);
            loop {
                newest.send_replace(Some(Arc::new(telemetry.sample(Instant::now()))));
                match stopped.recv_timeout(interval) {
                    Err(RecvTimeoutError::Timeout) => {}
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        };
        std::thread::Builder::new()
            .name("telemetry".into())
            .spawn(look)
            .map_err(|error: io::Error| StartError::Telemetry(error))?;
        Ok(Self {
            newest: receiver,
            _stop: stop,
        })
    }

    pub(super) fn newest(&self) -> Newest {
        self.newest.clone()
    }
}

/// What the scheduler is first told of this node. Waits a moment for the first look, not for ever.
pub(super) async fn node(id: NodeId, name: Option<&str>, newest: &Newest) -> Node {
    let mut newest = newest.clone();
    let first = tokio::time::timeout(FIRST_LOOK, newest.wait_for(Option::is_some)).await;
    let snapshot = match first {
        Ok(Ok(snapshot)) => snapshot.clone(),
        _ => {
            tracing::warn!("the first look at the hardware takes long; starting without it");
            None
        }
    };
    let host = snapshot
        .as_ref()
        .and_then(|snapshot| snapshot.host.name.clone());
    let name = name
        .map(ToOwned::to_owned)
        .or(host)
        .unwrap_or_else(|| id.to_string());
    let mut node = Node {
        id,
        name,
        health: Health::Healthy,
        draining: false,
        labels: BTreeMap::new(),
        devices: vec![Device {
            id: "cpu".into(),
            kind: "cpu".into(),
            health: Health::Healthy,
            // Unknown: not what keeps a model from being tried.
            memory_bytes: u64::MAX,
            memory_free_bytes: u64::MAX,
            bandwidth: 0,
        }],
    };
    if let Some(snapshot) = snapshot {
        remember(&mut node, &snapshot);
    }
    node
}

/// Keeps the router's picture of this node's memory up to date.
pub(super) fn follow(mut newest: Newest, router: Router) {
    tokio::spawn(async move {
        while newest.changed().await.is_ok() {
            let snapshot = newest.borrow_and_update().clone();
            if let Some(snapshot) = snapshot {
                router.update_node(|node| remember(node, &snapshot));
            }
        }
    });
}

fn remember(node: &mut Node, snapshot: &Snapshot) {
    let memory = &snapshot.host.memory;
    let coarse = |bytes: u64| bytes / STEP_BYTES * STEP_BYTES;
    let Some(processor) = node.devices.first_mut() else {
        return;
    };
    if let Some(total) = memory.limit_bytes.or(memory.total_bytes) {
        processor.memory_bytes = total;
    }
    if let Some(free) = memory.usable_bytes.or(memory.available_bytes) {
        processor.memory_free_bytes = coarse(free);
    }
}

/// A look without a GPU takes milliseconds; waking one may take seconds, for which nobody waits.
const FIRST_LOOK: Duration = Duration::from_millis(500);

/// Free memory moves all the time; only so much of it is a change.
const STEP_BYTES: u64 = 64 << 20;
