//! Schedulers and explanations as a user meets them, with the real agent.
//!
//! Needs a binary with its plugins inside: `cargo xtask test` builds them first.
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

use crate::bench;

struct Agent {
    home: tempfile::TempDir,
    process: Child,
}

impl Agent {
    fn start(settings: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut process = skep(home.path())
            .args(["up", "--listen", "127.0.0.1:0"])
            .args(settings)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let (told, serving) = mpsc::channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if line.contains("serving") {
                    let _ = told.send(());
                }
            }
        });
        serving
            .recv_timeout(Duration::from_secs(300))
            .expect("the agent did not start");
        Self { home, process }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        skep(self.home.path()).args(arguments).output().unwrap()
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.ok(arguments)).unwrap()
    }

    fn fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Asks the model, and returns the answer's id.
    fn ask(&self, prompt: &str) -> String {
        let ask = [
            "run",
            "tiny",
            prompt,
            "-n",
            "4",
            "--temperature",
            "0",
            "--json",
        ];
        self.json(&ask)["id"].as_str().unwrap().to_owned()
    }

    fn state(&self, scheduler: &str) -> Value {
        let listed = self.json(&["scheduler", "ls", "--json"]);
        let rows = listed["schedulers"].as_array().unwrap();
        rows.iter()
            .find(|row| row["name"] == scheduler)
            .cloned()
            .unwrap_or_default()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn skep(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skep"));
    command
        .env_clear()
        .env("SKEP_HOME", home)
        .stdin(Stdio::null());
    command
}

#[test]
fn schedulers_are_used_tried_and_rolled_back() {
    let agent = Agent::start(&["--set", "scheduler.policy=pack"]);
    assert_eq!(agent.state("pack")["state"], "active");
    assert_eq!(agent.state("spread")["state"], "available");

    requests_are_explained(&agent);
    shadows_are_compared(&agent);

    assert!(
        agent
            .ok(&["scheduler", "use", "spread"])
            .contains("`spread` decides")
    );
    assert_eq!(agent.state("spread")["state"], "active");
    assert_eq!(agent.state("pack")["state"], "previous");
    mistakes_change_nothing(&agent);
    assert_eq!(agent.state("spread")["state"], "active");

    strangers_are_rolled_back(&agent);
}

fn requests_are_explained(agent: &Agent) {
    let id = agent.ask("The borrow checker");
    assert!(id.starts_with("chatcmpl-"), "{id}");
    let last = agent.json(&["explain", "last", "--json"]);
    assert_eq!(agent.json(&["explain", &id, "--json"]), last);
    let number = last["request"].to_string();
    assert_eq!(agent.json(&["explain", &number, "--json"]), last);
    assert_eq!(last["policy"], "pack");
    assert_eq!(last["outcome"], "answered");
    assert_eq!(last["completion_tokens"], 4);
    assert_eq!(last["ranked"][0]["replica"], last["replica"]);
    assert!(last["took_us"].as_u64() >= last["first_after_us"].as_u64());
    let text = agent.ok(&["explain", &id]);
    for part in [
        "by pack",
        "busiest node",
        "RANKING",
        "took it",
        "4 tokens of answer",
    ] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    // The same conversation finds its prefix.
    agent.ask("The borrow checker");
    let again = agent.ok(&["explain", "last"]);
    assert!(again.contains("beginning in its cache"), "{again}");
    assert!(agent.fails(&["explain", "chatcmpl-0"]).contains("`last`"));
}

fn shadows_are_compared(agent: &Agent) {
    assert!(
        agent
            .ok(&["scheduler", "diff"])
            .contains("skep scheduler shadow")
    );
    assert!(
        agent
            .ok(&["scheduler", "shadow", "spread"])
            .contains("not heeded")
    );
    for _ in 0..3 {
        agent.ask("A slice is");
    }
    // With one replica there is nothing to differ about.
    let found = agent.json(&["scheduler", "diff", "--json"]);
    assert_eq!(found["shadow"]["agreed"], 3, "{found}");
    assert_eq!(found["differences"], serde_json::json!([]));
    let path = bench::guest("astray");
    agent.ok(&["scheduler", "shadow", path.to_str().unwrap()]);
    // It finds no place for any model, where `pack` does.
    agent.ok(&["unload", "tiny"]);
    agent.ok(&["load", "tiny"]);
    let found = agent.json(&["scheduler", "diff", "--json"]);
    let difference = &found["differences"][0];
    assert_eq!(difference["kind"], "place", "{found}");
    assert_eq!(difference["live"]["devices"][0], "cpu");
    assert_eq!(difference["shadow"]["devices"], serde_json::json!([]));
    assert!(
        agent
            .ok(&["scheduler", "diff"])
            .contains("no place for tiny")
    );
    assert!(
        agent
            .ok(&["scheduler", "ls"])
            .contains("astray.wasm agreed in 0 of 1")
    );
    agent.ok(&["scheduler", "shadow", "off"]);
}

fn mistakes_change_nothing(agent: &Agent) {
    for (wish, part) in [
        ("spreed", "there are `spread`, `pack`"),
        ("./none.wasm", "no regular file"),
        ("/dev/zero", "no regular file"),
        (
            concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
            "is not WebAssembly",
        ),
    ] {
        let said = agent.fails(&["scheduler", "use", wish]);
        assert!(said.contains(part), "{wish}: {said}");
    }
    let engine = bench::guest("echo");
    let said = agent.fails(&["scheduler", "use", engine.to_str().unwrap()]);
    assert!(said.contains("world `engine`"), "{said}");
}

fn strangers_are_rolled_back(agent: &Agent) {
    // Under the name of a vice, the model is what the stranger stumbles over.
    let tiny = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/assets/tiny/skep-tiny-q8_0.gguf"
    );
    agent.ok(&["pull", tiny, "--name", "panic"]);
    agent.ok(&["load", "panic"]);
    let path = bench::guest("astray");
    agent.ok(&["scheduler", "use", path.to_str().unwrap()]);
    for _ in 0..3 {
        let answer = agent.json(&["run", "panic", "A slice is", "-n", "2", "--json"]);
        assert!(answer["choices"][0]["message"]["content"].is_string());
        let trace = agent.json(&["explain", "last", "--json"]);
        assert_eq!(trace["policy"], "built-in");
        assert!(
            trace["fault"]
                .as_str()
                .unwrap()
                .contains("trapped in `route`"),
            "{trace}"
        );
    }
    assert_eq!(agent.state("spread")["state"], "active");
    assert_eq!(agent.state("astray.wasm")["failures"], 3);
    let listed = agent.run(&["scheduler", "ls"]);
    let notes = String::from_utf8(listed.stderr).unwrap();
    assert!(
        notes.contains("`astray.wasm` was replaced by `spread`"),
        "{notes}"
    );
    agent.json(&["run", "panic", "A slice is", "-n", "2", "--json"]);
    assert_eq!(
        agent.json(&["explain", "last", "--json"])["policy"],
        "spread"
    );
    // Somebody is told, with the agent's next look.
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    let is_told = || {
        let alerts = agent.json(&["alerts", "--json"]);
        let raised = alerts["raised"].as_array().unwrap().clone();
        let mut raised = raised.iter();
        raised.any(|alert| alert["kind"] == "plugin.rolled-back")
    };
    while !is_told() {
        assert!(std::time::Instant::now() < deadline, "no alert is raised");
    }
}
