//! The plugins of this node: those that the binary carries, and those that the cluster's operators added.
//!
//! Decides what a plugin's name means here and now: which version, which bytes, which rights. What the cluster agreed on is in its state; the
//! bytes are in `Store`, checked at each reading; a task brings what is missing from other nodes. Refuses to know what a plugin does.
//!
//! [`Shelf::find`] is for whoever runs plugins, [`Shelf::watch`] tells when to look again: rights are what `find` said last, so a
//! grant that is revoked ends with the next look. Whoever sees a plugin trap says so with [`Shelf::trapped`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use skep_core::capability::Capability;
use skep_core::state::PluginDigest;
use tokio::sync::{Notify, watch};

use super::manifest::{Manifest, extract};
use super::{EMBEDDED, Embedded};
use crate::cluster::Cluster;
use crate::fleet::{Component, Fleet};
use crate::host::{World, inspect};
use crate::scheduling::Policies;

mod consent;
mod doubt;
mod error;
mod follow;
mod offer;
mod store;
mod traps;
mod upkeep;

pub use self::consent::{Agreement, Going};
pub use self::doubt::{Doubt, NoDoubt};
pub use self::error::ShelfError;
pub use self::follow::Awaited;
pub use self::offer::{Offer, Wish};
pub use self::store::{Store, StoreError};

use self::offer::Offers;
use self::traps::Traps;

/// The door to the plugins; copies are one.
#[derive(Clone, Debug)]
pub struct Shelf(Arc<Inner>);

/// A plugin that can be run here.
#[derive(Clone, Debug)]
pub struct Installed {
    pub name: String,
    /// Of a carried plugin the binary's, unless its manifest says otherwise.
    pub version: String,
    pub digest: PluginDigest,
    pub world: World,
    /// Its bytes; checked whenever they are read.
    pub component: Component,
    pub manifest: Arc<Manifest>,
    /// The interfaces that it imports.
    pub imports: Arc<[String]>,
    /// What it may touch.
    pub grants: BTreeSet<Capability>,
    /// It came with this binary.
    pub carried: bool,
}

/// Tells who uses a plugin, in words that fit after `it is used by`.
type User = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What was found out of a component that is here.
#[derive(Clone, Debug)]
struct Learned {
    manifest: Arc<Manifest>,
    imports: Arc<[String]>,
}

struct Inner {
    store: Store,
    cluster: Cluster,
    fleet: Fleet,
    policies: Policies,
    /// Of components that were found good here.
    learned: Mutex<BTreeMap<PluginDigest, Learned>>,
    changed: watch::Sender<u64>,
    offers: Mutex<Offers>,
    traps: Mutex<Traps>,
    /// Versions that failed here too often and that the cluster has not left yet.
    failed: Mutex<BTreeMap<String, (PluginDigest, String)>>,
    /// Somebody has to look again.
    stirred: Arc<Notify>,
    /// The scheduler that is to be in charge once it can be had.
    awaited: Mutex<Option<Awaited>>,
    users: Mutex<Vec<User>>,
}

impl Shelf {
    /// Begins to keep the cluster's plugins here; must be called within the runtime that is to do it. `awaited` is the scheduler that
    /// the configuration names, if it is none of the binary's.
    #[must_use]
    pub fn start(
        store: Store,
        cluster: Cluster,
        fleet: Fleet,
        policies: Policies,
        awaited: Option<String>,
    ) -> Self {
        let shelf = Self(Arc::new(Inner {
            store,
            cluster,
            fleet,
            policies,
            learned: Mutex::default(),
            changed: watch::Sender::new(0),
            offers: Mutex::default(),
            traps: Mutex::default(),
            failed: Mutex::default(),
            stirred: Arc::default(),
            awaited: Mutex::new(awaited.map(Awaited::new)),
            users: Mutex::default(),
        }));
        let weak = Arc::downgrade(&shelf.0);
        shelf
            .0
            .policies
            .report_to(Arc::new(move |name, digest, why, last| {
                if let Some(inner) = weak.upgrade() {
                    Self(inner).failed(name, digest, why, last);
                }
            }));
        let weak = Arc::downgrade(&shelf.0);
        shelf.0.fleet.look_up_plugins(Arc::new(move |name| {
            let found = Self(weak.upgrade()?).find(name)?;
            (found.world == World::Engine).then(|| found.for_fleet())
        }));
        let weak = Arc::downgrade(&shelf.0);
        shelf
            .0
            .fleet
            .report_faults(Arc::new(move |name, digest, why| {
                if let Some(inner) = weak.upgrade() {
                    Self(inner).trapped(name, digest, why);
                }
            }));
        tokio::spawn(upkeep::pass_on(Arc::downgrade(&shelf.0)));
        tokio::spawn(upkeep::upkeep(Arc::downgrade(&shelf.0)));
        shelf
    }

    /// The plugin of this name as it is to run now; none where there is none, or its bytes are not here yet.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Installed> {
        let view = self.0.cluster.view();
        let plugins = view.plugins();
        // What an earlier or later version asks for was not granted to this one.
        let grants = |manifest: &Manifest| {
            let held = plugins.grants(name).map(|(what, _)| what.clone());
            held.filter(|what| consent::reason_for(manifest, what).is_some())
                .collect()
        };
        if let Some(carried) = carried()
            .iter()
            .find(|carried| carried.embedded.name == name)
        {
            return Some(Installed {
                name: name.to_owned(),
                version: carried.manifest.version.to_string(),
                digest: carried.digest,
                world: carried.world,
                component: Component::Embedded(carried.embedded.bytes),
                manifest: carried.manifest.clone(),
                imports: carried.imports.clone(),
                grants: grants(&carried.manifest),
                carried: true,
            });
        }
        let current = &plugins.plugin(name)?.current;
        let Learned { manifest, imports } = lock(&self.0.learned).get(&current.digest).cloned()?;
        Some(Installed {
            name: name.to_owned(),
            version: current.version.clone(),
            digest: current.digest,
            world: current.world.parse().ok()?,
            component: self.component(current.digest),
            grants: grants(&manifest),
            manifest,
            imports,
            carried: false,
        })
    }

    /// Every plugin that can be run here, the carried ones first.
    #[must_use]
    pub fn all(&self) -> Vec<Installed> {
        let view = self.0.cluster.view();
        let carried = carried().iter().map(|carried| carried.embedded.name);
        let added = view.plugins().installed().map(|(name, _)| name);
        let mut names: Vec<&str> = carried.chain(added).collect();
        names.dedup();
        names
            .into_iter()
            .filter_map(|name| self.find(name))
            .collect()
    }

    /// A number that grows whenever [`Shelf::find`] may answer otherwise than before.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// A version of a plugin trapped, or did what it must not. Too often, and the cluster goes back to the one before it.
    pub fn trapped(&self, plugin: &str, digest: PluginDigest, why: &str) {
        self.failed(plugin, digest, why, false);
    }

    /// Has somebody asked who uses a plugin before it is removed: what the function says follows `it is used by`.
    pub fn ask_about_use(&self, user: impl Fn(&str) -> Option<String> + Send + Sync + 'static) {
        lock(&self.0.users).push(Box::new(user));
    }

    /// Who uses a plugin here.
    #[must_use]
    pub fn uses(&self, name: &str) -> Vec<String> {
        let users = lock(&self.0.users);
        let mut uses: Vec<String> = users.iter().filter_map(|user| user(name)).collect();
        uses.extend(self.0.policies.use_of(name));
        let replicas = self.0.fleet.replicas();
        let models = replicas.iter().filter(|replica| replica.plugin == name);
        uses.extend(models.map(|replica| format!("the model `{}`", replica.model)));
        uses
    }

    /// Components on this node's disk.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// `last`: whoever ran it has turned away from it already.
    fn failed(&self, plugin: &str, digest: PluginDigest, why: &str, last: bool) {
        if carried().iter().any(|carried| carried.digest == digest) {
            return;
        }
        let too_many = lock(&self.0.traps).count(Instant::now(), plugin, digest);
        tracing::warn!(plugin, %digest, why, "a plugin failed");
        if too_many || last {
            let why: String = why
                .chars()
                .filter(|letter| !letter.is_control())
                .take(120)
                .collect();
            let why = format!("it failed too often: {why}");
            lock(&self.0.failed).insert(plugin.to_owned(), (digest, why));
            self.0.stirred.notify_one();
        }
    }

    fn component(&self, digest: PluginDigest) -> Component {
        let store = self.0.store.clone();
        Component::Kept { store, digest }
    }
}

impl Installed {
    /// What it wants to touch, and whether it may.
    #[must_use]
    pub fn wishes(&self) -> Vec<Wish> {
        // It was checked when it was taken in.
        offer::wishes(&self.manifest, &self.grants).unwrap_or_default()
    }

    /// Whether this version asks for it.
    #[must_use]
    pub fn asks_for(&self, capability: &Capability) -> bool {
        consent::reason_for(&self.manifest, capability).is_some()
    }

    /// As the fleet wants it.
    #[must_use]
    pub fn for_fleet(&self) -> crate::fleet::Plugin {
        crate::fleet::Plugin {
            name: self.name.clone(),
            component: self.component.clone(),
        }
    }
}

/// A plugin of this binary, looked at once.
#[derive(Debug)]
pub(super) struct Carried {
    pub(super) embedded: &'static Embedded,
    pub(super) digest: PluginDigest,
    pub(super) world: World,
    pub(super) manifest: Arc<Manifest>,
    pub(super) imports: Arc<[String]>,
}

/// The plugins of this binary.
pub(super) fn carried() -> &'static [Carried] {
    static CARRIED: OnceLock<Vec<Carried>> = OnceLock::new();
    CARRIED.get_or_init(|| EMBEDDED.iter().filter_map(look_at).collect())
}

/// What it is; none for what is no plugin, which `skep version` shows as one without a world.
fn look_at(embedded: &'static Embedded) -> Option<Carried> {
    let inspection = inspect(embedded.bytes).ok()?;
    let world = inspection.world?;
    let manifest = extract(embedded.bytes).unwrap_or_else(|_| Manifest {
        name: embedded.name.to_owned(),
        version: semver::Version::parse(crate::version::VERSION)
            .unwrap_or(semver::Version::new(0, 0, 0)),
        world: world.name().to_owned(),
        title: String::new(),
        description: String::new(),
        licence: String::new(),
        authors: Vec::new(),
        homepage: None,
        capabilities: Vec::new(),
        settings: Vec::new(),
    });
    Some(Carried {
        embedded,
        digest: embedded.sha256.parse().ok()?,
        world,
        manifest: Arc::new(manifest),
        imports: inspection.imports.into(),
    })
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shelf").finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
