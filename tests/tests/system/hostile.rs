//! Plugins that mean harm, one after the other put in charge of an agent that serves meanwhile: each is refused or contained
//! with words that name the cause, and nobody else notices.
#![allow(
    clippy::disallowed_methods,
    reason = "what other processes do has to be looked at again and again"
)]

use std::fs;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use skep_tests::agent::{Agent, binary};
use skep_tests::{hostile, raw};

/// What an unrelated request may take at most, in 99 of 100 cases, on a machine that answers at once when nothing happens.
const NOTICED: Duration = Duration::from_millis(50);

/// What the agent may have grown by in the end.
const GROWTH_BYTES: u64 = 16 << 20;

fn skep(agent: &Agent, arguments: &[&str]) -> Output {
    Command::new(binary())
        .args(arguments)
        .env("SKEP_HOME", agent.home())
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    text.into_owned()
}

/// Somebody who asks all the time whether the agent is well.
struct Visitor {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Duration>>,
}

impl Visitor {
    fn of(agent: &Agent) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (ended, address) = (Arc::clone(&stop), agent.address());
        let thread = std::thread::spawn(move || {
            let mut took = Vec::new();
            while !ended.load(Ordering::Relaxed) {
                let asked = Instant::now();
                let (status, _) = raw::request(address, "GET", "/healthz", "", "").unwrap();
                assert_eq!(status, 200);
                took.push(asked.elapsed());
                std::thread::sleep(Duration::from_millis(5));
            }
            took
        });
        Self { stop, thread }
    }

    /// How long 99 of 100 answers took at most, and how many there were.
    fn ninety_nine(self) -> (Duration, usize) {
        self.stop.store(true, Ordering::Relaxed);
        let mut took = self.thread.join().unwrap();
        took.sort();
        (took[took.len() * 99 / 100], took.len())
    }
}

fn open_files(agent: &Agent) -> usize {
    fs::read_dir(format!("/proc/{}/fd", agent.pid()))
        .unwrap()
        .count()
}

/// What became of the scheduler in charge.
fn last_failure(agent: &Agent, name: &str) -> String {
    let listed = skep(agent, &["scheduler", "ls", "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let schedulers = listed["schedulers"].as_array().unwrap();
    let row = schedulers.iter().find(|row| {
        row["name"]
            .as_str()
            .is_some_and(|found| found.contains(name))
    });
    row.map_or_else(String::new, |row| row["last_failure"].to_string())
}

#[test]
fn every_hostile_component_is_contained_and_nobody_notices() {
    let mut agent = Agent::start(&[("SKEP_MODELS_DEFAULT", "")]).unwrap();
    assert!(skep(&agent, &["load", "tiny"]).status.success());
    let folder = tempfile::tempdir().unwrap();
    let put = |case: &hostile::Case| {
        let path = folder.path().join(format!("{}.wasm", case.name));
        fs::write(&path, &case.component).unwrap();
        skep(&agent, &["scheduler", "use", path.to_str().unwrap()])
    };
    let answer = |agent: &Agent| skep(agent, &["run", "tiny", "fn", "--max-tokens", "1"]);
    let cases = hostile::cases().unwrap();
    assert!(cases.len() >= 30, "{}", cases.len());

    // Once before anything is counted: the first of each kind makes what stays for all later ones.
    put(&cases[0]);
    assert!(answer(&agent).status.success());
    let quiet = Visitor::of(&agent);
    std::thread::sleep(Duration::from_secs(1));
    let (quiet, _) = quiet.ninety_nine();
    let (files, memory) = (open_files(&agent), agent.resident_bytes().unwrap());

    let visitor = Visitor::of(&agent);
    let mut wrong = Vec::new();
    for case in &cases {
        let name = &case.name;
        let begun = Instant::now();
        let used = put(case);
        let mut words = said(&used);
        if case.in_charge {
            if !used.status.success() {
                wrong.push(format!("{name}: could not be put in charge: {words}"));
                continue;
            }
            let answered = answer(&agent);
            if !answered.status.success() {
                wrong.push(format!("{name}: a request suffered: {}", said(&answered)));
            }
            words = last_failure(&agent, name);
            assert!(
                skep(&agent, &["scheduler", "use", "spread"])
                    .status
                    .success()
            );
        } else if used.status.success() {
            wrong.push(format!("{name}: was put in charge"));
            assert!(
                skep(&agent, &["scheduler", "use", "spread"])
                    .status
                    .success()
            );
            continue;
        }
        if !case
            .expected
            .iter()
            .any(|word| words.contains(word.as_str()))
        {
            wrong.push(format!("{name}: none of {:?} in: {words}", case.expected));
        }
        println!(
            "{name}: {:?}: {}",
            begun.elapsed(),
            words.lines().next().unwrap_or_default()
        );
    }
    let (busy, visits) = visitor.ninety_nine();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    assert!(
        agent.is_alive().unwrap(),
        "the agent is the one that it was"
    );
    assert!(answer(&agent).status.success());
    let (status, body) = raw::request(agent.address(), "GET", "/api/v1/ps", "", "").unwrap();
    assert_eq!(status, 200);
    let replicas: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(replicas["replicas"][0]["restarts"], 0, "{body}");
    let grown = agent.resident_bytes().unwrap().saturating_sub(memory);
    assert!(grown <= GROWTH_BYTES, "{} KiB more", grown >> 10);
    assert!(
        open_files(&agent) <= files + 2,
        "{files}, then {}",
        open_files(&agent)
    );
    println!(
        "{} components: 99 of 100 of {visits} health calls within {busy:?}, {quiet:?} when quiet; {} KiB more",
        cases.len(),
        grown >> 10
    );
    // A machine that others keep busy answers late without any of this.
    assert!(
        busy < NOTICED.max(quiet * 5),
        "{busy:?}, {quiet:?} when quiet"
    );
}
