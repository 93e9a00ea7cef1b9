//! Backups: made under load, put back elsewhere, refused when they are not whole, and made by the agent itself.
#![allow(
    clippy::disallowed_methods,
    reason = "what other processes do has to be looked at again and again"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use skep_tests::agent::{Agent, binary, fail_to_start};
use skep_tests::raw;

const NOTHING: (&str, &str) = ("SKEP_MODELS_DEFAULT", "");
const LISTEN: (&str, &str) = ("SKEP_CLUSTER_LISTEN", "127.0.0.1:0");
const KEY: (&str, &str) = ("SKEP_HTTP_REQUIRE_KEY", "true");

/// A command on a home that may have no agent: whether it went well, and what it said.
fn skep(home: &Path, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(binary())
        .args(arguments)
        .env("SKEP_HOME", home)
        .output()
        .unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    (output.status.success(), said)
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "not so in time: {what}"
        );
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

/// The status of a request with this key.
fn with_key(agent: &Agent, key: &str) -> u16 {
    let to = agent.address();
    let request = format!(
        "GET /v1/models HTTP/1.1\r\nhost: {to}\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\r\n"
    );
    raw::say(to, request.as_bytes(), Duration::from_secs(10))
        .unwrap()
        .statuses()[0]
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn what_was_there_is_there_again_elsewhere() {
    let agent = Agent::start(&[NOTHING, LISTEN, KEY]).unwrap();
    let made = agent
        .skep(&["keys", "new", "laptop", "--json"], "")
        .unwrap();
    let made: Value = serde_json::from_str(&made.1).unwrap();
    let key = made["secret"].as_str().unwrap().to_owned();
    assert_eq!(with_key(&agent, &key), 200);
    let (good, _, err) = agent.skep(&["secret", "set", "mail"], "hunter2\n").unwrap();
    assert!(good, "{err}");
    let config = "[node]\nname = \"attic\"\n# mine\n";
    fs::write(agent.home().join("config.toml"), config).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let pass = folder.path().join("pass");
    fs::write(&pass, "correct horse battery staple\n").unwrap();
    let file = folder.path().join("sealed.skep-backup");
    // Keys come and go all the while, each a change of what is read.
    let done = AtomicBool::new(false);
    let (good, out, err) = std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut rounds = 0;
            while !done.load(Ordering::SeqCst) || rounds < 2 {
                let name = format!("load{rounds}");
                agent.skep(&["keys", "new", &name], "").unwrap();
                agent.skep(&["token", "new"], "").unwrap();
                rounds += 1;
            }
        });
        let mut last = (false, String::new(), String::new());
        for round in 0..3 {
            let _ = fs::remove_file(&file);
            last = agent
                .skep(
                    &[
                        "backup",
                        "create",
                        text(&file),
                        "--passphrase-file",
                        text(&pass),
                    ],
                    "",
                )
                .unwrap();
            assert!(last.0, "{round}: {last:?}");
        }
        done.store(true, Ordering::SeqCst);
        load.join().unwrap();
        last
    });
    assert!(good && !err.contains("not sealed"), "{out}{err}");
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let bytes = fs::read(&file).unwrap();
    for secret in [b"hunter2".as_slice(), b"PRIVATE KEY", b"attic"] {
        assert!(
            !bytes
                .windows(secret.len())
                .skip(400)
                .any(|window| window == secret)
        );
    }
    // Nothing is overwritten, and nothing is put back beside a running agent.
    let (good, _, err) = agent.skep(&["backup", "create", text(&file)], "").unwrap();
    assert!(!good && err.contains("already"), "{err}");
    let sealed = ["--passphrase-file", text(&pass)];
    let restore = [&["backup", "restore", text(&file)], &sealed[..]].concat();
    let (good, said) = skep(agent.home(), &restore);
    assert!(!good && said.contains("another agent"), "{said}");
    let node = fs::read(agent.home().join("state/identity.pem")).unwrap();
    drop(agent);

    let home = tempfile::tempdir().unwrap();
    let (good, said) = skep(home.path(), &["backup", "restore", text(&file)]);
    assert!(!good && said.contains("--passphrase-file"), "{said}");
    let wrong = folder.path().join("wrong");
    fs::write(&wrong, "battery staple\n").unwrap();
    let (good, said) = skep(
        home.path(),
        &[
            "backup",
            "restore",
            text(&file),
            "--passphrase-file",
            text(&wrong),
        ],
    );
    assert!(!good && said.contains("does not open it"), "{said}");
    assert!(!home.path().join("state/identity.pem").exists());
    let (good, said) = skep(home.path(), &[&restore[..], &["--dry-run"]].concat());
    assert!(good && said.contains("state/identity.pem"), "{said}");
    assert!(!home.path().join("state/identity.pem").exists());
    // What is there before is kept.
    fs::create_dir_all(home.path().join("state")).unwrap();
    fs::write(home.path().join("state/keys.json"), "mine").unwrap();
    let (good, said) = skep(home.path(), &[&restore[..], &["--json"]].concat());
    assert!(good, "{said}");
    let told: Value = serde_json::from_str(&said).unwrap();
    let before = PathBuf::from(told["before"].as_str().unwrap());
    assert_eq!(
        fs::read_to_string(before.join("keys.json")).unwrap(),
        "mine"
    );
    assert_eq!(
        fs::read(home.path().join("state/identity.pem")).unwrap(),
        node
    );
    assert_eq!(
        fs::read_to_string(home.path().join("config.toml")).unwrap(),
        config
    );
    assert_eq!(
        fs::read_to_string(home.path().join("state/secrets/mail"))
            .unwrap()
            .trim(),
        "hunter2"
    );
    let agent = Agent::start_in(home, &[NOTHING, LISTEN, KEY]).unwrap();
    assert_eq!(with_key(&agent, &key), 200);
    assert_eq!(with_key(&agent, "sk-skep-wrong"), 401);
    let (_, nodes, _) = agent.skep(&["nodes", "--json"], "").unwrap();
    assert!(nodes.contains("voter") || nodes.contains("here"), "{nodes}");
    drop(agent);
}

/// What breaks on the way is refused, and leaves what is there as it is.
#[test]
fn what_is_not_whole_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("one.skep-backup");
    let mut agent = Agent::start(&[NOTHING, LISTEN]).unwrap();
    // Enough that it has more than a few pieces.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    })
    .take(400_000)
    .collect();
    fs::write(agent.home().join("state/secrets/noise"), &noise).unwrap();
    agent.signal("TERM").unwrap();
    agent.wait().unwrap();
    // Without an agent it is made from the folders.
    let (good, said) = skep(agent.home(), &["backup", "create", text(&file)]);
    assert!(good && said.contains("not sealed"), "{said}");
    let whole = fs::read(&file).unwrap();
    assert!(whole.len() > 4 << 16, "{}", whole.len());
    let identity = fs::read(agent.home().join("state/identity.pem")).unwrap();
    let bad = folder.path().join("bad.skep-backup");
    let refused = |bytes: &[u8], what: &str| {
        fs::write(&bad, bytes).unwrap();
        let (good, said) = skep(agent.home(), &["backup", "restore", text(&bad)]);
        assert!(
            !good && (said.contains("cut or altered") || said.contains("no backup")),
            "{what}: {said}"
        );
        assert_eq!(
            fs::read(agent.home().join("state/identity.pem")).unwrap(),
            identity,
            "{what}"
        );
    };
    for end in (0..whole.len()).step_by(64 << 10).chain([whole.len() - 1]) {
        refused(&whole[..end], &format!("cut at {end}"));
    }
    for at in (0..whole.len()).step_by(whole.len() / 5) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        refused(&flipped, &format!("a bit flipped at {at}"));
    }
    let (good, said) = skep(
        agent.home(),
        &["backup", "ls", text(folder.path()), "--json"],
    );
    assert!(good, "{said}");
    let listed: Value = serde_json::from_str(&said).unwrap();
    let whole: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["whole"].as_bool().unwrap())
        .collect();
    assert_eq!(whole, [true, false]);
    // A restore that was cut off is not started on.
    fs::write(agent.home().join("state/restoring"), "").unwrap();
    let (code, said) = fail_to_start(agent.home(), &[NOTHING, LISTEN]).unwrap();
    assert!(
        code == Some(65) && said.contains("restore"),
        "{code:?} {said}"
    );
    let (good, said) = skep(agent.home(), &["backup", "restore", text(&file)]);
    assert!(good, "{said}");
    agent.restart(&[NOTHING, LISTEN]).unwrap();
}

/// Made on time, thinned, made up for after a restart, and told of when the disk is full.
#[test]
fn the_agent_makes_them_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [
        NOTHING,
        LISTEN,
        ("SKEP_BACKUP_FOLDER", text(folder.path())),
        ("SKEP_BACKUP_EVERY_S", "3"),
        ("SKEP_BACKUP_KEEP", "1"),
    ];
    let count = || {
        let entries = fs::read_dir(folder.path()).unwrap().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names
            .filter(|name| name.ends_with(".skep-backup"))
            .collect::<Vec<_>>()
    };
    let mut agent = Agent::start(&settings).unwrap();
    until("one is made", || !count().is_empty());
    let first = count();
    until("another takes its place", || {
        count() != first && count().len() == 1
    });
    let (good, said) = skep(
        agent.home(),
        &["backup", "ls", text(folder.path()), "--json"],
    );
    assert!(good && said.contains("\"whole\": true"), "{said}");
    agent.restart(&settings).unwrap();
    let before = count();
    until("one is made after a restart", || count() != before);
    // A disk with no room.
    if Command::new("id").arg("-u").output().unwrap().stdout != b"0\n" {
        eprintln!("not tried: a full disk needs root for a small one");
        return;
    }
    let small = tempfile::tempdir().unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=4k", "tmpfs", text(small.path())])
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        eprintln!("not tried: a full disk, since nothing can be mounted here");
        return;
    }
    fs::write(small.path().join("full"), [1; 4_096]).unwrap();
    let full = [
        NOTHING,
        LISTEN,
        ("SKEP_BACKUP_FOLDER", text(small.path())),
        settings[3],
        settings[4],
    ];
    let told = agent.restart(&full).and_then(|()| {
        let _ = fs::remove_file(agent.home().join("state/backup.json"));
        agent.restart(&full)
    });
    let began = Instant::now();
    let mut alerts = String::new();
    while !alerts.contains("backup.failed") && began.elapsed() < Duration::from_secs(60) {
        std::thread::park_timeout(Duration::from_millis(100));
        alerts = agent.skep(&["alerts", "--json"], "").unwrap().1;
    }
    // Another attempt may be under way just now.
    let mut left = 2;
    while left > 1 && began.elapsed() < Duration::from_secs(60) {
        std::thread::park_timeout(Duration::from_millis(20));
        left = fs::read_dir(small.path()).unwrap().count();
    }
    let by_hand = skep(
        agent.home(),
        &["backup", "create", text(&small.path().join("x"))],
    );
    let left_by_hand = usize::from(small.path().join("x").exists());
    let unmounted = Command::new("umount").arg(small.path()).status();
    told.unwrap();
    assert!(alerts.contains("backup.failed"), "{alerts}");
    assert!(!by_hand.0 && by_hand.1.contains("full"), "{by_hand:?}");
    assert_eq!((left, left_by_hand), (1, 0), "a half of one was left");
    assert!(unmounted.unwrap().success());
}
