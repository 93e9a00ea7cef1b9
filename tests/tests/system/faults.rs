//! Cards that fail in the middle of an answer: kernels that fault, drivers that hang or crash, a card that falls off the bus.
//! Real agents over a driver that is not there, told by a file what to do next.
#![allow(
    clippy::disallowed_methods,
    reason = "what other processes do has to be looked at again and again"
)]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use skep_tests::agent::{Agent, binary};
use skep_tests::lab::Lab;
use skep_tests::raw;
use tempfile::TempDir;

use super::cluster;

/// Longer than anything here takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// What is told within so long is in time.
const IN_TIME: Duration = Duration::from_secs(3);

/// The stand-in for the driver, built once.
static BUILT: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("libcuda.so.1");
    super::build::build(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("../hw"),
        &library,
    );
    (folder, library)
});

/// What plugins are compiled to, so that not every agent here compiles them.
static COMPILED: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let agent = Agent::start(&[]).unwrap();
    let loaded = Command::new(binary())
        .args(["run", "tiny", "fn", "--max-tokens", "1"])
        .env("SKEP_HOME", agent.home())
        .status()
        .unwrap();
    assert!(loaded.success());
    copy(&agent.home().join("cache/compiled"), folder.path());
    folder
});

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
}

/// Gives what plugins are compiled to to an agent that has not started yet.
fn spare_compiling(home: &Path) {
    let folder = home.join("cache/compiled");
    let mut make = fs::DirBuilder::new();
    make.recursive(true).mode(0o700).create(&folder).unwrap();
    copy(COMPILED.path(), &folder);
}

/// A driver of its own, with a card whose memory all its processes share.
struct Card {
    folder: TempDir,
    /// What its processes change: the one place where a driver may behind a worker's walls.
    shared: TempDir,
}

impl Card {
    fn new() -> Self {
        let card = Self {
            folder: tempfile::tempdir().unwrap(),
            shared: tempfile::tempdir_in("/dev/shm").unwrap(),
        };
        fs::copy(&BUILT.1, card.path("")).unwrap();
        fs::create_dir(card.shared.path().join("ledger")).unwrap();
        for part in ["ledger", "control"] {
            symlink(
                card.shared.path().join(part),
                card.path(&format!(".{part}")),
            )
            .unwrap();
        }
        card
    }

    fn path(&self, ending: &str) -> PathBuf {
        self.folder.path().join(format!("libcuda.so.1{ending}"))
    }

    fn library(&self) -> String {
        self.path("").display().to_string()
    }

    /// What every process reads as it loads the driver.
    fn settings(&self, text: &str) {
        fs::write(self.path(".settings"), text).unwrap();
    }

    /// What happens from now on; in one go, so that nobody reads half of it.
    fn control(&self, text: &str) {
        let shared = self.shared.path();
        fs::write(shared.join("new"), text).unwrap();
        fs::rename(shared.join("new"), shared.join("control")).unwrap();
    }

    /// Bytes of its memory that living processes hold.
    fn held_bytes(&self) -> u64 {
        let entries = fs::read_dir(self.path(".ledger")).unwrap();
        let held = entries.filter_map(|entry| {
            let path = entry.unwrap().path();
            let pid = path.file_name()?.to_str()?.to_owned();
            Path::new("/proc").join(pid).exists().then_some(())?;
            fs::read_to_string(path).ok()?.parse::<u64>().ok()
        });
        held.sum()
    }
}

struct Rig {
    agent: Agent,
    card: Card,
}

impl Rig {
    fn start(card: Card, settings: &[(&str, &str)]) -> Self {
        let library = card.library();
        let mut all = vec![
            ("SKEP_NODE_DEVICE", "cuda"),
            ("SKEP_NODE_CUDA_LIBRARY", library.as_str()),
            ("SKEP_MODELS_LOAD_WAIT_S", "100"),
        ];
        all.extend(settings);
        let home = tempfile::tempdir().unwrap();
        spare_compiling(home.path());
        Self {
            agent: Agent::start_in(home, &all).unwrap(),
            card,
        }
    }

    fn get(&self, path: &str) -> Value {
        let (status, body) = raw::request(self.agent.address(), "GET", path, "", "").unwrap();
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    fn skep(&self, arguments: &[&str]) -> Output {
        Command::new(binary())
            .args(arguments)
            .env("SKEP_HOME", self.agent.home())
            .output()
            .unwrap()
    }

    /// A greedy answer: status and body.
    fn ask(&self, tokens: u32) -> (u16, Value) {
        let stream = raw::connect(self.agent.address()).unwrap();
        ask(stream, "tiny", "fn main", tokens)
    }

    fn until(&self, limit: Duration, what: &str, is_so: impl Fn(&Self) -> bool) -> Duration {
        let start = Instant::now();
        while !is_so(self) {
            assert!(
                start.elapsed() < limit,
                "not within {limit:?}: {what}: {:#}",
                self.get("/api/v1/top")
            );
            std::thread::park_timeout(Duration::from_millis(20));
        }
        start.elapsed()
    }

    fn replica(&self) -> Value {
        self.get("/api/v1/ps")["replicas"][0].clone()
    }

    /// The card, as the node tells of it.
    fn device(&self) -> Value {
        let node = self.get("/api/v1/node");
        node["devices"][1].clone()
    }

    /// The evidence of a cause that speaks against the card.
    fn evidence(&self, health: &str, code: &str) -> Option<String> {
        let device = self.device();
        let causes = device["causes"].as_array()?;
        let cause = causes.iter().find(|cause| cause["code"] == code)?;
        (device["health"] == health).then(|| cause["evidence"].as_str().unwrap().to_owned())
    }

    /// Asks, lets `disturb` act once the worker computes, and gives the answer.
    fn ask_and(&self, tokens: u32, disturb: impl FnOnce()) -> (u16, Value) {
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| self.ask(tokens));
            self.until(PATIENCE, "it computes", |rig| {
                rig.replica()["running"].as_u64() > Some(0)
            });
            disturb();
            asked.join().unwrap()
        })
    }

    fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.agent.pid()))
            .unwrap()
            .count()
    }
}

/// A greedy answer, not in a stream: status and body.
fn ask(mut stream: TcpStream, model: &str, prompt: &str, tokens: u32) -> (u16, Value) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let body = json!({"model": model, "prompt": prompt, "temperature": 0, "max_tokens": tokens,
        "ignore_eos": true});
    let body = body.to_string();
    // In HTTP/1.0 an answer ends with its connection.
    let request = format!(
        "POST /v1/completions HTTP/1.0\r\nhost: 127.0.0.1:7420\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut heard = String::new();
    stream.read_to_string(&mut heard).unwrap();
    let (head, body) = heard.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap())
}

fn text(answer: &(u16, Value)) -> &str {
    assert_eq!(answer.0, 200, "{answer:?}");
    answer.1["choices"][0]["text"].as_str().unwrap()
}

/// Long enough to be met in the middle; what computes them is emulated.
const TOKENS: u32 = 14;

/// One after the other on one machine: a kernel's fault, a driver that takes the process along, memory that fails. Twice the
/// request goes on as if nothing had been; after the third the card is not used any more, and it is said why.
#[test]
fn faults_are_survived_until_they_are_too_many() {
    let rig = Rig::start(Card::new(), &[]);
    let expected = rig.ask(TOKENS);
    assert!(text(&expected).len() > 8, "{expected:?}");
    let device = rig.device();
    assert_eq!(device["id"], "cuda:0", "{device}");
    assert_eq!(device["health"], "healthy", "{device}");
    assert_eq!(rig.replica()["devices"], json!(["cuda:0"]));
    let (files, resident) = (rig.open_files(), rig.agent.resident_bytes().unwrap());

    for (number, (fault, said)) in [
        (
            "FAKE_CUDA_STICK=once:cuGraphLaunch:700:6",
            "`cuGraphLaunch`: ILLEGAL_ADDRESS (700)",
        ),
        ("FAKE_CUDA_CRASH=once:cuStreamSynchronize:6", "SIGSEGV"),
    ]
    .into_iter()
    .enumerate()
    {
        let pid = rig.replica()["pid"].clone();
        let found = rig.ask_and(TOKENS, || {
            rig.card.control(fault);
            rig.until(PATIENCE, "the worker is gone", |rig| {
                rig.replica()["pid"] != pid
            });
            let took = rig.until(IN_TIME, "it is told of the card", |rig| {
                let told = rig.evidence("degraded", "worker_fault");
                told.is_some_and(|told| told.contains(said))
            });
            println!("{said}: told {} ms after the end", took.as_millis());
        });
        assert_eq!(text(&found), text(&expected), "{fault}");
        let moves = rig.get("/api/v1/requests")["requests"][0]["moves"].clone();
        let why = moves[0]["why"].as_str().unwrap();
        assert!(
            why.contains(said) && why.contains("node.device"),
            "{number}: {moves}"
        );
    }

    // The third is one too many: what was being answered ends with what there is to know.
    let (status, answer) = rig.ask_and(TOKENS, || {
        rig.card.control("FAKE_CUDA_STICK=once:cuGraphLaunch:214:6");
    });
    assert!(status >= 500, "{status} {answer}");
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("ECC_UNCORRECTABLE (214)"), "{message}");
    let told = rig.evidence("lost", "worker_faults");
    assert!(told.is_some_and(|told| told.contains("3 times")));
    let (status, answer) = rig.ask(1);
    assert_eq!(status, 503, "{answer}");
    let message = answer["error"]["message"].as_str().unwrap();
    for part in ["`cuda:0` is lost", "node.device = \"cpu\""] {
        assert!(message.contains(part), "{message}");
    }
    let found = rig.skep(&["doctor", "--offline", "--json"]);
    let found = String::from_utf8(found.stdout).unwrap();
    assert!(
        found.contains("device_unwell") && found.contains("ECC_UNCORRECTABLE"),
        "{found}"
    );
    // Nothing of the workers stays.
    assert_eq!(rig.card.held_bytes(), 0);
    rig.until(Duration::from_secs(10), "no file stays open", |rig| {
        rig.open_files() <= files
    });
    let grown = rig.agent.resident_bytes().unwrap().saturating_sub(resident);
    assert!(grown < 16 << 20, "{grown} bytes more");
}

/// A driver that never returns is not waited for.
#[test]
fn a_driver_that_hangs_is_ended() {
    let rig = Rig::start(Card::new(), &[("SKEP_NODE_DEVICE_TIMEOUT_S", "4")]);
    assert!(rig.skep(&["load", "tiny"]).status.success());
    // Only a step copies from the card.
    rig.card.control("FAKE_CUDA_HANG=cuMemcpyDtoHAsync_v2");
    let started = Instant::now();
    let (status, answer) = rig.ask(1);
    println!("three hangs were answered after {:?}", started.elapsed());
    assert!(status >= 500, "{status} {answer}");
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("no sign of life for 4 s"), "{message}");
    rig.until(IN_TIME, "it is told of the card", |rig| {
        let told = rig.evidence("lost", "worker_faults");
        told.is_some_and(|told| told.contains("no sign of life"))
    });
    rig.until(IN_TIME, "nothing is held", |rig| rig.card.held_bytes() == 0);
}

/// A card that is gone for every process: two more workers find that out, and the request ends soon.
#[test]
fn a_card_off_the_bus_is_lost_in_time() {
    let rig = Rig::start(Card::new(), &[]);
    rig.ask(1);
    let mut lost_after = Duration::ZERO;
    let (status, answer) = rig.ask_and(TOKENS, || {
        rig.card.control("FAKE_CUDA_LOST=1");
        lost_after = rig.until(PATIENCE, "it is lost", |rig| {
            rig.evidence("lost", "worker_faults").is_some()
        });
    });
    println!("the card counted as lost after {lost_after:?}");
    assert!(status >= 500, "{status} {answer}");
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("UNKNOWN (999)"), "{message}");
    let told = rig.evidence("lost", "worker_faults").unwrap();
    assert!(told.contains("cuInit") && told.contains("100"), "{told}");
}

/// Two machines have the model, one of them on a card. The card goes, and whoever asks does not notice.
#[test]
fn what_a_card_began_another_node_ends() {
    if !cluster::possible() {
        return;
    }
    let card = Card::new();
    let mut lab = Lab::new(2).unwrap();
    for machine in &mut lab.machines {
        let settings = &mut machine.settings;
        settings.push(("SKEP_MODELS_DEFAULT".into(), String::new()));
        settings.push(("SKEP_NODE_THREADS".into(), "1".into()));
        spare_compiling(machine.home());
    }
    let settings = &mut lab.machines[0].settings;
    settings.push(("SKEP_NODE_DEVICE".into(), "cuda".into()));
    settings.push(("SKEP_NODE_CUDA_LIBRARY".into(), card.library()));
    lab.form().unwrap();
    lab.wait_for(2, PATIENCE).unwrap();
    let [first, second] = lab.machines.as_slice() else {
        panic!("two machines");
    };
    // As the processor says it; a card says the same.
    second.give("shared").unwrap();
    second.skep(&["load", "shared"]).unwrap();
    let prompts = ["one bee:", "two bees:", "struct Hive"];
    let ask_all = |disturb: &dyn Fn()| -> Vec<(u16, Value)> {
        std::thread::scope(|scope| {
            let asked = prompts.map(|prompt| {
                let stream = first.connect().unwrap();
                scope.spawn(move || ask(stream, "shared", prompt, 7 * TOKENS))
            });
            disturb();
            asked.map(|one| one.join().unwrap()).into()
        })
    };
    cluster::wait_until("the first hears of the model", || {
        let (_, text) = first.request("GET", "/v1/models", "")?;
        Ok(text.contains("shared"))
    })
    .unwrap();
    let expected = ask_all(&|| {});
    second.skep(&["unload", "shared"]).unwrap();
    first.give("shared").unwrap();
    first.skep(&["load", "shared"]).unwrap();
    let found = ask_all(&|| {
        cluster::wait_until("the card computes", || {
            let ps = first.json(&["ps"])?;
            let running = ps.pointer("/replicas/0/running").and_then(Value::as_u64);
            Ok(running > Some(0))
        })
        .unwrap();
        // Only now, so that all of them began on the card.
        second.skep(&["load", "shared"]).unwrap();
        cluster::wait_until("two replicas are ready", || {
            Ok(cluster::homes(first, "shared")?.len() == 2)
        })
        .unwrap();
        card.control("FAKE_CUDA_LOST=1");
    });
    for (prompt, (expected, found)) in prompts.iter().zip(expected.iter().zip(&found)) {
        assert_eq!(text(expected), text(found), "{prompt}");
    }
    let (_, metrics) = first.request("GET", "/metrics", "").unwrap();
    let moved = metrics
        .lines()
        .find_map(|line| line.strip_prefix("skep_requests_moved_total "))
        .unwrap();
    println!("{moved} of {} were moved", prompts.len());
    assert!(moved.parse::<u64>().unwrap() > 0);
    assert!(
        metrics.contains("skep_requests_stranded_total 0"),
        "{metrics}"
    );
}

/// What cannot be opened is told with the function that failed, and the agent serves on.
#[test]
fn every_way_not_to_open_a_card_is_told() {
    let cases: [(&str, &str, &[&str]); 6] = [
        ("FAKE_CUDA_FAIL=cuInit:100", "", &["`cuInit`", "(100)"]),
        (
            "FAKE_CUDA_FAIL=cuDevicePrimaryCtxRetain:46",
            "",
            &["`cuDevicePrimaryCtxRetain`", "(46)"],
        ),
        (
            "FAKE_CUDA_FAIL=cuMemsetD8Async:700",
            "",
            &["`cuMemsetD8Async`", "(700)"],
        ),
        (
            "FAKE_CUDA_HANG=cuInit",
            "",
            &["did not open what it computes on within 2 s"],
        ),
        ("FAKE_CUDA_CRASH=cuMemAlloc_v2", "", &["SIGSEGV"]),
        (
            "",
            "FAKE_CUDA_MEMORY_BYTES=8000000",
            &["MiB free", "models.context_tokens"],
        ),
    ];
    let try_one = |(control, settings, parts): &(&str, &str, &[&str])| {
        let card = Card::new();
        card.control(control);
        card.settings(settings);
        let hangs = control.contains("HANG");
        let patience = if hangs { "1" } else { "30" };
        let mut rig = Rig::start(card, &[("SKEP_NODE_DEVICE_TIMEOUT_S", patience)]);
        let said = rig.skep(&["run", "tiny", "fn main", "--max-tokens", "1"]);
        assert!(!said.status.success(), "{control}");
        let why = String::from_utf8(said.stderr).unwrap();
        for part in parts.iter().chain(&["node.device"]) {
            assert!(why.contains(part), "{control}{settings}: {why}");
        }
        let found = rig.skep(&["doctor", "--offline"]);
        let found = String::from_utf8(found.stdout).unwrap();
        for part in *parts {
            assert!(
                !settings.is_empty() || found.contains(part),
                "{control}: {found}"
            );
        }
        assert!(rig.agent.is_alive().unwrap());
        assert_eq!(rig.card.held_bytes(), 0, "{control}");
    };
    std::thread::scope(|scope| {
        for half in cases.chunks(cases.len().div_ceil(2)) {
            scope.spawn(move || half.iter().for_each(try_one));
        }
    });
}

/// The card's memory is as free as before within a second, however the model leaves it.
#[test]
fn memory_of_a_card_is_back_within_a_second() {
    let rig = Rig::start(Card::new(), &[]);
    rig.ask(1);
    let held = rig.card.held_bytes();
    assert!(held > 1 << 20, "{held}");
    let took = rig.replica()["card_bytes"].as_u64().unwrap();
    assert!(took > 1 << 20 && took <= held, "{took} of {held}");
    let packed = rig.agent.home().join("data/models/packed");
    let remembered = || {
        let entries = fs::read_dir(&packed).unwrap();
        let mut paths = entries.map(|entry| entry.unwrap().path());
        let of_card = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "card");
        let path = paths.find(of_card)?;
        fs::read_to_string(path).ok()
    };
    rig.until(IN_TIME, "what it takes is remembered", |_| {
        remembered().is_some_and(|text| text.starts_with(&format!("{took} ")))
    });
    let back = |how: &str, done: Instant| {
        let took = rig.until(Duration::from_secs(1), how, |rig| {
            rig.card.held_bytes() == 0
        });
        println!(
            "{how}: {held} bytes back {took:?} after {:?}",
            done.elapsed()
        );
    };
    assert!(rig.skep(&["unload", "tiny"]).status.success());
    back("unloaded", Instant::now());
    assert!(rig.skep(&["load", "tiny"]).status.success());
    assert_eq!(rig.card.held_bytes(), held);
    let pid = rig.replica()["pid"].to_string();
    assert!(
        Command::new("kill")
            .args(["-KILL", &pid])
            .status()
            .unwrap()
            .success()
    );
    rig.until(PATIENCE, "it is back", |rig| {
        rig.card.held_bytes() == held && rig.replica()["state"] == "ready"
    });
    assert!(rig.skep(&["rm", "--force", "tiny"]).status.success());
    back("removed", Instant::now());
    assert_eq!(remembered(), None);
}
