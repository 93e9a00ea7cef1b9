//! The running agent, as everything that answers for it sees it.

use std::sync::Arc;

use skep_core::NodeId;
use tokio::sync::watch;

use crate::acme::Certificates;
use crate::alerts::Alerts;
use crate::backup::Backups;
use crate::cluster::Cluster;
use crate::config::Settings;
use crate::diagnosis::BurnIns;
use crate::fleet::Fleet;
use crate::http::Sessions;
use crate::keys::Keys;
use crate::logs::LogRing;
use crate::metrics::Metrics;
use crate::models::Catalogue;
use crate::paths::Paths;
use crate::plugins::{Embedded, Shelf};
use crate::router::Router;
use crate::services::Services;
use crate::setup::Setup;
use crate::telemetry::Machine;
use crate::users::{Doors, Passwords};

/// One agent: what it is and what it is made of. Shared by every request.
#[derive(Debug)]
pub struct Agent {
    pub settings: Settings,
    pub paths: Paths,
    pub node: NodeId,
    pub keys: Keys,
    /// The browsers that are signed in.
    pub sessions: Sessions,
    /// What people who sign in say that only they know.
    pub passwords: Passwords,
    /// Others who know people.
    pub doors: Doors,
    pub setup: Setup,
    pub catalogue: Arc<Catalogue>,
    pub fleet: Fleet,
    pub router: Router,
    pub cluster: Cluster,
    pub services: Services,
    pub alerts: Alerts,
    /// Those that the agent makes by itself; none: no folder is configured.
    pub backups: Option<Backups>,
    /// Those that are had by ACME; none: no names are configured.
    pub certificates: Option<Certificates>,
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

impl Agent {
    /// Where others reach it, as far as that is not this machine alone.
    #[must_use]
    pub fn public_url(&self) -> String {
        let listen = self.settings.http.listen;
        let own = crate::cluster::local_addresses()
            .into_iter()
            .find(|ip| !ip.is_loopback());
        let loopback = self.url.contains("//127.0.0.1:") || self.url.contains("//[::1]:");
        match (own, self.url.split_once("://"), self.url.rsplit_once(':')) {
            (Some(own), Some((scheme, _)), Some((_, port)))
                if listen.ip().is_unspecified() && loopback =>
            {
                let port = port.parse().unwrap_or_else(|_| listen.port());
                format!("{scheme}://{}", std::net::SocketAddr::new(own, port))
            }
            _ => self.url.clone(),
        }
    }
}
