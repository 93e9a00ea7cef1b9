//! Finding another replica for work whose own is lost.
//!
//! Decides how long is waited for one, and that suspects (work that gained nothing since it was last moved) go one by
//! one, so that one which ends every worker is told from those that were beside it. Refuses to know what the work is.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};

use skep_core::{Input, ModelState, ReplicaState};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::{LOOK_INTERVAL, NoPlace, RouteError, Router, Shape};
use crate::fleet::{Exchange, SubmitError};
use crate::host::scheduler::{Choice, Refusal};
use crate::limits::MOVE_WAIT;
use crate::protocol::Work;
use crate::scheduling::Decision;

/// Work that looks for a place.
#[derive(Debug)]
pub(super) struct Search {
    pub(super) model: Arc<str>,
    pub(super) work: Arc<Work>,
    pub(super) shape: Shape,
    /// Why it needs one, for people.
    pub(super) lost: String,
    /// Whether it waits for its turn among those that gained nothing.
    pub(super) suspect: bool,
    /// Whether the model is loaded anew once no replica is left. What ran here and was taken away stays away.
    pub(super) reload: bool,
}

/// A search under way. Fails with what is to be said to the client.
pub(super) struct Moving(Pin<Box<dyn Future<Output = Result<Found, String>> + Send>>);

/// A replica has taken the work.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) exchange: Exchange,
    pub(super) replica: u64,
    pub(super) decision: Decision<Choice>,
    /// A suspect's turn, to be held until it gains something.
    pub(super) turn: Option<OwnedSemaphorePermit>,
}

/// How often work was moved since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MoveCounts {
    /// Taken up by another replica, or by the same one once it was back.
    pub moved: u64,
    /// No replica was there in time.
    pub stranded: u64,
}

/// What all searches share.
#[derive(Debug, Default)]
pub(super) struct Moves {
    moved: AtomicU64,
    stranded: AtomicU64,
    /// Where the suspects of each model wait; a line is gone with its last one.
    lines: Mutex<HashMap<Arc<str>, Weak<Semaphore>>>,
}

/// What the replicas of a model promise.
enum Standing {
    Ready,
    /// One is on its way.
    Coming,
    /// None is, for this reason if there is one.
    Never(Option<String>),
}

impl Router {
    /// How often requests went on elsewhere.
    #[must_use]
    pub fn move_counts(&self) -> MoveCounts {
        let moves = &self.shared.moves;
        MoveCounts {
            moved: moves.moved.load(Ordering::Relaxed),
            stranded: moves.stranded.load(Ordering::Relaxed),
        }
    }

    pub(super) fn count_moved(&self) {
        self.shared.moves.moved.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether work that was refused so may be taken in a moment: its replica has just been lost.
    pub(super) fn is_passing(&self, model: &str, error: &RouteError) -> bool {
        match error {
            RouteError::Submit(SubmitError::NotReady(_) | SubmitError::Unknown(_))
            | RouteError::NoPlace(_) => !matches!(self.standing(model), Standing::Never(_)),
            RouteError::Submit(_) => false,
        }
    }

    /// Looks for a replica that takes the work.
    pub(super) fn seek(&self, search: Search) -> Moving {
        let router = self.clone();
        Moving(Box::pin(async move {
            let found = router.find(&search).await;
            if found.is_err() {
                router.shared.moves.stranded.fetch_add(1, Ordering::Relaxed);
            }
            found
        }))
    }

    async fn find(&self, search: &Search) -> Result<Found, String> {
        let Search { model, lost, .. } = search;
        let deadline = Instant::now() + MOVE_WAIT;
        let too_late = |why: &str| {
            let seconds = MOVE_WAIT.as_secs();
            format!(
                "{lost}; no replica of `{model}` could go on with the request within {seconds} s{why}: send it again \
                 later, or see `skep ps` and `skep logs`"
            )
        };
        let turn = match search.suspect {
            false => None,
            true => {
                let turn = timeout_at(deadline, self.shared.moves.line(model).acquire_owned());
                // A line is never closed.
                turn.await.map_err(|_| too_late(""))?.ok()
            }
        };
        let mut changes = self.shared.fleet.changes();
        let mut reload = search.reload;
        loop {
            let refused = match self.standing(model) {
                Standing::Ready => match self.hand_over(search) {
                    Ok(taken) => return Ok(Found { turn, ..taken }),
                    Err(error @ RouteError::Submit(SubmitError::TooLong(_))) => {
                        return Err(format!("{lost}; it cannot be continued: {error}"));
                    }
                    Err(error) => format!(" ({error})"),
                },
                Standing::Coming => String::new(),
                // The only replica may have been on a node that is gone, and the files here.
                Standing::Never(_) if reload => {
                    reload = false;
                    self.tell(Input::Needed(model.clone()));
                    continue;
                }
                Standing::Never(why) => {
                    let why = why.map_or_else(String::new, |why| format!(" ({why})"));
                    return Err(format!(
                        "{lost}; no replica of `{model}` is there or on its way to go on with the request{why}: send it \
                         again, which loads the model if it can be"
                    ));
                }
            };
            let step = Instant::now() + LOOK_INTERVAL;
            if step >= deadline {
                return Err(too_late(&refused));
            }
            let _ = timeout_at(step, changes.changed()).await;
        }
    }

    /// Asks the scheduler and submits, to the first of its ranking that takes it. A replica that is lost takes nothing, so
    /// none has to be left out.
    fn hand_over(&self, search: &Search) -> Result<Found, RouteError> {
        let asked = search.shape.asked_of(&search.model);
        let decision = self.shared.policies.route(&asked);
        let ranked = match &decision.answer {
            Ok(choice) => choice.ranked.iter().map(|candidate| candidate.replica),
            Err(refusal) => return Err(NoPlace(refusal.clone()).into()),
        };
        let mut refused = NoPlace(Refusal::Busy("no replica was ranked".into())).into();
        for replica in ranked.collect::<Vec<_>>() {
            match self.submit(replica, search.work.clone()) {
                Ok(exchange) => {
                    return Ok(Found {
                        exchange,
                        replica,
                        decision,
                        turn: None,
                    });
                }
                Err(error @ SubmitError::TooLong(_)) => return Err(error.into()),
                Err(error) => refused = error.into(),
            }
        }
        Err(refused)
    }

    fn standing(&self, model: &str) -> Standing {
        let state = self.state();
        let view = state.core.model(model);
        let mut standing = match view.map(|view| &view.state) {
            Some(ModelState::Loading { .. } | ModelState::MakingRoom { .. }) => Standing::Coming,
            Some(ModelState::Failed { why, .. }) => Standing::Never(Some(why.clone())),
            _ => Standing::Never(None),
        };
        for replica in state.core.registry().of_model(model) {
            match (&replica.state, &standing) {
                (ReplicaState::Ready, _) => return Standing::Ready,
                (ReplicaState::Starting, _) => standing = Standing::Coming,
                (ReplicaState::Failed(why), Standing::Never(_)) => {
                    standing = Standing::Never(Some(why.clone()));
                }
                (ReplicaState::Failed(_) | ReplicaState::Draining, _) => {}
            }
        }
        standing
    }
}

impl Moving {
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Found, String>> {
        self.0.as_mut().poll(context)
    }
}

impl fmt::Debug for Moving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Moving")
    }
}

impl Moves {
    /// Where a model's suspects wait for their turn.
    fn line(&self, model: &Arc<str>) -> Arc<Semaphore> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get(model).and_then(Weak::upgrade) {
            return line;
        }
        lines.retain(|_, line| line.strong_count() > 0);
        let line = Arc::new(Semaphore::new(1));
        lines.insert(model.clone(), Arc::downgrade(&line));
        line
    }
}
