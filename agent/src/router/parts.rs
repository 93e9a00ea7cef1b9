//! What a router is made of. Decides nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::fleet::Fleet;
use crate::models::Catalogue;
use crate::protocol::{ComputesOn, Settings};
use crate::scheduling::Policies;

/// What a router is made of.
#[derive(Debug)]
pub struct Parts {
    pub core: skep_core::Settings,
    pub node: skep_core::Node,
    pub policies: Policies,
    pub fleet: Fleet,
    pub catalogue: Arc<Catalogue>,
    /// How models are opened.
    pub opening: Settings,
    /// By the name of a model, that of the smaller one that guesses for it.
    pub drafts: BTreeMap<String, String>,
    /// By a model's name, the engine plugin that runs it, where that is not the usual one.
    pub engines: BTreeMap<String, String>,
    /// How many threads a worker computes with.
    pub threads: Option<u32>,
    pub computes_on: ComputesOn,
    /// Devices that models may be placed on.
    pub devices: Vec<String>,
}
