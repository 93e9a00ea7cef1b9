//! The task that keeps this node's plugins as the cluster has them: fetches what is missing, follows updates, tells of changes, tidies.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Instant;

use skep_core::state::{PluginAction, PluginDigest, Plugins};

use super::{Inner, Learned, Shelf, ShelfError, StoreError, lock};
use crate::host::inspect;
use crate::limits::{COMPONENT_GRACE, COMPONENT_RETRY, SHELF_TIDIED};
use crate::plugins::manifest::extract;

/// What was there at the last look: what is told of is what changed.
type Seen = BTreeMap<String, (PluginDigest, String)>;

/// Tells at once of what the cluster decided, however long `upkeep` takes: a right that was revoked ends what uses it.
pub(super) async fn pass_on(shelf: Weak<Inner>) {
    let Some(mut changes) = shelf.upgrade().map(|inner| inner.cluster.changes()) else {
        return;
    };
    while changes.changed().await.is_ok() {
        let Some(inner) = shelf.upgrade() else {
            return;
        };
        inner.changed.send_modify(|number| *number += 1);
    }
}

/// Until the shelf is gone.
pub(super) async fn upkeep(shelf: Weak<Inner>) {
    let Some(mut changes) = shelf.upgrade().map(|inner| inner.cluster.changes()) else {
        return;
    };
    let mut seen: Option<Seen> = None;
    let mut tidied = Instant::now();
    loop {
        changes.borrow_and_update();
        let Some(inner) = shelf.upgrade() else {
            return;
        };
        let here = Shelf(inner);
        let view = here.0.cluster.view();
        tell(view.plugins(), &mut seen);
        let mut complete = here.gather(view.plugins()).await;
        complete &= here.give_up(view.plugins()).await;
        here.follow_schedulers().await;
        if tidied.elapsed() >= SHELF_TIDIED {
            tidied = Instant::now();
            let needed = |digest| view.plugins().refers_to(digest);
            if let Err(error) = here.0.store.prune(needed, COMPONENT_GRACE) {
                tracing::warn!(%error, "could not tidy the plugins");
            }
        }
        let (store, stirred) = (here.0.store.clone(), here.0.stirred.clone());
        drop((here, view));
        let pause = if complete {
            SHELF_TIDIED
        } else {
            COMPONENT_RETRY
        };
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = store.missed() => {}
            () = stirred.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

impl Shelf {
    /// Has every component here, and the manifests of those that run; whether that is so now.
    async fn gather(&self, plugins: &Plugins) -> bool {
        let mut complete = true;
        let current = plugins.installed().map(|(_, plugin)| &plugin.current);
        let rest = plugins
            .installed()
            .flat_map(|(_, plugin)| plugin.versions().skip(1));
        for version in current.chain(rest) {
            let digest = version.digest;
            let runs = plugins
                .installed()
                .any(|(_, plugin)| plugin.current.digest == digest);
            let known = lock(&self.0.learned).contains_key(&digest);
            if self.0.store.has(digest) && (known || !runs) {
                continue;
            }
            let store = self.0.store.clone();
            let read = tokio::task::spawn_blocking(move || store.read(digest)).await;
            let Ok(read) = read else { return false };
            let component = match read {
                Ok(component) => component,
                Err(StoreError::Io { path, source }) => {
                    tracing::error!(path = %path.display(), error = %source, "could not read a plugin");
                    complete = false;
                    continue;
                }
                Err(StoreError::Absent(_) | StoreError::Damaged { .. }) => {
                    match self.fetch(digest, version.bytes).await {
                        Ok(component) => component,
                        Err(why) => {
                            tracing::debug!(%digest, %why, "a plugin's component is not here yet");
                            complete = false;
                            continue;
                        }
                    }
                }
            };
            if runs && !known {
                self.learn(digest, &component);
            }
        }
        let mut learned = lock(&self.0.learned);
        learned.retain(|digest, _| plugins.refers_to(*digest));
        complete
    }

    /// Brings a component from another node.
    async fn fetch(&self, digest: PluginDigest, bytes: u64) -> Result<Vec<u8>, String> {
        let component = self.0.cluster.component(digest, bytes).await?;
        let store = self.0.store.clone();
        let kept = tokio::task::spawn_blocking(move || {
            // Its name follows from the bytes, so that others come to lie under another and are not believed.
            let kept = store.keep(&component);
            kept.map(|kept| (kept, component))
        });
        let (kept, component) = kept
            .await
            .map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())?;
        if kept != digest {
            return Err("the other node sent something else".to_owned());
        }
        tracing::info!(%digest, bytes, "fetched a plugin's component from another node");
        Ok(component)
    }

    fn learn(&self, digest: PluginDigest, component: &[u8]) {
        match extract(component) {
            Ok(manifest) => {
                let imports = inspect(component).map(|found| found.imports);
                let learned = Learned {
                    manifest: Arc::new(manifest),
                    imports: imports.unwrap_or_default().into(),
                };
                lock(&self.0.learned).insert(digest, learned);
                self.0.changed.send_modify(|number| *number += 1);
            }
            // Whoever added it had a newer skep.
            Err(error) => {
                tracing::error!(%digest, %error, "a plugin's manifest is not understood here");
            }
        }
    }

    /// Tells the cluster of versions that failed here; whether all of it was heard.
    async fn give_up(&self, plugins: &Plugins) -> bool {
        let failed = lock(&self.0.failed).clone();
        let mut heard = true;
        for (plugin, (from, why)) in failed {
            let current = plugins.plugin(&plugin).map(|plugin| plugin.current.digest);
            let over = if current == Some(from) {
                let action = PluginAction::GiveUp {
                    plugin: plugin.clone(),
                    from,
                    why: why.clone(),
                };
                match self.decide(action).await {
                    Ok(()) => true,
                    // Nothing to go back to, or others were faster: no use in asking again.
                    Err(ShelfError::Cluster(
                        error @ (crate::cluster::ClusterError::Refused(_)
                        | crate::cluster::ClusterError::Denied(_)),
                    )) => {
                        tracing::error!(%plugin, %why, %error, "a plugin failed too often, and the version stays");
                        true
                    }
                    Err(error) => {
                        tracing::warn!(%plugin, %why, %error, "could not have the cluster go back from a plugin's version that failed");
                        false
                    }
                }
            } else {
                true
            };
            heard &= over;
            if over {
                lock(&self.0.failed).remove(&plugin);
            }
        }
        heard
    }
}

/// Says in the log what became of plugins since the last look.
fn tell(plugins: &Plugins, seen: &mut Option<Seen>) {
    let now: Seen = plugins
        .installed()
        .map(|(name, plugin)| {
            let current = &plugin.current;
            (name.to_owned(), (current.digest, current.version.clone()))
        })
        .collect();
    let Some(before) = seen.replace(now.clone()) else {
        return;
    };
    for (name, (digest, version)) in &now {
        match before.get(name) {
            None => tracing::info!(plugin = %name, %version, %digest, "a plugin was added"),
            Some((old, _)) if old == digest => {}
            Some((old, from)) => {
                let kept = plugins.plugin(name).and_then(|plugin| {
                    let mut previous = plugin.previous.iter();
                    previous.find(|previous| previous.version.digest == *old)
                });
                match kept.and_then(|kept| kept.left.as_deref()) {
                    Some(why) => {
                        tracing::warn!(plugin = %name, %from, to = %version, %why, "a plugin went back to an earlier version")
                    }
                    None => {
                        tracing::info!(plugin = %name, %from, to = %version, "a plugin was updated")
                    }
                }
            }
        }
    }
    for name in before.keys().filter(|name| !now.contains_key(*name)) {
        tracing::info!(plugin = %name, "a plugin was removed");
    }
}
