//! Plugins on their way from one node to another, and what is done about bytes that are not what they should be.

use std::fs;

use skep_tests::lab::{Lab, Machine};

use super::{PATIENCE, component, keep, wait_until};
use crate::cluster::possible;

fn state(machine: &Machine, name: &str) -> String {
    let shown = machine.json(&["plugin", "show", name]);
    shown.map_or_else(
        |error| error.to_string(),
        |shown| shown["state"].to_string(),
    )
}

#[test]
fn what_is_added_on_one_node_runs_on_the_other_and_damage_is_mended() {
    if !possible() {
        return;
    }
    let mut lab = Lab::new(2).unwrap();
    for machine in &mut lab.machines {
        machine
            .settings
            .push(("SKEP_MODELS_DEFAULT".into(), String::new()));
    }
    lab.form().unwrap();
    lab.wait_for(2, PATIENCE).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let bytes = component("spread", "calm", "1.0.0", &[]);
    let file = keep(folder.path(), "calm.wasm", &bytes);
    let (one, two) = (&lab.machines[0], &lab.machines[1]);
    one.skep(&["plugin", "add", &file, "--yes"]).unwrap();
    wait_until("the other node has it", || {
        state(two, "calm") == "\"ready\""
    });
    two.skep(&["scheduler", "use", "calm"]).unwrap();
    let [shown, there] =
        [one, two].map(|machine| machine.json(&["plugin", "show", "calm"]).unwrap());
    assert_eq!(shown["digest"], there["digest"]);
    assert_eq!(shown["versions"], there["versions"]);

    // A byte of it changes on the second node's disk: it is noticed when it is read, set aside and fetched again.
    let digest = shown["digest"]
        .as_str()
        .unwrap()
        .trim_start_matches("sha256:");
    let kept = two
        .home()
        .join("plugins/sha256")
        .join(format!("{digest}.wasm"));
    assert_eq!(fs::read(&kept).unwrap(), bytes);
    let mut changed = bytes.clone();
    changed[bytes.len() / 2] ^= 1;
    fs::write(&kept, &changed).unwrap();
    // Whoever reads it: it is not used.
    two.skep(&["scheduler", "use", "spread"]).unwrap();
    let used = two.skep(&["scheduler", "use", "calm"]);
    if let Err(error) = used {
        assert!(error.to_string().contains("damaged"), "{error}");
    }
    wait_until("it was fetched again", || {
        fs::read(&kept).is_ok_and(|found| found == bytes)
    });
    two.skep(&["scheduler", "use", "calm"]).unwrap();
    let aside = fs::read_dir(kept.parent().unwrap()).unwrap().flatten();
    let aside = aside.filter(|entry| entry.file_name().to_string_lossy().starts_with("damaged-"));
    assert_eq!(aside.count(), 1);

    // Gone on one is gone on both, and nobody goes on deciding by it.
    one.skep(&["plugin", "remove", "calm"]).unwrap();
    wait_until("the other node has forgotten it", || {
        state(two, "calm").contains("no plugin")
    });
    wait_until("another scheduler decides there", || {
        let listed = two.json(&["scheduler", "ls"]).unwrap();
        listed["schedulers"][0]["name"] == "spread"
    });
}
