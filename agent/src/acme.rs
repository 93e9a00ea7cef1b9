//! Certificates from an authority by ACME: had, shown and renewed without anybody.
//!
//! Decides when the authority is asked and what becomes of its answer. Refuses to know who connects (`http`) and what is done
//! with what it tells (`alerts`, `doctor`).
//!
//! Names are proved by TLS on the port that people use (`tls-alpn-01`), and in no other way: that needs one port which leads
//! here, no second listener, no root and no rights over DNS.
//!
//! One task. It sleeps until something is due or somebody wants a renewal.

mod authority;
mod error;
mod kept;
mod order;
mod shown;
mod when;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

pub use self::error::AcmeError;
pub use self::kept::{Given, Standing, look};
pub use self::shown::{PROOF_PROTOCOL, Shown};

pub(crate) use self::authority::chain;

use self::authority::Authority;
use self::kept::Kept;
use crate::config::AcmeSettings;
use crate::keys::unix_now_s;
use crate::limits::{ACME_ATTEMPT_TIMEOUT, ACME_LOOK, ACME_WISHES_MAX};

/// The door to them; copies share it.
#[derive(Clone, Debug)]
pub struct Certificates(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: AcmeSettings,
    kept: Kept,
    shown: Arc<Shown>,
    state: Mutex<State>,
    wishes: mpsc::Sender<Wish>,
}

#[derive(Clone, Debug)]
struct State {
    standing: Standing,
    given: Option<Given>,
    under_way: bool,
    /// The same for one life of the agent, so that what is due does not move.
    chance: u32,
}

/// How things stand.
#[derive(Clone, Debug)]
pub struct View {
    pub settings: AcmeSettings,
    pub standing: Standing,
    pub given: Option<Given>,
    /// When the authority is asked next; none: not before its terms are agreed to.
    pub next_unix_s: Option<u64>,
    pub under_way: bool,
}

/// Why somebody's wish for a renewal is not granted.
#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    #[error("the certificate holds for {days} more days and is renewed by itself")]
    Early { days: u64 },
    #[error("others wait for a renewal already")]
    Busy,
    #[error(transparent)]
    Failed(Arc<AcmeError>),
}

type Answer = Result<(), Arc<AcmeError>>;
type Wish = oneshot::Sender<Answer>;

impl Certificates {
    /// Shows what was given earlier, and begins to look after it. Must be called within the runtime that is to drive it.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn start(
        settings: AcmeSettings,
        folder: PathBuf,
        shown: Arc<Shown>,
    ) -> Result<Self, AcmeError> {
        let kept = Kept::open(folder)?;
        let mut given = None;
        if let Some((found, certificate)) = kept.given() {
            shown.give(found.names.clone(), certificate);
            given = Some(found);
        }
        let (wishes, wished) = mpsc::channel(ACME_WISHES_MAX);
        let state = State {
            standing: kept.standing(),
            given,
            under_way: false,
            chance: getrandom::u32().unwrap_or(0),
        };
        let certificates = Self(Arc::new(Inner {
            settings,
            kept,
            shown,
            state: Mutex::new(state),
            wishes,
        }));
        tokio::spawn(certificates.clone().run(wished));
        Ok(certificates)
    }

    /// How things stand.
    #[must_use]
    pub fn view(&self) -> View {
        let state = self.state().clone();
        View {
            settings: self.0.settings.clone(),
            next_unix_s: self.due(&state),
            standing: state.standing,
            given: state.given,
            under_way: state.under_way,
        }
    }

    /// Renews now and waits for the end of it. `force`: also where that is not due for long.
    ///
    /// # Errors
    /// When it is too early, or fails; what was shown is shown on.
    pub async fn renew(&self, force: bool) -> Result<(), RenewError> {
        if !force && let Some(days) = self.days_to_spare() {
            return Err(RenewError::Early { days });
        }
        let (answer, answered) = oneshot::channel();
        self.0
            .wishes
            .try_send(answer)
            .map_err(|_| RenewError::Busy)?;
        let ended = answered.await.map_err(|_| RenewError::Busy)?;
        ended.map_err(RenewError::Failed)
    }

    /// None: there is no certificate for these names, or its time has come.
    fn days_to_spare(&self) -> Option<u64> {
        let state = self.state();
        let given = state.given.as_ref().filter(|given| self.fits(given))?;
        let now = unix_now_s();
        (when::renewal(&given.validity, state.chance) > now)
            .then(|| given.validity.left(now).as_secs() / 86_400)
    }

    fn fits(&self, given: &Given) -> bool {
        let names = &self.0.settings.names;
        names.len() == given.names.len() && names.iter().all(|name| given.names.contains(name))
    }

    /// When the authority is to be asked; none: never, as things are.
    fn due(&self, state: &State) -> Option<u64> {
        if !self.0.settings.terms_agreed && state.standing.terms.is_some() {
            return None;
        }
        let pause = state.standing.not_before_unix_s.unwrap_or(0);
        let given = state.given.as_ref().filter(|given| self.fits(given));
        let wanted = given.map_or(0, |given| when::renewal(&given.validity, state.chance));
        Some(wanted.max(pause))
    }

    async fn run(self, mut wished: mpsc::Receiver<Wish>) {
        loop {
            let due = self.due(&self.state());
            let wait = due.map_or(ACME_LOOK, |due| {
                Duration::from_secs(due.saturating_sub(unix_now_s())).min(ACME_LOOK)
            });
            let mut waiting = Vec::new();
            tokio::select! {
                wish = wished.recv() => match wish {
                    Some(wish) => waiting.push(wish),
                    None => return,
                },
                () = tokio::time::sleep(wait) => {
                    if due.is_none_or(|due| due > unix_now_s()) {
                        continue;
                    }
                }
            }
            self.state().under_way = true;
            let ended = self.attempt().await.map_err(Arc::new);
            self.settle(&ended);
            while let Ok(wish) = wished.try_recv() {
                waiting.push(wish);
            }
            for wish in waiting {
                // They may have gone.
                let _ = wish.send(ended.as_ref().map(|_| ()).map_err(Arc::clone));
            }
        }
    }

    /// One attempt, with what it found of the authority's terms and wishes.
    async fn attempt(&self) -> Result<Given, AcmeError> {
        let settings = &self.0.settings;
        let asked = self.state().standing.not_before_unix_s;
        if self.state().standing.why.as_deref() == Some(PAUSE)
            && let Some(until) = asked.filter(|until| *until > unix_now_s())
        {
            return Err(AcmeError::Pause(until));
        }
        let authority = Authority::new(settings.root.as_deref())?;
        let working = async {
            let terms = authority.terms(&settings.directory).await?;
            self.state().standing.terms.clone_from(&terms);
            if !settings.terms_agreed {
                // So that nothing is asked for before it is agreed to.
                self.state().standing.terms.get_or_insert_default();
                return Err(AcmeError::Terms(terms));
            }
            order::attempt(settings, &self.0.kept, &self.0.shown, &authority).await
        };
        let ended = tokio::time::timeout(ACME_ATTEMPT_TIMEOUT, working).await;
        let ended = ended.unwrap_or(Err(AcmeError::Slow));
        match (ended, authority.pause_until()) {
            (Err(error), Some(until)) if until > unix_now_s() => {
                tracing::warn!(why = error.why(), "the authority wants to be left alone");
                Err(AcmeError::Pause(until))
            }
            (ended, _) => ended,
        }
    }

    /// Remembers how it ended.
    fn settle(&self, ended: &Result<Given, Arc<AcmeError>>) {
        let now = unix_now_s();
        let standing = {
            let mut state = self.state();
            state.under_way = false;
            let chance = getrandom::u32().unwrap_or(state.chance);
            let standing = &mut state.standing;
            standing.tried_unix_s = Some(now);
            match ended {
                Ok(given) => {
                    tracing::info!(names = ?given.names, issuer = given.issuer, "a new certificate is shown");
                    let terms = standing.terms.take();
                    *standing = Standing {
                        tried_unix_s: Some(now),
                        terms,
                        ..Standing::default()
                    };
                    state.given = Some(given.clone());
                }
                Err(error) => {
                    standing.failures = standing.failures.saturating_add(1);
                    let pause = when::pause(standing.failures, error.is_refusal(), chance);
                    let (until, why) = match error.as_ref() {
                        AcmeError::Pause(until) => (*until, PAUSE.to_owned()),
                        _ => (now + pause, error.why()),
                    };
                    standing.not_before_unix_s = Some(until);
                    standing.why = Some(why);
                    standing.remedy = Some(error.remedy());
                    tracing::warn!(
                        why = error.why(),
                        remedy = error.remedy(),
                        "no new certificate"
                    );
                }
            }
            state.standing.clone()
        };
        if let Err(error) = self.0.kept.set_standing(&standing) {
            tracing::error!(why = error.why(), "how the certificate stands is not kept");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why there was no attempt, where the authority asked for that.
const PAUSE: &str = "the authority wants to be left alone for a while";
