//! The running agent, as everything that answers for it sees it.

use std::sync::Arc;

use skep_core::NodeId;
use tokio::sync::watch;

use crate::alerts::Alerts;
use crate::cluster::Cluster;
use crate::config::Settings;
use crate::diagnosis::BurnIns;
use crate::fleet::Fleet;
use crate::keys::Keys;
use crate::logs::LogRing;
use crate::metrics::Metrics;
use crate::models::Catalogue;
use crate::paths::Paths;
use crate::plugins::{Embedded, Shelf};
use crate::router::Router;
use crate::services::Services;
use crate::telemetry::Machine;

/// One agent: what it is and what it is made of. Shared by every request.
#[derive(Debug)]
pub struct Agent {
    pub settings: Settings,
    pub paths: Paths,
    pub node: NodeId,
    pub keys: Keys,
    pub catalogue: Arc<Catalogue>,
    pub fleet: Fleet,
    pub router: Router,
    pub cluster: Cluster,
    pub services: Services,
    pub alerts: Alerts,
    /// The plugins that can be run here.
    pub shelf: Shelf,
    /// The newest look at the machine; none until the first.
    pub telemetry: watch::Receiver<Option<Arc<Machine>>>,
    /// What was found of this machine's cards.
    pub burn_ins: BurnIns,
    pub metrics: Arc<Metrics>,
    pub logs: LogRing,
    /// The plugins that this binary carries.
    pub plugins: &'static [Embedded],
    /// Where people reach it.
    pub url: String,
    pub started_unix_s: u64,
}
