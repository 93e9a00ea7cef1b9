//! What people and programs are shown: previews, runs, drift.
//!
//! Decides the words and the form, which is that of the HTTP API.

use serde::{Deserialize, Serialize};
use skep_core::install::{
    Action, Actor, Before, Command, Entry, Item, Plan, Run, RunId, RunState, Stage,
};

use super::deeds::{self, Context};
use super::{ActError, AgentSide, Executor, diff, helper, journal};

/// What a machine has of what an action wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Found {
    /// It is so.
    Already,
    /// It is not so, and can be made so.
    Needed,
    /// Something stands in the way.
    Conflict(String),
}

/// The same as a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "as `Found`")]
pub enum PreviewState {
    Needed,
    Already,
    Conflict,
}

/// One action before it is carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// Its place in the plan.
    pub index: usize,
    /// What it does.
    pub words: String,
    /// What that is good for.
    pub why: String,
    /// Who carries it out.
    pub actor: Actor,
    /// Whether there is something to do.
    pub state: PreviewState,
    /// What stands in the way.
    pub conflict: Option<String>,
    /// What changes in a file of text.
    pub diff: Option<String>,
    /// What undoing it will do.
    pub undo: String,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the words of the API")]
pub enum RunWord {
    Running,
    Done,
    Failed,
    /// Actions are left, and nobody is at it: the process ended.
    Interrupted,
    Undoing,
    Undone,
}

/// What became of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the words of the API")]
pub enum ActionState {
    Waiting,
    Running,
    Done,
    Already,
    /// It could not be done or undone, or undoing it left it as it is; the error says why.
    Failed,
    Undone,
}

/// A run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunView {
    /// Its name.
    pub id: RunId,
    /// What it is a part of.
    pub part: String,
    /// How far it is.
    pub state: RunWord,
    /// Who agreed.
    pub by: String,
    /// When it began.
    pub at_unix_s: u64,
    /// Its actions, in the plan's order.
    pub actions: Vec<ActionView>,
}

/// One action of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionView {
    /// Its place in the plan.
    pub index: usize,
    /// What it does.
    pub words: String,
    /// What became of it.
    pub state: ActionState,
    /// How long it took.
    pub took_ms: Option<u64>,
    /// What went wrong.
    pub error: Option<String>,
    /// Whether it changes the agent's own settings, secrets or upstreams, and nothing else.
    #[serde(default)]
    pub own: bool,
}

/// Something that was done and is no longer so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    /// By which run.
    pub run: RunId,
    /// What that was a part of.
    pub part: String,
    /// Which action.
    pub index: usize,
    /// What it did.
    pub words: String,
    /// What should be.
    pub expected: String,
    /// What is.
    pub found: String,
}

impl RunView {
    /// A run, seen from the process that is at it, or (`busy` is false) when nobody is.
    #[must_use]
    pub fn of(run: &Run, busy: bool) -> Self {
        let state = match run.state() {
            RunState::Running | RunState::Undoing if !busy => RunWord::Interrupted,
            RunState::Running => RunWord::Running,
            RunState::Undoing => RunWord::Undoing,
            RunState::Done => RunWord::Done,
            RunState::Failed => RunWord::Failed,
            RunState::Undone => RunWord::Undone,
        };
        let actions = run.plan.actions.iter().zip(run.items());
        Self {
            id: run.id.clone(),
            part: run.part.clone(),
            state,
            by: run.by.clone(),
            at_unix_s: run.at_unix_s,
            actions: actions
                .enumerate()
                .map(|(index, (planned, item))| ActionView::of(index, &planned.action, item))
                .collect(),
        }
    }

    /// The first error among its actions.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        self.actions
            .iter()
            .find_map(|action| action.error.as_deref())
    }
}

impl ActionView {
    fn of(index: usize, action: &Action, item: &Item) -> Self {
        let (state, error) = match &item.stage {
            Stage::Waiting => (ActionState::Waiting, None),
            Stage::Already => (ActionState::Already, None),
            Stage::Intended | Stage::Undoing => (ActionState::Running, None),
            Stage::Done => (ActionState::Done, None),
            Stage::Failed(why) | Stage::Stuck(why) => (ActionState::Failed, Some(why.clone())),
            Stage::Undone => (ActionState::Undone, None),
            Stage::Left(why) => (ActionState::Failed, Some(format!("left as it is: {why}"))),
        };
        Self {
            index,
            words: action.to_string(),
            state,
            took_ms: item.took_ms,
            error,
            own: matches!(
                action,
                Action::SetSetting { .. } | Action::KeepSecret { .. } | Action::AddUpstream { .. }
            ),
        }
    }
}

pub(super) fn preview(
    executor: &Executor,
    plan: &Plan,
    agent: &dyn AgentSide,
) -> Result<Vec<Preview>, ActError> {
    let elsewhere = helper::previews(executor, plan);
    let mut shown = Vec::new();
    for (index, planned) in plan.actions.iter().enumerate() {
        let action = &planned.action;
        let actor = executor.actor(action);
        let own_hands = actor != Actor::Root || executor.place.is_root();
        if let Some(there) = elsewhere.get(&index).filter(|_| !own_hands) {
            shown.push(there.clone());
            continue;
        }
        let context = Context {
            plan,
            index,
            changed: shown
                .iter()
                .any(|one: &Preview| one.state == PreviewState::Needed),
        };
        let found = match actor {
            Actor::Agent => agent.look(action),
            Actor::User | Actor::Root => deeds::look(&executor.place, &context),
        };
        let found = match found {
            Ok(found) => found,
            // What may not be looked at without root is taken for something to do.
            Err(_) if !own_hands => Found::Needed,
            Err(error) => Found::Conflict(error.told()),
        };
        let (state, conflict) = match found {
            Found::Already => (PreviewState::Already, None),
            Found::Needed => (PreviewState::Needed, None),
            Found::Conflict(why) => (PreviewState::Conflict, Some(why)),
        };
        let differs = state == PreviewState::Needed;
        shown.push(Preview {
            index,
            words: action.to_string(),
            why: planned.why.clone(),
            actor,
            state,
            conflict,
            diff: differs.then(|| diff::of(&executor.place, action)).flatten(),
            undo: undo_words(action),
        });
    }
    Ok(shown)
}

pub(super) fn runs(executor: &Executor) -> Result<Vec<RunView>, ActError> {
    let runs = journal::all(&executor.folder)?;
    Ok(runs
        .iter()
        .map(|(run, busy)| RunView::of(run, *busy))
        .collect())
}

pub(super) fn drift(executor: &Executor, agent: &dyn AgentSide) -> Result<Vec<Drift>, ActError> {
    let runs = journal::all(&executor.folder)?;
    let mut found = helper::drift(executor);
    let mut newer: Vec<String> = Vec::new();
    for (run, _) in runs
        .iter()
        .rev()
        .filter(|(run, _)| !run.is_undone_or_undoing())
    {
        for (index, (planned, item)) in run.plan.actions.iter().zip(run.items()).enumerate().rev() {
            let action = &planned.action;
            // What a later action wants of the same thing counts.
            let subject = subject(action);
            let superseded = newer.contains(&subject);
            if item.stage == Stage::Done {
                newer.push(subject);
            }
            if superseded || item.stage != Stage::Done || item.before == Some(Before::Elsewhere) {
                continue;
            }
            let context = Context {
                plan: &run.plan,
                index,
                changed: false,
            };
            let now = match executor.actor(action) {
                Actor::Agent => agent.look(action).map(|found| match found {
                    Found::Already => None,
                    Found::Needed => Some("it is no longer so".to_owned()),
                    Found::Conflict(why) => Some(why),
                }),
                Actor::User | Actor::Root => deeds::drifted(&executor.place, &context, item),
            };
            let now = match now {
                Ok(None) => continue,
                Ok(Some(now)) => now,
                Err(error) => format!("it cannot be looked at: {}", error.told()),
            };
            found.push(Drift {
                run: run.id.clone(),
                part: run.part.clone(),
                index,
                words: action.to_string(),
                expected: deeds::expected(item),
                found: now,
            });
        }
    }
    Ok(found)
}

/// What an action is about: two with the same want something of the same thing.
fn subject(action: &Action) -> String {
    match action {
        Action::WriteFile { path, .. }
        | Action::MakeFolder { path, .. }
        | Action::GenerateKey { path, .. }
        | Action::GenerateCertificate { path, .. }
        | Action::Download { path, .. }
        | Action::InstallProgram { path } => path.clone(),
        Action::SetSetting { key, .. } => format!("setting {key}"),
        Action::KeepSecret { name, .. } => format!("secret {name}"),
        Action::AddUpstream { name, .. } => format!("upstream {name}"),
        Action::EditBlock { path, name, .. } => format!("{path} {name}"),
        other => other.to_string(),
    }
}

/// An entry, for people.
pub(super) fn entry_words(entry: &Entry) -> String {
    match entry {
        Entry::Absent => "nothing is there".to_owned(),
        Entry::File {
            sha256,
            mode,
            uid,
            gid,
        } => {
            let short: String = sha256.chars().take(12).collect();
            format!("a file, SHA-256 {short}…, mode {mode:04o}, owner {uid}:{gid}")
        }
        Entry::Folder { mode, uid, gid } => format!("a folder, mode {mode:04o}, owner {uid}:{gid}"),
        Entry::Link { to } => format!("a link to {to}"),
        Entry::Other => "something that is neither file nor folder".to_owned(),
    }
}

fn undo_words(action: &Action) -> String {
    match action {
        Action::WriteFile { .. } | Action::Download { .. } | Action::InstallProgram { .. } => {
            "removes the file again, or puts back the one that was there".to_owned()
        }
        Action::EditBlock { name, .. } => format!("takes the block `{name}` out again"),
        Action::MakeFolder { .. } => "removes the folder again if nothing else is in it".to_owned(),
        Action::CreateGroup { name } => format!("removes the group `{name}`"),
        Action::CreateUser { name, .. } => format!("removes the user `{name}`"),
        Action::JoinGroup { user, group } => format!("takes `{user}` out of `{group}` again"),
        Action::InstallPackages { .. } => {
            "removes the packages that were not there before".to_owned()
        }
        Action::EnableUnit { name, .. } => {
            format!("stops and disables {name} if it was not before")
        }
        Action::OpenPort { .. } => "removes the rule".to_owned(),
        Action::GenerateKey { .. } => "removes the key".to_owned(),
        Action::GenerateCertificate { .. } => {
            "removes the certificate, or puts back the one that was there".to_owned()
        }
        Action::Run { command } => match command {
            Command::ReloadUnits => "lets systemd read its units once more".to_owned(),
            Command::RestartUnit { name } => format!("restarts {name} once more if it ran before"),
            Command::RefreshPackages => "nothing: a list of packages changes nothing".to_owned(),
            Command::LoadModule { name } => format!("unloads {name} if it was not loaded before"),
            Command::SetPowerLimit { .. } => "puts the limit back that was there".to_owned(),
            Command::KeepRunning { user } => {
                format!("lets units of `{user}` end with the session again")
            }
        },
        Action::StartContainers { project, .. } => {
            format!("stops and removes the containers of `{project}`")
        }
        Action::SetSetting { .. } => "puts the setting back".to_owned(),
        Action::KeepSecret { .. } => {
            "puts the secret back that was there, or forgets it".to_owned()
        }
        Action::AddUpstream { .. } => "removes the upstream".to_owned(),
    }
}
