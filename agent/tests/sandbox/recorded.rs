//! Components that were built against earlier versions of the contract are linked and do what they did.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use skep::compiler::Compiled;
use skep::fleet::{Component, Fleet, FleetSettings, ModelSpec, Plugin};
use skep::host::installer::Facts;
use skep::host::{Installer, Scheduler, World, inspect};
use skep::protocol::{Event, FileSource, Settings, Timeouts};

use crate::bench::{all, cache, work};

/// Every version that was recorded, with its folder.
fn recorded() -> Vec<(String, PathBuf)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/compat");
    let entries = fs::read_dir(folder).unwrap().flatten();
    let folders = entries.filter(|entry| entry.path().is_dir());
    let found: Vec<_> = folders
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.path()))
        .collect();
    assert!(found.iter().any(|(version, _)| version == "0.1.0"));
    found
}

/// A fleet with one old engine in it.
fn fleet(component: PathBuf) -> Fleet {
    let settings = FleetSettings {
        executable: env!("CARGO_BIN_EXE_skep").into(),
        cache_dir: cache(),
        plugins: vec![Plugin {
            name: "old".to_owned(),
            component: Component::Path(component),
        }],
    };
    Fleet::start_with(settings, Timeouts::default()).unwrap()
}

fn model(path: PathBuf) -> ModelSpec {
    ModelSpec {
        name: "old".to_owned(),
        files: vec![FileSource::Path(path)],
        draft: None,
        plugin: "old".to_owned(),
        devices: Vec::new(),
        settings: Settings::default(),
        threads: Some(1),
        computes_on: Default::default(),
        memory_bytes: Some(1 << 30),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_engine_answers_requests() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model");
    fs::write(&path, b"").unwrap();
    for (version, folder) in recorded() {
        let fleet = fleet(folder.join("engine.wasm"));
        let id = fleet.load(model(path.clone())).await.unwrap();
        let exchange = fleet.submit(id, work("as ever it was", None)).unwrap();
        let (text, last) = all(exchange).await;
        assert_eq!(text, "as ever it was", "{version}");
        assert!(matches!(last, Event::Done(_)), "{version}: {last:?}");
    }
}

#[test]
fn an_old_scheduler_does_all_that_schedulers_must() {
    for (version, folder) in recorded() {
        let tried = Command::new(env!("CARGO_BIN_EXE_skep"))
            .args(["plugin", "test", "--json"])
            .arg(folder.join("scheduler.wasm"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&tried.stdout);
        let errors = String::from_utf8_lossy(&tried.stderr);
        assert!(tried.status.success(), "{version}: {said} {errors}");
        let report: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert!(report["checks"].as_array().unwrap().len() >= 8, "{said}");
        assert_eq!(report["passed"], true, "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_step_of_a_setup_describes_asks_plans_and_checks() {
    let compiled = Compiled::open(cache(), env!("CARGO_BIN_EXE_skep").into()).unwrap();
    for (version, folder) in recorded() {
        let component = fs::read(folder.join("installer.wasm")).unwrap();
        let path = compiled.obtain(World::Installer, &component).await.unwrap();
        let step = Installer::load("old", &path).unwrap();
        let facts = Facts::default();
        assert_eq!(step.describe().unwrap().needs.len(), 2, "{version}");
        assert_eq!(step.ask(&facts, &[]).unwrap()[0].id, "folder", "{version}");
        let planned = step.plan(&facts, &[]).unwrap().unwrap();
        assert_eq!(planned.actions.len(), 3, "{version}");
        assert_eq!(step.check(&facts).unwrap().len(), 1, "{version}");
    }
}

/// A component that imports all that its world had cannot be started where any of it is missing or of another type.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_a_plugin_could_import_is_still_linked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model");
    fs::write(&path, b"").unwrap();
    let compiled = Compiled::open(cache(), env!("CARGO_BIN_EXE_skep").into()).unwrap();
    for (version, folder) in recorded() {
        let refused = fleet(folder.join("all-engine.wasm"));
        let error = refused.load(model(path.clone())).await.unwrap_err();
        let error = error.to_string();
        // It was linked and called, and does nothing else than trap.
        let called = error.contains("trapped in `open`: wasm `unreachable`");
        assert!(called, "{version}: {error}");

        let component = fs::read(folder.join("all-scheduler.wasm")).unwrap();
        let path = compiled.obtain(World::Scheduler, &component).await.unwrap();
        Scheduler::load("old", &path).unwrap();

        let component = fs::read(folder.join("all-installer.wasm")).unwrap();
        let path = compiled.obtain(World::Installer, &component).await.unwrap();
        Installer::load("old", &path).unwrap();
    }
}

/// The names that components were built with: a host that grants fewer refuses plugins that people have.
#[test]
fn what_old_plugins_name_is_still_known() {
    for (version, folder) in recorded() {
        let mut tried = 0;
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            let found = inspect(&fs::read(&path).unwrap()).unwrap();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let world = name.trim_start_matches("all-");
            let known = found.world.map(World::name);
            assert_eq!(known, Some(world), "{version} {name}");
            assert!(found.ungranted().is_empty(), "{version} {name}: {found:?}");
            tried += 1;
        }
        assert!(tried >= 10, "{version}: {tried}");
    }
}
