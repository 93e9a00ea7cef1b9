//! A component that somebody thinks of adding: everything that a person needs to know to agree or not.
//!
//! Decides what is shown, and what is refused before anybody is asked. Refuses to change anything but the store, where the bytes wait.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use skep_core::capability::Capability;
use skep_core::state::{PluginDigest, PluginVersion};

use super::doubt::{Doubt, doubts};
use super::{Shelf, ShelfError, carried, lock};
use crate::host::{Inspection, World, inspect};
use crate::limits::{COMPONENT_OFFERS_MAX, OFFER_LIFE};
use crate::plugins::manifest::{Manifest, Want, extract};
use crate::plugins::signature::{self, Signed};

/// What somebody could agree to.
#[derive(Clone, Debug)]
pub struct Offer {
    pub manifest: Arc<Manifest>,
    pub world: World,
    pub inspection: Inspection,
    pub digest: PluginDigest,
    pub signed: Signed,
    /// What it wants to touch, as far as that is known before it is set up.
    pub wishes: Vec<Wish>,
    /// What of that kind runs already.
    pub present: Option<PluginVersion>,
    /// What else has to be agreed to.
    pub doubts: Vec<Doubt>,
}

/// One thing that it wants to touch.
#[derive(Clone, Debug)]
pub struct Wish {
    /// None: what is set decides which.
    pub capability: Option<Capability>,
    /// As its author wrote it.
    pub written: String,
    pub reason: String,
    pub optional: bool,
    /// It may already.
    pub granted: bool,
}

/// Offers that may still be agreed to.
#[derive(Debug, Default)]
pub(super) struct Offers(VecDeque<Kept>);

/// What of an offer is not in the component.
#[derive(Clone, Debug)]
struct Kept {
    digest: PluginDigest,
    signature: Option<String>,
    until: Instant,
}

impl Offers {
    fn keep(&mut self, digest: PluginDigest, signature: Option<String>) {
        self.0.retain(|kept| kept.digest != digest);
        while self.0.len() >= COMPONENT_OFFERS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(Kept {
            digest,
            signature,
            until: Instant::now() + OFFER_LIFE,
        });
    }

    fn find(&self, digest: PluginDigest) -> Option<Kept> {
        let now = Instant::now();
        let mut kept = self.0.iter();
        kept.find(|kept| kept.digest == digest && kept.until > now)
            .cloned()
    }
}

impl Shelf {
    /// Looks at a component and keeps it for whoever may agree. Takes a while: not for the runtime's threads.
    ///
    /// # Errors
    /// When nobody could agree to it.
    pub fn offer(&self, component: &[u8], signature: Option<String>) -> Result<Offer, ShelfError> {
        let offer = self.judge(component, signature.as_deref())?;
        let digest = self.0.store.keep(component)?;
        lock(&self.0.offers).keep(digest, signature);
        Ok(offer)
    }

    /// What was offered lately, looked at again: what is trusted may have changed.
    pub(super) fn offered(&self, digest: PluginDigest) -> Result<(Offer, Vec<u8>), ShelfError> {
        let kept = lock(&self.0.offers).find(digest);
        let kept = kept.ok_or(ShelfError::NotOffered(digest))?;
        let component = self.0.store.read(digest)?;
        let offer = self.judge(&component, kept.signature.as_deref())?;
        Ok((offer, component))
    }

    fn judge(&self, component: &[u8], signature: Option<&str>) -> Result<Offer, ShelfError> {
        let inspection = inspect(component)?;
        let world = inspection.world.ok_or(ShelfError::NoWorld)?;
        if let Some(import) = inspection.ungranted().first() {
            return Err(ShelfError::Ungranted {
                import: crate::host::printable(import),
                world: world.name(),
            });
        }
        let manifest = extract(component)?;
        if manifest.world()? != world {
            return Err(ShelfError::OtherWorld {
                said: manifest.world,
                found: world.name(),
            });
        }
        if carried()
            .iter()
            .any(|one| one.embedded.name == manifest.name)
        {
            return Err(ShelfError::Carried(manifest.name));
        }
        let view = self.0.cluster.view();
        let plugins = view.plugins();
        let keys = plugins
            .signers()
            .map(|(name, signer)| (name, signer.key.as_str()));
        let signed = signature::check(component, signature, keys)?;
        let digest = inspection.digest.parse().map_err(|_| ShelfError::NoWorld)?;
        let granted = plugins.grants(&manifest.name).map(|(what, _)| what.clone());
        let wishes = wishes(&manifest, &granted.collect())?;
        let present = plugins.plugin(&manifest.name);
        let present = present.map(|plugin| plugin.current.clone());
        let trusting = plugins.signers().len() > 0;
        let doubts = doubts(
            trusting,
            &signed,
            world,
            &manifest.version,
            present.as_ref(),
        );
        Ok(Offer {
            manifest: Arc::new(manifest),
            world,
            digest,
            inspection,
            signed,
            wishes,
            present,
            doubts,
        })
    }
}

impl Offer {
    /// Whether somebody has to be asked: it is new, or touches more, or something else speaks against it.
    #[must_use]
    pub fn asks(&self) -> bool {
        let widens = self
            .wishes
            .iter()
            .any(|wish| !wish.granted && !wish.optional && wish.capability.is_some());
        widens || self.present.is_none() || !self.doubts.is_empty()
    }
}

/// What a plugin wants to touch.
pub(super) fn wishes(
    manifest: &Manifest,
    granted: &BTreeSet<Capability>,
) -> Result<Vec<Wish>, ShelfError> {
    // What settings decide is known where they have a default.
    let known = manifest.wanted(|_| None)?;
    let by_default = |wanted: &crate::plugins::manifest::Wanted| {
        let mut known = known.iter();
        known
            .find(|(_, of)| std::ptr::eq(*of, wanted))
            .map(|(capability, _)| capability.clone())
    };
    let wish = |wanted: &crate::plugins::manifest::Wanted| {
        let capability = match &wanted.wants {
            Want::Fixed(capability) => Some(capability.clone()),
            Want::FromSetting { .. } => by_default(wanted),
        };
        Wish {
            granted: capability.as_ref().is_some_and(|one| granted.contains(one)),
            capability,
            written: wanted.wants.to_string(),
            reason: wanted.reason.clone(),
            optional: wanted.optional,
        }
    };
    Ok(manifest.capabilities.iter().map(wish).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_are_few() {
        let mut offers = Offers::default();
        for number in 0..40 {
            offers.keep(PluginDigest([number; 32]), None);
        }
        assert_eq!(offers.0.len(), COMPONENT_OFFERS_MAX);
        assert!(offers.find(PluginDigest([0; 32])).is_none());
        assert!(offers.find(PluginDigest([39; 32])).is_some());
    }
}
