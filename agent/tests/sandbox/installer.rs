//! A step of a setup that goes wrong ends its call with words that name the cause, and the next call finds a fresh instance.

use skep::fleet::{Component, Plugin};
use skep::host::installer::{Action, Answer, Facts, Value};
use skep::host::{Fault, Installer};

use crate::bench::{Bench, guest};

/// A machine whose node's name is a vice.
fn named(vice: &str) -> Facts {
    let mut facts = Facts::default();
    facts.agent.node = vice.to_owned();
    facts
}

fn folder(value: Value) -> Vec<Answer> {
    vec![Answer {
        id: "folder".to_owned(),
        value,
    }]
}

async fn misstep(bench: &Bench) -> Installer {
    let plugin = Plugin {
        name: "misstep".to_owned(),
        component: Component::Path(guest("misstep")),
    };
    bench.fleet.installer(&plugin).await.unwrap()
}

fn check<T: std::fmt::Debug>(vice: &str, cause: &str, answer: Result<T, Fault>) {
    let said = answer.unwrap_err().to_string();
    assert!(said.contains(cause), "{vice}: {said}");
    assert!(said.contains("`misstep`"), "{vice}: {said}");
    assert!(said.len() < 400, "{vice}: {said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_vice_of_a_step_is_contained() {
    let bench = Bench::new();
    let step = misstep(&bench).await;
    let good = step.ask(&named("hive"), &[]).unwrap();
    for (vice, cause) in [
        ("loop", "used more than 1000000000 units of work in `ask`"),
        ("grow", "reached its memory limit of 64 MiB in `ask`"),
        ("panic", "trapped in `ask`"),
        ("flood", "65 questions, and 64 are the most"),
        ("vast", "trapped in `ask`: too much data"),
        ("twice", "two questions have the id `folder`"),
        ("id", "`A question?` is no id"),
        ("bounds", "has no number between its bounds"),
        ("default", "has a default that is no answer to it"),
        ("options", "has the same option twice"),
    ] {
        check(vice, cause, step.ask(&named(vice), &[]));
        // Nothing of it is left.
        assert_eq!(step.ask(&named("hive"), &[]).unwrap(), good, "{vice}");
    }
    for (vice, cause) in [
        ("actions", "129 actions, and 128 are the most"),
        ("notes", "33 notes, and 32 are the most"),
        ("heavy", "trapped in `plan`: too much data"),
    ] {
        check(vice, cause, step.plan(&named(vice), &[]));
    }
    check(
        "alarm",
        "65 findings, and 64 are the most",
        step.check(&named("alarm")),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_are_cut_and_made_printable_and_nothing_is_remembered() {
    let bench = Bench::new();
    let step = misstep(&bench).await;
    let babble = step.ask(&named("babble"), &[]).unwrap();
    assert_eq!(babble[0].label, "\\u{1b}[2J\\u{202e}");
    for _ in 0..3 {
        let asked = step.ask(&named("remember"), &[]).unwrap();
        assert_eq!(asked[0].label, "asked 1 times");
    }
    let why = step.plan(&named("refuse"), &[]).unwrap().unwrap_err();
    assert!(why.starts_with("no, no, ") && why.len() <= 2_048);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_step_describes_asks_plans_and_checks() {
    let bench = Bench::new();
    let step = misstep(&bench).await;
    let described = step.describe().unwrap();
    assert_eq!(described.title, "A misstep");
    assert_eq!(described.needs.len(), 2);
    let mut facts = named("hive");
    facts.system.os_name = "Debian".to_owned();
    let wrong = step
        .ask(&facts, &folder(Value::Text("models".into())))
        .unwrap();
    assert!(wrong[0].problem.as_deref().unwrap().contains('/'));
    let answers = folder(Value::Text("/mnt/models".into()));
    assert_eq!(step.ask(&facts, &answers).unwrap()[0].problem, None);
    let proposal = step.plan(&facts, &answers).unwrap().unwrap();
    let Action::MakeFolder(made) = &proposal.actions[0].action else {
        panic!("{proposal:?}");
    };
    assert_eq!(made.path, "/mnt/models");
    let found = step.check(&facts).unwrap();
    assert_eq!(found[0].evidence, "the system is `Debian`");
    let most = step.most();
    assert!(most.fuel > 0 && most.fuel < 10_000_000, "{most:?}");
    assert!(
        most.memory_bytes > 0 && most.memory_bytes < 4 << 20,
        "{most:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_of_another_world_is_no_step() {
    let bench = Bench::new();
    let plugin = Plugin {
        name: "astray".to_owned(),
        component: Component::Path(guest("astray")),
    };
    let error = bench.fleet.installer(&plugin).await.unwrap_err();
    assert!(
        error.contains("a plugin of the world `scheduler` and not of `installer`"),
        "{error}"
    );
}

/// Those that this binary carries, each on every made-up machine of `skep plugin test`.
#[test]
fn every_step_that_comes_with_skep_does_all_that_steps_must() {
    let folder = tempfile::tempdir().unwrap();
    let carried = skep::plugins::EMBEDDED.iter();
    for plugin in carried.filter(|plugin| plugin.name.starts_with("step-")) {
        let path = folder.path().join(format!("{}.wasm", plugin.name));
        std::fs::write(&path, plugin.bytes).unwrap();
        let tried = std::process::Command::new(env!("CARGO_BIN_EXE_skep"))
            .args(["plugin", "test"])
            .arg(&path)
            .env("SKEP_HOME", folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&tried.stdout);
        assert!(tried.status.success(), "{}: {said}", plugin.name);
    }
}
