//! Where the plugins of services come from: those that this binary carries.
//!
//! Decides nothing. This one file knows where components and manifests are kept.

use std::borrow::Cow;

use super::ServiceError;
use crate::fleet::Component;
use crate::host::World;
use crate::plugins::manifest::{Manifest, extract};

/// A plugin that can be used for a service.
#[derive(Clone, Debug)]
pub(super) struct Source {
    component: Component,
    pub(super) manifest: Manifest,
}

/// The plugin of a name.
pub(super) fn find(name: &str) -> Result<Source, ServiceError> {
    let embedded = crate::plugins::find(name)
        .ok_or_else(|| ServiceError::UnknownPlugin(name.chars().take(64).collect()))?;
    let manifest = extract(embedded.bytes).map_err(|error| ServiceError::Plugin {
        plugin: name.to_owned(),
        why: error.to_string(),
    })?;
    Ok(Source {
        component: Component::Embedded(embedded.bytes),
        manifest,
    })
}

/// The plugins of a world, by name.
pub(super) fn of(world: World) -> Vec<String> {
    let plugins = crate::plugins::EMBEDDED.iter();
    let fitting = plugins.filter(|plugin| {
        extract(plugin.bytes).is_ok_and(|manifest| manifest.world == world.name())
    });
    fitting.map(|plugin| plugin.name.to_owned()).collect()
}

impl Source {
    /// The component. Blocks on the disk.
    pub(super) fn component(&self) -> std::io::Result<Cow<'_, [u8]>> {
        self.component.bytes()
    }
}
