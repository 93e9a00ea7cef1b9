//! The other machines of the cluster, and the papers that they know each other by.

use super::{Report, Severity};
use crate::client::Client;
use crate::keys::unix_now_s;
use crate::wire::{Authorities, ClusterNode, ClusterNodes, Node, NodeState, Top};

pub(super) fn look(report: &mut Report, client: &Client) {
    if let Ok(found) = client.get::<ClusterNodes>("/api/v1/cluster/nodes") {
        nodes(report, &found.nodes, unix_now_s());
        if found.nodes.len() > 1
            && let Ok(top) = client.get::<Top>("/api/v1/top")
        {
            clocks(report, &top.nodes);
        }
    }
    if let Ok(found) = client.get::<Authorities>("/api/v1/cluster/ca") {
        authorities(report, &found);
    }
}

fn nodes(report: &mut Report, nodes: &[ClusterNode], now: u64) {
    let own = nodes.iter().find(|node| node.here);
    if let Some(until) = own.and_then(|node| node.certificate_until_unix_s)
        && until < now
    {
        let title = "this node's certificate has ended; the others do not speak with it";
        let finding = report.find(Severity::Error, "cluster_certificate_expired", title);
        finding.seen(format!("it ended {} ago", days(now - until)));
        finding.mend("timedatectl   (if the clock is right: start a node that is up to date, or `skep join` again)");
    }
    let before = report.findings.len();
    for node in nodes.iter().filter(|node| !node.here) {
        other(report, node, own);
    }
    if nodes.len() > 1 && report.findings.len() == before {
        report.well(format!("{} nodes of the cluster are up", nodes.len()));
    }
}

fn other(report: &mut Report, node: &ClusterNode, own: Option<&ClusterNode>) {
    let name = &node.name;
    match node.state {
        NodeState::Down => {
            let title = format!("`{name}` is not there; its models and devices are missed");
            let finding = report.find(Severity::Warning, "peer_down", title);
            finding.seen(node.why.clone());
            if let Some(address) = node.address {
                finding.seen(format!("it was at {address}"));
            }
            finding.mend(format!(
                "start `skep up` there, and see that UDP is let through; `skep node remove {name}` if it is gone for good"
            ));
            return;
        }
        NodeState::Pending => {
            let title = format!("`{name}` waits to be let in");
            let finding = report.find(Severity::Note, "peer_pending", title);
            finding
                .seen(node.why.clone())
                .mend(format!("skep node approve {name}"));
            return;
        }
        NodeState::Up | NodeState::Draining | NodeState::Joining => {}
    }
    if let (Some(theirs), Some(ours)) = (&node.version, own.and_then(|own| own.version.as_ref()))
        && theirs != ours
    {
        let title = format!("`{name}` has another version");
        let finding = report.find(Severity::Note, "peer_version", title);
        finding
            .seen(format!("{theirs} there, {ours} here"))
            .mend("bring both to the newer version, one after the other");
    }
    if let Some(micros) = node.round_trip_us.filter(|micros| *micros > SLOW_US) {
        let title = format!("the way to `{name}` is slow; answers through it come late");
        let finding = report.find(Severity::Note, "peer_slow", title);
        finding
            .seen(format!("{} ms there and back", micros / 1_000))
            .mend(format!(
                "ping {name}   (a cable in place of wireless, or a nearer switch)"
            ));
    }
}

/// Which clocks are not like this machine's.
fn clocks(report: &mut Report, nodes: &[Node]) {
    for node in nodes {
        let Some(ahead) = node.clock_ahead_ms else {
            continue;
        };
        let off = ahead.unsigned_abs() / 1_000;
        if off < CLOCK_OFF_S {
            continue;
        }
        let is = if ahead > 0 { "ahead of" } else { "behind" };
        let title = format!(
            "the clock of `{}` is {is} this machine's; certificates, tokens and what was when depend on it",
            node.name
        );
        let finding = report.find(Severity::Warning, "peer_clock", title);
        finding.seen(format!("{off} s"));
        finding
            .mend("timedatectl set-ntp true   (on whichever of the two is wrong: `date -u` tells)");
    }
}

fn authorities(report: &mut Report, found: &Authorities) {
    for authority in found.authorities.iter().filter(|one| one.ends_soon) {
        let title = "the authority that certifies the cluster's nodes ends soon";
        let finding = report.find(Severity::Warning, "authority_ends_soon", title);
        finding
            .seen(format!("{} ({})", authority.pin, authority.standing))
            .mend("skep ca rotate");
    }
}

fn days(seconds: u64) -> String {
    match seconds / 86_400 {
        0 => "less than a day".to_owned(),
        1 => "a day".to_owned(),
        days => format!("{days} days"),
    }
}

/// Within a building it is below one millisecond, across a continent some fifty.
const SLOW_US: u64 = 150_000;

/// Clocks that something keeps right are some milliseconds apart, and an answer may take seconds on a busy machine. A token
/// may last a minute.
const CLOCK_OFF_S: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, state: NodeState) -> ClusterNode {
        ClusterNode {
            id: name.to_owned(),
            name: name.to_owned(),
            state,
            why: "it was not heard of for 2 min".to_owned(),
            role: "worker".to_owned(),
            here: name == "here",
            leads: false,
            version: Some("0.1.0".to_owned()),
            address: Some("10.0.0.2:7420".parse().unwrap()),
            labels: std::collections::BTreeMap::new(),
            devices: Vec::new(),
            replicas: 0,
            running: 0,
            waiting: 0,
            last_seen_s: None,
            round_trip_us: Some(400),
            joined_unix_s: 0,
            certificate_until_unix_s: Some(1_000),
        }
    }

    #[test]
    fn clocks_that_are_apart_are_told() {
        let node = |name: &str, ahead: Option<i64>| Node {
            id: String::new(),
            name: name.to_owned(),
            version: String::new(),
            pid: 1,
            started_unix_s: 0,
            url: String::new(),
            key_required: false,
            computes_on: "cpu".to_owned(),
            resident_bytes: None,
            health: "healthy".to_owned(),
            why: None,
            devices: Vec::new(),
            hardware: None,
            clock_ahead_ms: ahead,
        };
        let mut report = Report::default();
        let here = node("here", None);
        let near = node("near", Some(-9_999));
        let (ahead, behind) = (node("a", Some(3_600_000)), node("b", Some(i64::MIN)));
        clocks(&mut report, &[here, near, ahead, behind]);
        let titles: Vec<&str> = report
            .findings
            .iter()
            .map(|one| one.title.as_str())
            .collect();
        assert_eq!(titles.len(), 2);
        assert!(titles[0].contains("`a` is ahead of") && titles[1].contains("`b` is behind"));
        assert_eq!(report.findings[0].evidence, ["3600 s"]);
    }

    #[test]
    fn others_are_told_with_what_mends_them() {
        let mut report = Report::default();
        let up = node("up", NodeState::Up);
        nodes(&mut report, &[node("here", NodeState::Up), up.clone()], 10);
        assert_eq!(report.findings, []);
        assert_eq!(report.well, ["2 nodes of the cluster are up"]);

        let mut other = up;
        other.version = Some("0.2.0".to_owned());
        other.round_trip_us = Some(SLOW_US + 1);
        let all = [
            node("here", NodeState::Up),
            node("away", NodeState::Down),
            node("new", NodeState::Pending),
            other,
        ];
        let mut report = Report::default();
        nodes(&mut report, &all, 1_001);
        let codes: Vec<_> = report.findings.iter().map(|one| one.code).collect();
        assert_eq!(
            codes,
            [
                "cluster_certificate_expired",
                "peer_down",
                "peer_pending",
                "peer_version",
                "peer_slow"
            ]
        );
        assert!(
            report
                .findings
                .iter()
                .all(|one| one.mend.is_some() && !one.evidence.is_empty())
        );
    }
}
