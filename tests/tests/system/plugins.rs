//! Plugins that an operator adds, from the first look to the last trace: real agents, real components, the command line.
#![allow(
    clippy::disallowed_methods,
    reason = "what other processes do has to be looked at again and again"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use skep::plugins::EMBEDDED;
use skep::plugins::manifest::{Manifest, embed};
use skep_tests::agent::Agent;
use skep_tests::hostile;

mod conformance;
mod nodes;
mod signatures;
mod sources;

/// Longer than anything here takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Nothing is loaded by itself, and plugins alone are looked at.
const BARE: (&str, &str) = ("SKEP_MODELS_DEFAULT", "");

/// A component of this binary under another manifest; `wants` are capabilities.
fn component(carried: &str, name: &str, version: &str, wants: &[&str]) -> Vec<u8> {
    let mut found = EMBEDDED.iter();
    let found = found.find(|plugin| plugin.name == carried);
    let found = found.expect("`cargo xtask plugins` makes the plugins that this test changes");
    let world = skep::plugins::manifest::extract(found.bytes).unwrap().world;
    with_manifest(found.bytes, name, version, &world, wants)
}

pub(super) fn with_manifest(
    component: &[u8],
    name: &str,
    version: &str,
    world: &str,
    wants: &[&str],
) -> Vec<u8> {
    let wanted = |wants: &&str| json!({ "wants": wants, "reason": format!("It needs {wants}.") });
    let wanted: Vec<Value> = wants.iter().map(wanted).collect();
    let manifest =
        json!({ "name": name, "version": version, "world": world, "capability": wanted });
    let manifest = Manifest::from_json(manifest.to_string().as_bytes()).unwrap();
    embed(component, &manifest).unwrap()
}

/// A scheduler that starts as it should and traps when it is asked.
fn trapping(name: &str, version: &str) -> Vec<u8> {
    let case = hostile::case("list_of_2_billion").unwrap();
    assert!(case.in_charge);
    with_manifest(&case.component, name, version, "scheduler", &[])
}

fn keep(folder: &Path, name: &str, component: &[u8]) -> String {
    let path: PathBuf = folder.join(name);
    fs::write(&path, component).unwrap();
    path.into_os_string().into_string().unwrap()
}

/// A command that has to succeed; what it printed.
fn well(agent: &Agent, arguments: &[&str]) -> String {
    let (done, printed, said) = agent.skep(arguments, "").unwrap();
    assert!(done, "skep {}: {said}", arguments.join(" "));
    printed
}

/// A command that has to fail; what it said.
fn ill(agent: &Agent, arguments: &[&str]) -> String {
    let (done, printed, said) = agent.skep(arguments, "").unwrap();
    assert!(!done, "skep {}: {printed}{said}", arguments.join(" "));
    said
}

fn show(agent: &Agent, name: &str) -> Value {
    parse(&well(agent, &["plugin", "show", name, "--json"]))
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The scheduler in charge.
fn in_charge(agent: &Agent) -> String {
    let listed = parse(&well(agent, &["scheduler", "ls", "--json"]));
    listed["schedulers"][0]["name"].as_str().unwrap().to_owned()
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What is granted, shown, taken away and asked about again.
#[test]
fn nothing_is_touched_that_nobody_agreed_to() {
    let folder = tempfile::tempdir().unwrap();
    let mut agent = Agent::start(&[BARE]).unwrap();
    let (api, new) = ("http:api.example.org", "http:new.example.org");
    let first = keep(
        folder.path(),
        "lab.wasm",
        &component("openai", "lab", "1.0.0", &[api]),
    );

    // Nobody agrees by accident.
    let said = ill(&agent, &["plugin", "add", &first]);
    assert!(said.contains(&format!("--yes --grant {api}")), "{said}");
    let said = ill(&agent, &["plugin", "add", &first, "--yes"]);
    assert!(
        said.contains("alone does not agree") && said.contains(&format!("--grant {api}")),
        "{said}"
    );
    for words in [
        "send requests to `api.example.org`",
        "“It needs http:api.example.org.”",
        "It may not touch:",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let said = ill(
        &agent,
        &[
            "plugin", "add", &first, "--yes", "--grant", api, "--grant", "secret:x",
        ],
    );
    assert!(said.contains("does not ask for `secret:x`"), "{said}");
    well(&agent, &["plugin", "add", &first, "--yes", "--grant", api]);

    let shown = show(&agent, "lab");
    assert_eq!(shown["granted"][0]["capability"], api);
    let (by, at) = (
        &shown["granted"][0]["granted_by"],
        &shown["granted"][0]["granted_unix_s"],
    );
    assert!(by.as_str().unwrap().starts_with("user "), "{by}");
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    assert!(now.as_secs().abs_diff(at.as_u64().unwrap()) < 600, "{at}");
    let text = well(&agent, &["plugin", "show", "lab"]);
    for words in [
        "may touch, because somebody agreed",
        "memory of one call: 128 MiB (SERVICE_MEMORY_BYTES)",
        "trusted signers: 32",
        "not signed",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }

    // What is taken away is told with who took it, and can be given again.
    well(&agent, &["plugin", "revoke", "lab", api]);
    let shown = show(&agent, "lab");
    assert_eq!(shown["granted"], json!([]));
    assert_eq!(shown["revoked"][0]["capability"], api);
    assert_eq!(&shown["revoked"][0]["revoked_by"], by);
    assert!(ill(&agent, &["plugin", "revoke", "lab", api]).contains("was not granted"));
    assert!(ill(&agent, &["plugin", "grant", "lab", new]).contains("does not ask for"));
    well(&agent, &["plugin", "grant", "lab", api]);
    assert_eq!(show(&agent, "lab")["revoked"], json!([]));

    // An update that touches no more needs no word; one that touches more does.
    let second = keep(
        folder.path(),
        "lab2.wasm",
        &component("openai", "lab", "1.1.0", &[api]),
    );
    well(&agent, &["plugin", "update", "lab", &second]);
    let again = well(&agent, &["plugin", "update", "lab", &second]);
    assert!(again.contains("already"), "{again}");
    let third = keep(
        folder.path(),
        "lab3.wasm",
        &component("openai", "lab", "1.2.0", &[api, new]),
    );
    let said = ill(&agent, &["plugin", "update", "lab", &third, "--yes"]);
    assert!(
        said.contains(&format!("--grant {new}")) && !said.contains(&format!("--grant {api}")),
        "{said}"
    );
    well(
        &agent,
        &["plugin", "update", "lab", &third, "--yes", "--grant", new],
    );
    assert_eq!(show(&agent, "lab")["version"], "1.2.0");
    let said = ill(&agent, &["plugin", "update", "lab", &first]);
    assert!(said.contains("--accept older-version"), "{said}");
    let other = keep(
        folder.path(),
        "calm.wasm",
        &component("spread", "lab", "2.0.0", &[]),
    );
    let said = ill(&agent, &["plugin", "update", "lab", &other, "--yes"]);
    assert!(said.contains("--accept other-world"), "{said}");

    // Going back: what only the newer version asked for, the older one does not have.
    well(&agent, &["plugin", "rollback", "lab"]);
    let shown = show(&agent, "lab");
    assert_eq!(
        (&shown["version"], &shown["versions"][1]["version"]),
        (&json!("1.1.0"), &json!("1.2.0"))
    );
    assert!(
        shown["versions"][1]["left"]
            .as_str()
            .unwrap()
            .contains("went back"),
        "{shown}"
    );
    let granted = shown["granted"].as_array().unwrap();
    let idle = granted
        .iter()
        .find(|grant| grant["capability"] == new)
        .unwrap();
    assert_eq!(idle["asked_for"], false);
    well(&agent, &["plugin", "rollback", "lab", "--to", "1.2.0"]);

    // All of it outlives the agent.
    let before = show(&agent, "lab");
    agent.restart(&[BARE]).unwrap();
    wait_until("the plugin is ready again", || {
        show(&agent, "lab")["state"] == "ready"
    });
    let after = show(&agent, "lab");
    for kept in [
        "version", "digest", "granted", "versions", "revoked", "manifest",
    ] {
        assert_eq!(before[kept], after[kept], "{kept}");
    }
    well(&agent, &["plugin", "remove", "lab"]);
    assert!(ill(&agent, &["plugin", "show", "lab"]).contains("there is no plugin `lab`"));
}

/// A scheduler of somebody else's decides, fails, is left, and goes.
#[test]
fn a_version_that_traps_is_left_for_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let mut agent = Agent::start(&[BARE, ("SKEP_SCHEDULER_POLICY", "calm")]).unwrap();
    // It is not there yet, and that is said.
    assert_eq!(in_charge(&agent), "spread");
    wait_until("its absence is told", || {
        well(&agent, &["scheduler", "ls", "--json"]).contains("there is no such plugin here")
    });
    let (_, printed, said) = agent.skep(&["doctor", "--offline"], "").unwrap();
    assert!(
        format!("{printed}{said}").contains("`scheduler.policy` names `calm`"),
        "{printed}{said}"
    );

    let good = keep(
        folder.path(),
        "calm.wasm",
        &component("spread", "calm", "1.0.0", &[]),
    );
    well(&agent, &["plugin", "add", &good, "--yes"]);
    wait_until("the scheduler that the configuration names decides", || {
        in_charge(&agent) == "calm"
    });
    let answer = |agent: &Agent| {
        agent
            .skep(&["run", "tiny", "fn", "--max-tokens", "1"], "")
            .unwrap()
            .0
    };
    assert!(answer(&agent));
    let used = &show(&agent, "calm")["usage"][0];
    assert!(
        used["calls"].as_u64().unwrap() > 0 && used["fuel"].as_u64().unwrap() > 0,
        "{used}"
    );
    assert!(
        used["resident_bytes"].as_u64().unwrap() >= 64 << 10,
        "{used}"
    );
    let said = ill(&agent, &["plugin", "remove", "calm"]);
    assert!(
        said.contains("is used by the scheduling") && said.contains("--force"),
        "{said}"
    );

    // One that does not even start never takes over.
    let broken = hostile::case("trap_in_start").unwrap();
    let broken = with_manifest(&broken.component, "calm", "1.0.1", "scheduler", &[]);
    let broken = keep(folder.path(), "broken.wasm", &broken);
    let said = ill(&agent, &["plugin", "update", "calm", &broken]);
    assert!(
        said.contains("it does not work here") && said.contains("unreachable"),
        "{said}"
    );
    assert_eq!(show(&agent, "calm")["version"], "1.0.0");

    // One that traps later is left after three times, and every request was answered.
    let trapping = keep(folder.path(), "trapping.wasm", &trapping("calm", "1.1.0"));
    well(&agent, &["plugin", "update", "calm", &trapping]);
    wait_until("the new version decides", || {
        let listed = well(&agent, &["scheduler", "ls", "--json"]);
        let digest =
            show(&agent, "calm")["digest"].as_str().unwrap()["sha256:".len()..][..12].to_owned();
        parse(&listed)["schedulers"][0]["source"]
            .as_str()
            .unwrap()
            .contains(&digest)
    });
    wait_until("it was left", || {
        assert!(answer(&agent));
        show(&agent, "calm")["version"] == "1.0.0"
    });
    let left = show(&agent, "calm")["versions"][1]["left"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        left.contains("failed too often") && left.contains("`route`"),
        "{left}"
    );
    assert_eq!(in_charge(&agent), "calm");

    // It is in charge again after a restart, and no more once it is gone.
    agent
        .restart(&[BARE, ("SKEP_SCHEDULER_POLICY", "calm")])
        .unwrap();
    wait_until("it decides again", || in_charge(&agent) == "calm");
    well(&agent, &["plugin", "remove", "calm", "--force"]);
    wait_until("another decides", || in_charge(&agent) == "spread");
    assert!(answer(&agent));
}

/// What is no plugin is refused with its reason, before anybody is asked, and nothing of it stays.
#[test]
fn what_is_no_plugin_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let agent = Agent::start(&[BARE]).unwrap();
    let good = component("spread", "calm", "1.0.0", &[]);
    let mut cut = good.clone();
    cut.truncate(good.len() / 2);
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 0x40;
    let world = component("openai", "calm", "1.0.0", &[]);
    let world = with_manifest(&world, "calm", "1.0.0", "scheduler", &[]);
    let carried = component("openai", "spread", "1.0.0", &[]);
    let plain = wat::parse_str("(component)").unwrap();
    let huge = folder.path().join("huge.wasm");
    fs::File::create(&huge).unwrap().set_len(300 << 20).unwrap();
    let huge = huge.into_os_string().into_string().unwrap();
    let said = ill(&agent, &["plugin", "add", &huge, "--yes"]);
    assert!(said.contains("which is the limit"), "{said}");
    for (name, bytes, expected) in [
        ("empty", Vec::new(), "it is not WebAssembly"),
        ("text", b"#!/bin/sh\n".to_vec(), "it is not WebAssembly"),
        (
            "module",
            b"\0asm\x01\0\0\0".to_vec(),
            "it cannot be a plugin",
        ),
        ("cut", cut, "it cannot be a plugin"),
        ("flipped", flipped, ""),
        ("plain", plain, "exports no world"),
        ("world", world, "it is made for `upstream`"),
        ("carried", carried, "comes with skep"),
    ] {
        let path = keep(folder.path(), name, &bytes);
        // A flipped bit may do no harm; then it is another plugin, and no error.
        let (done, _, said) = agent.skep(&["plugin", "add", &path, "--yes"], "").unwrap();
        assert!(
            name == "flipped" || !done && said.contains(expected),
            "{name}: {said}"
        );
        if done {
            well(&agent, &["plugin", "remove", "calm"]);
        }
    }
    // What means harm and says so only when it is tried.
    for name in [
        "loop_in_start",
        "loop_in_observe",
        "memory_of_4_gib",
        "recursion_in_start",
        "table_of_4_billion",
    ] {
        let case = hostile::case(name).unwrap();
        let bytes = with_manifest(&case.component, "calm", "1.0.0", "scheduler", &[]);
        let path = keep(folder.path(), name, &bytes);
        let said = ill(&agent, &["plugin", "add", &path, "--yes"]);
        let expected = case.expected.iter().any(|word| said.contains(word));
        assert!(
            said.contains("it does not work here") && expected,
            "{name}: {said}"
        );
    }
    let listed = parse(&well(&agent, &["plugin", "ls", "--json"]));
    let added = listed["plugins"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["carried"] == false);
    assert_eq!(added.count(), 0);
}

/// An engine that was added runs the models for which it is named, and is missed when it is gone.
#[test]
fn a_model_runs_on_the_engine_that_is_named_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut agent = Agent::start(&[BARE]).unwrap();
    let path = keep(
        folder.path(),
        "mind.wasm",
        &component("llama", "mind", "1.0.0", &[]),
    );
    well(&agent, &["plugin", "add", &path, "--yes"]);
    let config = skep::paths::Paths::under(agent.home())
        .unwrap()
        .config_file();
    fs::create_dir_all(config.parent().unwrap()).unwrap();
    fs::write(config, "[models.engines]\ntiny = \"mind\"\n").unwrap();
    agent.restart(&[BARE]).unwrap();

    let ask = ["run", "tiny", "The borrow checker", "--temperature", "0"];
    assert!(!well(&agent, &ask).trim().is_empty());
    let running = parse(&well(&agent, &["ps", "--json"]));
    assert_eq!(running["replicas"][0]["plugin"], json!("mind"), "{running}");
    let said = ill(&agent, &["plugin", "remove", "mind"]);
    assert!(said.contains("the model `tiny`"), "{said}");

    well(&agent, &["plugin", "remove", "mind", "--force"]);
    agent.restart(&[BARE]).unwrap();
    let said = ill(&agent, &ask);
    assert!(said.contains("no engine plugin named `mind`"), "{said}");
}
