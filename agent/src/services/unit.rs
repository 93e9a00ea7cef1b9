//! What is known of one service, for those who ask and for the tasks that look after it. Decides nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use skep_core::ReplicaId;
use skep_core::capability::{Capability, SecretName};
use tokio::sync::{Notify, watch};

use super::Service;
use super::blame::Blame;
use super::mailbox::Mailbox;
use super::offers::Exposed;
use crate::keys::unix_now_s;
use crate::protocol::ServiceUse;

/// One configured service.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) service: Service,
    pub(super) mailbox: Arc<Mailbox>,
    /// Rung when its offers should be asked for now.
    pub(super) refresh: Arc<Notify>,
    /// When somebody last had a look at it; held meanwhile.
    pub(super) looked: tokio::sync::Mutex<Option<Instant>>,
    now: Mutex<Now>,
    ending: watch::Sender<bool>,
    gone: watch::Sender<bool>,
    changes: watch::Sender<u64>,
}

/// What is known of it now.
#[derive(Clone, Debug)]
pub(super) struct Now {
    pub(super) state: State,
    pub(super) pid: Option<u32>,
    /// How often its process was started.
    pub(super) starts: u32,
    pub(super) used: ServiceUse,
    /// What its plugin did wrong the last time.
    pub(super) fault: Option<String>,
    /// Of an upstream: what it answers for.
    pub(super) offers: Vec<(ReplicaId, Exposed)>,
    pub(super) standing: Standing,
    /// Attempts in a row that failed.
    pub(super) failures: u32,
    /// When it last answered, in seconds since 1970; 0: never.
    pub(super) answered_unix_s: u64,
}

/// How its process is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// None runs, since nothing is asked of it.
    Idle,
    Starting,
    Running,
    /// It ended, and is started again after a while.
    Restarting(String),
    /// It ended time and again.
    Failed(String),
    /// It may not do what it needs to.
    NotGranted(Vec<Capability>),
}

/// Whether what it talks to answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It was not asked yet.
    Unknown,
    Up,
    Down(String),
}

impl Unit {
    pub(super) fn new(
        service: Service,
        secrets: Vec<SecretName>,
        changes: watch::Sender<u64>,
    ) -> Self {
        let refresh = Arc::new(Notify::new());
        let blame = Blame::new(&service, secrets);
        Self {
            mailbox: Arc::new(Mailbox::new(blame, refresh.clone())),
            refresh,
            looked: tokio::sync::Mutex::default(),
            service,
            now: Mutex::new(Now {
                state: State::Idle,
                pid: None,
                starts: 0,
                used: ServiceUse::default(),
                fault: None,
                offers: Vec::new(),
                standing: Standing::Unknown,
                failures: 0,
                answered_unix_s: 0,
            }),
            ending: watch::Sender::new(false),
            gone: watch::Sender::new(false),
            changes,
        }
    }

    pub(super) fn now(&self) -> Now {
        self.locked().clone()
    }

    pub(super) fn set_state(&self, state: State, pid: Option<u32>) {
        {
            let mut now = self.locked();
            now.starts += u32::from(state == State::Starting);
            now.state = state;
            now.pid = pid;
        }
        self.changed();
    }

    pub(super) fn add_use(&self, used: &ServiceUse) {
        let mut now = self.locked();
        let all = &mut now.used;
        for (sum, more) in [
            (&mut all.calls, used.calls),
            (&mut all.faults, used.faults),
            (&mut all.requests_out, used.requests_out),
            (&mut all.refused_out, used.refused_out),
            (&mut all.bytes_out, used.bytes_out),
            (&mut all.bytes_in, used.bytes_in),
            (&mut all.computing_us, used.computing_us),
        ] {
            *sum = sum.saturating_add(more);
        }
        all.memory_peak_bytes = all.memory_peak_bytes.max(used.memory_peak_bytes);
    }

    pub(super) fn note_fault(&self, why: &str) {
        self.locked().fault = Some(why.to_owned());
    }

    /// What it talks to answered.
    pub(super) fn set_up(&self) {
        let news = {
            let mut now = self.locked();
            now.failures = 0;
            now.answered_unix_s = unix_now_s();
            std::mem::replace(&mut now.standing, Standing::Up) != Standing::Up
        };
        if news {
            self.changed();
        }
    }

    /// What it talks to did not answer; how often that was so in a row.
    pub(super) fn set_down(&self, why: String) -> u32 {
        let failures = {
            let mut now = self.locked();
            now.standing = Standing::Down(why);
            now.failures = now.failures.saturating_add(1);
            now.failures
        };
        self.changed();
        failures
    }

    /// What it answers for from now on.
    pub(super) fn set_offers(&self, offers: Vec<(ReplicaId, Exposed)>) {
        self.locked().offers = offers;
        self.changed();
    }

    /// Waits until it is known whether what it talks to answers.
    pub(super) async fn heard(&self) {
        let mut changes = self.changes.subscribe();
        while self.now().standing == Standing::Unknown {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Asks it to leave.
    pub(super) fn end(&self) {
        self.ending.send_replace(true);
    }

    pub(super) fn ending(&self) -> watch::Receiver<bool> {
        self.ending.subscribe()
    }

    /// Waits until nothing of it is left.
    pub(super) async fn gone(&self) {
        // The sender lives as long as `self`.
        let _ = self.gone.subscribe().wait_for(|gone| *gone).await;
    }

    pub(super) fn set_gone(&self) {
        self.gone.send_replace(true);
        self.changed();
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    fn locked(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
