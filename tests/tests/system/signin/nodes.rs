//! People of a cluster: who may sign in at one of its nodes may at each.
#![allow(
    clippy::disallowed_methods,
    reason = "that the other node has heard of something has to be looked at again and again"
)]

use std::time::Instant;

use super::directory::{Directory, LOOKER};
use super::*;

const NETWORK: (&str, &str) = ("SKEP_CLUSTER_LISTEN", "127.0.0.1:0");

/// Until signing in there is answered with this status.
fn wait_for(agent: &Agent, name: &str, password: &str, status: u16) -> String {
    let begun = Instant::now();
    loop {
        let (found, text) = Browser::new(agent).sign_in(name, password);
        if found == status {
            return text;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{found}: {text}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn well(agent: &Agent, arguments: &[&str], input: &str) -> String {
    let (done, told, said) = agent.skep(arguments, input).unwrap();
    assert!(done, "{arguments:?}: {told}{said}");
    told
}

#[test]
fn who_signs_in_at_one_node_signs_in_at_each() {
    let hive = Agent::start(&[NETWORK, NO_MODEL]).unwrap();
    let other = Agent::start(&[NETWORK, NO_MODEL]).unwrap();
    let token: Value = serde_json::from_str(&well(&hive, &["token", "new", "--json"], "")).unwrap();
    well(&other, &["join", token["token"].as_str().unwrap()], "");

    add(&hive, "ada", "admin", "correct horse");
    wait_for(&other, "ada", "correct horse", 204);
    assert_eq!(Browser::new(&other).sign_in("ada", "wrong").0, 401);
    let mut ada = Browser::new(&other);
    assert_eq!(ada.sign_in("ada", "correct horse").0, 204);
    // What one node gave, another does not take: sessions are each node's own.
    let elsewhere = Browser {
        agent: &hive,
        cookie: ada.cookie.clone(),
    };
    assert_eq!(elsewhere.user(), Value::Null);
    well(
        &hive,
        &["user", "passwd", "ada", "--password-stdin"],
        "battery staple",
    );
    wait_for(&other, "ada", "battery staple", 204);
    assert_eq!(ada.user(), Value::Null);
    // A node that does not vote makes nobody an administrator.
    let (done, _, said) = other
        .skep(
            &["user", "add", "eve", "--role", "admin", "--password-stdin"],
            "correct horse",
        )
        .unwrap();
    assert!(!done && said.contains("does not decide"), "{said}");

    let Some(directory) = Directory::start() else {
        return;
    };
    let file = directory.settings(&hive, "");
    well(
        &hive,
        &["sign-in", "set", "--from", &file, "--secret-stdin"],
        LOOKER,
    );
    wait_for(&other, "bob", "battery staple", 502);
    well(&other, &["secret", "set", "sign-in-ldap"], LOOKER);
    let told = wait_for(&other, "bob", "battery staple", 403);
    assert!(
        told.contains("known_elsewhere") && told.contains("sign in once on"),
        "{told}"
    );
    assert_eq!(Browser::new(&other).sign_in("bob", "wrong").0, 401);
    assert_eq!(Browser::new(&hive).sign_in("bob", "battery staple").0, 204);
    wait_for(&other, "bob", "battery staple", 204);
    well(&hive, &["user", "disable", "bob"], "");
    wait_for(&other, "bob", "battery staple", 401);
}
