//! Where a model is loaded: where it fits best, on what is awake already.

use alloc::format;
use alloc::string::String;

use skep_sdk::scheduler::{Cluster, Job, Place, Placement, Refusal};

/// Healthy before degraded, accelerators before processors, nodes with models before empty ones, then the least memory
/// left, then those that hold the file.
pub(crate) fn rank(cluster: &Cluster, job: &Job) -> Result<Placement, Refusal> {
    let key = |place: &Place<'_>| {
        (
            place.is_degraded,
            !place.is_accelerator(),
            place.replicas == 0,
            place.left_bytes,
            !place.has_file,
        )
    };
    cluster.rank_places(job, key, reason, why)
}

fn reason(place: &Place<'_>) -> String {
    let mut text = format!(
        "{} models there, {} MiB stay free",
        place.replicas,
        place.left_bytes >> 20
    );
    if place.has_file {
        text += ", holds the file";
    }
    if place.is_degraded {
        text += ", degraded";
    }
    text
}

fn why(place: &Place<'_>) -> String {
    let awake = if place.replicas > 0 {
        "in use already"
    } else {
        "no node in use has room"
    };
    let degraded = if place.is_degraded {
        "; it is degraded, but nothing better is free"
    } else {
        ""
    };
    format!(
        "`{}` on `{}`: {awake}, and fits best with {} MiB left{degraded}",
        place.device.id,
        place.node.name,
        place.left_bytes >> 20
    )
}
