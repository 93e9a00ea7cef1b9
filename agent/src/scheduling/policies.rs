//! The policy in use, the one before it, and the one in shadow.
//!
//! Decides who is asked and what a failure costs. A failed decision is the built-in rule's; nobody waits for another try.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::policy::Policy;
use super::question::{Decision, Question};
use super::shadow::{Difference, Shadow, ShadowOverview};
use super::source::{BUILT_IN, EMBEDDED, Source};
use skep_core::state::PluginDigest;

use crate::host::Known;
use crate::host::scheduler::{Change, Choice, Job, Placement, Request};
use crate::keys::unix_now_s;
use crate::limits::{SCHEDULER_FAILURES_MAX, TALLIES_MAX};

/// The door to the policies; clones share them.
#[derive(Clone, Debug)]
pub struct Policies {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    known: Known,
    active: Policy,
    /// Takes over when the active one fails too often.
    previous: Option<Policy>,
    shadow: Option<Shadow>,
    tallies: BTreeMap<Arc<str>, Tally>,
    rolled_back: Option<RolledBack>,
    rollbacks: u64,
    /// Hears of failures of plugins that were added.
    reports: Option<Reports>,
}

/// Told the plugin, its version, what it did wrong, and whether it is in charge no more for it.
type Report = Arc<dyn Fn(&str, PluginDigest, &str, bool) + Send + Sync>;

struct Reports(Report);

/// What is counted of one policy since the agent started, whether or not it is still in use.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Times that it was asked.
    pub decisions: u64,
    /// Times that it failed, and the built-in rule decided.
    pub failures: u64,
    /// What it did wrong the last time.
    pub last_failure: Option<String>,
}

/// The latest change of policy that no operator asked for.
#[derive(Clone, Debug)]
pub struct RolledBack {
    pub from: Arc<str>,
    pub to: Arc<str>,
    pub why: String,
    pub at_unix_s: u64,
}

/// What a policy is to the agent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It decides.
    Active,
    /// It is asked and not heeded.
    Shadow,
    /// It takes over when the active one fails too often.
    Previous,
    /// It could be used.
    Available,
    /// It was used and failed too often, or was a file that was replaced.
    Retired,
}

/// Everything that there is to show.
#[derive(Clone, Debug)]
pub struct Overview {
    pub policies: Vec<(Arc<str>, Standing, Option<Source>, Tally)>,
    pub rolled_back: Option<RolledBack>,
    pub rollbacks: u64,
    pub shadow: Option<ShadowOverview>,
    /// Units of work that the last call of the active one took, and its memory in bytes.
    pub taken: Option<(u64, usize)>,
}

impl Policies {
    /// Begins with one policy and nothing known.
    #[must_use]
    pub fn new(active: Policy) -> Self {
        Self {
            inner: Arc::new(Mutex::new(Inner {
                known: Known::default(),
                active,
                previous: None,
                shadow: None,
                tallies: BTreeMap::new(),
                rolled_back: None,
                rollbacks: 0,
                reports: None,
            })),
        }
    }

    /// Has failures of plugins that were added told. Called while a decision waits: it must be quick and ask nothing here.
    pub fn report_to(&self, report: Report) {
        self.inner().reports = Some(Reports(report));
    }

    /// Where the one in charge comes from.
    #[must_use]
    pub fn active(&self) -> Source {
        self.inner().active.source.clone()
    }

    /// What a plugin of this name is to the policies, if it is in use.
    #[must_use]
    pub fn use_of(&self, name: &str) -> Option<String> {
        let inner = self.inner();
        let shadow = inner.shadow.as_ref().map(|shadow| shadow.overview().source);
        let is_it = |source: &Source| matches!(source, Source::Installed { name: this, .. } if this == name);
        if is_it(&inner.active.source) {
            return Some(
                "the scheduling: it decides (`skep scheduler use` puts another in charge)"
                    .to_owned(),
            );
        }
        shadow
            .as_ref()
            .is_some_and(is_it)
            .then(|| "the scheduling: it is in shadow (`skep scheduler shadow off`)".to_owned())
    }

    /// Tells of a change.
    pub fn observe(&self, change: Change) {
        let mut inner = self.inner();
        inner.known.take_in(&change);
        let inner = &mut *inner;
        if let Err(fault) = inner.active.observe(&change, &inner.known) {
            inner.failed(&fault);
        }
        if let Some(shadow) = &mut inner.shadow {
            shadow.observe(change, &inner.known);
        }
    }

    /// Ranks replicas for a request.
    #[must_use]
    pub fn route(&self, request: &Request) -> Decision<Choice> {
        self.inner().decide(request)
    }

    /// Ranks places for a model.
    #[must_use]
    pub fn place(&self, job: &Job) -> Decision<Placement> {
        self.inner().decide(job)
    }

    /// Puts another policy in charge. The one before takes over again should it fail too often.
    pub fn put_in_charge(&self, mut policy: Policy) {
        // It hears everything with the first call.
        policy.rest();
        let mut inner = self.inner();
        tracing::info!(from = %inner.active.name, to = %policy.name, "scheduler policy changed");
        let mut before = std::mem::replace(&mut inner.active, policy);
        before.rest();
        before.failures = 0;
        // Taking the same one again must not lose the one before it; a file may have changed.
        if before.source != inner.active.source || matches!(before.source, Source::File(_)) {
            inner.previous = Some(before);
        }
        inner.rolled_back = None;
    }

    /// Forgets plugins that are gone, except one in charge: neither in shadow nor to go back to.
    pub fn forget(&self, gone: &dyn Fn(&str) -> bool) {
        let mut inner = self.inner();
        let is_gone =
            |source: &Source| matches!(source, Source::Installed { name, .. } if gone(name));
        if inner
            .previous
            .as_ref()
            .is_some_and(|policy| is_gone(&policy.source))
        {
            inner.previous = None;
        }
        let shadow = inner.shadow.as_ref().map(|shadow| shadow.overview().source);
        if shadow.as_ref().is_some_and(is_gone) {
            inner.shadow = None;
        }
    }

    /// Lets a policy hear and answer everything beside the active one, or none.
    ///
    /// # Errors
    /// When the system gives no thread; then there is none.
    pub fn put_in_shadow(&self, policy: Option<Policy>) -> std::io::Result<()> {
        let mut inner = self.inner();
        // The thread ends by itself once its queue is closed.
        inner.shadow = None;
        if let Some(policy) = policy {
            tracing::info!(policy = %policy.name, "scheduler policy in shadow");
            inner.shadow = Some(Shadow::start(policy, inner.known.clone())?);
        }
        Ok(())
    }

    /// A copy of everything that is known, to try a policy with.
    #[must_use]
    pub fn known(&self) -> Known {
        self.inner().known.clone()
    }

    /// What a node is called; its identity where nothing is known of it.
    #[must_use]
    pub fn node_name(&self, id: &str) -> String {
        let inner = self.inner();
        let node = inner.known.node(id);
        node.map_or_else(|| id.to_owned(), |node| node.name.clone())
    }

    /// What the node of a replica is called; its identity where nothing else is known of it.
    #[must_use]
    pub fn home(&self, replica: u64) -> Option<String> {
        let inner = self.inner();
        let node = &inner.known.replica(replica)?.node;
        let known = inner.known.node(node);
        Some(known.map_or_else(|| node.clone(), |known| known.name.clone()))
    }

    /// Decisions of the policy in shadow that differ, newest first.
    #[must_use]
    pub fn differences(&self) -> Vec<Difference> {
        let inner = self.inner();
        inner
            .shadow
            .as_ref()
            .map(Shadow::differences)
            .unwrap_or_default()
    }

    /// Everything that there is to show, the active policy first.
    #[must_use]
    pub fn overview(&self) -> Overview {
        let inner = self.inner();
        let shadow = inner.shadow.as_ref().map(Shadow::overview);
        let mut policies = vec![inner.row(
            &inner.active.name,
            Standing::Active,
            Some(&inner.active.source),
        )];
        if let Some(shadow) = &shadow {
            policies.push(inner.row(&shadow.name, Standing::Shadow, Some(&shadow.source)));
        }
        if let Some(previous) = &inner.previous {
            policies.push(inner.row(&previous.name, Standing::Previous, Some(&previous.source)));
        }
        let others = EMBEDDED
            .into_iter()
            .map(Source::Embedded)
            .chain([Source::BuiltIn]);
        for source in others {
            let name = source.name();
            if policies.iter().all(|(known, ..)| *known != name) {
                policies.push(inner.row(&name, Standing::Available, Some(&source)));
            }
        }
        for name in inner.tallies.keys() {
            if policies.iter().all(|(known, ..)| known != name) {
                policies.push(inner.row(name, Standing::Retired, None));
            }
        }
        Overview {
            policies,
            rolled_back: inner.rolled_back.clone(),
            rollbacks: inner.rollbacks,
            shadow,
            taken: inner.active.taken(),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Reports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reports")
    }
}

impl Inner {
    fn decide<Q: Question>(&mut self, question: &Q) -> Decision<Q::Answer> {
        let started = Instant::now();
        let by = self.active.name.clone();
        if let Some(tally) = self.tally(&by) {
            tally.decisions += 1;
        }
        let decision = match self.active.ask(question, &self.known) {
            Ok(answer) => Decision {
                answer,
                by,
                fault: None,
                took: started.elapsed(),
            },
            Err(fault) => {
                self.failed(&fault);
                Decision {
                    answer: question.by_rule(&self.known),
                    by: BUILT_IN.into(),
                    fault: Some(fault),
                    took: started.elapsed(),
                }
            }
        };
        if let Some(shadow) = &mut self.shadow {
            let live = Q::summary(&self.known, &decision.answer);
            shadow.ask(question, &decision.by, live, &self.known);
        }
        decision
    }

    /// Counts a failure of the active policy, and ends its time when it was one too many.
    fn failed(&mut self, fault: &str) {
        let name = self.active.name.clone();
        self.active.failures += 1;
        let failures = self.active.failures;
        tracing::error!(policy = %name, %fault, failures, "the scheduler failed; the built-in rule decides instead");
        if let Some(tally) = self.tally(&name) {
            tally.failures += 1;
            tally.last_failure = Some(fault.to_owned());
        }
        let last = failures >= SCHEDULER_FAILURES_MAX;
        if let (
            Source::Installed {
                name,
                digest: Some(digest),
            },
            Some(reports),
        ) = (&self.active.source, &self.reports)
        {
            (reports.0)(name, *digest, fault, last);
        }
        if !last {
            return;
        }
        self.active = self.previous.take().unwrap_or_else(Policy::built_in);
        self.rollbacks += 1;
        tracing::error!(from = %name, to = %self.active.name, "the scheduler failed {failures} times and was rolled back; `skep scheduler ls` tells more");
        self.rolled_back = Some(RolledBack {
            from: name,
            to: self.active.name.clone(),
            why: fault.to_owned(),
            at_unix_s: unix_now_s(),
        });
    }

    /// The counts of a policy; none where too many are counted already.
    fn tally(&mut self, name: &Arc<str>) -> Option<&mut Tally> {
        if self.tallies.len() >= TALLIES_MAX && !self.tallies.contains_key(name) {
            return None;
        }
        Some(self.tallies.entry(name.clone()).or_default())
    }

    fn row(
        &self,
        name: &Arc<str>,
        standing: Standing,
        source: Option<&Source>,
    ) -> (Arc<str>, Standing, Option<Source>, Tally) {
        let tally = self.tallies.get(name).cloned().unwrap_or_default();
        (name.clone(), standing, source.cloned(), tally)
    }
}
