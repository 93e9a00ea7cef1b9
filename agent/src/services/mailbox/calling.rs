//! A call of a service that somebody waits for.
//!
//! Decides how long that takes at most: the start of a process does not count.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::Mailbox;
use crate::fleet::Cancel as _;
use crate::protocol::Error;

/// A call under way. Dropping it ends it.
#[derive(Debug)]
pub(in crate::services) struct Calling<T> {
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) call: u64,
    pub(super) answer: oneshot::Receiver<Result<T, Error>>,
}

impl<T> Calling<T> {
    /// The answer, unless it takes too long once a process runs that can give it.
    pub(in crate::services) async fn answer(mut self, limit: Duration) -> Result<T, Error> {
        let asked = Instant::now();
        let mut wait = limit;
        loop {
            match tokio::time::timeout(wait, &mut self.answer).await {
                Ok(Ok(result)) => return result,
                Ok(Err(_)) => return Err(self.mailbox.blame.gone("it gave no answer", false)),
                Err(_) => {}
            }
            // Whoever starts one gives up in time, and says so.
            let served = self.mailbox.state().served;
            wait = served.map_or(limit, |served| {
                limit.saturating_sub(served.max(asked).elapsed())
            });
            if wait.is_zero() {
                return Err(self.mailbox.blame.silent(limit.as_secs()));
            }
        }
    }

    /// The answer, however long it takes.
    pub(in crate::services) async fn whenever(mut self) -> Result<T, Error> {
        let gone = |_| self.mailbox.blame.gone("it gave no answer", false);
        (&mut self.answer).await.map_err(gone)?
    }
}

impl<T> Drop for Calling<T> {
    fn drop(&mut self) {
        self.mailbox.cancel(self.call);
    }
}
