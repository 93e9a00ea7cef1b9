//! `skep plugin test`, on plugins that keep their worlds' contracts and on some that keep nothing.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use skep::plugins::EMBEDDED;
use skep_tests::agent::binary;

use super::{keep, with_manifest};

/// What it says of a component, and whether it ended well.
fn report(component: &str, set: &[&str]) -> (bool, Value) {
    let run = Command::new(binary())
        .args(["plugin", "test", component, "--json"])
        .args(set)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    let report = serde_json::from_str(&said)
        .unwrap_or_else(|_| panic!("{said}{}", String::from_utf8_lossy(&run.stderr)));
    (run.status.success(), report)
}

#[test]
fn plugins_of_this_binary_keep_their_worlds() {
    let folder = tempfile::tempdir().unwrap();
    for (name, set, tried) in [
        (
            "webhook",
            &[][..],
            "it has the host try again when later may be better",
        ),
        (
            "discord",
            &["--set", "channel=123456789012345678"],
            "it takes no broken answer for a delivery",
        ),
        ("openai", &[], "it takes no part of an answer for all of it"),
        ("llama", &[], "it goes on where another instance left off"),
    ] {
        let found = EMBEDDED.iter().find(|plugin| plugin.name == name);
        let found = found.expect("`cargo xtask plugins` makes the plugins of this binary");
        let path = keep(folder.path(), &format!("{name}.wasm"), found.bytes);
        let (well, report) = report(&path, set);
        let checks = report["checks"].as_array().unwrap();
        let faults: Vec<&Value> = checks
            .iter()
            .filter(|check| !check["fault"].is_null())
            .collect();
        assert!(well && faults.is_empty(), "{name}: {faults:#?}");
        let one = checks.iter().find(|check| check["name"] == tried).unwrap();
        assert!(one["left_out"].is_null(), "{name}: {one}");
    }
}

#[test]
fn one_that_keeps_nothing_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("compat/0.1.0");
    for world in ["notifier", "upstream", "engine"] {
        let bytes = std::fs::read(recorded.join(format!("all-{world}.wasm"))).unwrap();
        let component = with_manifest(&bytes, "hollow", "0.1.0", world, &[]);
        let path = keep(folder.path(), &format!("{world}.wasm"), &component);
        let (well, report) = report(&path, &[]);
        assert!(!well && report["passed"] == false, "{world}: {report:#}");
        let first = &report["checks"][0]["fault"];
        assert!(
            first.as_str().unwrap().contains("trapped"),
            "{world}: {first}"
        );
    }
}
