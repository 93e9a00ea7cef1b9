//! The ways to sign in that the cluster has set, and asking them.
//!
//! Decides how their settings are read and kept, and how many are asked at once. Their secrets are among this node's.

use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use skep_core::state::{Arrival, Door, State};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::door::{DoorError, DoorSecret, Tried};
use super::ldap::LdapSettings;
use super::oidc::{OidcSettings, Returned};
use super::visits::Visits;
use crate::json;
use crate::limits::DOORS_AT_ONCE;

/// What is needed to ask, beyond the settings.
#[derive(Debug)]
pub struct Doors {
    turns: Arc<Semaphore>,
    visits: Arc<Visits>,
}

/// The settings of one door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settings {
    Ldap(LdapSettings),
    Oidc(OidcSettings),
}

/// With what a door is tried.
#[derive(Default)]
pub struct Trial {
    pub secret: DoorSecret,
    /// Somebody to look for.
    pub name: Option<String>,
    pub password: DoorSecret,
    /// How whoever tries it calls this agent.
    pub called: String,
}

impl Doors {
    #[must_use]
    pub fn new() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(DOORS_AT_ONCE)),
            visits: Arc::default(),
        }
    }

    /// Lets somebody in by name and password.
    ///
    /// # Errors
    /// See [`DoorError`].
    pub async fn enter(
        &self,
        settings: &LdapSettings,
        secret: DoorSecret,
        name: &str,
        password: &str,
    ) -> Result<Arrival, DoorError> {
        let _held = self.turn()?;
        settings.enter(secret, name, password).await
    }

    /// Where to send a browser, and the cookie that it is to bring back.
    ///
    /// # Errors
    /// See [`DoorError`].
    pub async fn leave(
        &self,
        settings: OidcSettings,
        called: &str,
        address: IpAddr,
    ) -> Result<(String, String), DoorError> {
        let held = self.turn()?;
        let redirect_uri = settings.redirect_uri(called);
        let begun = blocking(move || {
            let _held = held;
            settings.begin(redirect_uri)
        });
        let (to, visit) = begun.await??;
        let cookie = visit.cookie.clone();
        self.visits.left(visit, address);
        Ok((to, cookie))
    }

    /// Who has come back.
    ///
    /// # Errors
    /// See [`DoorError`].
    pub async fn come_back(
        &self,
        settings: OidcSettings,
        secret: DoorSecret,
        returned: Returned,
        cookie: &str,
    ) -> Result<Arrival, DoorError> {
        let held = self.turn()?;
        let state = returned.state.as_deref().unwrap_or_default();
        let visit = self.visits.came_back(state, cookie);
        let visit = visit.ok_or_else(|| {
            let why = "this browser was not sent there, came back already, or took too long";
            DoorError::NotBelieved(why.to_owned())
        })?;
        blocking(move || {
            let _held = held;
            settings.end(&secret, &visit, returned)
        })
        .await?
    }

    /// Tries settings for real.
    ///
    /// # Errors
    /// When too many are tried at once.
    pub async fn test(&self, settings: Settings, trial: Trial) -> Result<Tried, DoorError> {
        let held = self.turn()?;
        match settings {
            Settings::Ldap(ldap) => {
                let password = trial.password.as_ref().map(|text| text.as_str());
                Ok(ldap
                    .test(trial.secret, trial.name.as_deref(), password)
                    .await)
            }
            Settings::Oidc(oidc) => {
                let redirect_uri = oidc.redirect_uri(&trial.called);
                blocking(move || {
                    let _held = held;
                    oidc.test(&trial.secret, &redirect_uri)
                })
                .await
            }
        }
    }

    fn turn(&self) -> Result<OwnedSemaphorePermit, DoorError> {
        let turn = self.turns.clone().try_acquire_owned();
        turn.map_err(|_| DoorError::Busy)
    }
}

impl Default for Doors {
    fn default() -> Self {
        Self::new()
    }
}

impl Settings {
    /// Reads the settings of a door.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn read(door: Door, text: &str) -> Result<Self, DoorError> {
        Ok(match door {
            Door::Ldap => Self::Ldap(parse(text)?),
            Door::Oidc => Self::Oidc(parse(text)?),
        })
    }

    /// What the cluster has set; none: nothing.
    ///
    /// # Errors
    /// When a newer skep has set what this one cannot read.
    pub fn set(state: &State, door: Door) -> Result<Option<Self>, DoorError> {
        let set = state.users().door(door);
        set.map(|set| Self::read(door, &set.text)).transpose()
    }

    /// As they are kept.
    ///
    /// # Errors
    /// Only when memory cannot be had.
    pub fn text(&self) -> Result<String, DoorError> {
        match self {
            Self::Ldap(settings) => write(settings),
            Self::Oidc(settings) => write(settings),
        }
    }

    /// To whom the secret goes: one that was kept for another is not sent there.
    #[must_use]
    pub fn secret_is_for(&self) -> String {
        match self {
            Self::Ldap(settings) => format!("{} {:?}", settings.url, settings.bind_dn),
            Self::Oidc(settings) => format!("{} {}", settings.issuer, settings.client_id),
        }
    }

    /// Whether they need a secret.
    #[must_use]
    pub fn wants_secret(&self) -> bool {
        match self {
            Self::Ldap(settings) => settings.bind_dn.is_some(),
            Self::Oidc(_) => true,
        }
    }
}

impl std::fmt::Debug for Trial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Trial(..)")
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, DoorError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| DoorError::Away(error.to_string()))
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, DoorError> {
    json::read(text.as_bytes())
        .map_err(|error| DoorError::NotSet(format!("the settings cannot be read: {error}")))
}

fn write(settings: &impl Serialize) -> Result<String, DoorError> {
    serde_json::to_string(settings).map_err(|error| DoorError::NotSet(error.to_string()))
}
