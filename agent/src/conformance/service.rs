//! A notifier or an upstream in the host, with settings that lead it to our server and grants for nothing else.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use serde::Serialize;
use skep_core::capability::{Capability, Host, Place, SecretName};

use super::server::{Server, held};
use crate::egress::{Egress, Scope, Setup, Tally, Teller};
use crate::host::{CallError, ServiceParts, ServicePlugin, World};
use crate::limits::{
    SERVICE_COMPUTING, SERVICE_MEMORY_BYTES, TRIAL_CALL, TRIAL_LINES, TRIAL_PATIENCE, TRIAL_SILENCE,
};
use crate::plugins::manifest::{Manifest, SettingKind};
use crate::protocol::{Error, Rights, SecretText, ServiceTimeouts};

/// The name and the text of the secret that each setting of that kind has.
const SECRET_NAME: &str = "conformance";
pub(super) const SECRET: &str = "sk-conformance-5e1f0d2c";

/// What is tried.
pub(crate) struct ServiceSubject<'a> {
    pub(crate) manifest: &'a Manifest,
    pub(crate) compiled: &'a Path,
    /// Values that somebody gave for its settings.
    pub(crate) set: &'a [(String, String)],
}

/// The most that a call took, beside what it might have taken.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct ServiceMost {
    pub(crate) memory_bytes: u64,
    pub(crate) memory_limit_bytes: u64,
    /// Of all calls together.
    pub(crate) computing_ms: u64,
    pub(crate) calls: u64,
}

/// A plugin that is loaded, and what it says.
pub(super) struct Trial {
    pub(super) plugin: Arc<ServicePlugin>,
    egress: Arc<Egress>,
    lines: Arc<Mutex<Vec<String>>>,
    /// It was given a secret.
    pub(super) has_secret: bool,
}

impl ServiceSubject<'_> {
    /// Loads it; `base` is where its addresses lead.
    pub(super) fn open(&self, world: World, server: &Server, base: &str) -> Result<Trial, String> {
        let base = format!("http://{}{base}", server.address);
        let settings = self.settings(&base)?;
        let value = |name: &str| {
            let mut settings = settings.iter();
            settings
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.clone())
        };
        let wanted = self
            .manifest
            .wanted(value)
            .map_err(|error| error.to_string())?;
        let ours = Host::Address(server.address.ip());
        let name: SecretName = SECRET_NAME
            .to_owned()
            .try_into()
            .map_err(|_| "the secret has no name".to_owned())?;
        // Whatever else it wants, this program reaches nobody but its own server.
        let mut has_secret = false;
        let granted: Vec<Capability> = wanted
            .into_iter()
            .filter_map(|(capability, _)| match capability {
                Capability::Http(place) if place.host == ours => Some(Capability::Http(Place {
                    local: true,
                    ..place
                })),
                Capability::Secret(wanted) if wanted == name => {
                    has_secret = true;
                    Some(Capability::Secret(wanted))
                }
                _ => None,
            })
            .collect();
        let rights = Rights {
            granted,
            secrets: [(name, SecretText::new(SECRET.to_owned()))].into(),
        };
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let kept = Arc::clone(&lines);
        let teller = Teller::new(move |_, text| {
            let mut lines = held(&kept);
            if lines.len() < TRIAL_LINES {
                lines.push(text.to_owned());
            }
        });
        let setup = Setup {
            plugin: self.manifest.name.clone(),
            rights,
            own_addresses: Vec::new(),
            resolver: None,
            authorities: Vec::new(),
            connect: TRIAL_PATIENCE,
            silence: TRIAL_SILENCE,
        };
        let egress = Egress::new(setup, Arc::new(teller)).map_err(|error| error.to_string())?;
        let egress = Arc::new(egress);
        let plugin = ServicePlugin::load(ServiceParts {
            plugin: &self.manifest.name,
            world,
            compiled: self.compiled,
            settings,
            timeouts: ServiceTimeouts {
                call: TRIAL_CALL,
                computing: SERVICE_COMPUTING,
                connect: TRIAL_PATIENCE,
            },
            egress: Arc::clone(&egress),
        });
        Ok(Trial {
            plugin: Arc::new(plugin.map_err(|error| error.to_string())?),
            egress,
            lines,
            has_secret,
        })
    }

    /// A value for each setting that it needs, or that leads to us.
    fn settings(&self, base: &str) -> Result<Vec<(String, String)>, String> {
        for (name, _) in self.set {
            if self.manifest.setting(name).is_none() {
                return Err(format!("it has no setting `{name}`"));
            }
        }
        let mut settings = Vec::new();
        for setting in &self.manifest.settings {
            let given = self.set.iter().find(|(name, _)| *name == setting.name);
            let value = match (given, setting.kind) {
                (Some((_, value)), _) => Some(value.clone()),
                (None, SettingKind::Url) => Some(base.to_owned()),
                (None, SettingKind::Secret) => Some(SECRET_NAME.to_owned()),
                (None, kind) => {
                    let needed = setting.required.then(|| match kind {
                        SettingKind::Number => Some("1".to_owned()),
                        SettingKind::Switch => Some("false".to_owned()),
                        SettingKind::Choice => setting.choices.first().cloned(),
                        _ => None,
                    });
                    setting.default.clone().or_else(|| needed.flatten())
                }
            };
            match value {
                Some(value) => settings.push((setting.name.clone(), value)),
                None if setting.required => {
                    return Err(format!(
                        "its setting `{0}` is required: say `--set {0}=VALUE`",
                        setting.name
                    ));
                }
                None => {}
            }
        }
        Ok(settings)
    }
}

impl Trial {
    /// What was used so far is added to `most`.
    pub(super) fn weigh(&self, most: &mut ServiceMost) {
        let tally: &Tally = self.egress.tally();
        let peak = tally.memory_peak_bytes.load(Ordering::Relaxed);
        most.memory_bytes = most.memory_bytes.max(peak);
        most.memory_limit_bytes = SERVICE_MEMORY_BYTES as u64;
        most.computing_ms += tally.computing_us.load(Ordering::Relaxed) / 1_000;
        most.calls += tally.calls.load(Ordering::Relaxed);
    }

    /// Requests that went to somebody who is not granted, and did not leave.
    pub(super) fn refused(&self) -> u64 {
        self.egress.tally().refused_out.load(Ordering::Relaxed)
    }

    /// A line or an error that tells the secret.
    pub(super) fn leak(&self, errors: &[String]) -> Option<String> {
        let lines = held(&self.lines);
        let mut texts = lines.iter().chain(errors);
        texts.find(|text| text.contains(SECRET)).cloned()
    }
}

/// A fresh call.
pub(super) fn scope() -> Arc<Scope> {
    Arc::new(Scope::default())
}

/// Whether the host would try again.
pub(super) fn comes_again(error: &Error) -> bool {
    matches!(
        error,
        Error::Exhausted(_) | Error::Limited { .. } | Error::Other(_)
    )
}

/// The refusal of a call that must be refused, and not break off.
pub(super) fn refused<T>(called: Result<T, CallError>, when: &str) -> Result<Error, String> {
    match called {
        Ok(_) => Err(format!("{when}, and it said that all went well")),
        Err(CallError::Refused(error)) if error.to_string().trim().is_empty() => {
            Err(format!("{when}, and its error has no words"))
        }
        Err(CallError::Refused(error)) => Ok(error),
        Err(CallError::Fault(fault)) => Err(format!("{when}: {fault}")),
    }
}
