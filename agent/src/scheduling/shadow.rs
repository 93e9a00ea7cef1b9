//! A policy that hears everything and is asked everything, and whose answers are only compared.
//!
//! It runs on a thread of its own behind a bounded queue, so that the active policy's callers never wait for it. What finds
//! no room is dropped and counted; since changes must not be missed, everything known is told again once there is room.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};

use super::policy::Policy;
use super::question::{Chosen, Question};
use super::source::Source;
use crate::host::Known;
use crate::host::scheduler::{Change, Job, Request};
use crate::keys::unix_now_s;
use crate::limits::{DIFFERENCES_MAX, SCHEDULER_FAILURES_MAX, SHADOW_QUEUE};

/// What a question was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Where a request runs.
    Route,
    /// Where a model is loaded.
    Place,
}

/// A decision that the policy in shadow would have taken otherwise.
#[derive(Clone, Debug)]
pub struct Difference {
    /// Counts the differences since this shadow began, from 1.
    pub number: u64,
    pub at_unix_s: u64,
    pub kind: Kind,
    pub model: String,
    /// Who decided, and what.
    pub by: Arc<str>,
    pub live: Chosen,
    /// What the shadow would have.
    pub shadow: Chosen,
}

/// How the policy in shadow does.
#[derive(Clone, Debug)]
pub struct ShadowOverview {
    pub name: Arc<str>,
    pub source: Source,
    pub since_unix_s: u64,
    /// Decisions in which it would have named the same place.
    pub agreed: u64,
    pub differed: u64,
    /// Decisions that it failed at.
    pub failures: u64,
    pub last_failure: Option<String>,
    /// Changes and decisions that it did not hear since it was behind.
    pub dropped: u64,
    /// Why it is no longer asked.
    pub ended: Option<String>,
}

/// The door to the thread, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct Shadow {
    queue: SyncSender<Told>,
    waiting: Arc<AtomicUsize>,
    /// It has missed something, so it must hear everything before the next question.
    behind: bool,
    report: Arc<Mutex<Report>>,
}

#[derive(Debug)]
struct Report {
    overview: ShadowOverview,
    differences: VecDeque<Difference>,
}

pub(super) enum Told {
    Everything(Box<Known>),
    Change(Change),
    Route(Request, Live),
    Place(Job, Live),
}

pub(super) struct Live {
    by: Arc<str>,
    chosen: Chosen,
}

impl Shadow {
    pub(super) fn start(mut policy: Policy, known: Known) -> std::io::Result<Self> {
        // It hears everything with the first call.
        policy.rest();
        let (queue, told) = mpsc::sync_channel(SHADOW_QUEUE);
        let waiting = Arc::new(AtomicUsize::new(0));
        let report = Arc::new(Mutex::new(Report {
            overview: ShadowOverview {
                name: policy.name.clone(),
                source: policy.source.clone(),
                since_unix_s: unix_now_s(),
                agreed: 0,
                differed: 0,
                failures: 0,
                last_failure: None,
                dropped: 0,
                ended: None,
            },
            differences: VecDeque::new(),
        }));
        let thread = Thread {
            policy,
            known,
            report: report.clone(),
        };
        let theirs = waiting.clone();
        std::thread::Builder::new()
            .name("shadow".into())
            .spawn(move || thread.run(&told, &theirs))?;
        Ok(Self {
            queue,
            waiting,
            behind: false,
            report,
        })
    }

    pub(super) fn observe(&mut self, change: Change, known: &Known) {
        if self.behind {
            // The change is among what is known already.
            self.catch_up(known);
        } else {
            self.tell(Told::Change(change));
        }
    }

    pub(super) fn ask<Q: Question>(
        &mut self,
        question: &Q,
        by: &Arc<str>,
        chosen: Chosen,
        known: &Known,
    ) {
        if self.behind && !self.catch_up(known) {
            self.report(|report| report.overview.dropped += 1);
            return;
        }
        let live = Live {
            by: by.clone(),
            chosen,
        };
        self.tell(question.clone().told(live));
    }

    pub(super) fn overview(&self) -> ShadowOverview {
        self.report(|report| report.overview.clone())
    }

    /// Newest first.
    pub(super) fn differences(&self) -> Vec<Difference> {
        self.report(|report| report.differences.iter().rev().cloned().collect())
    }

    /// Tells everything again once there is room again; whether it did.
    fn catch_up(&mut self, known: &Known) -> bool {
        // Not with the first free place: copying everything for each would cost more than it helps.
        if self.waiting.load(Ordering::Relaxed) > SHADOW_QUEUE / 2 {
            return false;
        }
        self.behind = false;
        self.tell(Told::Everything(Box::new(known.clone())));
        !self.behind
    }

    fn tell(&mut self, told: Told) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        match self.queue.try_send(told) {
            Ok(()) => {}
            // It has ended, and says so in its report.
            Err(TrySendError::Disconnected(_)) => {
                self.waiting.fetch_sub(1, Ordering::Relaxed);
            }
            Err(TrySendError::Full(_)) => {
                self.waiting.fetch_sub(1, Ordering::Relaxed);
                self.behind = true;
                self.report(|report| report.overview.dropped += 1);
            }
        }
    }

    fn report<R>(&self, use_it: impl FnOnce(&mut Report) -> R) -> R {
        use_it(&mut self.report.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Thread {
    policy: Policy,
    known: Known,
    report: Arc<Mutex<Report>>,
}

impl Thread {
    fn run(mut self, told: &Receiver<Told>, waiting: &AtomicUsize) {
        while let Ok(told) = told.recv() {
            waiting.fetch_sub(1, Ordering::Relaxed);
            let failed = match told {
                Told::Everything(known) => {
                    self.known = *known;
                    self.policy.rest();
                    None
                }
                Told::Change(change) => {
                    self.known.take_in(&change);
                    self.policy.observe(&change, &self.known).err()
                }
                Told::Route(request, live) => self.compare(&request, live),
                Told::Place(job, live) => self.compare(&job, live),
            };
            if let Some(fault) = failed
                && self.failed(fault)
            {
                return;
            }
        }
    }

    /// Asks the question again and compares; what went wrong.
    fn compare<Q: Question>(&mut self, question: &Q, live: Live) -> Option<String> {
        let answer = match self.policy.ask(question, &self.known) {
            Ok(answer) => answer,
            Err(fault) => return Some(fault),
        };
        let shadow = Q::summary(&self.known, &answer);
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        if shadow.is_same_place(&live.chosen) {
            report.overview.agreed += 1;
            return None;
        }
        report.overview.differed += 1;
        let difference = Difference {
            number: report.overview.differed,
            at_unix_s: unix_now_s(),
            kind: Q::KIND,
            model: question.model().to_owned(),
            by: live.by,
            live: live.chosen,
            shadow,
        };
        if report.differences.len() >= DIFFERENCES_MAX {
            report.differences.pop_front();
        }
        report.differences.push_back(difference);
        None
    }

    /// Counts a failure; whether it was one too many.
    fn failed(&mut self, fault: String) -> bool {
        self.policy.failures += 1;
        let over = self.policy.failures >= SCHEDULER_FAILURES_MAX;
        let name = &self.policy.name;
        tracing::warn!(policy = %name, %fault, "the scheduler in shadow failed");
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        report.overview.failures += 1;
        if over {
            tracing::warn!(policy = %name, "the scheduler in shadow is no longer asked");
            report.overview.ended = Some(format!(
                "it failed {SCHEDULER_FAILURES_MAX} times, at last so: {fault}"
            ));
        }
        report.overview.last_failure = Some(fault);
        over
    }
}
