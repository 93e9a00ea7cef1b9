//! One policy: who it is, and its scheduler.

use std::sync::Arc;
use std::time::Instant;

use super::question::Question;
use super::source::{BUILT_IN, Source};
use crate::host::scheduler::{Change, Refusal};
use crate::host::{Known, Scheduler};

/// A policy that can be asked.
#[derive(Debug)]
pub struct Policy {
    pub(super) name: Arc<str>,
    pub(super) source: Source,
    /// None: the built-in rule.
    scheduler: Option<Scheduler>,
    /// Decisions and changes that it failed at since it was taken into use.
    pub(super) failures: u32,
}

impl Policy {
    /// A policy from a scheduler that was loaded.
    #[must_use]
    pub fn new(source: Source, scheduler: Scheduler) -> Self {
        Self {
            name: source.name(),
            source,
            scheduler: Some(scheduler),
            failures: 0,
        }
    }

    /// The rule that is always there.
    #[must_use]
    pub fn built_in() -> Self {
        Self {
            name: BUILT_IN.into(),
            source: Source::BuiltIn,
            scheduler: None,
            failures: 0,
        }
    }

    /// Tries it with everything that is known; it forgets that again.
    ///
    /// # Errors
    /// What it did wrong.
    pub fn try_out(&mut self, known: &Known) -> Result<(), String> {
        let Some(scheduler) = &mut self.scheduler else {
            return Ok(());
        };
        let tried = scheduler.start(known).map_err(|fault| fault.to_string());
        scheduler.rest();
        tried
    }

    /// Units of work that its last call took, and its instance's memory in bytes.
    pub(super) fn taken(&self) -> Option<(u64, usize)> {
        let taken = self.scheduler.as_ref()?.taken()?;
        Some((taken.fuel, taken.memory_bytes))
    }

    /// Gives up what it holds until it is asked again.
    pub(super) fn rest(&mut self) {
        if let Some(scheduler) = &mut self.scheduler {
            scheduler.rest();
        }
    }

    /// Tells it of a change that `known` has already.
    pub(super) fn observe(&mut self, change: &Change, known: &Known) -> Result<(), String> {
        match &mut self.scheduler {
            None => Ok(()),
            Some(scheduler) => scheduler
                .observe(change, known)
                .map_err(|fault| fault.to_string()),
        }
    }

    /// Its answer, if it has one that makes sense; otherwise what it did wrong.
    pub(super) fn ask<Q: Question>(
        &mut self,
        question: &Q,
        known: &Known,
    ) -> Result<Result<Q::Answer, Refusal>, String> {
        let Some(scheduler) = &mut self.scheduler else {
            return Ok(question.by_rule(known));
        };
        let started = Instant::now();
        let answer = question
            .ask(scheduler, known)
            .map_err(|fault| fault.to_string())?;
        question.check(known, &answer).map_err(|nonsense| {
            tracing::debug!(policy = %self.name, took = ?started.elapsed(), %nonsense, "nonsense");
            format!("the plugin `{}` answered nonsense: {nonsense}", self.name)
        })?;
        Ok(answer)
    }
}
