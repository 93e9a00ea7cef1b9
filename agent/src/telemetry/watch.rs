//! The task that turns looks into verdicts and tells them: to the log, to the core, and to whoever
//! reads [`Machine`].

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use skep_core::{Health, Node, NodeId};
use skep_hw::telemetry::{self as hw, Places, Snapshot, Source, SourceKind, SourceState, Vendor};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::calm::{Calm, Turn};
use super::threads::{Seen, Threads};
use super::{Cause, Level, Machine, Standing, card, judge, node};
use crate::diagnosis::BurnIns;
use crate::fleet::{DeviceFaults, ReplicaStatus};
use crate::keys::unix_now_s;
use crate::protocol::CardId;
use crate::router::Router;

/// Everything that is known of this machine's devices. [`Watch::follow`] keeps it up to date.
#[derive(Debug)]
pub struct Watch {
    seen: Arc<Seen>,
    _threads: Threads,
    interval: Duration,
    started: Instant,
    machine: watch::Sender<Option<Arc<Machine>>>,
    /// The card that models compute on here, if they do.
    card: Option<CardId>,
    calms: BTreeMap<String, (Calm, u64)>,
    totals: BTreeMap<String, u64>,
    burn_ins: Option<BurnIns>,
}

impl Watch {
    /// Starts the threads that look; models compute on `card`, or on the processor.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn start(interval: Duration, places: &Places, card: Option<CardId>) -> io::Result<Self> {
        let seen = Arc::new(Seen::default());
        Ok(Self {
            _threads: Threads::start(interval, places, &seen)?,
            seen,
            interval,
            started: Instant::now(),
            machine: watch::Sender::new(None),
            card,
            calms: BTreeMap::new(),
            totals: BTreeMap::new(),
            burn_ins: None,
        })
    }

    /// From now on burn-ins count too.
    pub(crate) fn heed(&mut self, burn_ins: BurnIns) {
        self.burn_ins = Some(burn_ins);
    }

    /// The newest look at the machine; none before the first.
    #[must_use]
    pub fn machine(&self) -> watch::Receiver<Option<Arc<Machine>>> {
        self.machine.subscribe()
    }

    /// What the scheduler is first told of this node. Waits a moment for the first look at
    /// everything, not for ever.
    pub async fn first(&mut self, id: NodeId, name: Option<&str>) -> Node {
        let whole = async {
            while self.seen.host().is_none()
                || VENDORS.iter().any(|v| self.seen.vendor(*v).is_none())
            {
                self.seen.news.notified().await;
            }
        };
        let patience = match self.card {
            Some(_) => FIRST_LOOK_AT_CARD,
            None => FIRST_LOOK,
        };
        if tokio::time::timeout(patience, whole).await.is_err() {
            tracing::warn!("the first look at the hardware takes long; starting without it");
        }
        let host = self.seen.host().and_then(|host| host.name.clone());
        let mut node = Node {
            id,
            name: name
                .map(ToOwned::to_owned)
                .or(host)
                .unwrap_or_else(|| id.to_string()),
            health: Health::Healthy,
            draining: false,
            labels: BTreeMap::new(),
            devices: vec![node::unseen_processor()],
        };
        self.look(Instant::now(), &[], &[], &mut node);
        node
    }

    /// Follows the threads for as long as the runtime lives.
    #[must_use]
    pub fn follow(mut self, router: Router, runtime: &Handle) -> JoinHandle<()> {
        runtime.spawn(async move {
            let mut changes = router.fleet().changes();
            loop {
                // Also without news: that there is none may be the news. News in time come first.
                let patience = self.interval * 2;
                tokio::select! {
                    () = tokio::time::sleep(patience) => {}
                    () = self.seen.news.notified() => {}
                    // A worker that ended may have ended by a device's fault.
                    changed = changes.changed() => if changed.is_err() {
                        return;
                    },
                }
                let replicas = router.fleet().replicas();
                let faults = router.fleet().device_faults();
                router.update_node(|node| self.look(Instant::now(), &replicas, &faults, node));
                if let Some(id) = self.card_id() {
                    router.card_is(id);
                }
            }
        })
    }

    /// Judges what was seen last, tells what changed, and brings the node up to date.
    fn look(
        &mut self,
        now: Instant,
        replicas: &[ReplicaStatus],
        faults: &[DeviceFaults],
        node: &mut Node,
    ) {
        let Some(host) = self.seen.host() else { return };
        let fallen: Vec<(&ReplicaStatus, Cause)> = replicas
            .iter()
            .filter_map(|replica| Some((replica, judge::fallback(replica)?)))
            .collect();
        let mut devices = Vec::new();
        let mut sources = Vec::new();
        let mut standings = Vec::new();
        for vendor in VENDORS {
            let Some(look) = self.seen.vendor(vendor) else {
                sources.extend(self.unanswered(now, vendor));
                continue;
            };
            sources.extend(look.sources.iter().cloned());
            for device in &look.devices {
                let mut causes = judge::reading(device);
                let age = now.saturating_duration_since(look.at);
                causes.extend(judge::silence(age, self.interval));
                causes.extend(self.burnt(device));
                causes.extend(of_workers(now, device, &fallen, faults));
                standings.push(self.stand(now, look.at, device, causes));
                devices.push(device.clone());
            }
        }
        let watched = |id| devices.iter().any(|device| card::is_card(device, id));
        if let Some(id) = self.card.filter(|id| !watched(*id)) {
            let device = card::unwatched(id);
            let mut causes = self.burnt(&device);
            causes.extend(of_workers(now, &device, &fallen, faults));
            standings.push(self.stand(now, now, &device, causes));
            devices.push(device);
        }
        node::forget_strangers(&mut self.calms, &devices);
        node::forget_strangers(&mut self.totals, &devices);

        node.devices = vec![node::processor(&host.memory)];
        for device in &devices {
            if let Some((calm, _)) = self.calms.get(&device.identity.id.0) {
                let told = node::accelerator(device, calm, &mut self.totals);
                node.devices.push(told);
            }
        }
        let levels: Vec<Level> = standings.iter().map(|standing| standing.level).collect();
        let (level, why) = node::level(&levels);
        node.health = match &why {
            Some(why) => Health::Degraded(why.clone()),
            None => Health::Healthy,
        };
        self.machine.send_replace(Some(Arc::new(Machine {
            snapshot: Snapshot {
                host: (*host).clone(),
                devices,
                sources,
            },
            standings,
            node: level,
            why,
        })));
    }

    /// What the card that models compute on is called among the devices; none without one, or before the first look.
    #[must_use]
    pub fn card_id(&self) -> Option<String> {
        let id = self.card?;
        let machine = self.machine.borrow();
        let mut devices = machine.as_ref()?.snapshot.devices.iter();
        let found = devices.find(|device| card::is_card(device, id))?;
        Some(found.identity.id.to_string())
    }

    /// What burn-ins hold against a device.
    fn burnt(&self, device: &hw::Device) -> Vec<Cause> {
        let id = &device.identity.id.0;
        let all = self.burn_ins.iter();
        all.flat_map(|all| all.causes(id)).collect()
    }

    fn stand(
        &mut self,
        now: Instant,
        read_at: Instant,
        device: &hw::Device,
        causes: Vec<Cause>,
    ) -> Standing {
        let id = device.identity.id.0.clone();
        let (calm, since) = self
            .calms
            .entry(id)
            .or_insert_with(|| (Calm::default(), unix_now_s()));
        let turn = calm.take(now, causes);
        if turn != Turn::default() {
            *since = unix_now_s();
            announce(device, &turn, calm);
        }
        let causes = calm.causes();
        let worst = causes.iter().map(|cause| cause.level).max();
        Standing {
            level: worst.unwrap_or(Level::Healthy),
            causes,
            since_unix_s: *since,
            read_at,
        }
    }

    /// What is told of a driver that has not answered its first question.
    fn unanswered(&self, now: Instant, vendor: Vendor) -> Option<Source> {
        let waited = now.saturating_duration_since(self.started);
        let kind = match vendor {
            Vendor::Nvidia => SourceKind::Nvml,
            Vendor::Amd => SourceKind::AmdgpuSysfs,
        };
        (waited >= FIRST_LOOK).then(|| Source {
            kind,
            state: SourceState::Absent(format!(
                "the driver has not answered for {} s, since the agent started",
                waited.as_secs()
            )),
        })
    }
}

/// What the models that were placed on a device say against it.
fn of_workers(
    now: Instant,
    device: &hw::Device,
    fallen: &[(&ReplicaStatus, Cause)],
    faults: &[DeviceFaults],
) -> Vec<Cause> {
    let id = &device.identity.id.0;
    let on_it = |replica: &ReplicaStatus| replica.devices.iter().any(|on| on == id);
    let fell = fallen.iter().find(|(replica, _)| on_it(replica));
    let failed = faults.iter().find(|fault| fault.device == *id);
    let failed = failed.and_then(|fault| judge::faults(now, fault));
    let fell = fell.map(|(_, cause)| cause.clone());
    fell.into_iter().chain(failed).collect()
}

/// The alert: one line for each cause that came or went.
fn announce(device: &hw::Device, turn: &Turn, calm: &Calm) {
    let id = &device.identity.id;
    let name = device.identity.name.as_deref().unwrap_or("unnamed");
    for cause in &turn.came {
        tracing::warn!(
            device = %id,
            name,
            verdict = cause.level.name(),
            cause = %cause.text,
            evidence = %cause.evidence,
            "an accelerator is not well"
        );
    }
    let left = calm.causes();
    for cause in &turn.went {
        tracing::info!(device = %id, name, cause = %cause.text, "this is over");
    }
    if left.is_empty() {
        tracing::info!(device = %id, name, "the accelerator is healthy again");
    }
}

const VENDORS: [Vendor; 2] = [Vendor::Nvidia, Vendor::Amd];

/// A look without a GPU takes milliseconds; waking one may take seconds, for which nobody waits.
const FIRST_LOOK: Duration = Duration::from_millis(500);

/// The same where models compute on a card, and cannot be placed before it is known. `nvidia-smi` of a machine that keeps no
/// driver loaded takes some seconds.
const FIRST_LOOK_AT_CARD: Duration = Duration::from_secs(5);
