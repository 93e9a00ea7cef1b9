//! The agent as systemd runs it: what it tells its manager, and where its log goes.

use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use skep_tests::agent::binary;

/// Whoever listens in the manager's place.
struct Ears {
    socket: UnixDatagram,
    folder: tempfile::TempDir,
}

impl Ears {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(120)))
            .unwrap();
        Self { socket, folder }
    }

    fn next(&self) -> String {
        let mut buffer = vec![0; 64 << 10];
        let length = self.socket.recv(&mut buffer).expect("nothing was told");
        buffer.truncate(length);
        String::from_utf8_lossy(&buffer).into_owned()
    }

    /// Everything up to a message with this line.
    fn until(&self, line: &str) -> Vec<String> {
        let mut heard = Vec::new();
        loop {
            heard.push(self.next());
            if heard.last().unwrap().lines().any(|told| told == line) {
                return heard;
            }
        }
    }
}

/// Ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn up(home: &Path) -> Command {
    let mut command = Command::new(binary());
    command.args(["up", "--home"]).arg(home);
    command
        .env("SKEP_HTTP_LISTEN", "127.0.0.1:0")
        .env("SKEP_MODELS_DEFAULT", "")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

#[test]
fn a_manager_hears_of_start_life_and_end() {
    let manager = Ears::new();
    let home = tempfile::tempdir().unwrap();
    let mut child = up(home.path())
        .env("NOTIFY_SOCKET", manager.folder.path().join("notify"))
        .env("WATCHDOG_USEC", "4000000")
        .spawn()
        .map(Running)
        .unwrap();
    let heard = manager.until("READY=1");
    assert_eq!(heard[0], "STATUS=starting\n");
    let extended = |told: &String| told.contains("EXTEND_TIMEOUT_USEC=60000000\n");
    assert!(
        heard.iter().any(extended),
        "a first start compiles: {heard:?}"
    );
    let alive = |told: &String| told.contains("WATCHDOG=1");
    assert!(!heard.iter().any(alive), "too early: {heard:?}");
    let ready = heard.last().unwrap();
    assert!(
        ready.contains("STATUS=serving at http://127.0.0.1:"),
        "{ready}"
    );
    for _ in 0..3 {
        manager.until("WATCHDOG=1");
    }
    let pid = child.0.id().to_string();
    let asked = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    assert!(asked.success());
    let heard = manager.until("STOPPING=1");
    let end = heard.last().unwrap();
    assert!(end.contains("EXTEND_TIMEOUT_USEC="), "{end}");
    assert_eq!(child.0.wait().unwrap().code(), Some(0));
}

/// A process that is stopped (or hangs) says nothing, whatever it said before.
#[test]
fn an_agent_that_stands_still_does_not_say_that_it_lives() {
    let manager = Ears::new();
    let home = tempfile::tempdir().unwrap();
    let child = up(home.path())
        .env("NOTIFY_SOCKET", manager.folder.path().join("notify"))
        .env("WATCHDOG_USEC", "2000000")
        .spawn()
        .map(Running)
        .unwrap();
    manager.until("WATCHDOG=1");
    let pid = child.0.id().to_string();
    let signal = |name: &str| {
        let sent = Command::new("kill").args([name, &pid]).status().unwrap();
        assert!(sent.success());
    };
    signal("-STOP");
    manager.socket.set_nonblocking(true).unwrap();
    while manager.socket.recv(&mut [0; 4096]).is_ok() {}
    let wait = Instant::now() + Duration::from_secs(4);
    while Instant::now() < wait {
        assert!(manager.socket.recv(&mut [0; 4096]).is_err());
        std::thread::park_timeout(Duration::from_millis(200));
    }
    manager.socket.set_nonblocking(false).unwrap();
    signal("-CONT");
    manager.until("WATCHDOG=1");
}

/// With standard error in the journal, lines go there with fields and priorities. The journal is a socket in a namespace of
/// mounts that only the agent sees.
#[test]
fn the_journal_gets_fields_and_priorities() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: namespaces of mounts need root");
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let journal = UnixDatagram::bind(place.path().join("socket")).unwrap();
    journal
        .set_read_timeout(Some(Duration::from_secs(120)))
        .unwrap();
    let home = tempfile::tempdir().unwrap();
    let (theirs, _ours) = UnixStream::pair().unwrap();
    let about = rustix::fs::fstat(&theirs).unwrap();
    let inner = up(home.path());
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--propagation", "private", "sh", "-c"])
        .arg(
            "mount -t tmpfs none /run && mkdir -p /run/systemd/journal && \
             mount --bind \"$JOURNAL\" /run/systemd/journal && exec \"$@\"",
        )
        .arg("sh")
        .arg(inner.get_program())
        .args(inner.get_args())
        .envs(
            inner
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .env("JOURNAL", place.path())
        .env(
            "JOURNAL_STREAM",
            format!("{}:{}", about.st_dev, about.st_ino),
        )
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(OwnedFd::from(theirs));
    let _agent = Running(command.spawn().unwrap());
    let mut buffer = vec![0; 64 << 10];
    let entry = loop {
        let length = journal.recv(&mut buffer).expect("nothing was logged");
        let entry = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if entry.contains("serving") {
            break entry;
        }
    };
    // A field's length comes before its text: eight bytes, the lowest first.
    for part in [
        "PRIORITY\n\u{1}\0\0\0\0\0\0\x006\n",
        "SYSLOG_IDENTIFIER",
        "skep",
        "SKEP_URL",
        "http://127.0.0.1:",
        "SKEP_NODE",
    ] {
        assert!(entry.contains(part), "`{part}` is not in {entry:?}");
    }
}
