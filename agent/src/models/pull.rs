//! Bringing a model here: from where, under which name, and what is told on the way.
//!
//! Decides what a source is, which name it gets, and that a name is never taken from another
//! model. Refuses to know how bytes travel; see `import` and `download`.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ureq::http::Uri;

use super::catalogue::{Catalogue, Model, unix_seconds};
use super::digest::Digest;
use super::error::PullError;
use super::format::Format;
use super::limits::{DISK_RESERVE_BYTES, PROGRESS_EVERY, URL_BYTES_MAX};
use super::manifest::Manifest;
use super::name::ModelName;
use super::{download, file, hub::Repository, import};

/// One wish for a model.
#[derive(Clone, Debug)]
pub struct Pull {
    /// From where.
    pub source: Source,
    /// Under which name.
    pub name: ModelName,
    /// What its bytes must hash to, if that is known.
    pub expected: Option<Digest>,
    /// Where repositories are, as `https://huggingface.co`.
    pub hub: Uri,
}

/// Where a model comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// An `http` or `https` address.
    Url(Uri),
    /// A file of a repository of a hub.
    Hub(Repository),
    /// An absolute path on this machine.
    File(PathBuf),
}

/// What a pull tells while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Bytes that are here, those of earlier pulls included.
    Bytes {
        /// So far.
        done_bytes: u64,
        /// In the end, if that is known.
        total_bytes: Option<u64>,
        /// Of those here, how many an earlier pull brought.
        resumed_bytes: u64,
    },
    /// What is here is being read again to check it.
    Checking {
        /// So far.
        done_bytes: u64,
        /// In the end.
        total_bytes: u64,
    },
    /// The connection broke off; another attempt follows.
    Retrying {
        /// Which attempt it will be, from 2.
        attempt: u32,
        /// After how long.
        pause: Duration,
        /// What went wrong.
        reason: String,
    },
}

/// A way to end a pull from elsewhere. Clones are one.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<(Mutex<bool>, Condvar)>);

impl Pull {
    /// Brings the model, blocking until it is here under its name or has failed. `tell` is called
    /// about ten times a second.
    ///
    /// # Errors
    /// See [`PullError`]. What an interrupted download has brought is kept for the next pull.
    pub fn run(
        &self,
        catalogue: &Catalogue,
        cancel: &Cancel,
        tell: &mut dyn FnMut(Progress),
    ) -> Result<Model, PullError> {
        let source = self.source.to_string();
        if let Ok(model) = catalogue.find(&self.name) {
            if self.expected == Some(model.digest()) {
                return Ok(model);
            }
            if model.source() != source {
                let (name, digest) = (self.name.clone(), model.digest());
                return Err(PullError::Taken { name, digest });
            }
        }
        let mut pace = Pace::new(tell);
        let arrived = match &self.source {
            Source::Url(url) => {
                download::download(url, self.expected, catalogue, cancel, &mut pace)
            }
            Source::Hub(repository) => {
                let found = repository.find(&self.hub)?;
                cancel.check()?;
                let expected = self.expected.or(found.digest);
                download::download(&found.url, expected, catalogue, cancel, &mut pace)
            }
            Source::File(path) => import::import(self, path, catalogue, cancel, &mut pace),
        }?;
        Ok(catalogue.add(Manifest {
            name: self.name.clone(),
            digest: arrived.digest,
            bytes: arrived.bytes,
            format: Format::Gguf,
            source,
            added_unix_s: unix_seconds(),
            linked_modified_ns: arrived.linked_modified_ns,
        })?)
    }
}

impl Source {
    /// The name that the model gets when none is given.
    ///
    /// # Errors
    /// [`PullError::Nameless`] when the file's name holds nothing usable.
    pub fn default_name(&self) -> Result<ModelName, PullError> {
        let last = match self {
            Self::Url(url) => url.path().rsplit('/').next().map(decode),
            Self::Hub(repository) => Some(repository.default_name()),
            Self::File(path) => path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned()),
        };
        last.as_deref()
            .and_then(ModelName::from_file_name)
            .ok_or_else(|| PullError::Nameless(self.to_string()))
    }
}

impl FromStr for Source {
    type Err = PullError;

    fn from_str(text: &str) -> Result<Self, PullError> {
        let wrong = || {
            let shown: String = text
                .chars()
                .take(200)
                .flat_map(char::escape_debug)
                .collect();
            PullError::Source(shown)
        };
        if Path::new(text).is_absolute() && !text.contains('\0') {
            return Ok(Self::File(PathBuf::from(text)));
        }
        if let Some(repository) = text
            .strip_prefix("hf:")
            .or_else(|| text.strip_prefix("hf.co/"))
        {
            return repository.parse().map(Self::Hub).map_err(|()| wrong());
        }
        // What stands after `#` is for browsers.
        let address = text.split('#').next().unwrap_or(text);
        let url: Uri = address.parse().map_err(|_| wrong())?;
        let named = url.host().is_some_and(|host| !host.is_empty());
        // A password in an address ends up in lists and logs.
        let bare = url
            .authority()
            .is_some_and(|authority| !authority.as_str().contains('@'));
        let web = matches!(url.scheme_str(), Some("http" | "https"));
        if !web || !named || !bare || address.len() > URL_BYTES_MAX {
            return Err(wrong());
        }
        Ok(match Repository::of_page(&url) {
            Some(repository) => Self::Hub(repository),
            None => Self::Url(url),
        })
    }
}

/// As it is kept and shown: without the query, which may hold a signature.
impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Url(url) => {
                let scheme = url.scheme_str().unwrap_or_default();
                let authority = url.authority().map_or("", |authority| authority.as_str());
                write!(f, "{scheme}://{authority}{}", url.path())
            }
            Self::Hub(repository) => write!(f, "hf:{repository}"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Cancel {
    /// Ends the pull soon: at its next read, or at once while it waits for another attempt.
    pub fn cancel(&self) {
        let (cancelled, changed) = &*self.0;
        *cancelled.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
    }

    /// Fails when it has been cancelled.
    pub(super) fn check(&self) -> Result<(), PullError> {
        let cancelled = *self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cancelled {
            Err(PullError::Cancelled)
        } else {
            Ok(())
        }
    }

    /// Waits; fails as soon as it is cancelled.
    pub(super) fn pause(&self, pause: Duration) -> Result<(), PullError> {
        let (cancelled, changed) = &*self.0;
        let held = cancelled.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = changed.wait_timeout_while(held, pause, |cancelled| !*cancelled);
        drop(waited);
        self.check()
    }
}

/// Bytes that have arrived in `blobs`.
pub(super) struct Arrived {
    pub(super) digest: Digest,
    pub(super) bytes: u64,
    pub(super) linked_modified_ns: Option<i64>,
}

/// Tells of progress, not more often than anybody can see.
pub(super) struct Pace<'a> {
    tell: &'a mut dyn FnMut(Progress),
    next: Instant,
}

impl<'a> Pace<'a> {
    fn new(tell: &'a mut dyn FnMut(Progress)) -> Self {
        Self {
            tell,
            next: Instant::now(),
        }
    }

    /// Tells if it is time to.
    pub(super) fn tell(&mut self, progress: impl FnOnce() -> Progress) {
        let now = Instant::now();
        if now >= self.next {
            self.next = now + PROGRESS_EVERY;
            (self.tell)(progress());
        }
    }

    /// Tells at once.
    pub(super) fn tell_now(&mut self, progress: Progress) {
        (self.tell)(progress);
    }
}

/// Fails when so many bytes more would not leave the reserve free.
pub(super) fn check_room(folder: &Path, more_bytes: u64) -> Result<(), PullError> {
    let Ok(free_bytes) = file::free_bytes(folder) else {
        // A file system that does not tell will say so when it is full.
        return Ok(());
    };
    let needed_bytes = more_bytes.saturating_add(DISK_RESERVE_BYTES);
    if needed_bytes > free_bytes {
        return Err(PullError::DiskFull {
            needed_bytes,
            free_bytes,
        });
    }
    Ok(())
}

/// `%41` to `A`; what is not such a pair stays.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let pair = after
            .first_chunk::<2>()
            .and_then(|pair| std::str::from_utf8(pair).ok());
        let byte = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok());
        if let (b'%', Some(byte)) = (first, byte) {
            bytes.push(byte);
            rest = after.get(2..).unwrap_or_default();
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
