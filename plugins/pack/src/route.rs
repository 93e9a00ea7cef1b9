//! Where a request runs: with the others, as long as there is a free place.

use alloc::format;
use alloc::string::String;
use core::cmp::Reverse;

use skep_sdk::scheduler::{Choice, Cluster, Refusal, Request, Seat};

/// Healthy before degraded, those with a free place before full ones, then the one that has the conversation cached, then
/// the node with the most work, the fullest replica, the fastest. Among full ones the emptiest comes first, since there a
/// request waits least.
pub(crate) fn rank(
    cluster: &Cluster,
    request: &Request,
    last: Option<u64>,
) -> Result<Choice, Refusal> {
    let is_cached = |seat: &Seat<'_>| last == Some(seat.replica.id);
    let key = |seat: &Seat<'_>| {
        let full = is_full(seat);
        (
            seat.is_degraded,
            full,
            !is_cached(seat),
            if full { seat.share() } else { 0 },
            Reverse(seat.node_taken),
            Reverse(seat.share()),
            seat.slowness(),
        )
    };
    let why = |seat: &Seat<'_>| {
        let degraded = if seat.is_degraded {
            "; it is degraded, but no other can take it"
        } else {
            ""
        };
        if is_cached(seat) {
            return format!("it has the conversation's beginning in its cache{degraded}");
        }
        if is_full(seat) {
            return format!("all are full, and here the fewest wait{degraded}");
        }
        format!(
            "the busiest node with a free place: {} requests there, {} of {} places taken{degraded}",
            seat.node_taken,
            seat.taken(),
            seat.replica.capacity
        )
    };
    cluster.rank(request, key, |seat| reason(seat, is_cached(seat)), why)
}

/// Also one that was sent twice what it can serve since its load was last told: it fills all the time.
fn is_full(seat: &Seat<'_>) -> bool {
    seat.is_full() || u64::from(seat.sent) >= 2 * seat.capacity()
}

fn reason(seat: &Seat<'_>, is_cached: bool) -> String {
    let mut text = format!(
        "{} of {} taken, {} on its node",
        seat.taken(),
        seat.replica.capacity,
        seat.node_taken
    );
    if is_cached {
        text += ", conversation cached";
    }
    if seat.sent > 0 {
        text += &format!(", {} just sent", seat.sent);
    }
    if seat.replica.first_token_us > 0 {
        text += &format!(", first token in {} ms", seat.replica.first_token_us / 1000);
    }
    if seat.is_degraded {
        text += ", degraded";
    }
    text
}
