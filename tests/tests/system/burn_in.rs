//! Cards that are tested before they are relied on: two of them behind an emulated driver, one with a bit that is stuck.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use skep_tests::agent::binary;

use super::devices::{IN_TIME, Rig, cause, devices};

fn skep(rig: &Rig, arguments: &[&str]) -> (Option<i32>, String) {
    let said: Output = Command::new(binary())
        .args(arguments)
        .env("SKEP_HOME", rig.agent.home())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&said.stdout) + String::from_utf8_lossy(&said.stderr);
    (said.status.code(), text.into_owned())
}

fn id(card: u32) -> String {
    format!("GPU-{card}aa1b2c3-0000-1111-2222-333344445555")
}

#[test]
fn a_card_that_fails_its_burn_in_is_given_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("libcuda.so.1");
    let hw = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hw");
    super::build::build(&hw, &library);
    let allowed = format!("[\"{}\", \"{}\"]", id(0), id(1));
    let rig = Rig::start(
        // An emulated card is far slower than its bus could be.
        "devices 2\n0 bus_bits 0\n1 bus_bits 0\n",
        &[
            ("SKEP_NODE_CUDA_LIBRARY", library.to_str().unwrap()),
            ("SKEP_MODELS_DEVICES", &allowed),
            ("FAKE_CUDA_DEVICES", "2"),
            ("FAKE_CUDA_MEMORY_BYTES", "1048576"),
            ("FAKE_CUDA_STUCK_BIT", "200008:5:0"),
        ],
    );
    rig.until(IN_TIME, "two healthy cards", |top| {
        let cards = devices(top, "nvidia");
        cards.len() == 2 && cards.iter().all(|card| card["health"] == "healthy")
    });
    let burn_in = |more: &[&str]| {
        let command = ["node", "burn-in", "--minutes", "0"];
        skep(&rig, &[&command, more].concat())
    };
    let (code, said) = burn_in(&[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("this node has 3 cards"), "{said}");
    // One of NVIDIA's and one of AMD's have the number.
    let (code, said) = burn_in(&["--device", "0"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("this node has several cards `0`"), "{said}");

    let (code, said) = burn_in(&["--device", "GPU-1"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("pass: nothing speaks against it"), "{said}");
    let (code, said) = burn_in(&["--device", "GPU-0"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("walking: 1 word wrong"), "{said}");
    assert!(said.contains("byte 0x30d48 of "), "{said}");
    assert!(said.contains("wrong bit 5"), "{said}");

    let held = |top: &Value, card: usize| {
        let cards = devices(top, "nvidia");
        cause(cards[card], "lost", "burn_in").is_some()
    };
    rig.until(IN_TIME, "it is held against the card", |top| {
        held(top, 0) && !held(top, 1)
    });
    let (_, nodes) = skep(&rig, &["nodes"]);
    let told = format!("{} is lost: it failed its burn-in", id(0));
    assert!(nodes.contains(&told), "{nodes}");
    let (_, node) = skep(&rig, &["node"]);
    assert!(
        node.contains("it failed its burn-in, so it is given nothing"),
        "{node}"
    );

    let (code, said) = skep(&rig, &["load", "tiny"]);
    assert_eq!(code, Some(0), "{said}");
    let placed = |top: &Value| {
        let replica = &top["replicas"][0];
        (replica["state"] == "ready").then(|| replica["devices"].clone())
    };
    rig.until(
        Duration::from_secs(30),
        "the model is on the other card",
        |top| placed(top).is_some_and(|on| on == serde_json::json!([id(1)])),
    );
    // Nothing is tested under a model.
    let (code, said) = burn_in(&["--device", "GPU-1"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("runs `tiny`"), "{said}");

    let (code, said) = skep(&rig, &["node", "burn-in", "--device", "GPU-0", "--forget"]);
    assert_eq!(code, Some(0), "{said}");
    rig.until(IN_TIME, "nothing is held against it", |top| !held(top, 0));
}
