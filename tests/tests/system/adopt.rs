//! A machine finds another on its network and adopts it: the same digits on both, said by hand on both.
#![allow(
    clippy::disallowed_methods,
    reason = "what other processes do has to be looked at again and again"
)]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use skep_tests::agent::binary;
use skep_tests::lab::{Lab, Machine};

use crate::cluster::{possible, wait_until};

const PATIENCE: Duration = Duration::from_secs(60);

/// A command that shows digits and asks.
struct Asking {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Asking {
    fn begin(machine: &Machine, arguments: &[&str]) -> Self {
        let mut child = machine
            .inside(&binary())
            .args(arguments)
            .arg("--json")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("no line of JSON: `{line}`"))
    }

    fn answer(&mut self, text: &str) {
        let mut input = self.child.stdin.take().unwrap();
        input.write_all(text.as_bytes()).unwrap();
    }

    fn ends_well(mut self) -> bool {
        self.child.wait().unwrap().success()
    }
}

/// What one machine says of the other.
fn neighbour(from: &Machine, name: &str) -> Option<Value> {
    let found = from.json(&["discover"]).ok()?;
    let all = found["neighbours"].as_array()?;
    all.iter().find(|one| one["name"] == json!(name)).cloned()
}

#[test]
fn a_machine_that_waits_is_found_and_adopted_by_the_same_digits() {
    if !possible() {
        return;
    }
    let mut lab = Lab::new(2).unwrap();
    for machine in &mut lab.machines {
        let nothing = ("SKEP_MODELS_DEFAULT".into(), String::new());
        machine.settings.push(nothing);
        machine.start().unwrap();
    }
    let (hive, swarm) = (&lab.machines[0], &lab.machines[1]);
    // Who does not wait is not heard at all.
    assert!(neighbour(hive, "n2").is_none());
    let mut waiting = Asking::begin(swarm, &["join", "--wait"]);
    assert_eq!(waiting.line()["open"], json!(true));
    wait_until("it is heard that one waits", || {
        Ok(neighbour(hive, "n2").is_some_and(|one| one["adoptable"] == json!(true)))
    })
    .unwrap();
    let heard = neighbour(hive, "n2").unwrap();
    assert!(
        heard["why"]
            .as_str()
            .unwrap()
            .contains("skep node adopt n2"),
        "{heard}"
    );

    // Said no to on one side: nothing comes of it.
    let mut adopting = Asking::begin(hive, &["node", "adopt", "n2"]);
    let (ours, theirs) = (adopting.line(), waiting.line());
    assert_eq!(ours["code"], theirs["code"]);
    adopting.answer("yes\n");
    waiting.answer("no\n");
    assert!(!waiting.ends_well());
    assert_eq!(adopting.line()["state"], json!("refused"));
    assert!(!adopting.ends_well());
    assert_eq!(hive.up().unwrap(), ["n1"]);

    let mut waiting = Asking::begin(swarm, &["join", "--wait", "--for", "5m"]);
    waiting.line();
    wait_until("it is heard that one waits", || {
        Ok(neighbour(hive, "n2").is_some_and(|one| one["adoptable"] == json!(true)))
    })
    .unwrap();
    let mut adopting = Asking::begin(hive, &["node", "adopt", "n2"]);
    let (ours, theirs) = (adopting.line(), waiting.line());
    assert_eq!(ours["code"], theirs["code"]);
    assert_eq!(
        (&ours["role"], &theirs["role"]),
        (&json!("adopter"), &json!("adopted"))
    );
    assert_eq!(
        (&ours["name"], &theirs["name"]),
        (&json!("n2"), &json!("n1"))
    );
    adopting.answer("yes\n");
    waiting.answer("yes\n");
    assert_eq!(adopting.line()["state"], json!("joined"));
    assert_eq!(waiting.line()["state"], json!("joined"));
    assert!(adopting.ends_well() && waiting.ends_well());
    lab.wait_for(2, PATIENCE).unwrap();
    let (hive, swarm) = (&lab.machines[0], &lab.machines[1]);
    // It does not wait any more, and is somebody's.
    let offer = swarm.request("PUT", "/api/v1/cluster/offer", "{}").unwrap();
    assert_eq!(offer.0, 409, "{}", offer.1);
    let heard = neighbour(hive, "n2").unwrap();
    assert_eq!(
        (&heard["adoptable"], &heard["usable"]),
        (&json!(false), &json!(true)),
        "{heard}"
    );
}

/// Machines that say nothing on the local network are found at listed places, and adopted by name.
#[test]
fn a_machine_that_says_nothing_is_found_where_it_is_listed() {
    if !possible() {
        return;
    }
    let mut lab = Lab::new(2).unwrap();
    let there = format!("{}:7420", lab.machines[1].address);
    for machine in &mut lab.machines {
        let mut set = |key: &str, value: &str| machine.settings.push((key.into(), value.into()));
        set("SKEP_MODELS_DEFAULT", "");
        set("SKEP_CLUSTER_ANNOUNCE", "false");
        set(
            "SKEP_CLUSTER_LOOK",
            &json!([&there, "nobody.invalid:7420"]).to_string(),
        );
        machine.start().unwrap();
    }
    let (hive, swarm) = (&lab.machines[0], &lab.machines[1]);
    // Who does not wait does not answer; both places are told of, each with what is wrong.
    let silent = neighbour(hive, &there).unwrap();
    assert!(silent["why"].as_str().unwrap().contains("nobody answers"));
    let unknown = neighbour(hive, "nobody.invalid:7420").unwrap();
    assert!(
        unknown["why"].as_str().unwrap().contains("address"),
        "{unknown}"
    );

    let mut waiting = Asking::begin(swarm, &["join", "--wait"]);
    assert_eq!(waiting.line()["open"], json!(true));
    let heard = neighbour(hive, "n2").unwrap();
    assert_eq!(heard["adoptable"], json!(true), "{heard}");
    assert_eq!(heard["addresses"], json!([there]), "{heard}");
    assert!(neighbour(hive, &there).is_none());
    let mut adopting = Asking::begin(hive, &["node", "adopt", "n2"]);
    assert_eq!(adopting.line()["code"], waiting.line()["code"]);
    adopting.answer("yes\n");
    waiting.answer("yes\n");
    assert!(adopting.ends_well() && waiting.ends_well());
    lab.wait_for(2, PATIENCE).unwrap();
    let heard = neighbour(&lab.machines[0], "n2").unwrap();
    assert_eq!(heard["usable"], json!(true), "{heard}");
}
