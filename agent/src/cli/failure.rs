//! How a command fails: what is said, what to do next, and the exit status.
//!
//! Decides the form `error: …` and `hint: …`; refuses to know what went wrong.

use std::error::Error;
use std::process::ExitCode;

use crate::client::ClientError;

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(super) struct Failure {
    message: String,
    hint: Option<String>,
    exit: Exit,
}

/// Exit statuses, as `skep help` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// It failed.
    Failed,
    /// What was typed makes no sense.
    Usage,
    /// No agent answers.
    NoAgent,
    /// The user interrupted it.
    Interrupted,
    /// Whoever read the output has gone; nothing is said.
    Unread,
    /// The doctor has found something; it has been said already.
    Findings(u8),
}

impl Failure {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            exit: Exit::Failed,
        }
    }

    /// Something that was typed makes no sense.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Usage,
            ..Self::new(message)
        }
    }

    /// Ends with a status and says nothing more.
    #[must_use]
    pub(super) fn silent(exit: Exit) -> Self {
        Self {
            exit,
            ..Self::new("")
        }
    }

    /// An error with everything that led to it.
    pub(super) fn chain(error: &dyn Error) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            // Some errors repeat their cause.
            if !message.contains(&text) {
                message = format!("{message}: {text}");
            }
            source = cause.source();
        }
        Self::new(message)
    }

    /// What is said of it.
    #[must_use]
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    #[must_use]
    pub(super) fn with_hint(mut self, hint: Option<impl Into<String>>) -> Self {
        self.hint = hint.map(Into::into);
        self
    }

    /// Says it on standard error and gives the exit status.
    pub(super) fn report(self, paint: super::terminal::Paint) -> ExitCode {
        if !self.message.is_empty() {
            let message = super::terminal::printable(&self.message);
            super::terminal::complain(&format!("{} {message}", paint.red("error:")));
        }
        if let Some(hint) = self.hint {
            let hint = super::terminal::printable(&hint);
            super::terminal::complain(&format!("{} {hint}", paint.cyan("hint:")));
        }
        self.exit.code()
    }
}

impl Exit {
    fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NoAgent => 3,
            Self::Interrupted => 130,
            // What the shell shows of a process that SIGPIPE ended.
            Self::Unread => 141,
            Self::Findings(code) => code,
        })
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let exit = match &error {
            ClientError::Unreachable { .. } => Exit::NoAgent,
            ClientError::Endpoint(_) => Exit::Usage,
            ClientError::Broken { .. }
            | ClientError::Refused { .. }
            | ClientError::Unreadable { .. } => Exit::Failed,
        };
        let hint = error.hint();
        Self {
            exit,
            ..Self::chain(&error)
        }
        .with_hint(hint)
    }
}

/// Writing to standard output failed.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self::silent(Exit::Unread);
        }
        Self::new(format!("could not write the output: {error}"))
    }
}
