//! Runs of plans: one at a time, on a thread of its own, followed by whoever likes.
//!
//! Decides who hears what of a run. What it does and what is kept of it is the executor's.

use std::sync::{Arc, PoisonError};

use skep_core::install::{Plan, RunId};
use tokio::sync::watch;

use super::hands::Hands;
use super::{SetupError, flow};
use crate::act::{self, ActError, Drift, RunView};
use crate::agent::Agent;

/// Which way a run goes.
#[derive(Debug)]
pub(super) enum Way {
    /// A new one, of this plan.
    Apply(Box<Plan>),
    /// On, from where it stopped.
    Resume(RunId),
    /// Back.
    Undo(RunId),
}

/// The newest run of this agent's life.
#[derive(Clone, Debug)]
pub(super) struct Latest {
    id: RunId,
    /// Its end is the end of the run.
    view: watch::Receiver<Option<RunView>>,
}

/// Begins, and goes on without whoever asked.
pub(super) async fn begin(
    agent: &Arc<Agent>,
    part: &str,
    by: &str,
    way: Way,
) -> Result<RunId, SetupError> {
    let hands = Hands::new(agent, part, by);
    let (agent, part, by) = (agent.clone(), part.to_owned(), by.to_owned());
    flow::blocking(move || start(&agent, part, by, way, hands)).await
}

fn start(
    agent: &Arc<Agent>,
    part: String,
    by: String,
    way: Way,
    mut hands: Hands,
) -> Result<RunId, SetupError> {
    let executor = agent.setup.executor()?;
    let id = match &way {
        Way::Apply(_) => act::new_run_id()?,
        Way::Resume(id) | Way::Undo(id) => id.clone(),
    };
    let (tell, view) = watch::channel(None);
    {
        let mut latest = agent.setup.latest();
        // As long as it runs somebody can tell.
        if latest
            .as_ref()
            .is_some_and(|latest| latest.view.has_changed().is_ok())
        {
            return Err(ActError::Busy.into());
        }
        *latest = Some(Latest {
            id: id.clone(),
            view,
        });
    }
    let run = id.to_string();
    if matches!(way, Way::Apply(_)) {
        // Before anything is done, so that it is known whose run it is.
        agent
            .setup
            .change_part(&part, |part| part.run = Some(run))?;
    }
    let (agent, id_there) = (Arc::downgrade(agent), id.clone());
    let work = move || {
        let id = id_there;
        tracing::info!(run = %id, part, by, "setting up");
        let mut told = |view: &RunView| {
            tell.send_replace(Some(view.clone()));
        };
        let ended = match way {
            Way::Apply(plan) => executor.apply(&id, &part, &by, &plan, &mut hands, &mut told),
            Way::Resume(_) => executor.resume(&id, &mut hands, &mut told),
            Way::Undo(_) => executor.undo(&id, &by, &mut hands, &mut told),
        };
        match &ended {
            Ok(view) => {
                let failed = view.error();
                tracing::info!(run = %id, state = ?view.state, failed, "setting up has ended");
                tell.send_replace(Some(view.clone()));
            }
            Err(error) => tracing::error!(run = %id, %error, "setting up broke off"),
        }
        if let Some(agent) = agent.upgrade() {
            agent
                .setup
                .ended(&id, ended.err().map(|error| error.to_string()));
        }
    };
    let thread = std::thread::Builder::new()
        .name("setup".to_owned())
        .spawn(work);
    thread.map_err(SetupError::Thread)?;
    Ok(id)
}

/// All runs, the newest first.
///
/// # Errors
/// When their folder cannot be read.
pub async fn all(agent: &Arc<Agent>) -> Result<Vec<RunView>, SetupError> {
    let executor = agent.setup.executor()?;
    let mut runs = flow::blocking(move || Ok(executor.runs()?)).await?;
    runs.reverse();
    Ok(runs)
}

/// One run.
///
/// # Errors
/// When there is none of this name.
pub async fn find(agent: &Arc<Agent>, id: &str) -> Result<RunView, SetupError> {
    let runs = all(agent).await?;
    let found = runs.into_iter().find(|run| run.id.as_str() == id);
    found.ok_or_else(|| match agent.setup.broken(id) {
        Some(why) => SetupError::Broke(why),
        None => SetupError::NoRun(id.chars().take(64).collect()),
    })
}

/// What becomes of a run while it lasts; none when it is not under way.
#[must_use]
pub fn follow(agent: &Agent, id: &str) -> Option<watch::Receiver<Option<RunView>>> {
    let latest = agent.setup.latest().clone()?;
    let lasts = latest.id.as_str() == id && latest.view.has_changed().is_ok();
    lasts.then_some(latest.view)
}

/// Goes on with a run, or back.
///
/// # Errors
/// When there is none, or another is under way.
pub async fn turn(
    agent: &Arc<Agent>,
    id: &str,
    by: &str,
    back: bool,
) -> Result<RunView, SetupError> {
    let run = find(agent, id).await?;
    let way = if back {
        Way::Undo(run.id.clone())
    } else {
        Way::Resume(run.id.clone())
    };
    begin(agent, &run.part, by, way).await?;
    Ok(run)
}

/// What has changed since it was set up.
///
/// # Errors
/// When what was done cannot be read.
pub async fn drift(agent: &Arc<Agent>) -> Result<Vec<Drift>, SetupError> {
    let executor = agent.setup.executor()?;
    let hands = Hands::new(agent, "", "");
    let found = flow::blocking(move || Ok(executor.drift(&hands)?)).await?;
    agent.setup.drifted(&found);
    Ok(found)
}

/// A lock that a panic elsewhere does not close.
pub(super) fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
