//! The HTTP side: one port for people, programs and monitors.
//!
//! Decides who may connect for how long, which requests are well-formed, and how answers look on
//! the wire. Refuses to know where a request runs (`router`) and what a model is.

use std::sync::Arc;

use tokio::sync::watch;

use crate::agent::Agent;
use crate::keys::Secret;

mod addresses;
pub mod api;
mod body;
mod error;
mod gateway;
mod guard;
mod limits;
mod listener;
mod monitor;
mod openai;
mod page;
mod patience;
mod roles;
mod session;
mod tls;

pub use self::api::readings;
pub use self::error::{ApiError, Kind};
pub use self::guard::{Caller, Person};
pub use self::listener::{Ending, ListenError, Port, Questions};
pub use self::session::{By, SessionError, Sessions};
pub use self::tls::TlsError;

/// Everything that answers, ready to be given a port.
pub struct Server {
    gateway: Arc<gateway::Gateway>,
}

impl Server {
    /// `local` is the key of commands on this machine.
    #[must_use]
    pub fn new(agent: Arc<Agent>, local: Secret) -> Self {
        let guard = guard::Guard::new(&agent.settings.http, local);
        Self {
            gateway: Arc::new(gateway::Gateway::new(agent, guard)),
        }
    }

    /// Serves the port until `ending` says otherwise and every connection is gone; answers `questions` while it accepts.
    pub async fn serve(self, port: Port, ending: watch::Receiver<Ending>, questions: Questions) {
        let settings = self.gateway.agent.settings.http.clone();
        port.serve(self.gateway, &settings, ending, questions).await;
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}
