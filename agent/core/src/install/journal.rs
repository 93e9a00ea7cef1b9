//! The journal of one plan: which record may follow which, what they say became of each action, and what comes next.
//!
//! Decides the order of things, so that after a crash at any point the records say what may be half done, and that undoing goes
//! backwards. Refuses to know how anything is done, and what a clock or a file is: the executor's journal makes each record durable
//! before the next thing happens.

use serde::{Deserialize, Serialize};

use super::action::Plan;
use super::record::{Before, Record, RunId};
use super::valid::Nonsense;
use crate::limits::INSTALL_RECORDS_MAX;

/// What became of one action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nothing was begun.
    Waiting,
    /// It was so already.
    Already,
    /// Begun, and perhaps half done.
    Intended,
    /// Done.
    Done,
    /// It failed, for this reason.
    Failed(String),
    /// Undoing it was begun.
    Undoing,
    /// Undone.
    Undone,
    /// Undoing it left it as it is, for this reason.
    Left(String),
    /// Undoing it failed, for this reason.
    Stuck(String),
}

/// One action of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What became of it.
    pub stage: Stage,
    /// What was there before, once it was begun.
    pub before: Option<Before>,
    /// How long it took.
    pub took_ms: Option<u64>,
    /// What came with it.
    pub came: Vec<String>,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Look at it; then write [`Record::Already`] or [`Record::Intend`].
    Begin(usize),
    /// It was begun and may be half done: do it again from what was there before.
    GoOn(usize),
    /// Undo it.
    Undo(usize),
    /// Write [`Record::Ended`].
    End,
    /// Nothing is left.
    Nothing,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// Actions are left.
    Running,
    /// All is done.
    Done,
    /// An action failed, or undoing one did.
    Failed,
    /// Actions are left to be undone.
    Undoing,
    /// All is undone, but for what was left as it is.
    Undone,
}

/// A plan and what became of it so far.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its name.
    pub id: RunId,
    /// What it is a part of.
    pub part: String,
    /// Who agreed.
    pub by: String,
    /// When it began.
    pub at_unix_s: u64,
    /// All of the plan.
    pub plan: Plan,
    items: Vec<Item>,
    back: bool,
    ended: bool,
    records: usize,
}

impl Run {
    /// What records say, the first of which begins the run.
    ///
    /// # Errors
    /// When no journal of ours has these in this order.
    pub fn replay(records: impl IntoIterator<Item = Record>) -> Result<Self, Nonsense> {
        let mut records = records.into_iter();
        let first = records.next().ok_or(Nonsense::Order("it is empty"))?;
        let mut run = Self::begin(first)?;
        for record in records {
            run.admit(record)?;
        }
        Ok(run)
    }

    /// A run with its first record.
    ///
    /// # Errors
    /// When it is another record, or a plan that may not be carried out.
    pub fn begin(first: Record) -> Result<Self, Nonsense> {
        let Record::Begun {
            run,
            part,
            by,
            at_unix_s,
            plan,
        } = first
        else {
            return Err(Nonsense::Order("it does not begin with its plan"));
        };
        plan.check()?;
        let item = Item {
            stage: Stage::Waiting,
            before: None,
            took_ms: None,
            came: Vec::new(),
        };
        Ok(Self {
            id: run,
            part,
            by,
            at_unix_s,
            items: vec![item; plan.actions.len()],
            plan,
            back: false,
            ended: false,
            records: 1,
        })
    }

    /// Takes the next record.
    ///
    /// # Errors
    /// When it cannot follow; then nothing has changed.
    pub fn admit(&mut self, record: Record) -> Result<(), Nonsense> {
        // Whatever was done can always be undone, so trying again ends long before the journal is full.
        let most = if self.back {
            INSTALL_RECORDS_MAX
        } else {
            INSTALL_RECORDS_MAX / 2
        };
        if self.records >= most && !matches!(record, Record::Undo { .. }) {
            return Err(Nonsense::Order("it was tried too often; undo it"));
        }
        match record {
            Record::Begun { .. } => return Err(Nonsense::Order("it begins twice")),
            Record::Already { action } => {
                let item = self.expect(&[Next::Begin(action)], action)?;
                item.stage = Stage::Already;
            }
            Record::Intend { action, before } => {
                let item = self.expect(&[Next::Begin(action), Next::GoOn(action)], action)?;
                if item
                    .before
                    .as_ref()
                    .is_some_and(|first| !first.same_origin(&before))
                {
                    return Err(Nonsense::Order("what was there before cannot change"));
                }
                item.stage = Stage::Intended;
                item.before = Some(before);
            }
            Record::Done {
                action,
                took_ms,
                came,
            } => {
                let item = self.expect(&[Next::GoOn(action)], action)?;
                item.stage = Stage::Done;
                item.took_ms = Some(took_ms);
                item.came = came;
            }
            Record::Failed { action, why } => {
                let item = self.expect(&[Next::Begin(action), Next::GoOn(action)], action)?;
                item.stage = Stage::Failed(why);
            }
            Record::Undo { .. } => {
                if self.back {
                    return Err(Nonsense::Order("it is being undone already"));
                }
                self.back = true;
                self.ended = false;
            }
            Record::UndoIntend { action } => {
                self.expect(&[Next::Undo(action)], action)?.stage = Stage::Undoing;
            }
            Record::Undone { action, left } => {
                let item = self.expect(&[Next::Undo(action)], action)?;
                if item.stage != Stage::Undoing {
                    return Err(Nonsense::Order("it was undone before that was begun"));
                }
                item.stage = left.map_or(Stage::Undone, Stage::Left);
            }
            Record::UndoFailed { action, why } => {
                self.expect(&[Next::Undo(action)], action)?.stage = Stage::Stuck(why);
            }
            Record::Ended { .. } => {
                if self.next() != Next::End {
                    return Err(Nonsense::Order("it ends too early"));
                }
                self.ended = true;
            }
        }
        self.records += 1;
        Ok(())
    }

    /// What comes next. After a failure it is the same once more: whether to go on or back is a person's to say.
    #[must_use]
    pub fn next(&self) -> Next {
        if self.ended {
            return Next::Nothing;
        }
        if self.back {
            let left = |item: &Item| {
                item.before.is_some() && !matches!(item.stage, Stage::Undone | Stage::Left(_))
            };
            return self
                .items
                .iter()
                .rposition(left)
                .map_or(Next::End, Next::Undo);
        }
        let open = |item: &Item| !matches!(item.stage, Stage::Already | Stage::Done);
        match self.items.iter().position(open) {
            None => Next::End,
            Some(action) if self.item(action).is_some_and(|item| item.before.is_some()) => {
                Next::GoOn(action)
            }
            Some(action) => Next::Begin(action),
        }
    }

    /// One action.
    #[must_use]
    pub fn item(&self, action: usize) -> Option<&Item> {
        self.items.get(action)
    }

    /// All actions, in the plan's order.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Whether it goes back.
    #[must_use]
    pub fn is_undone_or_undoing(&self) -> bool {
        self.back
    }

    /// How far it is.
    #[must_use]
    pub fn state(&self) -> RunState {
        let failed = |item: &Item| match item.stage {
            Stage::Failed(_) => !self.back,
            Stage::Stuck(_) => true,
            _ => false,
        };
        match (self.back, self.ended) {
            (false, true) => RunState::Done,
            (true, true) => RunState::Undone,
            _ if self.items.iter().any(failed) => RunState::Failed,
            (false, false) => RunState::Running,
            (true, false) => RunState::Undoing,
        }
    }

    fn expect(&mut self, one_of: &[Next], action: usize) -> Result<&mut Item, Nonsense> {
        let next = self.next();
        let item = self.items.get_mut(action);
        item.filter(|_| one_of.contains(&next))
            .ok_or(Nonsense::Order("something else would come next"))
    }
}

#[cfg(test)]
mod tests;
