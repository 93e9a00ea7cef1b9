//! Where a model is loaded: where the most room is left.

use alloc::format;
use alloc::string::String;
use core::cmp::Reverse;

use skep_sdk::scheduler::{Cluster, Job, Place, Placement, Refusal};

/// Healthy before degraded, accelerators before processors, then those that hold the file, then the most memory left.
pub(crate) fn rank(cluster: &Cluster, job: &Job) -> Result<Placement, Refusal> {
    let key = |place: &Place<'_>| {
        (
            place.is_degraded,
            !place.is_accelerator(),
            !place.has_file,
            Reverse(place.left_bytes),
        )
    };
    cluster.rank_places(job, key, reason, why)
}

fn reason(place: &Place<'_>) -> String {
    let mut text = format!("{} MiB stay free", place.left_bytes >> 20);
    if place.has_file {
        text += ", holds the file";
    }
    if place.is_degraded {
        text += ", degraded";
    }
    text
}

fn why(place: &Place<'_>) -> String {
    let holds = if place.has_file {
        ", which holds the file"
    } else {
        ""
    };
    let degraded = if place.is_degraded {
        "; it is degraded, but nothing better is free"
    } else {
        ""
    };
    format!(
        "`{}` on `{}`{holds}: {} MiB stay free{degraded}",
        place.device.id,
        place.node.name,
        place.left_bytes >> 20
    )
}
