//! What only the agent itself can do: its settings, its secrets, its upstreams.

use skep_core::install::Action;

use super::{ActError, Found};

/// Carries out `SetSetting`, `KeepSecret` and `AddUpstream`. Every call may come twice after a crash.
pub trait AgentSide {
    /// Whether it is so already.
    ///
    /// # Errors
    /// When it cannot be told.
    fn look(&self, action: &Action) -> Result<Found, ActError>;

    /// What undoing it will need to know. It is written to a private file; a secret's text has no place in it.
    ///
    /// # Errors
    /// When it cannot be told.
    fn before(&self, action: &Action) -> Result<String, ActError>;

    /// Does it.
    ///
    /// # Errors
    /// When it could not be done.
    fn carry_out(&mut self, action: &Action) -> Result<(), ActError>;

    /// Puts back what [`AgentSide::before`] told. `Some`: it was left as it is, for that reason.
    ///
    /// # Errors
    /// When it could not be undone.
    fn undo(&mut self, action: &Action, before: &str) -> Result<Option<String>, ActError>;
}

/// Where no agent is.
#[derive(Clone, Copy, Debug)]
pub struct NoAgent;

impl NoAgent {
    fn refused(action: &Action) -> ActError {
        ActError::Agent(format!("to {action}, an agent has to run; start `skep up`"))
    }
}

impl AgentSide for NoAgent {
    fn look(&self, action: &Action) -> Result<Found, ActError> {
        Err(Self::refused(action))
    }

    fn before(&self, action: &Action) -> Result<String, ActError> {
        Err(Self::refused(action))
    }

    fn carry_out(&mut self, action: &Action) -> Result<(), ActError> {
        Err(Self::refused(action))
    }

    fn undo(&mut self, action: &Action, _: &str) -> Result<Option<String>, ActError> {
        Err(Self::refused(action))
    }
}
