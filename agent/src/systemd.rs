//! What this process and the systemd that started it tell each other: how far the start has come, that it still turns, that it
//! ends, and where log lines go.
//!
//! Decides what is told when. Without systemd there is nobody to tell, and nothing here does anything. Refuses to know what
//! the agent is busy with, and how a unit is written (`plugins/step-service`).
//!
//! | file | decides |
//! |---|---|
//! | `notify` | how a message is written and where it goes (sd_notify(3)) |
//! | `watchdog` | when the agent counts as turning |
//! | `journal` | whether standard error is the journal, and what it is sent instead |

mod journal;
mod notify;
mod watchdog;

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

pub(crate) use self::journal::layer as journal;
pub use self::notify::{Notifier, State};
pub(crate) use self::watchdog::{Turn, Watchdog};
use crate::limits::{START_EXTENDED_MAX, START_EXTENSION};

/// Whoever started this process, if that is systemd.
#[derive(Clone, Debug)]
pub(crate) struct Supervisor {
    notifier: Notifier,
    watchdog: Option<Duration>,
}

/// Tells that the start takes longer while the compiler works; until it is dropped.
#[derive(Debug)]
pub(crate) struct Starting(Option<JoinHandle<()>>);

impl Supervisor {
    /// As the environment says.
    pub(crate) fn find(variable: impl Fn(&str) -> Option<String>) -> Self {
        let notifier = Notifier::find(&variable);
        let watchdog = watchdog::interval(&variable, std::process::id());
        Self {
            watchdog: watchdog.filter(|_| notifier.is_heard()),
            notifier,
        }
    }

    /// Says that the start has begun. Must be called within a runtime.
    pub(crate) fn starting(&self) -> Starting {
        if !self.notifier.is_heard() {
            return Starting(None);
        }
        self.notifier.tell(&[State::Status("starting")]);
        let extending = extend(self.notifier.clone());
        Starting(Some(tokio::spawn(async move {
            let _ = timeout(START_EXTENDED_MAX, extending).await;
        })))
    }

    /// Says that it serves.
    pub(crate) fn ready(&self, status: &str) {
        self.notifier.tell(&[State::Ready, State::Status(status)]);
    }

    /// Says that it ends, which may take this long.
    pub(crate) fn stopping(&self, grace: Duration) {
        self.notifier.tell(&[
            State::Stopping,
            State::ExtendTimeout(grace),
            State::Status("finishing answers"),
        ]);
    }

    /// What has to be polled for as long as the agent runs. `turns` are asked each time, `status` tells in a few words how
    /// it is.
    pub(crate) fn watchdog(
        &self,
        turns: Vec<Turn>,
        status: impl Fn() -> String + Send + Sync + 'static,
    ) -> Watchdog {
        Watchdog::new(self.notifier.clone(), self.watchdog, turns, status)
    }
}

/// Asks for more time whenever a compiler begins, and again well before what was given is over.
async fn extend(notifier: Notifier) {
    let mut at_work = crate::compiler::at_work();
    while at_work.wait_for(|count| *count > 0).await.is_ok() {
        notifier.tell(&[
            State::Status("compiling plugins, which only a first start does"),
            State::ExtendTimeout(START_EXTENSION),
        ]);
        tokio::select! {
            _ = at_work.wait_for(|count| *count == 0) => {}
            () = sleep(START_EXTENSION / 3) => {}
        }
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.abort();
        }
    }
}
