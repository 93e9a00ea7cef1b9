//! skep on another machine, over a real sshd: put there, cut off, gone on with, and taken away again.
#![allow(
    clippy::disallowed_methods,
    reason = "what other processes do has to be looked at again and again"
)]

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use skep_tests::agent::{Agent, binary};

const PATIENCE: Duration = Duration::from_secs(240);

const NOTHING: (&str, &str) = ("SKEP_MODELS_DEFAULT", "");
const LISTEN: (&str, &str) = ("SKEP_CLUSTER_LISTEN", "127.0.0.1:0");

/// An sshd on loopback, with a home of its own for whoever signs in.
struct Sshd {
    folder: tempfile::TempDir,
    port: u16,
    child: Child,
}

impl Sshd {
    /// None, with a word, where there is no sshd.
    fn start() -> Option<Self> {
        let sshd = Path::new("/usr/sbin/sshd");
        if !sshd.is_file() {
            eprintln!("not tried: there is no sshd; install the package `openssh-server`");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        for name in ["host", "other", "user"] {
            let path = folder.path().join(name);
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(path)
                .status();
            assert!(made.unwrap().success());
        }
        // A folder for sockets without any: no systemd of whoever runs this is asked.
        for name in ["home", "run"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        // Where sshd runs as root it wants a folder for its other half.
        let _ = fs::create_dir_all("/run/sshd");
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let child = launch(folder.path(), port, "host");
        let sshd = Self {
            folder,
            port,
            child,
        };
        sshd.wait();
        Some(sshd)
    }

    /// The same with that key of its own.
    fn restart_as(&mut self, key: &str) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = launch(self.folder.path(), self.port, key);
        self.wait();
    }

    fn wait(&self) {
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(began.elapsed() < PATIENCE, "sshd does not answer");
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    fn machine(&self) -> String {
        let user = Command::new("id").arg("-un").output().unwrap().stdout;
        let user = String::from_utf8(user).unwrap();
        format!("{}@127.0.0.1:{}", user.trim(), self.port)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn fingerprint(&self, key: &str) -> String {
        let shown = Command::new("ssh-keygen")
            .arg("-lf")
            .arg(self.path(key).with_extension("pub"))
            .output();
        let shown = String::from_utf8(shown.unwrap().stdout).unwrap();
        shown.split(' ').nth(1).unwrap().to_owned()
    }

    fn placed(&self) -> PathBuf {
        self.path("home/.local/bin/skep")
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // An agent that was started there outlives the connection; its lock says which process it is.
        if let Some(pid) = agent_there(self) {
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
        }
    }
}

fn launch(folder: &Path, port: u16, key: &str) -> Child {
    let at = |name: &str| folder.join(name).display().to_string();
    fs::copy(folder.join("user.pub"), folder.join("authorized")).unwrap();
    let config = format!(
        "ListenAddress 127.0.0.1\nPort {port}\nHostKey {}\nPidFile none\nAuthorizedKeysFile {}\nStrictModes no\n\
         UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n\
         SetEnv HOME={} SKEP_HTTP_LISTEN=127.0.0.1:0 SKEP_CLUSTER_LISTEN=127.0.0.1:0 \
         SKEP_MODELS_DEFAULT= SKEP_NODE_NAME=attic XDG_RUNTIME_DIR={}\n",
        at(key),
        at("authorized"),
        at("home"),
        at("run"),
    );
    fs::write(folder.join("sshd_config"), config).unwrap();
    Command::new("/usr/sbin/sshd")
        .args(["-D", "-e", "-f"])
        .arg(folder.join("sshd_config"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(folder.join("sshd.log")).unwrap())
        .spawn()
        .unwrap()
}

/// The process of the agent that was started over SSH, while it runs.
fn agent_there(sshd: &Sshd) -> Option<u32> {
    let lock = fs::read_to_string(sshd.path("home/.local/state/skep/agent.lock")).ok()?;
    let pid: u32 = lock.trim().parse().ok()?;
    let exe = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    exe.starts_with(sshd.path("home")).then_some(pid)
}

/// `skep node add` with the user's key: whether it went well, and what it says of the one machine.
fn add(agent: &Agent, sshd: &Sshd, more: &[&str]) -> (bool, Value) {
    let (machine, key) = (sshd.machine(), sshd.path("user"));
    let mut arguments = vec!["node", "add", &machine, "--json", "--identity"];
    arguments.push(key.to_str().unwrap());
    arguments.extend(more);
    let (well, output, said) = agent.skep(&arguments, "").unwrap();
    let outcomes: Value =
        serde_json::from_str(&output).unwrap_or_else(|_| panic!("{output}{said}"));
    (well, outcomes["machines"][0].clone())
}

fn nodes(agent: &Agent) -> usize {
    let (well, output, said) = agent.skep(&["nodes", "--json"], "").unwrap();
    assert!(well, "{said}");
    let nodes: Value = serde_json::from_str(&output).unwrap();
    nodes["nodes"].as_array().unwrap().len()
}

fn record(agent: &Agent) -> String {
    let folder = agent.home().join("state/machines");
    let found = fs::read_dir(folder).into_iter().flatten().flatten().next();
    found.map_or_else(String::new, |entry| {
        fs::read_to_string(entry.path()).unwrap_or_default()
    })
}

#[test]
fn a_machine_is_added_over_ssh_goes_on_after_a_cut_and_is_as_before_when_undone() {
    let Some(mut sshd) = Sshd::start() else {
        return;
    };
    let hive = Agent::start(&[NOTHING, LISTEN]).unwrap();

    // Nobody knows it: nothing is done, and its fingerprint is shown.
    let fingerprint = sshd.fingerprint("host");
    let (well, said) = add(&hive, &sshd, &[]);
    assert!(
        !well && said["error"].as_str().unwrap().contains(&fingerprint),
        "{said}"
    );
    let (well, said) = add(&hive, &sshd, &["--host-key", &sshd.fingerprint("other")]);
    assert!(
        !well
            && said["error"]
                .as_str()
                .unwrap()
                .contains("nobody here knows"),
        "{said}"
    );

    // Only shown; its key is known from now on.
    let (well, said) = add(&hive, &sshd, &["--host-key", &fingerprint, "--dry-run"]);
    assert!(well, "{said}");
    assert_eq!(said["state"], json!("planned"), "{said}");
    assert_eq!(said["steps"].as_array().unwrap().len(), 5, "{said}");
    assert!(!sshd.path("home/.local").exists());

    // Somebody else's key: nobody is let in, and it is said what was tried.
    let (other, machine) = (sshd.path("other"), sshd.machine());
    let arguments = [
        "node",
        "add",
        &machine,
        "--json",
        "-i",
        other.to_str().unwrap(),
    ];
    let (well, output, _) = hive.skep(&arguments, "").unwrap();
    assert!(!well && output.contains("does not let"), "{output}");

    // Cut off while it copies.
    let mut cut = Command::new(binary())
        .args(["node", "add", &machine, "--json", "--identity"])
        .arg(sshd.path("user"))
        .env("SKEP_HOME", hive.home())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let began = Instant::now();
    while !record(&hive).contains("placed") {
        assert!(began.elapsed() < PATIENCE, "it never began to copy");
        std::thread::park_timeout(Duration::from_millis(1));
    }
    cut.kill().unwrap();
    cut.wait().unwrap();
    assert!(!sshd.placed().exists());

    // Gone on with.
    let (well, said) = add(&hive, &sshd, &[]);
    assert!(well, "{said}");
    assert_eq!(said["state"], json!("added"), "{said}");
    assert_eq!(nodes(&hive), 2);
    assert_eq!(
        fs::read(sshd.placed()).unwrap(),
        fs::read(binary()).unwrap()
    );
    assert!(agent_there(&sshd).is_some());
    let records = record(&hive);
    assert!(!records.contains("skep-join-"), "{records}");

    // Again: nothing is left to do.
    let placed = fs::metadata(sshd.placed()).unwrap().modified().unwrap();
    let (well, again) = add(&hive, &sshd, &[]);
    assert!(well, "{again}");
    assert_eq!(
        (&again["state"], &again["node"]),
        (&json!("unchanged"), &said["node"])
    );
    assert_eq!(
        fs::metadata(sshd.placed()).unwrap().modified().unwrap(),
        placed
    );
    assert_eq!(nodes(&hive), 2);

    // It shows another key: refused before anything is sent, whatever is accepted.
    sshd.restart_as("other");
    let (well, said) = add(
        &hive,
        &sshd,
        &["--host-key", &sshd.fingerprint("other"), "--undo"],
    );
    let error = said["error"].as_str().unwrap();
    assert!(
        !well && error.contains("another key") && error.contains("line 1"),
        "{said}"
    );
    sshd.restart_as("host");

    // Taken back; what somebody put there since is left, and said.
    let theirs = sshd.path("home/.config/skep/config.toml");
    fs::create_dir_all(theirs.parent().unwrap()).unwrap();
    fs::write(&theirs, "").unwrap();
    let pid = agent_there(&sshd).unwrap();
    let (well, said) = add(&hive, &sshd, &["--undo"]);
    assert!(well, "{said}");
    assert_eq!(said["state"], json!("undone"), "{said}");
    assert!(!Path::new(&format!("/proc/{pid}/exe")).exists());
    let steps = said["steps"].to_string();
    assert!(steps.contains("left ~/.config/skep"), "{steps}");
    fs::remove_dir_all(sshd.path("home/.config")).unwrap();
    assert_eq!(fs::read_dir(sshd.path("home")).unwrap().count(), 0);
    assert_eq!(nodes(&hive), 1);
    assert_eq!(record(&hive), "");
    let (well, said) = add(&hive, &sshd, &["--undo"]);
    assert!(
        !well && said["error"].as_str().unwrap().contains("nothing was done"),
        "{said}"
    );
}
