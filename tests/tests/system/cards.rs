//! Models on a card: the whole way from a request to the kernels' own sources, over a driver that emulates them.

use std::path::Path;
use std::process::{Command, Output};

use skep_tests::agent::{Agent, binary};

fn skep(agent: &Agent, arguments: &[&str]) -> Output {
    Command::new(binary())
        .args(arguments)
        .env("SKEP_HOME", agent.home())
        .output()
        .unwrap()
}

/// The likeliest tokens after `fn main`.
fn answer(agent: &Agent) -> String {
    let said = skep(
        agent,
        &[
            "run",
            "tiny",
            "fn main",
            "--max-tokens",
            "8",
            "--temperature",
            "0",
        ],
    );
    assert!(
        said.status.success(),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
    String::from_utf8(said.stdout).unwrap()
}

#[test]
fn a_model_on_a_card_says_what_it_says_on_the_processor() {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("libcuda.so.1");
    super::build::build(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("../hw"),
        &library,
    );
    let path = library.to_str().unwrap();
    let processor = Agent::start(&[]).unwrap();
    let expected = answer(&processor);
    assert!(!expected.trim().is_empty());
    for device in ["cuda", "auto"] {
        let card = Agent::start(&[
            ("SKEP_NODE_DEVICE", device),
            ("SKEP_NODE_CUDA_LIBRARY", path),
        ])
        .unwrap();
        assert_eq!(answer(&card), expected, "{device}");
        let shown = skep(&card, &["ps", "--json"]);
        let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
        let text = shown.to_string();
        assert!(text.contains("Emulated device 0"), "{device}: {text}");
    }
}

/// Also with lavapipe, which is no card, and with a library that is none. A machine with a card takes that.
#[test]
fn without_a_card_the_processor_is_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("libcuda.so.1");
    std::fs::write(&library, "no library").unwrap();
    let agent = Agent::start(&[
        ("SKEP_NODE_DEVICE", "auto"),
        ("SKEP_NODE_CUDA_LIBRARY", library.to_str().unwrap()),
    ])
    .unwrap();
    assert!(!answer(&agent).trim().is_empty());
    if !Path::new("/dev/dri").exists() && !Path::new("/dev/kfd").exists() {
        let shown = skep(&agent, &["ps", "--json"]);
        let shown = String::from_utf8(shown.stdout).unwrap();
        assert!(shown.contains(" thread"), "{shown}");
    }
}

/// On the processor by Mesa's lavapipe, unless the machine has a card that comes first.
#[test]
fn a_model_by_vulkan_says_what_it_says_on_the_processor() {
    // `cargo xtask test` sets it where lavapipe is, and says so where it is not.
    if std::env::var_os("SKEP_EXPECT_LAVAPIPE").is_none() {
        return;
    }
    let card = Agent::start(&[("SKEP_NODE_DEVICE", "vulkan:0")]).unwrap();
    let processor = Agent::start(&[]).unwrap();
    let found = answer(&card);
    assert!(!found.trim().is_empty());
    assert_eq!(found, answer(&processor));
    let shown = skep(&card, &["ps", "--json"]);
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    // A processor's name ends with its threads and its instructions.
    let text = shown.to_string();
    assert!(!text.contains(" thread"), "{text}");
}

#[test]
fn a_card_that_is_not_there_is_told_with_what_to_do() {
    let agent = Agent::start(&[
        ("SKEP_NODE_DEVICE", "cuda:3"),
        ("SKEP_NODE_CUDA_LIBRARY", "/there/is/no/libcuda.so.1"),
    ])
    .unwrap();
    let said = skep(&agent, &["run", "tiny", "fn main", "--max-tokens", "1"]);
    assert!(!said.status.success());
    let why = String::from_utf8(said.stderr).unwrap();
    assert!(why.contains("/there/is/no/libcuda.so.1"), "{why}");
    assert!(why.contains("node.device"), "{why}");
}
