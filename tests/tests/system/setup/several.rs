//! Several who set a machine up at once, one who goes away in the middle, and a disk without room.
#![allow(
    clippy::disallowed_methods,
    reason = "what other processes do has to be looked at again and again"
)]

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use skep_tests::agent::Agent;

use super::parts::{PART, ask, get, local, plugin, with_part};
use crate::services::NO_MODEL;

const PART_PATH: &str = "/parts/waymark";

/// Keeps an answer and gives the digest of the plan.
fn planned(agent: &Agent, folder: &Path) -> Value {
    assert!(PART_PATH.ends_with(PART));
    let body = json!({ "answers": { "folder": folder } });
    get(agent, "PUT", &format!("{PART_PATH}/answers"), &body, 200);
    let plan = get(
        agent,
        "POST",
        &format!("{PART_PATH}/plan"),
        &Value::Null,
        200,
    );
    json!({ "digest": plan["digest"] })
}

/// How a run that was begun ended, as one of these; none when it broke off before anything of it was kept. The agent tells its name
/// before its first record.
fn ended(agent: &Agent, run: &Value, as_one_of: &[&str]) -> Option<Value> {
    let path = format!("/runs/{}", run.as_str().unwrap());
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let (status, view) = ask(agent, &local(agent), "GET", &path, &Value::Null);
        if status == 500 {
            return None;
        }
        if as_one_of.iter().any(|state| view["state"] == *state) {
            return Some(view);
        }
        assert!(Instant::now() < until, "{status} {view}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// All runs that are known.
fn runs(agent: &Agent) -> Vec<Value> {
    let runs = get(agent, "GET", "/runs", &Value::Null, 200);
    runs["runs"].as_array().unwrap().clone()
}

/// How many actions of all runs changed something.
fn changes(runs: &[Value]) -> usize {
    let actions = runs
        .iter()
        .flat_map(|run| run["actions"].as_array().unwrap());
    actions.filter(|action| action["state"] == "done").count()
}

#[test]
fn two_who_agree_at_once_do_it_once() {
    let (_folder, agent) = with_part();
    let agreed = planned(&agent, &agent.home().join("models"));
    let path = format!("{PART_PATH}/apply");
    let fields = local(&agent);
    let told: Vec<(u16, Value)> = std::thread::scope(|scope| {
        let two = [(); 2].map(|()| scope.spawn(|| ask(&agent, &fields, "POST", &path, &agreed)));
        two.map(|one| one.join().unwrap()).into_iter().collect()
    });
    assert!(told.iter().any(|(status, _)| *status == 202), "{told:?}");
    for (status, said) in &told {
        // The other one: it is under way, or all is done already.
        let busy = *status == 409 && said["error"]["code"] == "run_under_way";
        assert!(*status == 202 || busy, "{said}");
        if said["run"].is_string() {
            ended(&agent, &said["run"], &["done"]).unwrap();
        }
    }
    let runs = runs(&agent);
    assert_eq!(changes(&runs), 3, "{runs:?}");
}

#[test]
fn what_was_agreed_to_is_done_without_whoever_agreed() {
    let (_folder, agent) = with_part();
    let folder = agent.home().join("models");
    let agreed = planned(&agent, &folder).to_string();
    let to = agent.address();
    let mut stream = TcpStream::connect(to).unwrap();
    let request = format!(
        "POST /api/v1/setup{PART_PATH}/apply HTTP/1.1\r\nhost: {to}\r\n{}content-length: {}\r\n\r\n{agreed}",
        local(&agent),
        agreed.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    drop(stream);
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let runs = runs(&agent);
        if let [run] = runs.as_slice() {
            ended(&agent, &run["id"], &["done"]).unwrap();
            break;
        }
        assert!(Instant::now() < until, "it never began");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(folder.join("README").exists());
}

#[test]
fn a_flood_of_questions_is_bounded_and_all_are_answered() {
    let (_folder, agent) = with_part();
    let fields = local(&agent);
    let body = json!({ "answers": { "folder": "/srv/x" } });
    let path = format!("{PART_PATH}/ask");
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let many = (0..24).map(|_| {
            scope.spawn(|| {
                let all = (0..4).map(|_| ask(&agent, &fields, "POST", &path, &body).0);
                all.collect::<Vec<u16>>()
            })
        });
        let many: Vec<_> = many.collect();
        many.into_iter()
            .flat_map(|one| one.join().unwrap())
            .collect()
    });
    assert_eq!(statuses.len(), 96);
    assert!(
        statuses
            .iter()
            .all(|status| [200, 429, 503].contains(status)),
        "{statuses:?}"
    );
    assert!(statuses.contains(&200));
}

/// A small file system in memory, until it is dropped.
struct Small(PathBuf);

impl Small {
    fn at(path: PathBuf) -> Option<Self> {
        fs::create_dir_all(&path).unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=64m,mode=700", "tmpfs"])
            .arg(&path);
        let done = mount.output().is_ok_and(|done| done.status.success());
        done.then_some(Self(path))
    }

    /// Leaves so many bytes, in pages.
    fn leave(&self, bytes: u64) {
        let path = self.0.join("filler");
        let _ = fs::remove_file(&path);
        let mut file = fs::File::create(&path).unwrap();
        let page = [1; 4096];
        while file.write_all(&page).is_ok() {}
        let whole = file.metadata().unwrap().len();
        file.set_len(whole - bytes.min(whole)).unwrap();
    }

    fn free(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_stops_it_and_loses_nothing() {
    let (folder, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let Some(small) = Small::at(home.path().join("state")) else {
        eprintln!("not tried: a small file system can only be mounted by root");
        return;
    };
    let agent = Agent::start_in(home, &[NO_MODEL]).unwrap();
    let added = agent.skep(&["plugin", "add", &plugin(folder.path()), "--yes"], "");
    assert!(added.unwrap().0);
    let models = folder.path().join("models");
    let agreed = planned(&agent, &models);
    let kept = fs::read(agent.home().join("state/setup.json")).unwrap();
    let fields = local(&agent);
    let mut stopped = 0;
    for pages in 0..8 {
        small.leave(pages * 4096);
        if pages == 0 {
            // An answer that cannot be kept is told, and the old ones stay.
            let body = json!({ "answers": { "folder": "/srv/other" } });
            let (status, said) = ask(
                &agent,
                &fields,
                "PUT",
                &format!("{PART_PATH}/answers"),
                &body,
            );
            assert_eq!(status, 500, "{said}");
            assert!(said.to_string().contains("space"), "{said}");
            assert_eq!(
                fs::read(agent.home().join("state/setup.json")).unwrap(),
                kept
            );
        }
        let (status, said) = ask(
            &agent,
            &fields,
            "POST",
            &format!("{PART_PATH}/apply"),
            &agreed,
        );
        let run = said["run"].as_str().map(|_| said["run"].clone());
        let told = run
            .as_ref()
            .and_then(|run| ended(&agent, run, &["done", "failed", "interrupted"]));
        small.free();
        // With room again it goes on, from wherever it was, and back.
        let run = match (run, &told) {
            (Some(run), Some(view)) if view["state"] == "done" => run,
            (Some(run), Some(_)) => {
                stopped += 1;
                let path = format!("/runs/{}/resume", run.as_str().unwrap());
                get(&agent, "POST", &path, &json!({}), 202);
                run
            }
            _ => {
                stopped += 1;
                assert!(
                    status == 202 || said.to_string().contains("space"),
                    "{status} {said}"
                );
                let path = format!("{PART_PATH}/apply");
                get(&agent, "POST", &path, &agreed, 202)["run"].clone()
            }
        };
        ended(&agent, &run, &["done"]).unwrap();
        assert!(models.join("README").exists(), "{pages} pages");
        let path = format!("/runs/{}/undo", run.as_str().unwrap());
        get(&agent, "POST", &path, &json!({}), 202);
        ended(&agent, &run, &["undone"]).unwrap();
        assert!(!models.exists(), "{pages} pages");
    }
    assert!(stopped > 0, "the disk was never full");
}
