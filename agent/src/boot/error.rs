//! Why the agent did not start: one case for each step. All of them are fatal.

use std::io;

use crate::cluster::ClusterError;
use crate::config::ConfigError;
use crate::http::ListenError;
use crate::identity::{IdentityError, LockError};
use crate::keys::KeysError;
use crate::models::CatalogueError;
use crate::paths::PathsError;
use crate::services::ServiceError;

/// Which step failed, and why. Nothing is left running.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the plugins that were added")]
    Plugins(#[from] crate::plugins::StoreError),
    #[error(transparent)]
    Paths(#[from] PathsError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Lan(#[from] super::LanError),
    #[error(transparent)]
    Acme(#[from] crate::acme::AcmeError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error("putting a backup back was cut off: run `skep backup restore` again")]
    HalfRestored,
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Keys(#[from] KeysError),
    #[error("could not start looking at the hardware")]
    Telemetry(#[source] io::Error),
    #[error("could not start the thread for the network between nodes")]
    Network(#[source] io::Error),
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    #[error("could not tell where this program's own file is")]
    Executable(#[source] io::Error),
    #[error(transparent)]
    SchedulerSource(#[from] crate::scheduling::SourceError),
    #[error("{0}")]
    Scheduler(String),
    #[error(transparent)]
    Fleet(#[from] crate::fleet::StartError),
    #[error(transparent)]
    Services(#[from] ServiceError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error("could not listen for signals")]
    Signals(#[source] io::Error),
    #[error("could not write how to reach this agent")]
    Endpoint(#[source] io::Error),
}

impl StartError {
    /// What the process ends with, after `sysexits.h`, so that a supervisor can tell what will not
    /// mend itself.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            // EX_CONFIG
            Self::Config(_) | Self::Paths(_) => 78,
            // EX_TEMPFAIL: another agent, or another program on the port.
            Self::Lock(LockError::Taken { .. })
            | Self::Listen(ListenError::Bind { .. })
            | Self::Cluster(ClusterError::Socket(_)) => 75,
            Self::Listen(ListenError::Tls(_)) => 78,
            // EX_DATAERR
            Self::HalfRestored
            | Self::Identity(IdentityError::Damaged { .. })
            | Self::Keys(KeysError::Damaged { .. })
            | Self::Services(ServiceError::Damaged { .. })
            | Self::Cluster(ClusterError::Damaged(_) | ClusterError::Log(_)) => 65,
            // EX_SOFTWARE
            Self::SchedulerSource(_) | Self::Scheduler(_) => 70,
            // EX_CANTCREAT
            Self::Lock(_)
            | Self::Lan(_)
            | Self::Acme(_)
            | Self::Identity(_)
            | Self::Keys(_)
            | Self::Telemetry(_)
            | Self::Network(_)
            | Self::Catalogue(_)
            | Self::Executable(_)
            | Self::Fleet(_)
            | Self::Services(_)
            | Self::Plugins(_)
            | Self::Cluster(_)
            | Self::Signals(_)
            | Self::Endpoint(_) => 73,
        }
    }
}
