//! Stopping: no new work, answers finish within their grace, then everything ends.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, interval, interval_at, timeout};

use super::{FLUSH_INTERVAL, Running, TRIM_AFTER, TRIM_INTERVAL, loops, trim};
use crate::http::Ending;

/// How the agent ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Every answer was finished.
    Drained,
    /// Some answers were cut: the grace was over, or somebody asked twice.
    Cut,
    /// The listener ended by itself, which is a defect.
    Failed,
}

impl Stop {
    /// What the process ends with. Being asked to stop is no failure.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Drained => 0,
            // EX_TEMPFAIL: requests were lost that another attempt would answer.
            Self::Cut => 75,
            // EX_SOFTWARE
            Self::Failed => 70,
        }
    }
}

impl Running {
    /// Serves until SIGINT or SIGTERM, then drains; a second signal ends everything at once.
    pub async fn until_stopped(mut self) -> Stop {
        let mut flush = interval(FLUSH_INTERVAL);
        let mut trim = interval_at(Instant::now() + TRIM_AFTER, TRIM_INTERVAL);
        let agent = self.agent.clone();
        let turns = loops::turns(&agent, self.net.handle(), self.questions.clone());
        let watchdog = self
            .supervisor
            .watchdog(turns, move || loops::status(&agent));
        let mut watchdog = std::pin::pin!(watchdog.run());
        loop {
            tokio::select! {
                () = self.signals.next() => break,
                _ = &mut self.serving => {
                    tracing::error!("the listener ended by itself");
                    return self.end(Stop::Failed).await;
                }
                _ = flush.tick() => self.flush_keys(),
                _ = trim.tick() => self.trim(),
                () = &mut watchdog => {}
            }
        }
        let grace = self.agent.settings.http.drain;
        let (running, waiting) = self.agent.router.running_and_waiting();
        tracing::info!(running, waiting, grace_s = grace.as_secs(), "stopping");
        self.supervisor.stopping(grace + CUT_GRACE + END_GRACE);
        self.agent.router.drain();
        self.ending.send_replace(Ending::Draining);
        let drained = tokio::select! {
            drained = timeout(grace, &mut self.serving) => drained.is_ok(),
            () = self.signals.next() => false,
            () = &mut watchdog => false,
        };
        if drained {
            return self.end(Stop::Drained).await;
        }
        self.ending.send_replace(Ending::Cut);
        // Connections are dropped at the next turn of their tasks.
        let _ = timeout(CUT_GRACE, &mut self.serving).await;
        self.end(Stop::Cut).await
    }

    /// Ends without having served.
    pub async fn stop(self) {
        self.end(Stop::Cut).await;
    }

    /// Ends what is left, in the opposite order of the start.
    async fn end(self, stop: Stop) -> Stop {
        self.flush_keys();
        let grace = match stop {
            Stop::Drained => WORKER_GRACE,
            Stop::Cut | Stop::Failed => CUT_GRACE,
        };
        // While its models still run, so that what others asked here is answered or goes on elsewhere.
        self.agent.cluster.stop().await;
        self.agent.services.shutdown().await;
        self.agent.fleet.shutdown(grace).await;
        drop(self.endpoint);
        self.telemetry.abort();
        drop(self.lock);
        tracing::info!(?stop, "stopped");
        stop
    }

    /// Gives memory back, unless it is about to be needed.
    fn trim(&self) {
        if self.agent.router.is_busy() {
            return;
        }
        if let Err(error) = trim::trim() {
            tracing::debug!(%error, "could not give memory back");
        }
    }

    fn flush_keys(&self) {
        if let Err(error) = self.agent.keys.flush() {
            tracing::warn!(%error, "could not note when keys were last used");
        }
        self.agent.sessions.flush();
    }
}

/// The two signals that ask for an end, heard from the moment this is made.
#[derive(Debug)]
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Workers without requests end at once; this is for one that does not answer.
const WORKER_GRACE: std::time::Duration = std::time::Duration::from_secs(5);

/// What closing the log, ending services and telling the others takes at most.
const END_GRACE: std::time::Duration = std::time::Duration::from_secs(20);

/// The same when nothing is waited for any more.
const CUT_GRACE: std::time::Duration = std::time::Duration::from_secs(1);
