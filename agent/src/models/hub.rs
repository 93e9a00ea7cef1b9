//! Models of a hub, named by their repository: which of its files is meant, and what that must hash to.
//!
//! Decides how such a source is written and which file a repository is taken to mean. Refuses to know how the file travels;
//! that is `download`'s. The interface is Hugging Face's (`/api/models/…/tree`, `/…/resolve/…`), which mirrors have, too.

use std::str::FromStr;

use serde::Deserialize;
use ureq::Agent;
use ureq::http::Uri;

use super::digest::Digest;
use super::error::PullError;
use super::limits::{
    CONNECT_TIMEOUT, HUB_FILES_SHOWN_MAX, HUB_LIST_BYTES_MAX, HUB_NAME_BYTES_MAX, IDLE_TIMEOUT,
    URL_BYTES_MAX,
};

/// A repository of a hub, and which of its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// `owner/name`.
    name: String,
    wish: Wish,
}

/// Which file of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wish {
    /// The usual one.
    Usual,
    /// That with weights of this kind, as `Q4_K_M`.
    Kind(String),
    /// That at this path.
    File(String),
}

/// Why a repository gave no file.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    #[error("there is no public repository `{0}` at {1}")]
    Unknown(String, String),
    #[error("`{0}` has no model in one GGUF file{1}")]
    Without(String, String),
    #[error("`{repository}` has no file for `{wish}`; there are {}", there.join(", "))]
    NoSuch {
        repository: String,
        wish: String,
        there: Vec<String>,
    },
    #[error("`{repository}` has several files for `{wish}`: {}", there.join(", "))]
    Ambiguous {
        repository: String,
        wish: String,
        there: Vec<String>,
    },
    #[error("`{0}` is in several parts, which skep does not put together")]
    Parts(String),
    #[error("{hub} did not list `{repository}`: {why}")]
    Silent {
        hub: String,
        repository: String,
        why: String,
    },
}

/// A file of a hub.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) url: Uri,
    /// What the hub says that it hashes to.
    pub(super) digest: Option<Digest>,
}

/// A line of the list of a repository's files.
#[derive(Debug, Deserialize)]
struct Entry {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    /// Of files that are kept beside the repository.
    lfs: Option<Large>,
}

#[derive(Debug, Deserialize)]
struct Large {
    oid: String,
}

impl Repository {
    /// What the model is called when nobody says otherwise.
    pub(super) fn default_name(&self) -> String {
        let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let repository = last(&self.name);
        let plain = match repository.len().checked_sub(5) {
            Some(end) if repository.is_char_boundary(end) => match repository.split_at(end) {
                (plain, end) if end.eq_ignore_ascii_case("-gguf") && !plain.is_empty() => plain,
                _ => &repository,
            },
            _ => &repository,
        };
        match &self.wish {
            Wish::Usual => plain.to_owned(),
            Wish::Kind(kind) => format!("{plain}-{kind}"),
            Wish::File(path) => last(path),
        }
    }

    /// Asks the hub which file it is.
    pub(super) fn find(&self, hub: &Uri) -> Result<Found, PullError> {
        let hub = hub.to_string();
        let hub = hub.trim_end_matches('/');
        let entries = self.list(hub)?;
        let (path, digest) = self.choose(&entries)?;
        let url = format!("{hub}/{}/resolve/main/{path}", self.name);
        let url = url.parse().map_err(|_| PullError::Source(url.clone()))?;
        Ok(Found { url, digest })
    }

    fn list(&self, hub: &str) -> Result<Vec<Entry>, PullError> {
        let silent = |why: String| HubError::Silent {
            hub: hub.to_owned(),
            repository: self.name.clone(),
            why,
        };
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(IDLE_TIMEOUT))
            .timeout_recv_body(Some(IDLE_TIMEOUT))
            .user_agent(concat!("skep/", env!("CARGO_PKG_VERSION")))
            .build();
        let agent: Agent = config.into();
        let url = format!("{hub}/api/models/{}/tree/main?recursive=true", self.name);
        let answer = agent.get(&url).call();
        let mut answer = answer.map_err(|error| silent(error.to_string()))?;
        match answer.status().as_u16() {
            200 => {}
            // As it answers for what is private, too.
            401 | 403 | 404 => {
                return Err(HubError::Unknown(self.name.clone(), hub.to_owned()).into());
            }
            status => return Err(silent(format!("it answered {status}")).into()),
        }
        let body = answer.body_mut().with_config().limit(HUB_LIST_BYTES_MAX);
        let text = body.read_to_vec();
        let text = text.map_err(|error| silent(error.to_string()))?;
        let entries = serde_json::from_slice(&text);
        Ok(entries.map_err(|_| silent("what it answered is no list of files".to_owned()))?)
    }

    fn choose(&self, entries: &[Entry]) -> Result<(String, Option<Digest>), PullError> {
        let models = entries.iter().filter(|entry| {
            entry.kind == "file" && is_path(&entry.path) && is_model(base(&entry.path))
        });
        let models: Vec<&Entry> = models.collect();
        let chosen = match &self.wish {
            Wish::File(path) => models.iter().find(|entry| entry.path == *path).copied(),
            Wish::Kind(kind) => self.of_kind(&models, kind)?,
            Wish::Usual => self.usual(&models)?,
        };
        let Some(chosen) = chosen else {
            let mut whole = models.iter().filter(|entry| !is_part(&entry.path));
            return Err(match (&self.wish, whole.next()) {
                (Wish::Usual, _) | (_, None) => self.without(&models),
                (Wish::Kind(wish) | Wish::File(wish), Some(_)) => HubError::NoSuch {
                    repository: self.name.clone(),
                    wish: wish.clone(),
                    there: shown(&models),
                },
            }
            .into());
        };
        if is_part(&chosen.path) {
            return Err(HubError::Parts(chosen.path.clone()).into());
        }
        let digest = chosen.lfs.as_ref();
        let digest = digest.and_then(|large| large.oid.parse().ok());
        Ok((chosen.path.clone(), digest))
    }

    /// The one with weights of that kind; whole files before parts.
    fn of_kind<'a>(
        &self,
        models: &[&'a Entry],
        kind: &str,
    ) -> Result<Option<&'a Entry>, PullError> {
        let (parts, whole): (Vec<&Entry>, Vec<&Entry>) = models
            .iter()
            .filter(|entry| is_of_kind(base(&entry.path), kind))
            .partition(|entry| is_part(&entry.path));
        match whole.as_slice() {
            [] => Ok(parts.first().copied()),
            [one] => Ok(Some(one)),
            many => Err(HubError::Ambiguous {
                repository: self.name.clone(),
                wish: kind.to_owned(),
                there: shown(many),
            }
            .into()),
        }
    }

    fn usual<'a>(&self, models: &[&'a Entry]) -> Result<Option<&'a Entry>, PullError> {
        for kind in USUAL {
            match self.of_kind(models, kind)? {
                Some(found) if !is_part(&found.path) => return Ok(Some(found)),
                _ => {}
            }
        }
        let whole: Vec<_> = models.iter().filter(|e| !is_part(&e.path)).collect();
        match whole.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one)),
            _ => Err(HubError::Ambiguous {
                repository: self.name.clone(),
                wish: self.name.clone(),
                there: shown(models),
            }
            .into()),
        }
    }

    fn without(&self, models: &[&Entry]) -> HubError {
        let why = match models.first() {
            Some(part) => format!("; `{}` is one of several parts", part.path),
            None => String::new(),
        };
        HubError::Without(self.name.clone(), why)
    }

    /// A page of the hub's own site, as people copy its address: of a repository, or of one of its files.
    pub(super) fn of_page(url: &Uri) -> Option<Self> {
        if !matches!(url.host(), Some("huggingface.co" | "hf.co")) || url.query().is_some() {
            return None;
        }
        let segments: Vec<&str> = url.path().trim_matches('/').split('/').collect();
        match segments.as_slice() {
            [owner, name] => format!("{owner}/{name}").parse().ok(),
            [owner, name, "blob", "main", path @ ..] if !path.is_empty() => {
                format!("{owner}/{name}/{}", path.join("/")).parse().ok()
            }
            [owner, name, "tree", "main"] => format!("{owner}/{name}").parse().ok(),
            _ => None,
        }
    }
}

impl FromStr for Repository {
    type Err = ();

    /// `owner/name`, `owner/name:KIND` or `owner/name/path.gguf`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (path, kind) = match text.split_once(':') {
            Some((path, kind)) => (path, Some(kind)),
            None => (text, None),
        };
        if !is_path(path) || text.len() > URL_BYTES_MAX {
            return Err(());
        }
        let mut segments = path.splitn(3, '/');
        let (Some(owner), Some(name)) = (segments.next(), segments.next()) else {
            return Err(());
        };
        if owner.len() > HUB_NAME_BYTES_MAX || name.len() > HUB_NAME_BYTES_MAX {
            return Err(());
        }
        let wish = match (segments.next(), kind) {
            (None, None) => Wish::Usual,
            (None, Some(kind)) if is_kind(kind) => Wish::Kind(kind.to_owned()),
            (Some(file), None) if is_model(base(file)) => Wish::File(file.to_owned()),
            _ => return Err(()),
        };
        let name = format!("{owner}/{name}");
        Ok(Self { name, wish })
    }
}

impl std::fmt::Display for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.name)?;
        match &self.wish {
            Wish::Usual => Ok(()),
            Wish::Kind(kind) => write!(f, ":{kind}"),
            Wish::File(path) => write!(f, "/{path}"),
        }
    }
}

/// Names between slashes that need no escapes in an address and lead nowhere else.
fn is_path(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+@".contains(&byte);
    let segment = |segment: &str| !segment.is_empty() && !segment.starts_with('.');
    path.split('/')
        .all(|name| segment(name) && name.bytes().all(plain))
}

fn is_kind(kind: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=16).contains(&kind.len()) && kind.bytes().all(plain)
}

/// A GGUF file with a model, and not with what a model sees by or was measured by.
fn is_model(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with(".gguf") && !name.starts_with("mmproj") && !name.contains("imatrix")
}

/// Whether a file's name has that kind as one of its words.
fn is_of_kind(name: &str, kind: &str) -> bool {
    name.split(['-', '.'])
        .any(|word| word.eq_ignore_ascii_case(kind))
}

/// `…-00001-of-00003.gguf`
fn is_part(path: &str) -> bool {
    let digits = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
    let mut words = stem.rsplit('-');
    matches!((words.next(), words.next(), words.next()),
        (Some(all), Some("of"), Some(part)) if digits(all) && digits(part))
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn shown(models: &[&Entry]) -> Vec<String> {
    let paths = models.iter().map(|entry| format!("`{}`", entry.path));
    paths.take(HUB_FILES_SHOWN_MAX).collect()
}

/// What is taken of several, the first that there is: the usual trade of size against quality.
const USUAL: [&str; 8] = [
    "Q4_K_M", "Q4_0", "Q4_K_S", "Q5_K_M", "Q6_K", "Q8_0", "F16", "BF16",
];
