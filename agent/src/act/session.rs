//! One run under way: the loop that writes a record, does one thing, and writes the next.
//!
//! Decides that nothing is done before its record is durable, and that a failure stops the run where it is. Refuses to know what
//! the records mean to each other (`skep_core::install`) and how anything is done (`deeds`).

use std::time::{Instant, SystemTime};

use skep_core::install::{Action, Actor, Before, Next, Plan, Record, Run, RunId, Stage};

use super::deeds::{self, Context};
use super::helper::Client;
use super::journal::JournalFile;
use super::{ActError, AgentSide, Executor, Found, RunView, Tell};

/// A run that this process is at.
#[derive(Debug)]
pub(super) struct Session<'a> {
    executor: &'a Executor,
    journal: JournalFile,
    helper: Option<Client>,
}

/// What became of one attempt at an action.
pub(super) type Outcome = Result<(), ActError>;

impl<'a> Session<'a> {
    pub(super) fn begin(
        executor: &'a Executor,
        run: &RunId,
        part: &str,
        by: &str,
        plan: &Plan,
    ) -> Result<Self, ActError> {
        plan.check()?;
        let first = Record::Begun {
            run: run.clone(),
            part: part.to_owned(),
            by: by.to_owned(),
            at_unix_s: now_unix_s(),
            plan: plan.clone(),
        };
        let journal = JournalFile::create(&executor.folder, run, first)?;
        Ok(Self {
            executor,
            journal,
            helper: None,
        })
    }

    pub(super) fn open(executor: &'a Executor, run: &RunId) -> Result<Self, ActError> {
        let journal = JournalFile::open(&executor.folder, run)?;
        Ok(Self {
            executor,
            journal,
            helper: None,
        })
    }

    pub(super) fn run(&self) -> &Run {
        self.journal.run()
    }

    fn view(&self) -> RunView {
        RunView::of(self.run(), true)
    }

    /// From here on it is undone.
    pub(super) fn turn_back(&mut self, by: &str) -> Result<(), ActError> {
        if self.run().is_undone_or_undoing() {
            return Ok(());
        }
        self.journal.write(Record::Undo {
            by: by.to_owned(),
            at_unix_s: now_unix_s(),
        })
    }

    /// Carries out what is left, until an action fails.
    pub(super) fn forward(
        mut self,
        agent: &mut dyn AgentSide,
        tell: Tell<'_>,
    ) -> Result<RunView, ActError> {
        tell(&self.view());
        loop {
            let action = match self.run().next() {
                Next::Begin(action) | Next::GoOn(action) => action,
                Next::End => {
                    self.end()?;
                    continue;
                }
                Next::Undo(_) | Next::Nothing => break,
            };
            let done = self.step(action, agent, tell)?;
            tell(&self.view());
            if done.is_err() {
                break;
            }
        }
        let view = self.view();
        tell(&view);
        Ok(view)
    }

    /// Undoes what is left to undo, until that fails.
    pub(super) fn back(
        mut self,
        agent: &mut dyn AgentSide,
        tell: Tell<'_>,
    ) -> Result<RunView, ActError> {
        tell(&self.view());
        loop {
            let action = match self.run().next() {
                Next::Undo(action) => action,
                Next::End => {
                    self.finish_back(self.executor)?;
                    continue;
                }
                Next::Begin(_) | Next::GoOn(_) | Next::Nothing => break,
            };
            let undone = self.step_back(action, agent, tell)?;
            tell(&self.view());
            if undone.is_err() {
                break;
            }
        }
        let view = self.view();
        tell(&view);
        Ok(view)
    }

    pub(super) fn end(&mut self) -> Result<(), ActError> {
        self.journal.write(Record::Ended {
            at_unix_s: now_unix_s(),
        })
    }

    /// What follows once all is undone, and the end.
    pub(super) fn finish_back(&mut self, executor: &Executor) -> Result<(), ActError> {
        deeds::afterwards(&executor.place, &self.run().plan, self.run().items())?;
        self.end()
    }

    /// One action, the next. The outer error is the journal's: then nothing may go on.
    pub(super) fn step(
        &mut self,
        action: usize,
        agent: &mut dyn AgentSide,
        tell: Tell<'_>,
    ) -> Result<Outcome, ActError> {
        let begun = Instant::now();
        match self.attempt(action, agent, tell) {
            Ok(None) => Ok(Ok(())),
            Ok(Some(came)) => {
                let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                self.journal.write(Record::Done {
                    action,
                    took_ms,
                    came,
                })?;
                Ok(Ok(()))
            }
            Err(error @ ActError::Journal { .. }) => Err(error),
            Err(error) => {
                let why = error.told();
                self.journal.write(Record::Failed { action, why })?;
                Ok(Err(error))
            }
        }
    }

    /// `None`: it was so already. Otherwise what came with it.
    fn attempt(
        &mut self,
        index: usize,
        agent: &mut dyn AgentSide,
        tell: Tell<'_>,
    ) -> Result<Option<Vec<String>>, ActError> {
        let executor = self.executor;
        let (action, first) = self.at(index)?;
        let actor = executor.actor(&action);
        let changed = self
            .run()
            .items()
            .iter()
            .take(index)
            .any(|item| item.stage == Stage::Done);
        let context = Context {
            plan: &self.run().plan,
            index,
            changed,
        };
        let elsewhere = actor == Actor::Root && !executor.place.is_root();
        if first.is_none() && !elsewhere {
            let found = match actor {
                Actor::Agent => agent.look(&action)?,
                Actor::User | Actor::Root => deeds::look(&executor.place, &context)?,
            };
            match found {
                Found::Already => {
                    self.journal.write(Record::Already { action: index })?;
                    return Ok(None);
                }
                Found::Conflict(why) => return Err(ActError::Conflict(why)),
                Found::Needed => {}
            }
        }
        if elsewhere {
            self.connect()?;
            self.intend(index, Before::Elsewhere, tell)?;
            let helper = self.helper.as_mut().ok_or(ActError::NeedsRoot)?;
            return helper
                .carry_out(root_index(executor, self.journal.run(), index))
                .map(Some);
        }
        if actor == Actor::Agent {
            let before = match first {
                Some(before) => before,
                None => Before::Agent {
                    kept: agent.before(&action)?,
                },
            };
            self.intend(index, before, tell)?;
            agent.carry_out(&action)?;
            return Ok(Some(Vec::new()));
        }
        let ready = deeds::prepare(&executor.place, &action, first.as_ref())?;
        self.intend(index, ready.before.clone(), tell)?;
        deeds::carry_out(&executor.place, &action, &ready).map(Some)
    }

    fn intend(&mut self, action: usize, before: Before, tell: Tell<'_>) -> Result<(), ActError> {
        self.journal.write(Record::Intend { action, before })?;
        tell(&self.view());
        Ok(())
    }

    /// Undoes one action, the next.
    pub(super) fn step_back(
        &mut self,
        action: usize,
        agent: &mut dyn AgentSide,
        tell: Tell<'_>,
    ) -> Result<Outcome, ActError> {
        self.journal.write(Record::UndoIntend { action })?;
        tell(&self.view());
        match self.attempt_back(action, agent) {
            Ok(left) => {
                self.journal.write(Record::Undone { action, left })?;
                Ok(Ok(()))
            }
            Err(error @ ActError::Journal { .. }) => Err(error),
            Err(error) => {
                let why = error.told();
                self.journal.write(Record::UndoFailed { action, why })?;
                Ok(Err(error))
            }
        }
    }

    fn attempt_back(
        &mut self,
        index: usize,
        agent: &mut dyn AgentSide,
    ) -> Result<Option<String>, ActError> {
        let (action, before) = self.at(index)?;
        match before {
            Some(Before::Elsewhere) => {
                self.connect()?;
                let at = root_index(self.executor, self.journal.run(), index);
                self.helper.as_mut().ok_or(ActError::NeedsRoot)?.undo(at)
            }
            Some(Before::Agent { kept }) => agent.undo(&action, &kept),
            Some(_) => {
                let item = self.run().item(index).cloned();
                let item =
                    item.ok_or_else(|| ActError::Agent("there is no such action".to_owned()))?;
                deeds::undo(&self.executor.place, &action, &item)
            }
            None => Ok(None),
        }
    }

    fn at(&self, index: usize) -> Result<(Action, Option<Before>), ActError> {
        let run = self.run();
        let found = run.plan.actions.get(index).zip(run.item(index));
        let (planned, item) =
            found.ok_or_else(|| ActError::Agent("there is no such action".to_owned()))?;
        Ok((planned.action.clone(), item.before.clone()))
    }

    /// The helper, told of this run once.
    fn connect(&mut self) -> Result<(), ActError> {
        if self.helper.is_some() {
            return Ok(());
        }
        let path = self.executor.helper.as_deref().ok_or(ActError::NeedsRoot)?;
        let mut helper = Client::connect(path)?;
        let run = self.journal.run();
        helper.begin(
            &run.id,
            &run.part,
            &run.by,
            &root_part(self.executor, &run.plan),
        )?;
        self.helper = Some(helper);
        Ok(())
    }
}

/// The actions of a plan that only root may carry out, in their order.
pub(super) fn root_part(executor: &Executor, plan: &Plan) -> Plan {
    let actions = plan.actions.iter();
    Plan {
        actions: actions
            .filter(|planned| executor.actor(&planned.action) == Actor::Root)
            .cloned()
            .collect(),
        notes: plan.notes.clone(),
    }
}

/// Which of those an action is.
fn root_index(executor: &Executor, run: &Run, index: usize) -> usize {
    let before = run.plan.actions.iter().take(index);
    before
        .filter(|planned| executor.actor(&planned.action) == Actor::Root)
        .count()
}

pub(super) fn now_unix_s() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.unwrap_or_default().as_secs()
}
