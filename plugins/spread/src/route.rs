//! Where a request runs: where the fewest others are.

use alloc::format;
use alloc::string::String;

use skep_sdk::scheduler::{Choice, Cluster, Refusal, Request, Seat};

/// Healthy before degraded, those with a free place before full ones, then the one that has the conversation cached, then
/// the smallest share of places taken (in eighths), the fastest, the exact share and the emptiest cache.
pub(crate) fn rank(
    cluster: &Cluster,
    request: &Request,
    last: Option<u64>,
) -> Result<Choice, Refusal> {
    let is_cached = |seat: &Seat<'_>| last == Some(seat.replica.id);
    let key = |seat: &Seat<'_>| {
        (
            seat.is_degraded,
            seat.is_full(),
            !is_cached(seat),
            seat.share() / 128,
            seat.slowness(),
            seat.share(),
            seat.cache_share(),
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
        format!(
            "{} of {} places taken, the smallest share{degraded}",
            seat.taken(),
            seat.replica.capacity
        )
    };
    cluster.rank(request, key, |seat| reason(seat, is_cached(seat)), why)
}

fn reason(seat: &Seat<'_>, is_cached: bool) -> String {
    let mut text = format!("{} of {} taken", seat.taken(), seat.replica.capacity);
    if is_cached {
        text += ", conversation cached";
    }
    if seat.sent > 0 {
        text += &format!(", {} just sent", seat.sent);
    }
    if seat.replica.first_token_us > 0 {
        text += &format!(", first token in {} ms", seat.replica.first_token_us / 1000);
    }
    text += &format!(", cache {} % used", seat.cache_share() * 100 / 1024);
    if seat.is_degraded {
        text += ", degraded";
    }
    text
}
