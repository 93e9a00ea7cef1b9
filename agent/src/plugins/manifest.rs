//! What a plugin says of itself: name, version, world, licence, and what it wants to touch, each with its reason.
//!
//! Authors write it as `plugin.toml`; it travels inside the component, in the custom section `skep:manifest`, as JSON. Decides what
//! is well-formed. Refuses to believe any of it: the host inspects what the component imports, and grants decide.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use semver::Version;
use serde::{Deserialize, Serialize};
use skep_core::capability::{Capability, CapabilityError, SecretName};

use crate::host::World;
use crate::limits::{MANIFEST_BYTES, MANIFEST_ITEMS, MANIFEST_TEXT_BYTES};

mod section;

pub use self::section::{embed, extract};

/// What a plugin says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Manifest {
    /// 1 to 64 of `a-z`, `0-9` and `-`, a letter first.
    pub name: String,
    /// As <https://semver.org> has it.
    pub version: Version,
    /// The world that it is for: `engine`, `scheduler`, `upstream`, `notifier` or `installer`.
    pub world: String,
    /// A few words for lists.
    #[serde(default)]
    pub title: String,
    /// Sentences for whoever thinks of installing it.
    #[serde(default)]
    pub description: String,
    /// An SPDX expression.
    #[serde(default)]
    pub licence: String,
    #[serde(default)]
    pub authors: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// What it wants to touch.
    #[serde(default, rename = "capability", skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<Wanted>,
    /// What an operator can set where it is used.
    #[serde(default, rename = "setting", skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<Setting>,
}

/// One thing that a plugin wants to touch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Wanted {
    pub wants: Want,
    /// One sentence: what for.
    pub reason: String,
    /// It works without, less well.
    #[serde(default)]
    pub optional: bool,
}

/// What it wants: as a grant is written, or with `${SETTING}` in place of the host or name that a setting has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Want {
    /// This.
    Fixed(Capability),
    /// `http:${base-url}`: what the operator sets decides which.
    FromSetting {
        /// What is before the colon: `http`, `http-local`, `mail`, `mail-local` or `secret`.
        kind: String,
        /// The setting's name.
        setting: String,
    },
}

/// Something that an operator can set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Setting {
    /// As a plugin's name.
    pub name: String,
    #[serde(default)]
    pub kind: SettingKind,
    /// A few words for people.
    #[serde(default)]
    pub title: String,
    #[serde(default)]
    pub help: String,
    #[serde(default)]
    pub required: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// For `choice`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
}

/// What a setting's value is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SettingKind {
    #[default]
    Text,
    /// `http://` or `https://` and what follows.
    Url,
    /// The name of a secret, never its text.
    Secret,
    Number,
    /// `true` or `false`.
    Switch,
    Choice,
}

/// Why a manifest is none.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("it has no manifest; `skep plugin build` puts one in, made of `plugin.toml`")]
    Absent,
    #[error("it has more than one manifest")]
    Twice,
    #[error("its manifest has {0} bytes; the limit is {MANIFEST_BYTES}")]
    TooLarge(usize),
    #[error("its manifest cannot be read: {0}")]
    Malformed(String),
    #[error("its manifest is wrong: `{field}` {what}")]
    Field { field: String, what: String },
    #[error("it is no component: {0}")]
    Component(String),
}

impl Manifest {
    /// Reads `plugin.toml`.
    ///
    /// # Errors
    /// See [`ManifestError`].
    pub fn from_toml(text: &str) -> Result<Self, ManifestError> {
        if text.len() > MANIFEST_BYTES {
            return Err(ManifestError::TooLarge(text.len()));
        }
        let manifest: Self =
            toml::from_str(text).map_err(|error| ManifestError::Malformed(error.to_string()))?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Reads what a component carries.
    ///
    /// # Errors
    /// See [`ManifestError`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() > MANIFEST_BYTES {
            return Err(ManifestError::TooLarge(bytes.len()));
        }
        let manifest: Self = serde_json::from_slice(bytes)
            .map_err(|error| ManifestError::Malformed(error.to_string()))?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The world; it was checked when the manifest was read.
    ///
    /// # Errors
    /// When it was changed since to one that does not exist.
    pub fn world(&self) -> Result<World, ManifestError> {
        self.world.parse().map_err(|what| field("world", what))
    }

    /// What wants a setting decides of, with these values: the capabilities that it needs to work as it is set.
    ///
    /// # Errors
    /// When a value names no host or no secret.
    pub fn wanted(
        &self,
        value: impl Fn(&str) -> Option<String>,
    ) -> Result<Vec<(Capability, &Wanted)>, ManifestError> {
        let mut all = Vec::new();
        for wanted in &self.capabilities {
            let capability = match &wanted.wants {
                Want::Fixed(capability) => Some(capability.clone()),
                Want::FromSetting { kind, setting } => {
                    let default = || self.setting(setting)?.default.clone();
                    match value(setting).or_else(default) {
                        Some(value) if !value.is_empty() => Some(
                            from_value(kind, &value)
                                .map_err(|error| field(setting, error.to_string()))?,
                        ),
                        _ => None,
                    }
                }
            };
            all.extend(capability.map(|capability| (capability, wanted)));
        }
        Ok(all)
    }

    /// A setting by name.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.name == name)
    }

    fn check(&self) -> Result<(), ManifestError> {
        check_name("name", &self.name)?;
        self.world()?;
        check_text("title", &self.title)?;
        check_text("description", &self.description)?;
        check_text("licence", &self.licence)?;
        check_text("homepage", self.homepage.as_deref().unwrap_or_default())?;
        check_count("authors", self.authors.len())?;
        check_count("capability", self.capabilities.len())?;
        check_count("setting", self.settings.len())?;
        for author in &self.authors {
            check_text("authors", author)?;
        }
        let mut names = BTreeSet::new();
        for setting in &self.settings {
            check_name("setting.name", &setting.name)?;
            check_text("setting.title", &setting.title)?;
            check_text("setting.help", &setting.help)?;
            check_count("setting.choices", setting.choices.len())?;
            let texts = setting.choices.iter().chain(&setting.default);
            for text in texts {
                check_text("setting", text)?;
            }
            if !names.insert(&setting.name) {
                let what = format!("`{}` is there twice", setting.name);
                return Err(field("setting.name", what));
            }
            if (setting.kind == SettingKind::Choice) == setting.choices.is_empty() {
                return Err(field(
                    "setting.choices",
                    "belongs to the kind `choice`, and to no other".to_owned(),
                ));
            }
        }
        for wanted in &self.capabilities {
            check_text("capability.reason", &wanted.reason)?;
            if wanted.reason.trim().is_empty() {
                return Err(field(
                    "capability.reason",
                    "is empty: say what for".to_owned(),
                ));
            }
            if let Want::FromSetting { setting, .. } = &wanted.wants
                && !names.contains(setting)
            {
                let what = format!("names the setting `{setting}`, which is not there");
                return Err(field("capability.wants", what));
            }
        }
        Ok(())
    }
}

/// The capability that a setting's value asks for: a URL's host and port, a server's, or a secret's name.
///
/// # Errors
/// When the value names none.
pub fn from_value(kind: &str, value: &str) -> Result<Capability, CapabilityError> {
    let rest = match (value.split_once("://"), kind) {
        (_, "secret") => return Ok(Capability::Secret(value.parse::<SecretName>()?)),
        (Some((scheme, rest)), _) => {
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            // A user before the host would be sent to whatever is behind it.
            let has_port = authority
                .rsplit_once(':')
                .is_some_and(|(_, port)| !port.is_empty() && !port.contains(']'));
            match scheme {
                "https" if !has_port => format!("{authority}:443"),
                "http" if !has_port => format!("{authority}:80"),
                "http" | "https" => authority.to_owned(),
                _ => return Err(CapabilityError::Kind),
            }
        }
        (None, _) => value.to_owned(),
    };
    format!("{kind}:{rest}").parse()
}

impl fmt::Display for Want {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(capability) => capability.fmt(f),
            Self::FromSetting { kind, setting } => write!(f, "{kind}:${{{setting}}}"),
        }
    }
}

impl FromStr for Want {
    type Err = CapabilityError;

    fn from_str(text: &str) -> Result<Self, CapabilityError> {
        let setting = text.split_once(":${").and_then(|(kind, rest)| {
            let setting = rest.strip_suffix('}')?;
            Some((kind.to_owned(), setting.to_owned()))
        });
        match setting {
            Some((kind, setting)) => {
                let kinds = ["http", "http-local", "mail", "mail-local", "secret"];
                if !kinds.contains(&kind.as_str()) {
                    return Err(CapabilityError::Kind);
                }
                Ok(Self::FromSetting { kind, setting })
            }
            None => Ok(Self::Fixed(text.parse()?)),
        }
    }
}

impl TryFrom<String> for Want {
    type Error = CapabilityError;

    fn try_from(text: String) -> Result<Self, CapabilityError> {
        text.parse()
    }
}

impl From<Want> for String {
    fn from(want: Want) -> Self {
        want.to_string()
    }
}

/// Whether this can be a plugin's name.
///
/// # Errors
/// What is wrong with it.
pub fn check_name(what: &str, name: &str) -> Result<(), ManifestError> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let first = name.as_bytes().first().copied().unwrap_or_default();
    if name.len() <= 64 && first.is_ascii_lowercase() && name.bytes().all(fits) {
        return Ok(());
    }
    Err(field(
        what,
        "must be 1 to 64 of a-z, 0-9 and `-`, a letter first".to_owned(),
    ))
}

fn check_text(what: &str, text: &str) -> Result<(), ManifestError> {
    if text.len() > MANIFEST_TEXT_BYTES {
        return Err(field(
            what,
            format!("has more than {MANIFEST_TEXT_BYTES} bytes"),
        ));
    }
    // What is shown when somebody decides whether to trust it must not move the cursor or turn text around.
    let plain = crate::host::printable(&text.replace('\n', " "));
    if plain != text.replace('\n', " ") {
        return Err(field(
            what,
            "has control characters, or marks that turn text around".to_owned(),
        ));
    }
    Ok(())
}

fn check_count(what: &str, count: usize) -> Result<(), ManifestError> {
    if count > MANIFEST_ITEMS {
        return Err(field(
            what,
            format!("has more than {MANIFEST_ITEMS} entries"),
        ));
    }
    Ok(())
}

fn field(field: &str, what: String) -> ManifestError {
    ManifestError::Field {
        field: field.to_owned(),
        what,
    }
}

#[cfg(test)]
mod tests;
