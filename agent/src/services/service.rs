//! One configured service: what an operator said of it, and whether that fits its plugin's manifest.
//!
//! Decides which settings are right and what they want to touch. Refuses to decide what may be touched: grants do.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use skep_core::capability::{Capability, SecretName};

use super::cover::located;
use super::error::ServiceError;
use crate::host::World;
use crate::limits::{
    MODEL_PATTERNS_MAX, OFFER_NAME_BYTES_MAX, SERVICE_SILENCE, SERVICE_SILENCE_MAX,
    SETTING_BYTES_MAX,
};
use crate::plugins::manifest::{Manifest, Setting, SettingKind, check_name};

/// What a service is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It answers for models elsewhere.
    Upstream,
    /// It tells people of alerts.
    Notifier,
}

/// A service as it was configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    pub kind: Kind,
    /// As a plugin's name; one of its kind has it.
    pub name: String,
    pub plugin: String,
    /// What the operator set, by name.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// Of an upstream: the models to expose, where `*` stands for anything; empty: all.
    #[serde(default)]
    pub models: Vec<String>,
    /// Of an upstream: whether clients write `NAME/MODEL`.
    #[serde(default)]
    pub prefix: bool,
    /// The longest silence, in seconds; none: the usual one.
    #[serde(default)]
    pub timeout_s: Option<u64>,
    pub added_unix_s: u64,
}

/// Something that a service wants to touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub capability: Capability,
    /// What for, in the plugin's own words.
    pub reason: String,
    /// It works without, less well.
    pub optional: bool,
}

impl Kind {
    /// The world of its plugins.
    #[must_use]
    pub fn world(self) -> World {
        match self {
            Self::Upstream => World::Upstream,
            Self::Notifier => World::Notifier,
        }
    }
}

impl Service {
    /// Whether all of it fits the manifest, and what it then wants to touch.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self, manifest: &Manifest) -> Result<Vec<Wanted>, ServiceError> {
        check_name("name", &self.name).map_err(|_| ServiceError::Name(self.name.clone()))?;
        if manifest.world != self.kind.world().name() {
            return Err(ServiceError::World {
                plugin: self.plugin.clone(),
                world: manifest.world.clone(),
                wanted: self.kind,
            });
        }
        for (name, value) in &self.settings {
            let setting = manifest.setting(name).ok_or_else(|| {
                let known = manifest.settings.iter().map(|setting| &setting.name);
                ServiceError::UnknownSetting {
                    plugin: self.plugin.clone(),
                    name: name.clone(),
                    known: known.cloned().collect(),
                }
            })?;
            check_value(setting, value).map_err(|what| ServiceError::Setting {
                name: name.clone(),
                what,
            })?;
        }
        for setting in &manifest.settings {
            // What the plugin's author wrote counts like what is set here.
            if let Some(default) = &setting.default
                && !self.settings.contains_key(&setting.name)
            {
                check_value(setting, default).map_err(|what| ServiceError::Setting {
                    name: setting.name.clone(),
                    what,
                })?;
            }
            let is_set = self.settings.contains_key(&setting.name) || setting.default.is_some();
            if setting.required && !is_set {
                return Err(ServiceError::Missing {
                    name: setting.name.clone(),
                    help: setting.help.clone(),
                });
            }
        }
        self.check_exposure()?;
        let wanted = manifest
            .wanted(|name| self.settings.get(name).cloned())
            .map_err(|error| ServiceError::Wanted(error.to_string()))?;
        let wanted = wanted.into_iter().map(|(capability, of)| Wanted {
            capability,
            reason: of.reason.clone(),
            optional: of.optional,
        });
        Ok(either(wanted.collect()))
    }

    fn check_exposure(&self) -> Result<(), ServiceError> {
        let is_upstream = self.kind == Kind::Upstream;
        if !is_upstream && (self.prefix || !self.models.is_empty()) {
            return Err(ServiceError::NoModels);
        }
        let fits = |pattern: &String| (1..=OFFER_NAME_BYTES_MAX).contains(&pattern.len());
        if self.models.len() > MODEL_PATTERNS_MAX || !self.models.iter().all(fits) {
            return Err(ServiceError::Patterns);
        }
        let longest = SERVICE_SILENCE_MAX.as_secs();
        match self.timeout_s {
            Some(seconds) if !(1..=longest).contains(&seconds) => {
                Err(ServiceError::Timeout(longest))
            }
            _ => Ok(()),
        }
    }

    /// What its plugin is told: what the operator set, and the manifest's values for the rest.
    #[must_use]
    pub fn values(&self, manifest: &Manifest) -> Vec<(String, String)> {
        let mut values = self.settings.clone();
        for setting in &manifest.settings {
            if let Some(default) = &setting.default {
                let value = values.entry(setting.name.clone());
                value.or_insert_with(|| default.clone());
            }
        }
        values.into_iter().collect()
    }

    /// How long it may be silent.
    #[must_use]
    pub fn silence(&self) -> Duration {
        self.timeout_s
            .map_or(SERVICE_SILENCE, Duration::from_secs)
            .min(SERVICE_SILENCE_MAX)
    }
}

/// A plugin cannot know whether an address that it is given is public, so it wants to reach it both ways, neither needed by
/// itself. Of such a pair the one that fits the address stays, and is needed.
fn either(wanted: Vec<Wanted>) -> Vec<Wanted> {
    let mut one = Vec::<Wanted>::new();
    for mut next in wanted {
        next.capability = located(next.capability);
        let twin = one
            .iter_mut()
            .find(|known| is_pair(&known.capability, &next.capability));
        match twin {
            Some(known) => {
                known.optional = false;
                // Where a name may lead anywhere, the public way stays: a grant of the local one covers it.
                if is_local(&known.capability) && !is_local(&next.capability) {
                    known.capability = next.capability;
                    known.reason = next.reason;
                } else if is_local(&known.capability) && is_local(&next.capability) {
                    known.reason = next.reason;
                }
            }
            None => one.push(next),
        }
    }
    one
}

fn is_pair(one: &Capability, other: &Capability) -> bool {
    match (one, other) {
        (Capability::Http(one), Capability::Http(other))
        | (Capability::Mail(one), Capability::Mail(other)) => {
            (&one.host, one.port) == (&other.host, other.port)
        }
        _ => false,
    }
}

fn is_local(capability: &Capability) -> bool {
    match capability {
        Capability::Http(place) | Capability::Mail(place) => place.local,
        Capability::Secret(_) => false,
    }
}

/// The secrets among what is wanted.
pub(super) fn secrets(wanted: &[Wanted]) -> impl Iterator<Item = &SecretName> {
    wanted.iter().filter_map(|wanted| match &wanted.capability {
        Capability::Secret(name) => Some(name),
        Capability::Http(_) | Capability::Mail(_) => None,
    })
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.world().name())
    }
}

fn check_value(setting: &Setting, value: &str) -> Result<(), String> {
    if value.len() > SETTING_BYTES_MAX {
        return Err(format!("has more than {SETTING_BYTES_MAX} bytes"));
    }
    if value.chars().any(char::is_control) {
        return Err("has control characters".to_owned());
    }
    let fits = match setting.kind {
        SettingKind::Text => true,
        SettingKind::Url => value
            .split_once("://")
            .is_some_and(|(scheme, rest)| matches!(scheme, "http" | "https") && !rest.is_empty()),
        SettingKind::Secret => value.parse::<SecretName>().is_ok(),
        SettingKind::Number => value.parse::<f64>().is_ok_and(f64::is_finite),
        SettingKind::Switch => matches!(value, "true" | "false"),
        SettingKind::Choice => setting.choices.iter().any(|choice| choice == value),
    };
    if fits {
        return Ok(());
    }
    Err(match setting.kind {
        SettingKind::Url => {
            "must be an address that begins with `https://` or `http://`".to_owned()
        }
        SettingKind::Secret => {
            "must be a secret's name, never its text: `skep secret set NAME` keeps one".to_owned()
        }
        SettingKind::Number => "must be a number".to_owned(),
        SettingKind::Switch => "must be `true` or `false`".to_owned(),
        SettingKind::Choice => format!("must be one of `{}`", setting.choices.join("`, `")),
        SettingKind::Text => "is wrong".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = r#"
        name = "example"
        version = "0.1.0"
        world = "upstream"
        [[capability]]
        wants = "http:${base-url}"
        reason = "to send requests"
        [[capability]]
        wants = "secret:${key}"
        reason = "to sign in"
        optional = true
        [[setting]]
        name = "base-url"
        kind = "url"
        default = "https://api.example.org/v1"
        [[setting]]
        name = "key"
        kind = "secret"
        required = true
        [[setting]]
        name = "retries"
        kind = "number"
        [[setting]]
        name = "strict"
        kind = "switch"
        [[setting]]
        name = "style"
        kind = "choice"
        choices = ["chat", "complete"]
    "#;

    fn service(settings: &[(&str, &str)]) -> Service {
        Service {
            kind: Kind::Upstream,
            name: "one".into(),
            plugin: "example".into(),
            settings: settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            models: Vec::new(),
            prefix: false,
            timeout_s: None,
            added_unix_s: 0,
        }
    }

    fn check(settings: &[(&str, &str)], expect: Result<&[&str], &str>) {
        let manifest = Manifest::from_toml(MANIFEST).unwrap();
        match (service(settings).check(&manifest), expect) {
            (Ok(wanted), Ok(expect)) => {
                let wanted: Vec<_> = wanted.iter().map(|w| w.capability.to_string()).collect();
                assert_eq!(wanted, expect);
            }
            (Err(error), Err(expect)) => assert!(error.to_string().contains(expect), "{error}"),
            (found, _) => panic!("{settings:?}: {found:?}"),
        }
    }

    #[test]
    fn settings_are_checked_against_the_manifest() {
        check(
            &[("key", "mine")],
            Ok(&["http:api.example.org:443", "secret:mine"]),
        );
        check(
            &[("key", "mine"), ("base-url", "http://10.0.0.1:9/v1")],
            Ok(&["http-local:10.0.0.1:9", "secret:mine"]),
        );
        check(&[], Err("`key`"));
        check(&[("key", "sk-PROJ \u{e9}")], Err("never its text"));
        check(&[("key", "k"), ("base-url", "ftp://x")], Err("https://"));
        check(&[("key", "k"), ("retries", "NaN")], Err("number"));
        check(&[("key", "k"), ("strict", "yes")], Err("`true`"));
        check(
            &[("key", "k"), ("style", "poem")],
            Err("`chat`, `complete`"),
        );
        check(&[("key", "k"), ("colour", "red")], Err("`base-url`"));
        check(&[("key", "k\n")], Err("control"));
    }

    #[test]
    fn what_the_manifest_says_of_itself_is_checked_too() {
        let text = MANIFEST.replace("https://api.example.org/v1", "javascript:alert(1)");
        let manifest = Manifest::from_toml(&text).unwrap();
        let error = service(&[("key", "mine")]).check(&manifest).unwrap_err();
        assert!(error.to_string().contains("https://"), "{error}");
        let set = service(&[("key", "mine"), ("base-url", "https://example.org")]);
        assert!(set.check(&manifest).is_ok());
    }

    #[test]
    fn one_of_two_ways_to_an_address_is_needed() {
        let text = MANIFEST.replace(
            "reason = \"to send requests\"",
            "reason = \"to send requests\"\noptional = true\n[[capability]]\nwants = \"http-local:${base-url}\"\n\
             reason = \"nearby\"\noptional = true",
        );
        let manifest = Manifest::from_toml(&text).unwrap();
        let needs = |base: &str| {
            let wanted = service(&[("key", "k"), ("base-url", base)]).check(&manifest);
            let wanted = wanted.unwrap().into_iter();
            let needed = wanted.filter(|one| !one.optional);
            needed
                .map(|one| (one.capability.to_string(), one.reason))
                .collect::<Vec<_>>()
        };
        let one = |capability: &str, reason: &str| vec![(capability.to_owned(), reason.to_owned())];
        let local = one("http-local:127.0.0.1:9", "nearby");
        assert_eq!(needs("http://127.0.0.1:9/v1"), local);
        let public = one("http:example.org:443", "to send requests");
        assert_eq!(needs("https://example.org/v1"), public);
    }

    #[test]
    fn the_plugin_hears_defaults_too() {
        let manifest = Manifest::from_toml(MANIFEST).unwrap();
        let values = service(&[("key", "mine")]).values(&manifest);
        let base = (
            "base-url".to_owned(),
            "https://api.example.org/v1".to_owned(),
        );
        assert!(values.contains(&base), "{values:?}");
    }

    #[test]
    fn a_notifier_has_no_models_and_another_world() {
        let manifest = Manifest::from_toml(MANIFEST).unwrap();
        let mut notifier = service(&[("key", "k")]);
        notifier.kind = Kind::Notifier;
        assert!(matches!(
            notifier.check(&manifest),
            Err(ServiceError::World { .. })
        ));
        notifier.models = vec!["*".into()];
        assert!(notifier.check_exposure().is_err());
    }
}
