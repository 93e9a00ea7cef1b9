//! Carrying out what a plan says: one action at a time, journaled, resumable, undone in reverse.
//!
//! Decides how an executor is used: preview, consent elsewhere, apply, resume, undo, drift. What a machine is looked at and changed by
//! is below; which records a journal may have is `skep_core::install`. Refuses to know what a plan is good for, and who agreed to it.

use std::path::{Path, PathBuf};

use skep_core::install::{Action, Actor, Plan, RunId};

mod accounts;
mod agent_side;
mod block;
mod commands;
mod containers;
mod crash;
mod deeds;
mod diff;
mod error;
mod fetch;
mod firewall;
pub mod helper;
mod journal;
mod kept;
mod keys;
mod packages;
mod paths;
mod place;
mod program;
mod root;
mod service;
mod session;
mod units;
mod view;
mod wanted;

pub use self::agent_side::{AgentSide, NoAgent};
pub use self::error::ActError;
pub use self::service::{SERVICE_FOLDERS, SERVICE_HOME, SERVICE_PART, SERVICE_USER};
pub use self::view::{
    ActionState, ActionView, Drift, Found, Preview, PreviewState, RunView, RunWord,
};

use self::place::Place;
use self::session::Session;

/// Where an executor works, and as whom.
#[derive(Clone, Debug)]
pub struct Workplace {
    /// What stands for `/`. Normally that itself; else the root of another system, on which nothing runs.
    pub root: PathBuf,
    /// Where journals and what was there before are kept. Made, private, with the first run.
    pub journal: PathBuf,
    /// Folders that belong to whoever runs this: what is written there needs no root.
    pub own: Vec<PathBuf>,
    /// The home of whoever runs this, for units of their own.
    pub home: Option<PathBuf>,
    /// The socket of the privileged helper, where that may be asked.
    pub helper: Option<PathBuf>,
}

/// Carries plans out. Its calls block: on the disk, on programs, on the helper.
#[derive(Debug)]
pub struct Executor {
    place: Place,
    folder: PathBuf,
    own: Vec<String>,
    helper: Option<PathBuf>,
}

/// Who does what only root may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RootHands {
    /// This process is root.
    Own,
    /// The helper answers.
    Helper,
    /// Nobody; somebody has to start the helper.
    Missing,
}

/// Told at each change of a run.
pub type Tell<'a> = &'a mut dyn FnMut(&RunView);

impl Executor {
    /// An executor there.
    ///
    /// # Errors
    /// When the root cannot be used.
    pub fn open(workplace: &Workplace) -> Result<Self, ActError> {
        let text = |path: &PathBuf| path.to_str().map(str::to_owned);
        Ok(Self {
            place: Place::open(
                &workplace.root,
                journal::kept(&workplace.journal),
                workplace.home.as_ref().and_then(text),
            )?,
            folder: workplace.journal.clone(),
            own: workplace.own.iter().filter_map(text).collect(),
            helper: workplace.helper.clone(),
        })
    }

    /// Who would do what only root may do.
    #[must_use]
    pub fn root_hands(&self) -> RootHands {
        if self.place.is_root() {
            return RootHands::Own;
        }
        match self.helper.as_deref().map(helper::Client::connect) {
            Some(Ok(_)) => RootHands::Helper,
            Some(Err(_)) | None => RootHands::Missing,
        }
    }

    /// Who has to carry an action out.
    #[must_use]
    pub fn actor(&self, action: &Action) -> Actor {
        let own: Vec<&str> = self.own.iter().map(String::as_str).collect();
        action.actor(&own)
    }

    /// What a plan would do here: in words, with differences of files, and how each would be undone. Changes nothing.
    ///
    /// # Errors
    /// When the plan makes no sense.
    pub fn preview(&self, plan: &Plan, agent: &dyn AgentSide) -> Result<Vec<Preview>, ActError> {
        plan.check()?;
        view::preview(self, plan, agent)
    }

    /// Begins a run of a plan and carries it out, until all is done or an action fails; which, the answer says.
    ///
    /// # Errors
    /// When the run cannot begin or its journal cannot be written. What was done so far is in the journal.
    pub fn apply(
        &self,
        run: &RunId,
        part: &str,
        by: &str,
        plan: &Plan,
        agent: &mut dyn AgentSide,
        tell: Tell<'_>,
    ) -> Result<RunView, ActError> {
        Session::begin(self, run, part, by, plan)?.forward(agent, tell)
    }

    /// Goes on with a run that was interrupted or failed, in the direction in which it was.
    ///
    /// # Errors
    /// As for [`Executor::apply`].
    pub fn resume(
        &self,
        run: &RunId,
        agent: &mut dyn AgentSide,
        tell: Tell<'_>,
    ) -> Result<RunView, ActError> {
        let session = Session::open(self, run)?;
        if session.run().is_undone_or_undoing() {
            return session.back(agent, tell);
        }
        session.forward(agent, tell)
    }

    /// Undoes what a run did, the last first. What somebody changed since is left as it is, and said.
    ///
    /// # Errors
    /// As for [`Executor::apply`].
    pub fn undo(
        &self,
        run: &RunId,
        by: &str,
        agent: &mut dyn AgentSide,
        tell: Tell<'_>,
    ) -> Result<RunView, ActError> {
        let mut session = Session::open(self, run)?;
        session.turn_back(by)?;
        session.back(agent, tell)
    }

    /// All runs, the oldest first. A journal that is damaged is set aside and told in the log.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn runs(&self) -> Result<Vec<RunView>, ActError> {
        view::runs(self)
    }

    /// The plan of a run.
    ///
    /// # Errors
    /// When there is no such run, or its journal cannot be read.
    pub fn plan_of(&self, run: &RunId) -> Result<Plan, ActError> {
        Ok(journal::read(&self.folder, run)?.plan)
    }

    /// What was done and is no longer so. What only root may look at is not looked at without.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn drift(&self, agent: &dyn AgentSide) -> Result<Vec<Drift>, ActError> {
        view::drift(self, agent)
    }

    /// The plan that makes the agent a service here: of the machine, or of whoever has this home.
    ///
    /// # Errors
    /// When there is no systemd, or accounts cannot be read.
    pub fn service_plan(&self, home: Option<&Path>) -> Result<Plan, ActError> {
        match home {
            None => service::of_machine(&self.place),
            Some(home) => service::of_user(&self.place, home),
        }
    }

    /// Removes the user and the group of the service, whoever made them. What stands in the way is said.
    ///
    /// # Errors
    /// When the system's programs fail.
    pub fn remove_service_user(&self) -> Result<Option<String>, ActError> {
        if let Some(left) = accounts::remove_user(&self.place, SERVICE_USER, SERVICE_HOME)? {
            return Ok(Some(left));
        }
        accounts::remove_group(&self.place, SERVICE_USER)
    }

    /// Where the journals are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Where root keeps its journals on a system, one folder for each user for whom it works.
#[must_use]
pub fn root_journals(root: &Path) -> PathBuf {
    root.join("var/lib/skep-setup")
}

/// The digest of a plan, by which whoever agrees says to what.
#[must_use]
pub fn digest(plan: &Plan) -> String {
    // A plan has only texts and numbers, which can always be written.
    let text = serde_json::to_vec(plan).unwrap_or_default();
    kept::sha256(&text)
}

/// A name for a new run: when it began, and something that no other has.
///
/// # Errors
/// When the system has no random numbers.
pub fn new_run_id() -> Result<RunId, ActError> {
    use std::time::{SystemTime, UNIX_EPOCH};
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let random = getrandom::u32().map_err(|_| ActError::Random)?;
    // As texts they are in the order in which they began.
    let (seconds, parts) = (now.as_secs(), now.subsec_nanos());
    Ok(format!("{seconds}-{parts:09}-{random:08x}").parse()?)
}

#[cfg(test)]
mod tests;
