//! Where the plugins of services come from: those that this binary carries, and those that the cluster's operators added.
//!
//! Decides nothing. This one file knows how services find components, manifests and grants.

use skep_core::capability::Capability;

use super::ServiceError;
use crate::host::World;
use crate::plugins::{Installed, Shelf};

/// The plugin of a name.
pub(super) fn find(shelf: &Shelf, name: &str) -> Result<Installed, ServiceError> {
    let found = shelf.find(name);
    found.ok_or_else(|| ServiceError::UnknownPlugin(name.chars().take(64).collect()))
}

/// What a plugin may touch, as the cluster has it now.
pub(super) fn grants(shelf: &Shelf, name: &str) -> Vec<Capability> {
    let found = shelf.find(name);
    found.map_or_else(Vec::new, |found| found.grants.into_iter().collect())
}

/// The plugins of a world, by name.
pub(super) fn of(shelf: &Shelf, world: World) -> Vec<String> {
    let plugins = shelf.all().into_iter();
    let fitting = plugins.filter(|plugin| plugin.world == world);
    fitting.map(|plugin| plugin.name).collect()
}
