//! The commands as a user types them, against an agent of their own.
//!
//! Needs a binary with its plugins inside: `cargo xtask test` builds them first.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

const TINY: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/assets/tiny/skep-tiny-q8_0.gguf"
);

/// An agent in a folder of its own; it ends with the test.
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
        let stderr = BufReader::new(process.stderr.take().unwrap());
        let (told, serving) = mpsc::channel();
        std::thread::spawn(move || {
            let mut said = Vec::new();
            for line in stderr.lines().map_while(Result::ok) {
                let up = line.contains("serving");
                said.push(line);
                if up {
                    let _ = told.send(Ok(()));
                }
            }
            let _ = told.send(Err(said.join("\n")));
        });
        let agent = Self { home, process };
        // The first start compiles the plugins.
        serving
            .recv_timeout(Duration::from_secs(300))
            .unwrap()
            .unwrap();
        agent
    }

    fn run(&self, arguments: &[&str]) -> Output {
        skep(self.home.path()).args(arguments).output().unwrap()
    }

    /// What a command prints when it succeeds.
    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a command complains of when it fails with a status.
    fn fails(&self, arguments: &[&str], status: i32) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
        said
    }

    fn json(&self, arguments: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.ok(arguments)).unwrap()
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
fn a_day_with_an_agent() {
    let agent = Agent::start(&[]);
    models_come_and_go(&agent);
    keys_are_made_and_revoked(&agent);
    questions_are_answered(&agent);
    logs_are_told(&agent);
    mistakes_get_hints(&agent);
}

/// Keys and values as bytes with scales: 34 bytes for what takes 64 as halves, and the model still answers.
#[test]
fn a_cache_is_kept_as_the_operator_says() {
    let opened = |kept: &str| {
        let agent = Agent::start(&["--set", &format!("models.cache_type={kept}")]);
        let ask = ["run", "tiny", "The borrow checker", "-n", "20"];
        let text = agent.ok(&[&ask[..], &["--temperature", "0"]].concat());
        let loaded = agent.json(&["ps", "--json"]);
        let bytes = loaded["replicas"][0]["info"]["cache_bytes"].as_u64();
        (text, bytes.unwrap())
    };
    let (text, halves) = opened("f16");
    let (in_bytes, bytes) = opened("q8-0");
    assert_eq!(bytes * 64, halves * 34);
    for text in [text, in_bytes] {
        assert!(text.len() > 20 && text.ends_with('\n'), "{text:?}");
    }
}

/// Guesses, out of the text or by a smaller model (here the same one), change when an answer comes and not
/// what it says.
#[test]
fn guesses_change_no_answer() {
    let answers = |settings: &[&str]| {
        let agent = Agent::start(settings);
        agent.ok(&["pull", TINY, "--name", "twin"]);
        let mut texts = Vec::new();
        for temperature in ["0", "0.8"] {
            for prompt in ["The borrow checker", "fn main() {\n    let x = 5;\n"] {
                let ask = ["run", "twin", prompt, "-n", "150", "--seed", "7"];
                texts.push(agent.ok(&[&ask[..], &["--temperature", temperature]].concat()));
            }
        }
        let loaded = agent.json(&["ps", "--json"]);
        let replicas = loaded["replicas"].as_array().unwrap();
        let twin = replicas.iter().find(|replica| replica["model"] == "twin");
        let count = |what: &str| twin.unwrap()[what].as_u64().unwrap();
        (texts, count("guessed"), count("guesses_kept"))
    };
    let (without, guessed, _) = answers(&["--set", "models.speculate=false"]);
    assert_eq!(guessed, 0);
    let (looked_up, guessed, kept) = answers(&[]);
    assert_eq!(without, looked_up);
    assert!(kept <= guessed, "{kept} of {guessed}");
    let (modelled, guessed, kept) = answers(&["--set", "models.drafts={twin='tiny'}"]);
    assert_eq!(without, modelled);
    assert!(kept <= guessed, "{kept} of {guessed}");
}

fn models_come_and_go(agent: &Agent) {
    let models = agent.json(&["models", "--json"]);
    assert_eq!(models["models"][0]["name"], "tiny");
    assert_eq!(models["models"][0]["source"], "embedded");
    assert!(agent.ok(&["models"]).contains("tiny"));

    let pulled = agent.ok(&["pull", TINY, "--name", "second"]);
    assert!(pulled.contains("pulled `second`"), "{pulled}");
    let lines = agent.ok(&["pull", TINY, "--name", "third", "--json"]);
    let last: serde_json::Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!(last["event"], "done");
    assert_eq!(
        agent.json(&["ls", "--json"])["models"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    // The same bytes stay for the other names.
    assert!(agent.ok(&["rm", "third"]).contains("another name"));

    assert!(agent.ok(&["load", "second"]).contains("`second` is ready"));
    let ps = agent.json(&["ps", "--json"]);
    let names: Vec<_> = ps["replicas"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| &r["model"])
        .collect();
    assert!(names.contains(&&"second".into()), "{ps}");
    assert!(agent.fails(&["rm", "second"], 1).contains("--force"));
    agent.ok(&["unload", "second"]);
    agent.ok(&["rm", "second"]);
    assert!(
        agent
            .fails(&["rm", "second"], 1)
            .contains("no model named `second`")
    );
}

fn keys_are_made_and_revoked(agent: &Agent) {
    let secret = agent.ok(&["keys", "new", "laptop"]);
    assert!(secret.starts_with("sk-skep-"), "{secret}");
    let listed = agent.ok(&["keys", "ls"]);
    assert!(
        listed.contains("laptop") && !listed.contains(secret.trim()),
        "{listed}"
    );
    assert!(
        agent
            .fails(&["keys", "new", "laptop"], 1)
            .contains("laptop")
    );
    assert!(
        agent
            .ok(&["keys", "rm", "laptop"])
            .contains("revoked `laptop`")
    );
    assert!(
        agent
            .fails(&["keys", "rm", "laptop"], 1)
            .contains("skep keys ls")
    );
}

fn questions_are_answered(agent: &Agent) {
    let ask = [
        "run",
        "tiny",
        "The borrow checker",
        "--max-tokens",
        "20",
        "--temperature",
        "0",
    ];
    let text = agent.ok(&ask);
    assert!(text.len() > 20 && text.ends_with('\n'), "{text:?}");
    let whole = agent.json(&[&ask[..], &["--json"]].concat());
    assert_eq!(
        whole["choices"][0]["message"]["content"].as_str().unwrap(),
        text.trim_end_matches('\n')
    );

    let mut piped = skep(agent.home.path())
        .args(["run", "tiny", "-n", "5"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    piped
        .stdin
        .take()
        .unwrap()
        .write_all(b"A slice is")
        .unwrap();
    assert!(!piped.wait_with_output().unwrap().stdout.is_empty());
    assert!(agent.fails(&["run", "tiny"], 2).contains("nothing to ask"));
}

fn logs_are_told(agent: &Agent) {
    let logs = agent.ok(&["logs", "-n", "500"]);
    assert!(logs.contains("serving"), "{logs}");
    for line in agent.ok(&["logs", "--json"]).lines() {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(entry["number"].is_u64());
    }
    // Following shows what comes next, and a reader that goes away ends it quietly.
    let mut follow = skep(agent.home.path())
        .args(["logs", "-f", "-n", "0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    // The follower may come after the first of these, never after all.
    let (stop, stopped) = mpsc::channel();
    let line = std::thread::scope(|scope| {
        let logging = scope.spawn(move || {
            let mut made = 0;
            while stopped.recv_timeout(Duration::from_millis(50)).is_err() && made < 200 {
                made += 1;
                agent.ok(&["keys", "new", "noise"]);
                agent.ok(&["keys", "rm", "noise"]);
            }
        });
        let line = lines.next().unwrap().unwrap();
        stop.send(()).unwrap();
        logging.join().unwrap();
        line
    });
    assert!(line.contains("API key"), "{line}");
    drop(lines);
    agent.ok(&["keys", "new", "last"]);
    agent.ok(&["keys", "rm", "last"]);
    let status = follow.wait().unwrap();
    let mut said = String::new();
    follow
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!((status.code(), said.as_str()), (Some(141), ""));
}

fn mistakes_get_hints(agent: &Agent) {
    let said = agent.fails(&["run", "tniy", "x"], 1);
    assert!(said.contains("error:") && said.contains("tiny"), "{said}");
    assert!(
        agent
            .fails(&["pull", "ftp://x/y.gguf"], 1)
            .contains("address")
    );
    assert!(
        agent
            .fails(&["pull", "/nowhere/x.gguf"], 1)
            .contains("does not exist")
    );
    assert!(
        agent
            .fails(&["pull", TINY, "--name", "../x"], 2)
            .contains("cannot name a model")
    );
    assert!(
        agent
            .fails(&["pull", TINY, "--name", "x", "--sha256", "12"], 2)
            .contains("64")
    );
    let page = agent.home.path().join("page.gguf");
    std::fs::write(&page, "<!doctype html><html>not a model</html>").unwrap();
    let said = agent.fails(&["pull", page.to_str().unwrap()], 1);
    assert!(
        said.contains("a web page") && said.contains("hint:"),
        "{said}"
    );
    let doctor: serde_json::Value =
        serde_json::from_slice(&agent.run(&["doctor", "--offline", "--json"]).stdout).unwrap();
    let codes = doctor["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["code"].as_str().unwrap());
    assert!(
        !codes.collect::<Vec<_>>().contains(&"agent_down"),
        "{doctor}"
    );
}

#[test]
fn without_an_agent_every_command_says_so() {
    let home = tempfile::tempdir().unwrap();
    // A port on which nobody listens.
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    for arguments in [
        &["models"][..],
        &["ps"],
        &["node"],
        &["run", "tiny", "x"],
        &["keys", "ls"],
    ] {
        let output = skep(home.path())
            .env("SKEP_URL", format!("http://{free}"))
            .args(arguments)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {said}");
        assert!(said.contains("hint: start it with `skep up`"), "{said}");
    }
    let version = skep(home.path())
        .args(["version", "--json"])
        .output()
        .unwrap();
    let version: serde_json::Value = serde_json::from_slice(&version.stdout).unwrap();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    let doctor = skep(home.path())
        .env("SKEP_URL", format!("http://{free}"))
        .args(["doctor", "--offline"])
        .output()
        .unwrap();
    assert_eq!(doctor.status.code(), Some(2));
    let said = String::from_utf8(doctor.stdout).unwrap();
    assert!(said.contains("the agent is not running"), "{said}");
}

#[test]
fn another_program_on_the_port_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = stream;
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        }
    });
    let home = tempfile::tempdir().unwrap();
    let doctor = skep(home.path())
        .env("SKEP_URL", format!("http://{address}"))
        .args(["doctor", "--offline", "--json"])
        .output()
        .unwrap();
    assert_eq!(doctor.status.code(), Some(2));
    let said = String::from_utf8(doctor.stdout).unwrap();
    assert!(said.contains("port_taken"), "{said}");
    assert!(
        said.contains(&format!("(process {})", std::process::id())),
        "{said}"
    );
}
