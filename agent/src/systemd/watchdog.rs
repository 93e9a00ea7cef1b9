//! The watchdog: the manager ends a process that does not say for a while that it still turns, and starts it again.
//!
//! Decides that it is said only after each of the agent's loops answered, one by one, within their time. What a restart would
//! not mend is not asked: a disk or a card that hangs, another node, a worker. Refuses to know what the loops do.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout_at};

use super::notify::{Notifier, State};
use crate::limits::{STATUS_INTERVAL, WATCHDOG_MIN};

type Answer = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One loop of the agent, by what asks it to answer.
pub(crate) struct Turn {
    name: &'static str,
    ask: Box<dyn Fn() -> Answer + Send + Sync>,
}

/// Says again and again that the agent turns, and how it is.
pub(crate) struct Watchdog {
    notifier: Notifier,
    /// How long the manager waits; none: it does not.
    patience: Option<Duration>,
    turns: Vec<Turn>,
    status: Box<dyn Fn() -> String + Send + Sync>,
    told: String,
}

impl Turn {
    /// `ask` gives a future that ends once the loop has answered.
    pub(crate) fn new<F>(name: &'static str, ask: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self {
            name,
            ask: Box::new(move || Box::pin(ask())),
        }
    }
}

impl Watchdog {
    pub(super) fn new(
        notifier: Notifier,
        patience: Option<Duration>,
        turns: Vec<Turn>,
        status: impl Fn() -> String + Send + Sync + 'static,
    ) -> Self {
        Self {
            notifier,
            patience,
            turns,
            status: Box::new(status),
            told: String::new(),
        }
    }

    /// Never ends. Whoever polls it is one of the loops: it says nothing while they do not.
    pub(crate) async fn run(mut self) {
        if !self.notifier.is_heard() {
            return std::future::pending().await;
        }
        let every = self
            .patience
            .map_or(STATUS_INTERVAL, |patience| patience / 2);
        let mut ticks = interval_at(Instant::now() + every, every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if self.patience.is_some() {
                // Half of what is left when it begins, so that a slow round is still in time.
                if let Err(silent) = self.round(Instant::now() + every / 2).await {
                    tracing::error!(
                        "`{silent}` gives no answer, so the service manager is not told that all is well"
                    );
                    continue;
                }
                self.notifier.tell(&[State::Watchdog]);
            }
            let status = (self.status)();
            if status != self.told {
                self.notifier.tell(&[State::Status(&status)]);
                self.told = status;
            }
        }
    }

    /// Asks each loop in turn; an error is the first that does not answer in time.
    async fn round(&self, until: Instant) -> Result<(), &'static str> {
        for turn in &self.turns {
            let answered = timeout_at(until, (turn.ask)()).await;
            answered.map_err(|_| turn.name)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Watchdog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watchdog")
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Turn").field(&self.name).finish()
    }
}

/// `WATCHDOG_USEC`, if it is meant for this process (sd_watchdog_enabled(3)).
pub(super) fn interval(variable: impl Fn(&str) -> Option<String>, own: u32) -> Option<Duration> {
    let micros: u64 = variable("WATCHDOG_USEC")?.parse().ok()?;
    let meant = variable("WATCHDOG_PID").is_none_or(|pid| pid.parse() == Ok(own));
    (meant && micros > 0).then(|| Duration::from_micros(micros).max(WATCHDOG_MIN))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn the_watchdog_is_for_this_process_only() {
        let with = |usec: &str, pid: Option<&str>| {
            let (usec, pid) = (usec.to_owned(), pid.map(str::to_owned));
            interval(
                |name| match name {
                    "WATCHDOG_USEC" => Some(usec.clone()),
                    "WATCHDOG_PID" => pid.clone(),
                    _ => None,
                },
                7,
            )
        };
        let minute = Some(Duration::from_mins(1));
        assert_eq!(with("60000000", None), minute);
        assert_eq!(with("60000000", Some("7")), minute);
        assert_eq!(with("60000000", Some("8")), None);
        assert_eq!(with("0", None), None);
        assert_eq!(with("soon", None), None);
        assert_eq!(with("1", None), Some(WATCHDOG_MIN));
        assert_eq!(interval(|_| None, 7), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_does_not_answer_is_not_covered_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        manager.set_nonblocking(true).unwrap();
        let named = path.display().to_string();
        let notifier = Notifier::find(|name| (name == "NOTIFY_SOCKET").then(|| named.clone()));
        let hangs = Arc::new(AtomicBool::new(false));
        let asked = hangs.clone();
        let turn = Turn::new("it", move || {
            let hangs = asked.load(Ordering::Relaxed);
            async move {
                if hangs {
                    std::future::pending::<()>().await;
                }
            }
        });
        let patience = Duration::from_secs(60);
        let watchdog = Watchdog::new(notifier, Some(patience), vec![turn], || "fine".to_owned());
        let running = tokio::spawn(watchdog.run());
        let heard = || {
            let mut buffer = [0; 256];
            let mut all = Vec::new();
            while let Ok(length) = manager.recv(&mut buffer) {
                all.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
            }
            all
        };
        tokio::time::sleep(Duration::from_secs(29)).await;
        assert_eq!(heard(), [""; 0]);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(heard(), ["WATCHDOG=1\n", "STATUS=fine\n"]);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(heard(), ["WATCHDOG=1\n", "WATCHDOG=1\n"]);
        hangs.store(true, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert_eq!(heard(), [""; 0]);
        hangs.store(false, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(heard().contains(&"WATCHDOG=1\n".to_owned()));
        running.abort();
    }
}
