//! Which ports are opened where, on made-up machines.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use skep_sdk::installer::{
    Action, Answer, Facts, Firewall as Known, FirewallKind, Installer as _, OpenPort, Protocol,
    Severity, Value, answer, samples, try_out,
};
use step_firewall::Firewall;

fn opened(facts: &Facts, answers: &[Answer]) -> Vec<OpenPort> {
    let plan = try_out::<Firewall>(facts, answers).plan.unwrap();
    let ports = plan
        .actions
        .into_iter()
        .map(|planned| match planned.action {
            Action::OpenPort(port) => port,
            other => unreachable!("{other:?}"),
        });
    ports.collect()
}

fn ports(facts: &Facts, answers: &[Answer]) -> Vec<(Protocol, u16)> {
    let opened = opened(facts, answers).into_iter();
    opened.map(|port| (port.protocol, port.port)).collect()
}

#[test]
fn nodes_are_let_in_from_the_local_network() {
    for (facts, kind) in [
        (samples::debian(), FirewallKind::Nftables),
        (samples::fedora(), FirewallKind::Firewalld),
    ] {
        let opened = opened(&facts, &[]);
        assert!(opened.iter().all(|port| port.firewall == kind));
        assert!(
            opened
                .iter()
                .all(|port| port.from.as_deref() == Some("192.168.1.0/24"))
        );
        assert_eq!(
            ports(&facts, &[]),
            [(Protocol::Udp, 7420), (Protocol::Udp, 5353)]
        );
    }
}

#[test]
fn without_a_firewall_nothing_is_opened() {
    assert_eq!(opened(&samples::arch(), &[]), []);
    let leave = [answer("firewall", Value::Text("none".into()))];
    assert_eq!(opened(&samples::debian(), &leave), []);
    assert!(
        Firewall::check(&samples::arch())[0]
            .what
            .contains("No firewall")
    );
}

#[test]
fn ports_are_those_of_the_settings() {
    let mut facts = samples::debian();
    facts.agent.settings = vec![
        ("http.listen".into(), "\"0.0.0.0:8443\"".into()),
        ("cluster.listen".into(), "\"[::]:7500\"".into()),
        ("cluster.announce".into(), "false".into()),
    ];
    assert_eq!(
        ports(&facts, &[]),
        [(Protocol::Udp, 7500), (Protocol::Tcp, 8443)]
    );
    let closed = [
        answer("people", Value::Flag(false)),
        answer("cluster", Value::Flag(false)),
    ];
    assert_eq!(ports(&facts, &closed), []);
}

#[test]
fn networks_are_checked() {
    let facts = samples::debian();
    let of = |text: &str| {
        [
            answer("from", Value::Text("other".into())),
            answer("from-network", Value::Text(text.into())),
        ]
    };
    for bad in [
        "10.8.0.0",
        "10.8.0.0/33",
        "10.8.0.1/16",
        "anyone/0",
        "fd00::/129",
        "fd00::/8",
    ] {
        let tried = try_out::<Firewall>(&facts, &of(bad));
        assert!(tried.problem("from-network").is_some(), "{bad}");
        assert!(tried.plan.is_err(), "{bad}");
    }
    let good = opened(&facts, &of("10.8.0.0/16"));
    assert_eq!(good[0].from.as_deref(), Some("10.8.0.0/16"));
    let anywhere = [answer("from", Value::Text("anywhere".into()))];
    assert_eq!(opened(&facts, &anywhere)[0].from, None);
}

#[test]
fn of_several_the_one_that_filters_is_taken() {
    let mut facts = samples::debian();
    let known = |kind, active| Known { kind, active };
    facts.firewalls = vec![
        known(FirewallKind::Ufw, Some(true)),
        known(FirewallKind::Nftables, Some(true)),
    ];
    assert_eq!(opened(&facts, &[])[0].firewall, FirewallKind::Ufw);
    assert_eq!(Firewall::check(&facts)[0].severity, Severity::Fine);
    facts
        .firewalls
        .push(known(FirewallKind::Firewalld, Some(true)));
    assert_eq!(Firewall::check(&facts)[0].severity, Severity::Warning);
    facts.firewalls = vec![known(FirewallKind::Ufw, Some(false))];
    assert_eq!(opened(&facts, &[]), [], "one that is off needs nothing");
}
