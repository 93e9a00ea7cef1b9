//! What waits to be delivered, in order, for each notifier.
//!
//! Decides when the next attempt is due and what is given up: what a notifier refuses for good, and the oldest where there is
//! no room. Has no clock; refuses to know how anything is delivered.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits::{ALERTS_WAITING_MAX, DELIVERY_PAUSE, DELIVERY_RETRY, DELIVERY_RETRY_MAX};
use crate::protocol::{Alert, Error};

/// The queues of all notifiers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Outbox {
    queues: BTreeMap<String, Queue>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Queue {
    pub(super) waiting: VecDeque<Alert>,
    /// What found no room, or was refused for good.
    pub(super) dropped: u64,
    /// Why the last attempt failed.
    #[serde(skip)]
    pub(super) why: Option<String>,
    #[serde(skip)]
    failures: u32,
    /// When the next attempt is due, as time since the agent's start.
    #[serde(skip)]
    due: Duration,
    /// The first is being delivered.
    #[serde(skip)]
    under_way: bool,
}

impl Outbox {
    /// Adds an alert for a notifier.
    pub(super) fn add(&mut self, notifier: &str, alert: Alert) {
        let queue = self.queues.entry(notifier.to_owned()).or_default();
        if queue.waiting.len() >= ALERTS_WAITING_MAX {
            // Of what is being delivered the answer is still to come.
            let oldest = usize::from(queue.under_way);
            queue.waiting.remove(oldest);
            queue.dropped = queue.dropped.saturating_add(1);
        }
        queue.waiting.push_back(alert);
    }

    /// Forgets the notifiers that are not among these.
    pub(super) fn keep(&mut self, notifiers: &[String]) -> bool {
        let before = self.queues.len();
        self.queues.retain(|name, _| notifiers.contains(name));
        self.queues.len() != before
    }

    /// Everything that is due at `now`; each counts as under way from then on.
    pub(super) fn due(&mut self, now: Duration) -> Vec<(String, Alert)> {
        let queues = self.queues.iter_mut();
        let due = queues.filter(|(_, queue)| !queue.under_way && queue.due <= now);
        due.filter_map(|(name, queue)| {
            let alert = queue.waiting.front()?.clone();
            queue.under_way = true;
            Some((name.clone(), alert))
        })
        .collect()
    }

    /// When something is due next; none while nothing waits.
    pub(super) fn next(&self) -> Option<Duration> {
        let queues = self.queues.values();
        let waiting = queues.filter(|queue| !queue.under_way && !queue.waiting.is_empty());
        waiting.map(|queue| queue.due).min()
    }

    /// An attempt is over. Whether it was the alert's last.
    pub(super) fn tried(
        &mut self,
        now: Duration,
        notifier: &str,
        result: Result<(), Error>,
    ) -> bool {
        let Some(queue) = self.queues.get_mut(notifier) else {
            return false;
        };
        queue.under_way = false;
        let (why, last, asked) = match result {
            Ok(()) => (None, true, Duration::ZERO),
            Err(error) => (Some(error.to_string()), is_final(&error), asked_for(&error)),
        };
        if last {
            queue.waiting.pop_front();
            queue.dropped = queue.dropped.saturating_add(u64::from(why.is_some()));
            queue.failures = 0;
            queue.due = now + DELIVERY_PAUSE;
        } else {
            let doubled = DELIVERY_RETRY.saturating_mul(1 << queue.failures.min(16));
            queue.failures = queue.failures.saturating_add(1);
            queue.due = now + doubled.max(asked).min(DELIVERY_RETRY_MAX);
        }
        queue.why = why;
        last
    }

    pub(super) fn queues(&self) -> impl Iterator<Item = (&String, &Queue)> {
        self.queues.iter()
    }
}

/// Whether another attempt would end as this one (`wit/notifier.wit` says which do not).
fn is_final(error: &Error) -> bool {
    matches!(
        error,
        Error::Invalid(_)
            | Error::TooLong(_)
            | Error::Unsupported(_)
            | Error::Denied(_)
            | Error::Malformed(_)
    )
}

/// How long the service wants to be left alone.
fn asked_for(error: &Error) -> Duration {
    match error {
        Error::Limited { retry_after_s, .. } => {
            Duration::from_secs(retry_after_s.unwrap_or(0).into())
        }
        _ => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Severity;

    fn alert(id: usize) -> Alert {
        Alert {
            id: id.to_string(),
            kind: "k".into(),
            severity: Severity::Info,
            title: "t".into(),
            text: String::new(),
            cluster: "c".into(),
            node: None,
            at_unix_s: 0,
            resolved: false,
            facts: Vec::new(),
        }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn ids(due: &[(String, Alert)]) -> Vec<&str> {
        due.iter().map(|(_, alert)| alert.id.as_str()).collect()
    }

    #[test]
    fn alerts_go_one_by_one_in_order_and_again_after_a_failure() {
        let mut outbox = Outbox::default();
        outbox.add("a", alert(1));
        outbox.add("a", alert(2));
        outbox.add("b", alert(1));
        assert_eq!(ids(&outbox.due(at(0))), ["1", "1"]);
        // Neither has been answered.
        assert!(outbox.due(at(100)).is_empty());
        assert!(!outbox.tried(at(100), "a", Err(Error::Other("down".into()))));
        assert!(outbox.tried(at(100), "b", Ok(())));
        assert!(outbox.due(at(101)).is_empty());
        assert_eq!(outbox.next(), Some(at(102)));
        assert_eq!(ids(&outbox.due(at(102))), ["1"]);
        assert!(!outbox.tried(at(102), "a", Err(Error::Exhausted("slow down".into()))));
        assert_eq!(outbox.next(), Some(at(106)));
        assert_eq!(ids(&outbox.due(at(106))), ["1"]);
        assert!(outbox.tried(at(106), "a", Ok(())));
        assert_eq!(ids(&outbox.due(at(107))), ["2"]);
    }

    #[test]
    fn a_service_that_asks_for_a_pause_gets_it() {
        let mut outbox = Outbox::default();
        outbox.add("a", alert(1));
        outbox.due(at(0));
        let limited = |seconds| Error::Limited {
            message: "slow down".into(),
            retry_after_s: Some(seconds),
        };
        assert!(!outbox.tried(at(0), "a", Err(limited(90))));
        assert_eq!(outbox.next(), Some(at(90)));
        outbox.due(at(90));
        outbox.tried(at(90), "a", Err(limited(u32::MAX)));
        assert_eq!(outbox.next(), Some(at(90) + DELIVERY_RETRY_MAX));
    }

    #[test]
    fn what_is_refused_for_good_holds_up_nothing() {
        let mut outbox = Outbox::default();
        outbox.add("a", alert(1));
        outbox.add("a", alert(2));
        outbox.due(at(0));
        assert!(outbox.tried(at(0), "a", Err(Error::Denied("401".into()))));
        assert_eq!(ids(&outbox.due(at(1))), ["2"]);
        let (_, queue) = outbox.queues().next().unwrap();
        assert_eq!(queue.dropped, 1);
    }

    #[test]
    fn a_restart_tries_again_what_was_under_way() {
        let mut outbox = Outbox::default();
        outbox.add("a", alert(1));
        outbox.due(at(0));
        let json = serde_json::to_string(&outbox).unwrap();
        let mut again: Outbox = serde_json::from_str(&json).unwrap();
        assert_eq!(ids(&again.due(at(0))), ["1"]);
        assert!(again.keep(&[]));
        assert!(!again.tried(at(0), "a", Ok(())));
    }

    #[test]
    fn a_queue_is_bounded_and_keeps_what_is_under_way() {
        let mut outbox = Outbox::default();
        outbox.add("a", alert(0));
        outbox.due(at(0));
        for number in 1..=ALERTS_WAITING_MAX + 5 {
            outbox.add("a", alert(number));
        }
        outbox.tried(at(0), "a", Ok(()));
        let (_, queue) = outbox.queues().next().unwrap();
        assert_eq!(queue.dropped, 6);
        assert_eq!(queue.waiting.len(), ALERTS_WAITING_MAX - 1);
        assert_eq!(queue.waiting[0].id, "7");
    }
}
