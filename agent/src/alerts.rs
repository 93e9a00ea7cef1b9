//! Alerts: what somebody should know, told once when it begins and once when it is over.
//!
//! Decides when to look and that nothing is lost by a restart: what is raised and what waits is in a durable file before
//! anything is delivered. `ledger` decides what is told, `outbox` when; refuses to know how a notifier delivers.
//!
//! One task. It looks when telemetry does, so that an idle agent wakes no more often.

mod conditions;
mod ledger;
mod outbox;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc};

pub use self::ledger::{Condition, Entry};

use self::ledger::{Ledger, Told};
use self::outbox::Outbox;
use crate::agent::Agent;
use crate::keys::unix_now_s;
use crate::protocol::{Alert, Error, Severity};
use crate::services::{Kind, ServiceError, file};

/// The door to the alerts; copies share them.
#[derive(Clone, Debug)]
pub struct Alerts(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    kept: Mutex<Kept>,
    /// How long what was raised must be gone until it is told as over.
    quiet: Duration,
    /// Rung when somebody wants a look now.
    look: Notify,
    started: Instant,
}

/// The file's content.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Kept {
    #[serde(default)]
    ledger: Ledger,
    #[serde(default)]
    outbox: Outbox,
}

/// What waits for a notifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub notifier: String,
    pub count: usize,
    /// What found no room, or was refused for good.
    pub dropped: u64,
    /// Why the last attempt failed.
    pub why: Option<String>,
}

/// The end of an attempt to deliver something.
type Tried = (String, Result<(), Error>);

impl Alerts {
    /// What was raised and what waited when the agent last ran.
    ///
    /// # Errors
    /// When the file is damaged (it is never replaced), or cannot be read.
    pub fn open(path: PathBuf, quiet: Duration) -> Result<Self, ServiceError> {
        let kept = file::read(&path)?.unwrap_or_default();
        Ok(Self(Arc::new(Inner {
            path,
            kept: Mutex::new(kept),
            quiet,
            look: Notify::new(),
            started: Instant::now(),
        })))
    }

    /// Looks after them for as long as the agent lives. Must be called within the runtime that is to drive it.
    pub fn start(&self, agent: Weak<Agent>) {
        tokio::spawn(run(self.clone(), agent));
    }

    /// What is raised, the worst first.
    #[must_use]
    pub fn raised(&self) -> Vec<Entry> {
        self.kept().ledger.raised()
    }

    /// What is over, the latest first.
    #[must_use]
    pub fn past(&self) -> Vec<Entry> {
        self.kept().ledger.past()
    }

    /// What waits to be delivered.
    #[must_use]
    pub fn waiting(&self) -> Vec<Waiting> {
        let kept = self.kept();
        let queues = kept.outbox.queues();
        let told = queues.map(|(notifier, queue)| Waiting {
            notifier: notifier.clone(),
            count: queue.waiting.len(),
            dropped: queue.dropped,
            why: queue.why.clone(),
        });
        told.collect()
    }

    /// A notifier was removed; what waits for it is forgotten with the next look.
    pub fn forget_notifier(&self, _name: &str) {
        self.0.look.notify_one();
    }

    /// One alert that says that alerts arrive.
    #[must_use]
    pub fn trial(agent: &Agent) -> Alert {
        Alert {
            id: format!("test/{}", unix_now_s()),
            kind: "test".to_owned(),
            severity: Severity::Info,
            title: format!("A test from `{}`", agent.cluster.name()),
            text: "Somebody typed `skep notifier test`; alerts will arrive here.".to_owned(),
            cluster: cluster(agent),
            node: Some(agent.cluster.name()),
            at_unix_s: unix_now_s(),
            resolved: false,
            facts: Vec::new(),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.0.started.elapsed()
    }

    /// Looks at everything once; what changed is durable when this returns.
    async fn look(&self, agent: &Agent) {
        let present = conditions::all(agent);
        let notifiers = agent.services.names(Kind::Notifier);
        let now = unix_now_s();
        let changed = {
            let mut kept = self.kept();
            let before = kept.ledger.clone();
            let told = kept.ledger.look(now, self.0.quiet, present);
            let mut changed = kept.ledger != before;
            changed |= kept.outbox.keep(&notifiers);
            for told in &told {
                log(told);
                let about = told.condition.facts.get(conditions::NOTIFIER);
                for notifier in &notifiers {
                    // It could not tell of itself.
                    if about != Some(notifier) {
                        kept.outbox.add(notifier, alert(agent, told, now));
                        changed = true;
                    }
                }
            }
            changed
        };
        if changed {
            self.write().await;
        }
    }

    /// Begins every delivery that is due.
    fn deliver(&self, agent: &Arc<Agent>, tried: &mpsc::Sender<Tried>) {
        let due = self.kept().outbox.due(self.now());
        for (notifier, alert) in due {
            let (services, tried) = (agent.services.clone(), tried.clone());
            tokio::spawn(async move {
                let result = services.notify(&notifier, alert).await;
                // The agent may have ended meanwhile; then it is delivered again.
                let _ = tried.send((notifier, result)).await;
            });
        }
    }

    async fn take(&self, (notifier, result): Tried) {
        if let Err(why) = &result {
            tracing::warn!(%notifier, %why, "an alert was not delivered");
        }
        let now = self.now();
        if self.kept().outbox.tried(now, &notifier, result) {
            self.write().await;
        }
    }

    async fn write(&self) {
        let kept = self.kept().clone();
        let path = self.0.path.clone();
        let written = tokio::task::spawn_blocking(move || file::write(&path, &kept)).await;
        if let Ok(Err(error)) = written {
            // They are delivered all the same, and perhaps again after a restart.
            tracing::error!(%error, "alerts could not be written");
        }
    }
}

async fn run(alerts: Alerts, agent: Weak<Agent>) {
    let (tell, mut tried) = mpsc::channel(TRIED_MAX);
    let Some((mut services, mut fleet, router)) = agent.upgrade().map(|agent| {
        let (services, fleet) = (agent.services.changes(), agent.fleet.changes());
        (services, fleet, agent.router.clone())
    }) else {
        return;
    };
    loop {
        let Some(here) = agent.upgrade() else {
            return;
        };
        alerts.look(&here).await;
        alerts.deliver(&here, &tell);
        drop(here);
        // What comes at once is looked at once.
        tokio::time::sleep(LOOK_PAUSE).await;
        let due = alerts.kept().outbox.next();
        let gone = alerts.kept().ledger.is_waiting();
        let due = due.map(|due| due.saturating_sub(alerts.now()));
        let wait = [due, gone.then_some(GONE_LOOK.min(alerts.0.quiet))]
            .into_iter()
            .flatten()
            .min();
        tokio::select! {
            Some(done) = tried.recv() => alerts.take(done).await,
            () = tokio::time::sleep(wait.unwrap_or(Duration::MAX)), if wait.is_some() => {}
            () = router.looked() => {}
            () = alerts.0.look.notified() => {}
            changed = services.changed() => if changed.is_err() {
                return;
            },
            changed = fleet.changed() => if changed.is_err() {
                return;
            },
        }
    }
}

fn alert(agent: &Agent, told: &Told, now: u64) -> Alert {
    let Condition {
        id,
        kind,
        severity,
        title,
        text,
        node,
        facts,
    } = told.condition.clone();
    Alert {
        id,
        kind,
        severity,
        title,
        text,
        cluster: cluster(agent),
        node,
        at_unix_s: now,
        resolved: told.resolved,
        facts: facts.into_iter().collect(),
    }
}

fn cluster(agent: &Agent) -> String {
    let view = agent.cluster.view();
    view.cluster()
        .map_or_else(|| agent.cluster.name(), |cluster| cluster.name.clone())
}

fn log(told: &Told) {
    let Condition {
        id, kind, title, ..
    } = &told.condition;
    match (told.resolved, told.condition.severity) {
        (true, _) => tracing::info!(id, kind, "over: {title}"),
        (false, Severity::Info) => tracing::info!(id, kind, "alert: {title}"),
        (false, Severity::Warning | Severity::Critical) => {
            tracing::warn!(id, kind, "alert: {title}");
        }
    }
}

/// Between two looks: whatever comes meanwhile is seen by the second.
const LOOK_PAUSE: Duration = Duration::from_millis(200);

/// How often is looked while something is gone and not yet told as over.
const GONE_LOOK: Duration = Duration::from_secs(5);

/// Attempts that ended and are not looked at yet: one for each notifier.
const TRIED_MAX: usize = 64;
