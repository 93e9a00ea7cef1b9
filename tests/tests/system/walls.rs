//! The walls around a worker, tried from inside: everything that one who has taken it over would try, with walls, with one
//! wall alone, and with none, where the same attempts must succeed.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::symlink;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process::{Child, Command};

use serde_json::Value;
use skep_tests::agent::Agent;
use skep_tests::raw;
use tempfile::TempDir;

/// What attempts are made on, and who must not notice.
struct Scene {
    folder: TempDir,
    victim: Child,
    server: TcpListener,
    socket: String,
    _listening: UnixListener,
}

/// What became of each attempt: nothing for success, or the number of its error.
type Outcomes = BTreeMap<String, Option<i64>>;

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for part in ["own", "others"] {
            fs::create_dir(folder.path().join(part)).unwrap();
        }
        for (file, text) in [
            ("given", "given"),
            ("others/key", "nobody's business"),
            ("others/spare", ""),
        ] {
            fs::write(folder.path().join(file), text).unwrap();
        }
        symlink("../others/key", folder.path().join("own/link")).unwrap();
        let socket = format!("skep-break-{}", folder.path().display());
        let address = SocketAddr::from_abstract_name(&socket).unwrap();
        Self {
            folder,
            victim: Command::new("sleep").arg("600").spawn().unwrap(),
            server: TcpListener::bind("127.0.0.1:0").unwrap(),
            socket,
            _listening: UnixListener::bind_addr(&address).unwrap(),
        }
    }

    /// Tries everything behind these walls; also what the process said of them.
    fn attempt(&self, walls: &str) -> (Value, Outcomes) {
        let tried = Command::new(env!("CARGO_BIN_EXE_skep-break"))
            .arg(walls)
            .arg(self.folder.path())
            .arg(self.victim.id().to_string())
            .arg(self.server.local_addr().unwrap().port().to_string())
            .arg(&self.socket)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&tried.stderr);
        assert!(tried.status.success(), "{walls}: {}: {said}", tried.status);
        let mut report: Value = serde_json::from_slice(&tried.stdout).unwrap();
        let outcomes = serde_json::from_value(report["attempts"].take()).unwrap();
        (report["standing"].take(), outcomes)
    }

    /// A new one for the next, which must not find what this one made.
    fn outcomes(walls: &str) -> (Value, Outcomes) {
        Self::new().attempt(walls)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = self.victim.kill();
        let _ = self.victim.wait();
    }
}

/// What of others is kept from a process by Landlock when all walls stand.
const BY_LANDLOCK: [&str; 17] = [
    "read a key",
    "list a folder",
    "read by ..",
    "read by /proc/self/root",
    "read by a link that was there",
    "read /etc/passwd",
    "read /root",
    "read kernel messages",
    "open /proc/VICTIM/mem",
    "open /proc/VICTIM/environ",
    "open /proc/VICTIM/maps",
    "open /proc/VICTIM/fd",
    "make a file outside",
    "append to a key",
    "rename a key to a name of one's own",
    "rename out of the folder",
    "remove a file of others",
];

/// What Landlock keeps from it when it stands alone.
const ALONE: [&str; 8] = [
    "cut a key short",
    "make a folder",
    "make a folder in one's own",
    "make a link",
    "make a pipe with a name",
    "make a device",
    "connect by TCP",
    "listen by TCP",
];

/// What a process without walls can do wherever these tests run.
const ALWAYS_POSSIBLE: [&str; 17] = [
    "read a key",
    "list a folder",
    "read by ..",
    "read by a link that was there",
    "read /etc/passwd",
    "make a file outside",
    "append to a key",
    "cut a key short",
    "change a mode",
    "make a link",
    "start a process",
    "signal another process",
    "connect by TCP",
    "listen by TCP",
    "send by UDP",
    "connect to an abstract socket",
    "socket: netlink",
];

fn is_own(name: &str) -> bool {
    name.starts_with("own: ")
}

/// The error by which a wall answers when all stand.
fn answer(name: &str) -> i64 {
    match name {
        "write a long file" => 27,
        "open 5000 files" => 24,
        "leave a core dump" => 1,
        name if BY_LANDLOCK.contains(&name) => EACCES,
        _ => ENOSYS,
    }
}

const EPERM: i64 = 1;
const EBADF: i64 = 9;
const EACCES: i64 = 13;
const ENOSYS: i64 = 38;
const ENETUNREACH: i64 = 101;
const ECONNREFUSED: i64 = 111;

#[test]
fn nothing_but_its_own_is_left_to_a_process_behind_all_walls() {
    let (standing, behind) = Scene::outcomes("all");
    assert!(behind.len() > 130, "{}", behind.len());
    let missing = standing["missing"].as_array().unwrap();
    if !missing.is_empty() {
        println!("not all walls can be tried here: {missing:?}");
    }
    let lacks = |wall: &str| {
        missing
            .iter()
            .any(|text| text.as_str().unwrap().starts_with(wall))
    };
    for (name, outcome) in &behind {
        let expected = if is_own(name) {
            None
        } else {
            Some(answer(name))
        };
        if lacks("Landlock") && expected == Some(EACCES) {
            continue;
        }
        assert_eq!(*outcome, expected, "{name}");
    }
    for (kind, opened) in [
        ("card", &["make a pair of sockets"][..]),
        (
            "network",
            &[
                "socket: TCP",
                "socket: TCP over IPv6",
                "socket: UDP",
                "connect by TCP",
                "send by UDP",
            ],
        ),
    ] {
        let (_, outcomes) = Scene::outcomes(kind);
        for (name, outcome) in outcomes {
            let expected = match name.as_str() {
                // Resolvers bind what they ask from; here is no descriptor, and TCP is Landlock's.
                "call: bind" if kind == "network" => Some(EBADF),
                "listen by TCP" if kind == "network" && !lacks("Landlock") => Some(EACCES),
                name if opened.contains(&name) => None,
                name => behind[name],
            };
            assert_eq!(outcome, expected, "{kind}: {name}");
        }
    }
}

/// Without this, the test above could pass because an attempt is badly made.
#[test]
fn without_walls_the_same_attempts_succeed_or_are_at_least_looked_at() {
    let (_, open) = Scene::outcomes("none");
    let mut unseen = Vec::new();
    for (name, outcome) in &open {
        let answered = Some(answer(name));
        if *outcome == answered {
            assert!(
                !ALWAYS_POSSIBLE.contains(&name.as_str()),
                "{name}: {outcome:?}"
            );
            unseen.push(name);
        }
        let must = is_own(name) || ALWAYS_POSSIBLE.contains(&name.as_str());
        assert!(!must || outcome.is_none(), "{name}: {outcome:?}");
    }
    if !unseen.is_empty() {
        println!("this system refuses without walls too: {unseen:?}");
    }
    assert!(unseen.len() <= 16, "{unseen:?}");
}

#[test]
fn landlock_holds_without_the_others() {
    let (standing, behind) = Scene::outcomes("Landlock");
    if let Some(why) = standing["Err"].as_str() {
        println!("not tried: {why}");
        return;
    }
    for name in BY_LANDLOCK.into_iter().chain(ALONE) {
        if let Some(outcome) = behind.get(name) {
            assert_eq!(*outcome, Some(EACCES), "{name}");
        }
    }
    for name in [
        "signal another process",
        "wake another process",
        "signal a thread of another process",
        "debug another process",
        "read another process's memory",
        "connect to an abstract socket",
    ] {
        assert_eq!(behind[name], Some(EPERM), "{name}");
    }
    assert!(behind["make a hard link"].is_some());
    assert_eq!(behind["start a process"], None, "it has no rule for that");
}

#[test]
fn a_namespace_holds_without_the_others() {
    let (standing, behind) = Scene::outcomes("namespace");
    if let Some(why) = standing["Err"].as_str() {
        println!("not tried: {why}");
        return;
    }
    assert_eq!(behind["connect by TCP"], Some(ENETUNREACH));
    assert_eq!(behind["send by UDP"], Some(ENETUNREACH));
    assert_eq!(behind["connect to an abstract socket"], Some(ECONNREFUSED));
}

/// The worker of a real agent, as the kernel describes it.
#[test]
fn a_worker_of_an_agent_is_behind_them() {
    let agent = Agent::start(&[("SKEP_MODELS_DEFAULT", "")]).unwrap();
    let loaded = Command::new(skep_tests::agent::binary())
        .args(["load", "tiny"])
        .env("SKEP_HOME", agent.home())
        .status()
        .unwrap();
    assert!(loaded.success());
    let (status, body) = raw::request(agent.address(), "GET", "/api/v1/ps", "", "").unwrap();
    assert_eq!(status, 200, "{body}");
    let replicas: Value = serde_json::from_str(&body).unwrap();
    let pid = replicas["replicas"][0]["pid"].as_u64().unwrap();
    let read = |file: &str| fs::read(format!("/proc/{pid}/{file}")).unwrap();
    let about = String::from_utf8(read("status")).unwrap();
    let field = |name: &str| {
        let line = about.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_whitespace().nth(1))
            .unwrap()
            .to_owned()
    };
    assert_eq!(field("Seccomp:"), "2", "a filter");
    assert_eq!(field("NoNewPrivs:"), "1");
    for kind in ["CapPrm:", "CapEff:", "CapInh:"] {
        assert_eq!(field(kind), "0000000000000000", "{kind}");
    }
    // It is hidden from this user; what follows is for root alone.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    assert_eq!(read("environ"), b"CUDA_DEVICE_ORDER=PCI_BUS_ID\0");
    let network = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
    assert_ne!(network(&pid.to_string()), network("self"));
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let open: Vec<String> = entries
        .map(|entry| fs::read_link(entry.unwrap().path()).unwrap())
        .map(|path| path.display().to_string())
        .collect();
    // Standard output leads nowhere, standard error into the agent's log; the socket has two descriptors, and the plugin's
    // code one.
    let home = agent.home().display().to_string();
    let kinds = open
        .iter()
        .map(|path| match path.strip_prefix(&home) {
            Some(inside) => inside.split("/compiled/").next().unwrap_or_default(),
            None => path.split(':').next().unwrap_or_default(),
        })
        .map(str::to_owned);
    let mut kinds: Vec<String> = kinds.collect();
    kinds.sort();
    assert_eq!(
        kinds,
        ["/cache", "/dev/null", "pipe", "socket", "socket"],
        "{open:?}"
    );
}
