//! What can go wrong with the catalogue and with pulls, in words that say what to do.
//!
//! Decides each error's text, its stable code and its hint; refuses to know how it is shown.

use std::io;
use std::path::PathBuf;

use super::digest::{Digest, DigestError};
use super::format::FormatError;
use super::hub::HubError;
use super::limits::{MODEL_BYTES_MAX, PULLS_MAX, REDIRECTS_MAX};
use super::name::{ModelName, NameError};

/// Why the catalogue could not do something. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// No model of that name.
    #[error("there is no model named `{name}`")]
    Unknown {
        /// What was asked for.
        name: ModelName,
        /// The name that was probably meant.
        nearest: Option<ModelName>,
    },
    /// The file system refused.
    #[error("could not {what} `{}`", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The embedded bytes are not what they should be: the binary is damaged.
    #[error("the embedded model has digest {found}, expected {expected}")]
    Embedded {
        /// What it should be.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
}

/// Why a model did not arrive. The catalogue is as it was; what came of an interrupted download
/// is kept for the next pull, unless the text says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(transparent)]
    DigestText(#[from] DigestError),
    #[error(transparent)]
    Format(#[from] FormatError),
    #[error(transparent)]
    Hub(#[from] HubError),
    /// Neither an address nor a path.
    #[error("`{0}` is neither an http(s) address nor `hf:OWNER/REPOSITORY` nor an absolute path")]
    Source(String),
    /// No name can be made of the source's.
    #[error("no name can be made of `{0}`")]
    Nameless(String),
    #[error("`{}` does not exist", .0.display())]
    Missing(PathBuf),
    #[error("`{}` is not a regular file", .0.display())]
    NotFile(PathBuf),
    #[error("`{}` changed while it was read", .0.display())]
    Changed(PathBuf),
    /// The name has another file behind it.
    #[error("`{name}` is already the name of another model ({digest})")]
    Taken {
        /// The name asked for.
        name: ModelName,
        /// What has it.
        digest: Digest,
    },
    #[error("this file is already being pulled")]
    Busy,
    #[error("{PULLS_MAX} pulls are running; that is the most at once")]
    Crowded,
    #[error("the pull was cancelled")]
    Cancelled,
    #[error("the file has digest {found}, expected {expected}; it was thrown away")]
    Digest {
        /// What was asked for or announced.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    #[error("the file needs {needed_bytes} bytes and the disk has {free_bytes} free")]
    DiskFull {
        /// Still to be written, with the reserve.
        needed_bytes: u64,
        /// What may be written.
        free_bytes: u64,
    },
    #[error("the disk is full after {written_bytes} bytes")]
    DiskFilled {
        /// What was written, and is kept.
        written_bytes: u64,
    },
    #[error("the file has {0} bytes; at most {MODEL_BYTES_MAX} are taken")]
    Large(u64),
    #[error("the server answered {status}{}", reason(*status))]
    Status {
        /// HTTP's.
        status: u16,
    },
    #[error("the server redirects more than {REDIRECTS_MAX} times")]
    Redirects,
    #[error("the server redirects to `{0}`, which is not followed")]
    RedirectTarget(String),
    #[error("the server does not tell how long the file is, so a cut one could not be told")]
    NoLength,
    #[error("the server sent more than the {0} bytes that it announced")]
    Overlong(u64),
    #[error("the server sends the file with encoding `{0}`, which was not asked for")]
    Encoded(String),
    #[error("the download broke off after {attempts} attempts: {reason}")]
    Transport {
        /// How often it was tried.
        attempts: u32,
        /// What went wrong the last time.
        reason: String,
    },
}

impl CatalogueError {
    pub(super) fn io(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }

    /// A word for programs; it does not change between versions.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "model_not_found",
            Self::Io { .. } => "storage_failed",
            Self::Embedded { .. } => "digest_mismatch",
        }
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { nearest, .. } => Some(match nearest {
                Some(name) => format!("did you mean `{name}`? `skep models` lists what is here"),
                None => "`skep models` lists what is here, `skep pull` brings more".to_owned(),
            }),
            Self::Io { .. } => Some("`skep doctor` checks the state folder".to_owned()),
            Self::Embedded { .. } => Some("install skep again".to_owned()),
        }
    }
}

impl PullError {
    /// A word for programs; it does not change between versions.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Catalogue(e) => e.code(),
            Self::Name(_) | Self::Nameless(_) => "invalid_name",
            Self::DigestText(_) => "invalid_digest",
            Self::Format(_) => "unsupported_format",
            Self::Source(_) => "invalid_source",
            Self::Hub(HubError::Silent { .. }) => "download_failed",
            Self::Hub(HubError::Unknown(..)) => "repository_not_found",
            Self::Hub(_) => "file_not_found",
            Self::Missing(_) | Self::NotFile(_) | Self::Changed(_) => "unreadable_source",
            Self::Taken { .. } => "name_taken",
            Self::Busy | Self::Crowded => "busy",
            Self::Cancelled => "cancelled",
            Self::Digest { .. } => "digest_mismatch",
            Self::DiskFull { .. } | Self::DiskFilled { .. } => "disk_full",
            Self::Large(_) => "too_large",
            Self::Status { .. }
            | Self::Redirects
            | Self::RedirectTarget(_)
            | Self::NoLength
            | Self::Overlong(_)
            | Self::Encoded(_) => "bad_server",
            Self::Transport { .. } => "download_failed",
        }
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Catalogue(e) => return e.hint(),
            Self::Name(_) | Self::Nameless(_) => "choose a name with `--name`",
            Self::Source(_) => {
                "write the whole address, `hf:OWNER/REPOSITORY:Q4_K_M`, or a path on the machine of the agent"
            }
            Self::Hub(HubError::Unknown(..)) => {
                "check the name in a browser; what is private cannot be pulled"
            }
            Self::Hub(HubError::Without(..)) => "look for a repository whose name ends in `-GGUF`",
            Self::Hub(HubError::NoSuch { .. } | HubError::Ambiguous { .. }) => {
                "name one: `hf:OWNER/REPOSITORY:KIND`, or `hf:OWNER/REPOSITORY/FILE.gguf`"
            }
            Self::Hub(HubError::Parts(_)) => {
                "take a smaller kind, or a repository with whole files"
            }
            Self::Hub(HubError::Silent { .. }) => {
                "try it again; `models.hub` in the configuration names a mirror"
            }
            Self::Format(_) => "look for the model's `.gguf` file, and take its direct address",
            Self::Missing(_) => "the path is looked up on the machine of the agent, as its user",
            Self::Taken { .. } => {
                "choose another name with `--name`, or `skep rm` the old one first"
            }
            Self::Busy => "wait for the other pull to end",
            Self::Crowded => "wait for one of them to end",
            Self::Digest { .. } => "check the digest with the publisher, then pull again",
            Self::DiskFull { .. } | Self::DiskFilled { .. } => {
                "free some space (`skep models`, `skep rm`), then pull again: it goes on where it was"
            }
            Self::Status { status: 401 | 403 } => "the file needs a log-in that skep does not have",
            Self::Status { status: 404 | 410 } => "check the address in a browser",
            Self::NoLength => "give the file's digest with `--sha256`",
            Self::Transport { .. } | Self::Cancelled => "the same `skep pull` goes on where it was",
            Self::DigestText(_)
            | Self::NotFile(_)
            | Self::Changed(_)
            | Self::Large(_)
            | Self::Status { .. }
            | Self::Redirects
            | Self::RedirectTarget(_)
            | Self::Overlong(_)
            | Self::Encoded(_) => return None,
        };
        Some(text.to_owned())
    }
}

fn reason(status: u16) -> String {
    ureq::http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .map(|reason| format!(" {reason}"))
        .unwrap_or_default()
}
