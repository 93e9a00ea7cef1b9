//! The helper's client: what an agent that is not root asks it for.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;

use skep_core::install::{Plan, RunId};

use super::super::{ActError, Drift, Preview};
use super::wire::{self, Answer, Ask, VERSION};
use crate::limits::HELPER_PATIENCE;

/// A connection to the helper, which is root's.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
}

impl Client {
    /// Connects to the helper at this socket.
    ///
    /// # Errors
    /// When none answers, or whoever answers is not root.
    pub fn connect(path: &Path) -> Result<Self, ActError> {
        let stream = UnixStream::connect(path).map_err(|_| ActError::NeedsRoot)?;
        let peer = rustix::net::sockopt::socket_peercred(&stream)
            .map_err(|error| broken(&error.into()))?;
        if !peer.uid.is_root() {
            return Err(ActError::Helper(format!(
                "`{}` is not root's",
                path.display()
            )));
        }
        Self::over(stream)
    }

    /// The same over a connection that is there.
    pub(super) fn over(stream: UnixStream) -> Result<Self, ActError> {
        let mut client = Self { stream };
        match client.ask(&Ask::Hello { version: VERSION })? {
            Answer::Hello { version: VERSION } => Ok(client),
            Answer::Hello { version } => Err(ActError::Helper(format!(
                "it speaks version {version} and this {VERSION}; start it again from the same program"
            ))),
            other => Err(unexpected(&other)),
        }
    }

    /// What it would do.
    ///
    /// # Errors
    /// When its policy does not have an action.
    pub fn preview(&mut self, plan: &Plan) -> Result<Vec<Preview>, ActError> {
        match self.ask(&Ask::Preview { plan: plan.clone() })? {
            Answer::Previews { previews } => Ok(previews),
            other => Err(unexpected(&other)),
        }
    }

    /// Begins or goes on with a run, once somebody at its terminal agreed.
    ///
    /// # Errors
    /// When nobody agreed, or its policy does not have an action.
    pub fn begin(
        &mut self,
        run: &RunId,
        part: &str,
        by: &str,
        plan: &Plan,
    ) -> Result<(), ActError> {
        let ask = Ask::Begin {
            run: run.clone(),
            part: part.to_owned(),
            by: by.to_owned(),
            plan: plan.clone(),
        };
        match self.ask(&ask)? {
            Answer::Agreed {} => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Carries out the next action; one that was carried out before is so again at once. Gives what came with it.
    ///
    /// # Errors
    /// When it could not be done.
    pub fn carry_out(&mut self, action: usize) -> Result<Vec<String>, ActError> {
        match self.ask(&Ask::CarryOut { action })? {
            Answer::Done { came } => Ok(came),
            other => Err(unexpected(&other)),
        }
    }

    /// Undoes an action. `Some`: it was left as it is, for that reason.
    ///
    /// # Errors
    /// When it could not be undone.
    pub fn undo(&mut self, action: usize) -> Result<Option<String>, ActError> {
        match self.ask(&Ask::Undo { action })? {
            Answer::Undone { left } => Ok(left),
            other => Err(unexpected(&other)),
        }
    }

    /// What it did and is no longer so.
    ///
    /// # Errors
    /// When it cannot look.
    pub fn drift(&mut self) -> Result<Vec<Drift>, ActError> {
        match self.ask(&Ask::Drift {})? {
            Answer::Drift { drift } => Ok(drift),
            other => Err(unexpected(&other)),
        }
    }

    fn ask(&mut self, ask: &Ask) -> Result<Answer, ActError> {
        wire::write(&mut self.stream, ask).map_err(|error| broken(&error))?;
        match wire::read(&mut self.stream, HELPER_PATIENCE).map_err(|error| broken(&error))? {
            Some(Answer::Refused {}) => Err(ActError::Refused),
            Some(Answer::Forbidden { why }) => Err(ActError::Forbidden(why)),
            Some(Answer::Failed { why }) => Err(ActError::Helper(why)),
            Some(answer) => Ok(answer),
            None => Err(ActError::Helper(
                "it has ended; start it again, then go on".to_owned(),
            )),
        }
    }
}

fn broken(error: &io::Error) -> ActError {
    ActError::Helper(format!(
        "the connection broke: {error}; start it again, then go on"
    ))
}

fn unexpected(answer: &Answer) -> ActError {
    ActError::Helper(format!(
        "it answered something else: {}",
        match answer {
            Answer::Hello { .. } => "hello",
            Answer::Previews { .. } => "previews",
            Answer::Agreed {} => "agreed",
            Answer::Done { .. } => "done",
            Answer::Undone { .. } => "undone",
            Answer::Drift { .. } => "drift",
            Answer::Refused {} | Answer::Forbidden { .. } | Answer::Failed { .. } => "a refusal",
        }
    ))
}
