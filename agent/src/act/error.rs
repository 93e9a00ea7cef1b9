//! Why something could not be done, and what to do next.

use std::io;
use std::path::PathBuf;

use skep_core::install::{Nonsense, RunId};

/// Why a run cannot begin or go on, or why one action failed.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each says itself what it is")]
pub enum ActError {
    #[error(transparent)]
    Nonsense(#[from] Nonsense),
    #[error("could not {what} `{path}`")]
    File {
        what: &'static str,
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("`{path}` leads through a symbolic link, which root does not follow")]
    Link { path: String },
    #[error("{0}")]
    Conflict(String),
    #[error("the journal in `{}` cannot be used", path.display())]
    Journal {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the journal `{}` is damaged ({why}); it is kept as `{}`", path.display(), aside.display())]
    Damaged {
        path: PathBuf,
        aside: PathBuf,
        why: String,
    },
    #[error("there is no run `{0}`")]
    NoRun(RunId),
    #[error("there is a run `{0}` already")]
    RunExists(RunId),
    #[error("another run is under way here")]
    Busy,
    #[error("there are {0} runs, which is the limit")]
    TooManyRuns(usize),
    #[error("there is no `{0}` on this machine")]
    NoProgram(String),
    #[error("`{program}` could not be started")]
    Start {
        program: String,
        #[source]
        source: io::Error,
    },
    #[error("`{command}` failed ({status}): {said}")]
    Program {
        command: String,
        status: String,
        said: String,
    },
    #[error("`{command}` did not end within {seconds} s and was ended")]
    Slow { command: String, seconds: u64 },
    #[error("there is no {what} `{name}`")]
    Missing { what: &'static str, name: String },
    #[error("this needs root, and no helper answers")]
    NeedsRoot,
    #[error("could not download it: {0}")]
    Fetch(String),
    #[error("could not make a key or a certificate: {0}")]
    Key(String),
    #[error("the helper: {0}")]
    Helper(String),
    #[error("whoever sits at the helper's terminal did not agree")]
    Refused,
    #[error("the helper does not do that: {0}")]
    Forbidden(String),
    #[error("the system has no random numbers")]
    Random,
    #[error("{0}")]
    Agent(String),
}

impl ActError {
    pub(super) fn file(what: &'static str, path: &str) -> impl FnOnce(rustix::io::Errno) -> Self {
        move |errno| match errno {
            rustix::io::Errno::LOOP => Self::Link {
                path: path.to_owned(),
            },
            _ => Self::File {
                what,
                path: path.to_owned(),
                source: errno.into(),
            },
        }
    }

    pub(super) fn io(what: &'static str, path: &str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File {
            what,
            path: path.to_owned(),
            source,
        }
    }

    /// What to do next, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::NeedsRoot => "start `sudo skep helper` in a terminal, then try again",
            Self::Busy => "wait until it has ended, then try again",
            Self::Link { .. } => "replace the link by what it leads to, or choose another path",
            Self::TooManyRuns(_) => "undo runs that are no longer wanted, or remove their journals",
            Self::Damaged { .. } => {
                "what it did can be seen in that file; it is not undone by itself"
            }
            Self::NoProgram(_) => "install it, then go on with the run",
            Self::Slow { .. } | Self::Program { .. } | Self::Fetch(_) => {
                "mend what it says, then go on with the run; or undo it"
            }
            Self::Refused => "nothing was changed",
            _ => return None,
        })
    }

    /// With everything that led to it, cut to what is kept.
    pub(super) fn told(&self) -> String {
        use std::error::Error as _;
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text.chars()
            .take(crate::limits::ERROR_TEXT_BYTES / 4)
            .collect()
    }
}
