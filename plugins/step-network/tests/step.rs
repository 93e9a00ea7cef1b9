//! What the step asks, plans and finds on made-up machines.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use skep_sdk::installer::{
    Action, Answer, Facts, Installer as _, LinkKind, Listener, NetworkInterface, Protocol, Route,
    Severity, Value, answer, samples, try_out,
};
use step_network::Network;

fn settings(facts: &Facts, answers: &[Answer]) -> Vec<(String, Option<String>)> {
    let plan = try_out::<Network>(facts, answers).plan.unwrap();
    let settings = plan
        .actions
        .into_iter()
        .map(|planned| match planned.action {
            Action::SetSetting(setting) => (setting.key, setting.value),
            other => unreachable!("{other:?}"),
        });
    settings.collect()
}

fn setting(facts: &Facts, answers: &[Answer], key: &str) -> Option<String> {
    let mut all = settings(facts, answers).into_iter();
    all.find(|(known, _)| known == key).unwrap().1
}

#[test]
fn by_default_every_network_is_listened_on() {
    let facts = samples::debian();
    let listen = setting(&facts, &[], "cluster.listen");
    assert_eq!(listen.as_deref(), Some("\"[::]:7420\""));
    assert_eq!(
        setting(&facts, &[], "cluster.announce").as_deref(),
        Some("true")
    );
    assert_eq!(setting(&facts, &[], "cluster.advertise"), None);
}

#[test]
fn nodes_are_looked_for_where_somebody_says() {
    let mut facts = samples::fedora();
    assert_eq!(setting(&facts, &[], "cluster.look"), None);
    let places = "192.168.2.10:7420\n\n[fd00::1]:7420\nhive.example.org:7420\ndns:example.org";
    let listed = [answer("look", Value::Text(places.into()))];
    let look = setting(&facts, &listed, "cluster.look").unwrap();
    assert_eq!(look.matches('"').count(), 8, "{look}");
    // What is set already is what is offered.
    let set = ("cluster.look".to_owned(), look.clone());
    facts.agent.settings.push(set);
    assert_eq!(setting(&facts, &[], "cluster.look"), Some(look));
    let none = [answer("look", Value::Text(String::new()))];
    assert_eq!(setting(&facts, &none, "cluster.look"), None);
    for wrong in [
        "hive",
        "hive:0",
        "0.0.0.0:1",
        "dns:",
        "dns:a b",
        "a..b:1",
        "http://a:1",
        "-a:1",
    ] {
        let answers = [answer("look", Value::Text(wrong.into()))];
        let trial = try_out::<Network>(&facts, &answers);
        assert!(trial.problem("look").is_some(), "{wrong}");
    }
}

#[test]
fn an_interface_is_its_address() {
    let answers = [
        answer("interface", Value::Text("eth0".into())),
        answer("port", Value::Number(7500)),
        answer("announce", Value::Flag(false)),
        answer("advertise", Value::Text("203.0.113.7:7500".into())),
    ];
    let mut facts = samples::fedora();
    let listen = setting(&facts, &answers, "cluster.listen");
    assert_eq!(listen.as_deref(), Some("\"192.168.1.10:7500\""));
    assert_eq!(
        setting(&facts, &answers, "cluster.announce").as_deref(),
        Some("false")
    );
    let advertise = setting(&facts, &answers, "cluster.advertise");
    assert_eq!(advertise.as_deref(), Some("\"203.0.113.7:7500\""));
    // What is set already is what is offered.
    facts.agent.settings = settings(&facts, &answers)
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
        .collect();
    let asked = try_out::<Network>(&facts, &[]);
    let default = asked.question("interface").unwrap().default.clone();
    assert_eq!(default, Some(Value::Text("eth0".into())));
    let default = asked.question("port").unwrap().default.clone();
    assert_eq!(default, Some(Value::Number(7500)));
}

#[test]
fn a_port_that_another_has_is_refused() {
    let mut facts = samples::debian();
    facts.listeners.push(Listener {
        protocol: Protocol::Udp,
        address: "0.0.0.0".into(),
        port: 7420,
        program: Some("named".into()),
    });
    let tried = try_out::<Network>(&facts, &[]);
    assert!(tried.problem("port").unwrap().contains("`named`"));
    assert!(tried.plan.is_err());
    let other = [answer("port", Value::Number(7421))];
    assert!(try_out::<Network>(&facts, &other).plan.is_ok());
}

#[test]
fn addresses_that_are_none_are_refused() {
    for text in ["hive", "192.168.1.1", "0.0.0.0:7420", "192.168.1.1:99999"] {
        let answers = [answer("advertise", Value::Text(text.into()))];
        let tried = try_out::<Network>(&samples::arch(), &answers);
        assert!(tried.problem("advertise").is_some(), "{text}");
    }
}

#[test]
fn networks_that_overlap_are_told() {
    let mut facts = samples::debian();
    let warnings = |facts: &Facts| {
        let found = Network::check(facts).into_iter();
        found
            .filter(|one| one.severity == Severity::Warning)
            .count()
    };
    assert_eq!(warnings(&facts), 0);
    facts.routes.push(Route {
        destination: "192.168.0.0/16".into(),
        gateway: None,
        network_interface: "docker0".into(),
    });
    assert_eq!(warnings(&facts), 1);
    facts.name_servers.clear();
    assert_eq!(warnings(&facts), 2);
}

#[test]
fn a_machine_without_a_network_is_told_so() {
    let mut facts = samples::debian();
    facts.interfaces.truncate(1);
    assert!(
        Network::check(&facts)[0]
            .what
            .contains("no network but its own")
    );
    let asked = try_out::<Network>(&facts, &[]);
    assert!(asked.plan.is_ok(), "it may get one later");
    facts.interfaces.push(NetworkInterface {
        name: "wlan0".into(),
        kind: LinkKind::Wireless,
        up: true,
        speed_mbit: 0,
        addresses: vec!["10.0.0.2/24".into()],
        default_route: true,
    });
    assert!(Network::check(&facts)[0].what.contains("wireless"));
}
