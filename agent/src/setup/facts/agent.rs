//! The agent itself: what it knows without looking at the machine, and whom it can ask.

use std::future::Future;
use std::pin::Pin;

use skep_hw::telemetry::Device;

use super::Places;
use crate::agent::Agent;
use crate::config::{self, Source};
use crate::host::installer::{Agent as Told, Facts, Neighbour, Service};
use crate::limits::{FACTS_ITEMS_MAX, FACTS_SERVICE_TIMEOUT};
use crate::services::Kind;

/// Whom facts are asked of, beside the machine. The running agent is one; a made-up machine has another.
pub trait Around: Send + Sync {
    /// Where the machine is.
    fn places(&self) -> Places;

    /// What the agent knows of itself.
    fn about(&self) -> About;

    /// Servers of models on this machine; bounded in time.
    fn services(&self) -> Pin<Box<dyn Future<Output = Vec<Service>> + Send + '_>>;

    /// Nodes on the local network; bounded in time.
    fn neighbours(&self) -> Pin<Box<dyn Future<Output = Vec<Neighbour>> + Send + '_>>;
}

/// What the agent knows of itself.
#[derive(Clone, Debug, Default)]
pub struct About {
    pub node: String,
    pub executable: String,
    pub config_folder: String,
    pub data_folder: String,
    pub cache_folder: String,
    /// Where its secrets lie; nothing there is told.
    pub state_folder: String,
    pub runtime_folder: String,
    pub settings: Vec<(String, String)>,
    pub user: String,
    pub uid: u32,
    pub home: String,
    pub listen: String,
    pub nodes: u32,
    pub secrets: Vec<String>,
    pub upstreams: Vec<String>,
    pub models: Vec<String>,
    /// The cards that drivers told of.
    pub devices: Vec<Device>,
}

impl About {
    pub(super) fn tell(&self, facts: &mut Facts) {
        let some = |names: &[String]| names.iter().take(FACTS_ITEMS_MAX).cloned().collect();
        facts.agent = Told {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            node: self.node.clone(),
            executable: self.executable.clone(),
            config_folder: self.config_folder.clone(),
            data_folder: self.data_folder.clone(),
            cache_folder: self.cache_folder.clone(),
            settings: self
                .settings
                .iter()
                .take(FACTS_ITEMS_MAX)
                .cloned()
                .collect(),
            user: self.user.clone(),
            uid: self.uid,
            home: self.home.clone(),
            listen: self.listen.clone(),
            nodes: self.nodes,
            secrets: some(&self.secrets),
            upstreams: some(&self.upstreams),
            models: some(&self.models),
        };
    }
}

impl Around for Agent {
    fn places(&self) -> Places {
        Places::default()
    }

    fn about(&self) -> About {
        let text = |path: &std::path::Path| path.display().to_string();
        let file = self.paths.config_file();
        // With a mistake in it this agent would not run; what it is now is told again when it is mended.
        let settings = config::in_force(Source::Default(&file), std::env::vars());
        let (user, home) = own_account();
        let machine = self.telemetry.borrow().clone();
        let names = self.services.secrets().list().unwrap_or_default();
        About {
            node: self.settings.node.name.clone().unwrap_or_default(),
            executable: std::env::current_exe().map_or_else(|_| String::new(), |path| text(&path)),
            config_folder: text(&self.paths.config),
            data_folder: text(&self.paths.data),
            cache_folder: text(&self.paths.cache),
            state_folder: text(&self.paths.state),
            runtime_folder: text(&self.paths.runtime),
            settings: settings.unwrap_or_default(),
            user,
            uid: rustix::process::geteuid().as_raw(),
            home,
            listen: self.settings.http.listen.to_string(),
            nodes: u32::try_from(self.cluster.nodes().len())
                .unwrap_or(u32::MAX)
                .max(1),
            secrets: names
                .into_iter()
                .map(|secret| secret.name.as_str().to_owned())
                .collect(),
            upstreams: self.services.names(Kind::Upstream),
            models: {
                let models = self.catalogue.models().into_iter();
                models.map(|model| model.name().to_string()).collect()
            },
            devices: machine.map_or_else(Vec::new, |machine| machine.snapshot.devices.clone()),
        }
    }

    fn services(&self) -> Pin<Box<dyn Future<Output = Vec<Service>> + Send + '_>> {
        Box::pin(async {
            let asked = self.services.look_around(&[], &[]);
            let found = tokio::time::timeout(FACTS_SERVICE_TIMEOUT, asked).await;
            let found = found.ok().and_then(Result::ok).unwrap_or_default();
            let services = found.into_iter().map(|found| Service {
                url: found.base_url,
                plugin: found.plugin.to_owned(),
                models: found.models,
            });
            services.collect()
        })
    }

    fn neighbours(&self) -> Pin<Box<dyn Future<Output = Vec<Neighbour>> + Send + '_>> {
        Box::pin(async {
            // It listens for a moment of its own length.
            let heard = self.cluster.neighbours().await.unwrap_or_default();
            let neighbours = heard.into_iter().filter_map(|heard| {
                Some(Neighbour {
                    address: heard.addresses.first()?.to_string(),
                    name: heard.name,
                    cluster: heard.cluster,
                })
            });
            neighbours.collect()
        })
    }
}

/// Name and home of whoever runs this, as the machine's file has them; else its number and what the environment says.
fn own_account() -> (String, String) {
    let uid = rustix::process::geteuid().as_raw().to_string();
    let text = Places::default().text("/etc/passwd", 2 << 20);
    let found = text.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, number, _, _, home, ..] = fields.as_slice() else {
            return None;
        };
        (*number == uid).then(|| ((*name).to_owned(), (*home).to_owned()))
    });
    found.unwrap_or_else(|| (uid, std::env::var("HOME").unwrap_or_default()))
}
