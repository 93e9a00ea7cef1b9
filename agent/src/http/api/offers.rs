//! Models that somebody may want: those of the list in the binary, and what this machine has to run them on.
//!
//! Decides when a model is worth a try here. Whether it then really fits is seen when it is loaded.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::refusal::Refusal;
use crate::agent::Agent;
use crate::models::offers;
use crate::telemetry::Machine;
use crate::wire;

pub(super) async fn list(
    State(agent): State<Arc<Agent>>,
) -> Result<Json<wire::ModelOffers>, Refusal> {
    let catalogue = Arc::clone(&agent.catalogue);
    let listing = tokio::task::spawn_blocking(move || catalogue.list())
        .await
        .map_err(Refusal::lost)??;
    let models = listing.models.iter();
    let sources: BTreeSet<String> = models.map(|model| model.source().to_owned()).collect();
    let machine = agent.telemetry.borrow().clone();
    let offers = offers().into_iter().map(|offer| {
        let bytes = offer.about_bytes();
        wire::ModelOffer {
            name: offer.name().unwrap_or_default(),
            here: sources.contains(&offer.source),
            fits: machine.as_ref().and_then(|machine| room(machine, bytes)),
            about_bytes: bytes,
            source: offer.source,
            title: offer.title,
            parameters: offer.parameters,
            licence: offer.licence,
            purpose: offer.purpose,
            about: offer.about,
        }
    });
    Ok(Json(wire::ModelOffers {
        offers: offers.collect(),
    }))
}

/// The quickest of what has room for a file of that size: a card, or the machine's memory.
fn room(machine: &Machine, bytes: u64) -> Option<String> {
    // A context of some thousand tokens, and what the worker needs besides.
    let needed = bytes
        .saturating_add(bytes / 8)
        .saturating_add(BESIDES_BYTES);
    let devices = machine.snapshot.devices.iter();
    let cards = devices.filter_map(|device| device.reading.memory.memory_total_bytes);
    if cards.max().is_some_and(|total| total >= needed) {
        return Some("card".to_owned());
    }
    let memory = &machine.snapshot.host.memory;
    let total = memory.limit_bytes.or(memory.total_bytes)?;
    // The rest of the machine wants to live, too.
    (total / 4 * 3 >= needed).then(|| "memory".to_owned())
}

const BESIDES_BYTES: u64 = 512 << 20;
