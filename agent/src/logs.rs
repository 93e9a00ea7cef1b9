//! What the agent logged lately, in memory, for `skep logs`, the page and `/api/v1/logs`.
//!
//! Decides how much is kept (a bound in bytes, the oldest goes first) and what an entry looks
//! like. Refuses to know what is worth logging, and who reads it.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// One thing that was logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// Counts from 1, without gaps, since the agent started.
    pub number: u64,
    /// Milliseconds since 1970.
    pub time_unix_ms: u64,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// The part of the program.
    pub target: String,
    /// What was said, its fields included.
    pub message: String,
}

/// The last entries. Clones are one.
#[derive(Clone, Debug)]
pub struct LogRing {
    kept: Arc<Mutex<Kept>>,
    /// The number of the newest entry, for those who wait for the next.
    newest: Arc<watch::Sender<u64>>,
}

/// Feeds a [`LogRing`] with everything that is logged through `tracing`.
#[derive(Debug)]
pub struct RingLayer(LogRing);

#[derive(Debug, Default)]
struct Kept {
    entries: VecDeque<LogEntry>,
    bytes: usize,
    last: u64,
}

impl LogRing {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self {
            kept: Arc::default(),
            newest: Arc::new(watch::Sender::new(0)),
        }
    }

    /// The layer that feeds it.
    #[must_use]
    pub fn layer(&self) -> RingLayer {
        RingLayer(self.clone())
    }

    /// The newest entries, oldest first, at most so many.
    #[must_use]
    pub fn tail(&self, count: usize) -> Vec<LogEntry> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let skip = kept.entries.len().saturating_sub(count);
        kept.entries.iter().skip(skip).cloned().collect()
    }

    /// What is still kept of what came after the entry of a number.
    #[must_use]
    pub fn after(&self, number: u64) -> Vec<LogEntry> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let start = kept.entries.partition_point(|entry| entry.number <= number);
        kept.entries.range(start..).cloned().collect()
    }

    /// Tells the number of the newest entry whenever it changes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    fn push(&self, level: tracing::Level, target: &str, message: String) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.last += 1;
        let number = kept.last;
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let entry = LogEntry {
            number,
            time_unix_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            level: level.as_str().to_ascii_lowercase(),
            target: target.to_owned(),
            message,
        };
        kept.bytes += cost(&entry);
        kept.entries.push_back(entry);
        while kept.bytes > RING_BYTES_MAX
            && let Some(old) = kept.entries.pop_front()
        {
            kept.bytes -= cost(&old);
        }
        drop(kept);
        self.newest.send_replace(number);
    }
}

impl Default for LogRing {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Subscriber> Layer<S> for RingLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        let about = event.metadata();
        self.0.push(*about.level(), about.target(), text.finish());
    }
}

/// A message and its fields, as one line.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Text {
    fn finish(mut self) -> String {
        self.message.push_str(&self.fields);
        if self.message.len() > ENTRY_BYTES_MAX {
            let end = self.message.floor_char_boundary(ENTRY_BYTES_MAX);
            self.message.truncate(end);
            self.message.push('…');
        }
        self.message
    }
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message.push_str(value);
        } else {
            self.record_debug(field, &value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a `String` cannot fail.
        let _ = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.fields, " {}={value:?}", field.name())
        };
    }
}

fn cost(entry: &LogEntry) -> usize {
    size_of::<LogEntry>() + entry.level.len() + entry.target.len() + entry.message.len()
}

/// Some thousand ordinary entries: enough to see what led to a fault, little beside an agent that
/// is to be idle in 20 MiB.
const RING_BYTES_MAX: usize = 1 << 20;

/// Longest message that is kept whole; one entry must not push out all others.
const ENTRY_BYTES_MAX: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    fn logged(body: impl FnOnce()) -> LogRing {
        let ring = LogRing::new();
        let subscriber = tracing_subscriber::registry().with(ring.layer());
        tracing::subscriber::with_default(subscriber, body);
        ring
    }

    #[test]
    fn entries_have_their_fields() {
        let ring = logged(|| {
            tracing::info!(model = "tiny", bytes = 5, "loaded {}", "it");
            tracing::warn!("second");
        });
        let entries = ring.tail(10);
        assert_eq!(entries[0].message, "loaded it model=\"tiny\" bytes=5");
        assert_eq!((entries[0].level.as_str(), entries[0].number), ("info", 1));
        assert_eq!(ring.tail(1), ring.after(1));
        assert_eq!(ring.after(1)[0].message, "second");
        assert_eq!(ring.after(2), []);
        assert_eq!(*ring.watch().borrow(), 2);
    }

    #[test]
    fn the_oldest_goes_when_there_is_too_much() {
        let ring = logged(|| {
            for number in 0..5_000 {
                tracing::info!(number, "{}", "x".repeat(1_000));
            }
            tracing::info!("{}", "é".repeat(1 << 20));
        });
        let entries = ring.after(0);
        assert!(entries.iter().map(cost).sum::<usize>() <= RING_BYTES_MAX);
        assert!(entries.len() > 500, "{}", entries.len());
        assert_eq!(entries.last().unwrap().number, 5_001);
        assert!(entries.last().unwrap().message.len() <= ENTRY_BYTES_MAX + 4);
    }
}
