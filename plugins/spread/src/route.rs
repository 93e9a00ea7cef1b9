//! Where a request runs.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use core::cmp::Ordering;

use skep_sdk::scheduler::{Choice, Health, Node, Refusal, Replica, ReplicaState, Request};

/// The replica that has the conversation cached, or else the one with the smallest share of its places taken.
pub(crate) fn choose<'a>(
    replicas: impl Iterator<Item = &'a Replica>,
    nodes: &BTreeMap<String, Node>,
    request: &Request,
    last: Option<u64>,
) -> Result<Choice, Refusal> {
    let mut known = false;
    let mut best: Option<&Replica> = None;
    let mut cached: Option<&Replica> = None;
    for replica in replicas.filter(|replica| replica.model == request.model) {
        known = true;
        if replica.state != ReplicaState::Ready || lost(nodes, replica) {
            continue;
        }
        if last == Some(replica.id) {
            cached = Some(replica);
        }
        if best.is_none_or(|other| fuller(other, replica) == Ordering::Greater) {
            best = Some(replica);
        }
    }
    match (cached, best) {
        (Some(cached), Some(best)) if cached.id == best.id || !full(cached) || full(best) => {
            Ok(Choice {
                replica: cached.id,
                why: String::from("it has the conversation's beginning in its cache"),
            })
        }
        (_, Some(best)) => Ok(Choice {
            replica: best.id,
            why: format!(
                "{} of {} places taken, the smallest share",
                taken(best),
                best.capacity
            ),
        }),
        (_, None) if known => Err(Refusal::Busy(format!(
            "no replica of `{}` is ready",
            request.model
        ))),
        (_, None) => Err(Refusal::Unknown(format!(
            "no replica of `{}` is loaded",
            request.model
        ))),
    }
}

fn lost(nodes: &BTreeMap<String, Node>, replica: &Replica) -> bool {
    nodes
        .get(&replica.node)
        .is_some_and(|node| node.health == Health::Lost)
}

fn taken(replica: &Replica) -> u64 {
    u64::from(replica.running) + u64::from(replica.waiting)
}

fn full(replica: &Replica) -> bool {
    taken(replica) >= u64::from(replica.capacity)
}

/// Compares shares without dividing: a / b against c / d is a * d against c * b.
fn fuller(one: &Replica, other: &Replica) -> Ordering {
    let left = taken(one) * u64::from(other.capacity.max(1));
    let right = taken(other) * u64::from(one.capacity.max(1));
    left.cmp(&right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn replica(id: u64, running: u32, capacity: u32) -> Replica {
        Replica {
            id,
            model: "m".into(),
            node: "n".into(),
            devices: Vec::new(),
            state: ReplicaState::Ready,
            running,
            waiting: 0,
            capacity,
            cache_pages: 0,
            cache_pages_used: 0,
        }
    }

    fn check(replicas: &[Replica], last: Option<u64>, expect: Option<u64>) {
        let request = Request {
            model: "m".into(),
            prompt_bytes: 1,
            max_tokens: 1,
            affinity: 7,
            priority: 0,
        };
        let found = choose(replicas.iter(), &BTreeMap::new(), &request, last);
        assert_eq!(
            found.as_ref().ok().map(|choice| choice.replica),
            expect,
            "{found:?}"
        );
    }

    #[test]
    fn takes_the_smallest_share() {
        check(&[replica(1, 4, 8), replica(2, 5, 16)], None, Some(2));
        check(&[replica(1, 0, 8), replica(2, 0, 16)], None, Some(1));
        check(
            &[replica(1, u32::MAX, 0), replica(2, u32::MAX, u32::MAX)],
            None,
            Some(2),
        );
        check(&[], None, None);
    }

    #[test]
    fn keeps_a_conversation_where_it_is_cached() {
        check(&[replica(1, 0, 8), replica(2, 7, 8)], Some(2), Some(2));
        check(&[replica(1, 0, 8), replica(2, 8, 8)], Some(2), Some(1));
        check(&[replica(1, 8, 8), replica(2, 9, 8)], Some(2), Some(2));
        check(&[replica(1, 0, 8)], Some(9), Some(1));
    }

    #[test]
    fn passes_by_what_is_not_ready() {
        let mut starting = replica(1, 0, 8);
        starting.state = ReplicaState::Starting;
        check(&[starting.clone(), replica(2, 3, 8)], Some(1), Some(2));
        check(&[starting], None, None);
    }
}
