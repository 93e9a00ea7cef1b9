//! Two machines from nothing to a cluster that answers, each by one command with a file of answers.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use skep_tests::lab::{Lab, Machine};

use super::parts::plugin;
use crate::cluster::possible;

const PATIENCE: Duration = Duration::from_secs(60);

fn set_up(machine: &Machine, answers: &str) -> Value {
    let file = machine.home().join("answers.toml");
    fs::write(&file, answers).unwrap();
    machine
        .json(&["setup", "--from", file.to_str().unwrap(), "--yes"])
        .unwrap()
}

fn outcomes(done: &Value) -> Vec<(String, String)> {
    let parts = done["parts"].as_array().unwrap().iter();
    let named = parts.filter(|part| part["outcome"] != "skipped");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    named
        .map(|part| (text(&part["part"]), text(&part["outcome"])))
        .collect()
}

#[test]
fn two_machines_are_set_up_from_files_and_answer() {
    if !possible() {
        return;
    }
    let mut lab = Lab::new(2).unwrap();
    for machine in &mut lab.machines {
        machine.start().unwrap();
    }
    let [one, two] = &lab.machines[..] else {
        panic!("two machines were asked for");
    };
    for machine in [one, two] {
        machine
            .skep(&["plugin", "add", &plugin(machine.home()), "--yes"])
            .unwrap();
    }
    let answers = |machine: &Machine| {
        let folder = machine.home().join("models");
        format!(
            "[step-network]\nannounce = false\n[step-resources]\nidle = 60\n[waymark]\nfolder = \"{}\"\n",
            folder.display()
        )
    };
    let all = |outcome: &str| -> Vec<(String, String)> {
        let parts = ["step-network", "step-resources", "waymark"];
        parts
            .map(|part| (part.to_owned(), outcome.to_owned()))
            .to_vec()
    };

    let done = set_up(one, &format!("finish = false\n{}", answers(one)));
    assert_eq!(outcomes(&done), all("applied"), "{done}");
    assert_eq!(done["finished"], false);
    let token = one.skep(&["token", "new"]).unwrap();
    let joining = format!("{}[cluster]\ntoken = \"{}\"\n", answers(two), token.trim());
    let done = set_up(two, &joining);
    assert_eq!(outcomes(&done), all("applied"), "{done}");
    assert_eq!(done["finished"], true, "{done}");
    let tests = done["tests"].as_array().unwrap();
    let of = |id: &str| {
        tests
            .iter()
            .find(|test| test["id"] == id)
            .map(|test| &test["state"])
    };
    for id in [
        "reached",
        "connected-n1",
        "answer-n1",
        "answer-n2",
        "host",
        "origin",
        "key",
        "link",
        "processor",
        "disk",
    ] {
        assert_eq!(of(id), Some(&json!("passed")), "{id}: {done}");
    }
    lab.wait_for(2, PATIENCE).unwrap();
    let settings = fs::read_to_string(one.home().join("config.toml")).unwrap();
    for set in [
        "announce = false",
        "idle_unload_s = 3600",
        "name = \"hive\"",
    ] {
        assert!(settings.contains(set), "{settings}");
    }

    // A chat, as any client has it.
    let chat = json!({ "model": "tiny", "max_tokens": 8, "messages": [{ "role": "user", "content": "Hello" }] });
    for machine in [one, two] {
        let (status, text) = machine
            .request("POST", "/v1/chat/completions", &chat.to_string())
            .unwrap();
        assert_eq!(status, 200, "{text}");
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert!(
            !answer["choices"][0]["message"]["content"]
                .as_str()
                .unwrap()
                .is_empty(),
            "{answer}"
        );
    }

    // The same once more changes nothing, though the setup is closed by now.
    let kept = |machine: &Machine| {
        let runs = machine.json(&["setup", "status"]).unwrap()["runs"].clone();
        let settings = fs::read(machine.home().join("config.toml")).unwrap();
        (
            runs,
            settings,
            fs::read(machine.home().join("models/README")).unwrap(),
        )
    };
    let before = [kept(one), kept(two)];
    let again = set_up(two, &format!("tests = false\n{joining}"));
    assert_eq!(outcomes(&again), all("unchanged"), "{again}");
    let again = set_up(one, &answers(one));
    assert_eq!(outcomes(&again), all("unchanged"), "{again}");
    assert_eq!(again["finished"], true);
    assert_eq!([kept(one), kept(two)], before);
    assert_eq!(
        two.json(&["setup", "status"]).unwrap()["setup"]["state"],
        "closed"
    );
    assert!(two.skep(&["setup", "link"]).is_err());
}

/// With `--lan` the link is one that a phone can open; commands on the machine believe the certificate that was made there, and
/// everybody else needs a key.
#[test]
fn on_the_local_network_it_is_reached_by_tls_and_with_a_key() {
    if !possible() {
        return;
    }
    let mut lab = Lab::new(1).unwrap();
    let machine = &mut lab.machines[0];
    machine
        .settings
        .push(("SKEP_HTTP_LISTEN".to_owned(), "127.0.0.1:7420".to_owned()));
    machine.start_with(&["up", "--lan"]).unwrap();
    let link = machine.skep(&["setup", "link"]).unwrap();
    assert!(
        link.starts_with(&format!("https://{}:7420/#setup=", machine.address)),
        "{link}"
    );
    let file = machine.home().join("answers.toml");
    fs::write(&file, "finish = false\n").unwrap();
    let done = machine
        .json(&["setup", "--from", file.to_str().unwrap(), "--yes"])
        .unwrap();
    let tests = done["tests"].as_array().unwrap();
    let found = |id: &str| tests.iter().find(|test| test["id"] == id).unwrap();
    for id in ["reached", "host", "origin", "key", "link"] {
        assert_eq!(found(id)["state"], "passed", "{done}");
    }
    let reached = found("reached")["evidence"][0].as_str().unwrap();
    assert!(
        reached.starts_with(&format!("https://{}:7420/", machine.address)),
        "{reached}"
    );
    assert!(
        found("key")["evidence"]
            .to_string()
            .contains("/v1/models: refused with 401"),
        "{done}"
    );
    // It is kept: whoever agreed to it once is not asked again.
    let certificate = machine.home().join("state/tls/certificate.pem");
    let before = fs::read(&certificate).unwrap();
    machine.stop().unwrap();
    machine.start_with(&["up", "--lan"]).unwrap();
    assert_eq!(fs::read(&certificate).unwrap(), before);
}
