//! Engine plugins that were not there at the start.
//!
//! Decides that a worker which starts again runs the version that is current by then. Refuses to know who keeps them.

use std::sync::{Arc, OnceLock};

use skep_core::state::PluginDigest;

use super::spec::{Component, Plugin};

/// Finds a plugin by its name.
pub(super) type Lookup = Arc<dyn Fn(&str) -> Option<Plugin> + Send + Sync>;

/// Told the plugin, its version, and what it did.
pub(super) type FaultReport = Arc<dyn Fn(&str, PluginDigest, &str) + Send + Sync>;

/// Where they are found, and who hears of their faults.
#[derive(Default)]
pub(super) struct Added {
    lookup: OnceLock<Lookup>,
    reports: OnceLock<FaultReport>,
}

impl Added {
    /// Counts once: whoever sets it again means the same.
    pub(super) fn look_up(&self, by_name: Lookup) {
        let _ = self.lookup.set(by_name);
    }

    /// As [`Added::look_up`].
    pub(super) fn report(&self, report: FaultReport) {
        let _ = self.reports.set(report);
    }

    pub(super) fn find(&self, name: &str) -> Option<Plugin> {
        self.lookup.get().and_then(|find| find(name))
    }

    /// The version to run now of a plugin that was found once.
    pub(super) fn current(&self, plugin: &Plugin) -> Plugin {
        match plugin.component {
            Component::Kept { .. } => self.find(&plugin.name).unwrap_or_else(|| plugin.clone()),
            Component::Embedded(_) | Component::Bytes(_) | Component::Path(_) => plugin.clone(),
        }
    }

    /// A plugin trapped, or did what it must not.
    pub(super) fn fault(&self, plugin: &Plugin, why: &str) {
        if let (Component::Kept { digest, .. }, Some(report)) =
            (&plugin.component, self.reports.get())
        {
            report(&plugin.name, *digest, why);
        }
    }
}

impl std::fmt::Debug for Added {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Added")
    }
}
