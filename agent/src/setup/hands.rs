//! What a setup changes of the agent itself: settings, secrets, upstreams.
//!
//! Decides how each is looked at, done, and undone so that what somebody changed since is left alone. Refuses to know the plan.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use skep_core::capability::SecretName;
use skep_core::install::Action;
use tokio::runtime::Handle;

use super::drawer::Drawer;
use super::settings::SettingsFile;
use crate::act::{ActError, AgentSide, Found};
use crate::agent::Agent;
use crate::keys::unix_now_s;
use crate::services::{Consent, Kind, Service, ServiceError};

/// The agent's hands, for the plan of one part.
#[derive(Debug)]
pub(super) struct Hands {
    agent: Arc<Agent>,
    settings: SettingsFile,
    drawer: Drawer,
    /// Who agreed.
    by: String,
    runtime: Handle,
}

/// What was there before.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Before {
    Setting {
        value: Option<String>,
        /// Whether there was a file at all.
        file: bool,
    },
    Secret {
        had: bool,
    },
    Upstream {
        was: Option<Box<Service>>,
    },
}

impl Hands {
    /// Must be made within the runtime that drives the agent; is used on a thread that may wait.
    pub(super) fn new(agent: &Arc<Agent>, part: &str, by: &str) -> Self {
        Self {
            settings: agent.setup.settings().clone(),
            drawer: Drawer::of(agent.services.secrets(), part),
            agent: agent.clone(),
            by: by.to_owned(),
            runtime: Handle::current(),
        }
    }

    fn upstream(&self, name: &str) -> Option<Service> {
        self.agent.services.find(Kind::Upstream, name).ok()
    }

    /// Adds an upstream or changes it, with the right to touch what it needs: whoever agreed to the plan saw its settings.
    fn put(&self, service: Service) -> Result<(), ServiceError> {
        let services = &self.agent.services;
        let wanted = services.wants(&service)?;
        let needed = wanted
            .into_iter()
            .filter(|(wanted, granted)| !granted && !wanted.optional);
        let consent = Consent {
            grants: needed.map(|(wanted, _)| wanted.capability).collect(),
            by: self.by.clone(),
        };
        let replace = services.find(Kind::Upstream, &service.name).is_ok();
        self.runtime
            .block_on(services.put(service, consent, replace))
    }
}

impl AgentSide for Hands {
    fn look(&self, action: &Action) -> Result<Found, ActError> {
        let already = |so: bool| if so { Found::Already } else { Found::Needed };
        match action {
            Action::SetSetting { key, value } => {
                // A file that cannot be read is in the way.
                match self.settings.find(key) {
                    Ok(_) => Ok(already(self.settings.is(key, value.as_deref()))),
                    Err(error) => Ok(Found::Conflict(error.to_string())),
                }
            }
            Action::KeepSecret { name, question } => {
                let name = secret(name)?;
                Ok(match self.drawer.is_kept(question, &name) {
                    Some(so) => already(so),
                    None => Found::Conflict(format!(
                        "the answer to `{question}` is not here any more; give it again"
                    )),
                })
            }
            Action::AddUpstream { .. } => {
                let wanted = service(action)?;
                let found = self.upstream(&wanted.name);
                Ok(already(found.is_some_and(|found| is_same(&found, &wanted))))
            }
            other => Err(not_ours(other)),
        }
    }

    fn before(&self, action: &Action) -> Result<String, ActError> {
        let before = match action {
            Action::SetSetting { key, .. } => Before::Setting {
                value: self.settings.find(key).map_err(told)?,
                file: self.settings.exists(),
            },
            Action::KeepSecret { name, question } => Before::Secret {
                had: self
                    .drawer
                    .set_aside(question, &secret(name)?)
                    .map_err(told)?,
            },
            Action::AddUpstream { name, .. } => Before::Upstream {
                was: self.upstream(name).map(Box::new),
            },
            other => return Err(not_ours(other)),
        };
        serde_json::to_string(&before).map_err(told)
    }

    fn carry_out(&mut self, action: &Action) -> Result<(), ActError> {
        match action {
            Action::SetSetting { key, value } => {
                self.settings.set(key, value.as_deref()).map_err(told)?;
                self.agent.setup.restart_is_needed();
                Ok(())
            }
            Action::KeepSecret { name, question } => {
                self.drawer.keep(question, &secret(name)?).map_err(told)
            }
            Action::AddUpstream { .. } => self.put(service(action)?).map_err(told),
            other => Err(not_ours(other)),
        }
    }

    fn undo(&mut self, action: &Action, before: &str) -> Result<Option<String>, ActError> {
        let before: Before = serde_json::from_str(before).map_err(told)?;
        match (action, before) {
            (Action::SetSetting { key, value }, Before::Setting { value: was, file }) => {
                if self.settings.is(key, was.as_deref()) {
                    return Ok(None);
                }
                if !self.settings.is(key, value.as_deref()) {
                    return Ok(Some(format!("somebody has set `{key}` since")));
                }
                self.settings.set(key, was.as_deref()).map_err(told)?;
                if !file {
                    self.settings.remove_if_empty().map_err(told)?;
                }
                self.agent.setup.restart_is_needed();
                Ok(None)
            }
            (Action::KeepSecret { name, .. }, Before::Secret { had }) => {
                let name = secret(name)?;
                let users = self.agent.services.users_of(&name);
                if !had && !users.is_empty() {
                    return Ok(Some(format!("it is used by {}", users.join(", "))));
                }
                self.drawer.put_back(&name, had).map_err(told)?;
                Ok(None)
            }
            (Action::AddUpstream { name, .. }, Before::Upstream { was }) => {
                match self.upstream(name) {
                    None => return Ok(None),
                    Some(found) if !is_same(&found, &service(action)?) => {
                        return Ok(Some("somebody has changed it since".to_owned()));
                    }
                    Some(_) => {}
                }
                match was {
                    Some(was) => self.put(*was).map_err(told)?,
                    None => {
                        let removing = self.agent.services.remove(Kind::Upstream, name);
                        self.runtime.block_on(removing).map_err(told)?;
                    }
                }
                Ok(None)
            }
            (other, _) => Err(not_ours(other)),
        }
    }
}

fn service(action: &Action) -> Result<Service, ActError> {
    let Action::AddUpstream {
        name,
        plugin,
        settings,
    } = action
    else {
        return Err(not_ours(action));
    };
    Ok(Service {
        kind: Kind::Upstream,
        name: name.clone(),
        plugin: plugin.clone(),
        settings: settings.iter().cloned().collect(),
        models: Vec::new(),
        prefix: false,
        timeout_s: None,
        added_unix_s: unix_now_s(),
    })
}

/// As far as a plan says anything of it.
fn is_same(one: &Service, other: &Service) -> bool {
    one.plugin == other.plugin && one.settings == other.settings
}

fn secret(name: &str) -> Result<SecretName, ActError> {
    name.parse().map_err(told)
}

fn told(error: impl std::error::Error) -> ActError {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    ActError::Agent(text)
}

fn not_ours(action: &Action) -> ActError {
    ActError::Agent(format!("it is not the agent's to {action}"))
}
