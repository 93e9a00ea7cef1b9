//! Plans carried out on a root in a folder: twice, back to the byte, and against somebody who changes things meanwhile.

#![allow(clippy::print_stderr, reason = "what is not tried has to be seen")]

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};

use skep_core::install::{Firewall, KeyKind, Owner, Planned, Protocol, Scope};

use super::*;

/// A system in a folder, and an executor for it.
struct System {
    folder: tempfile::TempDir,
    executor: Executor,
}

pub(super) type Listing = BTreeMap<String, (u32, u32, u32, Vec<u8>)>;

/// Every path with its mode, owner and content.
pub(super) fn listing(folder: &Path) -> Listing {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let about = path.symlink_metadata().unwrap();
            let content = if about.is_file() {
                std::fs::read(&path).unwrap()
            } else if about.is_symlink() {
                path.read_link()
                    .unwrap()
                    .into_os_string()
                    .into_encoded_bytes()
            } else {
                folders.push(path.clone());
                Vec::new()
            };
            let name = path.strip_prefix(folder).unwrap().display().to_string();
            all.insert(name, (about.mode(), about.uid(), about.gid(), content));
        }
    }
    all
}

impl System {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        for path in [
            "etc/systemd/system",
            "usr/lib/systemd/system",
            "etc/ssl",
            "var/lib/systemd",
        ] {
            std::fs::create_dir_all(root.join(path)).unwrap();
        }
        let put = |path: &str, text: &str| std::fs::write(root.join(path), text).unwrap();
        put("etc/old.conf", "old\n");
        put("etc/shared.conf", "first\nlast\n");
        put("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
        put("etc/group", "root:x:0:\n");
        put(
            "etc/nftables.conf",
            "flush ruleset\ntable inet filter {\n\tchain input {\n\t\ttype filter hook input priority 0; policy drop;\n\t}\n}\n",
        );
        put(
            "usr/lib/systemd/system/other.service",
            "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\nAlias=another.service\n",
        );
        std::fs::set_permissions(root.join("etc/old.conf"), PermissionsExt::from_mode(0o604))
            .unwrap();
        let executor = Executor::open(&Workplace {
            root,
            journal: folder.path().join("journal"),
            own: ["/etc", "/usr", "/var"].map(PathBuf::from).to_vec(),
            home: None,
            helper: None,
        });
        Self {
            executor: executor.unwrap(),
            folder,
        }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    fn listing(&self) -> Listing {
        listing(&self.root())
    }

    fn apply(&self, plan: &Plan) -> RunView {
        let run = new_run_id().unwrap();
        let mut states = 0;
        let tell = &mut |_: &RunView| states += 1;
        let view = self
            .executor
            .apply(&run, "test", "sam", plan, &mut NoAgent, tell)
            .unwrap();
        assert!(states > plan.actions.len());
        view
    }

    fn undo(&self, run: &RunView) -> RunView {
        self.executor
            .undo(&run.id, "sam", &mut NoAgent, &mut |_| {})
            .unwrap()
    }

    fn drift(&self) -> Vec<Drift> {
        self.executor.drift(&NoAgent).unwrap()
    }
}

fn plan(actions: Vec<Action>) -> Plan {
    let planned = actions.into_iter().map(|action| Planned {
        action,
        why: "for a test".to_owned(),
    });
    Plan {
        actions: planned.collect(),
        notes: Vec::new(),
    }
}

fn write(path: &str, content: &str) -> Action {
    Action::WriteFile {
        path: path.to_owned(),
        content: content.to_owned(),
        mode: 0o640,
        owner: Owner::default(),
    }
}

fn block(line: &str) -> Action {
    Action::EditBlock {
        path: "/etc/shared.conf".to_owned(),
        name: "skep".to_owned(),
        comment: "#".to_owned(),
        lines: vec![line.to_owned()],
    }
}

fn folder(path: &str, mode: u16) -> Action {
    Action::MakeFolder {
        path: path.to_owned(),
        mode,
        owner: Owner::default(),
    }
}

/// Everything that is about paths alone.
fn everything() -> Plan {
    let owner = Owner::default;
    plan(vec![
        folder("/etc/skep", 0o750),
        folder("/etc/skep/keys", 0o700),
        folder("/etc/skep/cache", 0o711),
        write("/etc/skep/config.toml", "[http]\n"),
        write("/etc/old.conf", "new\n"),
        block("between = 1"),
        write(
            "/etc/systemd/system/skep.service",
            "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n",
        ),
        Action::EnableUnit {
            name: "skep.service".into(),
            scope: Scope::System,
            start: true,
        },
        Action::EnableUnit {
            name: "other.service".into(),
            scope: Scope::System,
            start: true,
        },
        Action::GenerateKey {
            path: "/etc/skep/keys/ssh".into(),
            kind: KeyKind::SshEd25519,
            comment: "skep@box".into(),
            owner: owner(),
        },
        Action::GenerateKey {
            path: "/etc/skep/keys/tls.pem".into(),
            kind: KeyKind::EcP256,
            comment: String::new(),
            owner: owner(),
        },
        Action::GenerateCertificate {
            path: "/etc/skep/keys/tls.crt".into(),
            key: "/etc/skep/keys/tls.pem".into(),
            names: vec!["box.local".into(), "192.0.2.1".into()],
            days: 365,
            owner: owner(),
        },
    ])
}

/// What needs root, on a root in a folder.
fn everything_of_root() -> Plan {
    let mut whole = everything();
    let more = plan(vec![
        Action::OpenPort {
            firewall: Firewall::Nftables,
            protocol: Protocol::Tcp,
            port: 7420,
            from: Some("10.0.0.0/8".into()),
        },
        Action::OpenPort {
            firewall: Firewall::Nftables,
            protocol: Protocol::Udp,
            port: 7421,
            from: None,
        },
        Action::Run {
            command: skep_core::install::Command::KeepRunning {
                user: "root".into(),
            },
        },
        Action::Run {
            command: skep_core::install::Command::ReloadUnits,
        },
    ]);
    whole.actions.extend(more.actions);
    whole
}

/// Units of the machine are root's.
fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("not root: what only root may do is not tried");
    }
    root
}

#[test]
fn a_plan_is_done_once_and_undone_to_the_byte() {
    if !is_root() {
        return;
    }
    let system = System::new();
    let plan = everything_of_root();
    let first = system.listing();
    let previews = system.executor.preview(&plan, &NoAgent).unwrap();
    assert_eq!(system.listing(), first, "a preview changed something");
    for preview in &previews {
        assert_eq!(preview.state, PreviewState::Needed, "{preview:?}");
    }
    assert!(previews[4].diff.as_ref().unwrap().contains("-old\n+new\n"));
    assert!(
        previews[5]
            .diff
            .as_ref()
            .unwrap()
            .contains("+between = 1\n")
    );
    assert!(
        previews
            .iter()
            .all(|preview| !preview.diff.as_deref().unwrap_or("").contains("PRIVATE"))
    );

    let run = system.apply(&plan);
    assert_eq!(run.state, RunWord::Done, "{:?}", run.error());
    assert!(
        run.actions
            .iter()
            .all(|action| action.state == ActionState::Done)
    );
    let done = system.listing();
    assert_ne!(done, first);
    let link = system
        .root()
        .join("etc/systemd/system/multi-user.target.wants/skep.service");
    assert_eq!(
        link.read_link().unwrap(),
        Path::new("/etc/systemd/system/skep.service")
    );
    assert!(
        system
            .root()
            .join("etc/systemd/system/another.service")
            .is_symlink()
    );
    assert_eq!(
        std::fs::read_to_string(system.root().join("etc/shared.conf")).unwrap(),
        "first\nlast\n# skep: begin skep\nbetween = 1\n# skep: end skep\n"
    );
    let key = system.root().join("etc/skep/keys/ssh");
    assert_eq!(key.metadata().unwrap().mode() & 0o7777, 0o600);
    assert!(system.drift().is_empty(), "{:?}", system.drift());

    // Once more: nothing is done, and undoing that undoes nothing.
    let again = system.apply(&plan);
    assert_eq!(again.state, RunWord::Done, "{:?}", again.error());
    assert!(
        again
            .actions
            .iter()
            .all(|action| action.state == ActionState::Already),
        "{again:?}"
    );
    assert_eq!(system.listing(), done);
    assert!(
        system
            .executor
            .preview(&plan, &NoAgent)
            .unwrap()
            .iter()
            .all(|p| p.state == PreviewState::Already)
    );
    assert_eq!(system.undo(&again).state, RunWord::Undone);
    assert_eq!(system.listing(), done);

    let back = system.undo(&run);
    assert_eq!(back.state, RunWord::Undone);
    assert!(
        back.actions
            .iter()
            .all(|action| action.state == ActionState::Undone),
        "{back:?}"
    );
    assert_eq!(system.listing(), first);
    let runs = system.executor.runs().unwrap();
    assert!(runs.iter().all(|run| run.state == RunWord::Undone));
    // A key never gets into the journal or beside it.
    for (path, (.., content)) in listing(&system.folder.path().join("journal")) {
        assert!(
            !content.windows(11).any(|part| part == b"PRIVATE KEY"),
            "{path}"
        );
    }
}

#[test]
fn openssh_reads_the_key() {
    if std::process::Command::new("ssh-keygen")
        .arg("-?")
        .output()
        .is_err()
    {
        eprintln!("no ssh-keygen here (package openssh-client): the key is not shown to it");
        return;
    }
    let system = System::new();
    let key = Action::GenerateKey {
        path: "/etc/ssh".into(),
        kind: KeyKind::SshEd25519,
        comment: "skep@box".into(),
        owner: Owner::default(),
    };
    let run = system.apply(&plan(vec![key]));
    assert_eq!(run.state, RunWord::Done, "{:?}", run.error());
    let key = system.root().join("etc/ssh");
    let said = std::process::Command::new("ssh-keygen")
        .arg("-y")
        .arg("-f")
        .arg(&key)
        .output()
        .unwrap();
    assert!(
        said.status.success(),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
    let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    assert_eq!(String::from_utf8_lossy(&said.stdout), public);
}

#[test]
fn what_somebody_changed_is_told_and_left() {
    if !is_root() {
        return;
    }
    let system = System::new();
    let run = system.apply(&everything());
    let put = |path: &str, text: &str| std::fs::write(system.root().join(path), text).unwrap();
    put("etc/old.conf", "theirs\n");
    put("etc/skep/note", "mine\n");
    put(
        "etc/shared.conf",
        "before\nfirst\nlast\n# skep: begin skep\nbetween = 1\n# skep: end skep\nafter\n",
    );
    std::fs::remove_file(system.root().join("etc/skep/keys/tls.crt")).unwrap();
    let drift = system.drift();
    let about: Vec<usize> = drift.iter().map(|drift| drift.index).collect();
    // What others write around a block is no drift.
    assert_eq!(about, [11, 4], "{drift:?}");
    assert!(drift[1].expected.contains("SHA-256") && drift[1].found.contains("/etc/old.conf"));

    let back = system.undo(&run);
    assert_eq!(back.state, RunWord::Undone);
    let read = |path: &str| std::fs::read_to_string(system.root().join(path)).unwrap();
    assert_eq!(read("etc/old.conf"), "theirs\n");
    assert_eq!(read("etc/skep/note"), "mine\n");
    assert_eq!(read("etc/shared.conf"), "before\nfirst\nlast\nafter\n");
    let left: Vec<usize> = back
        .actions
        .iter()
        .filter(|a| a.error.is_some())
        .map(|a| a.index)
        .collect();
    // What somebody removed is where undoing would have led.
    assert_eq!(left, [0, 4], "{back:?}");
    assert!(!system.root().join("etc/skep/keys").exists());
}

#[test]
fn a_changed_block_stays() {
    let system = System::new();
    let run = system.apply(&plan(vec![block("a = 1")]));
    let path = system.root().join("etc/shared.conf");
    let theirs = std::fs::read_to_string(&path)
        .unwrap()
        .replace("a = 1", "a = 2");
    std::fs::write(&path, &theirs).unwrap();
    assert_eq!(system.drift().len(), 1);
    let back = system.undo(&run);
    assert!(
        back.actions[0]
            .error
            .as_ref()
            .unwrap()
            .contains("changed the block")
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), theirs);
}

#[test]
fn a_later_run_is_undone_before_an_earlier_one() {
    let system = System::new();
    let first = system.listing();
    let one = system.apply(&plan(vec![write("/etc/old.conf", "one\n"), block("x = 1")]));
    let two = system.apply(&plan(vec![write("/etc/old.conf", "two\n"), block("x = 2")]));
    assert!(system.drift().is_empty(), "{:?}", system.drift());
    // Out of order, the file is left.
    let left = system.undo(&one);
    assert_eq!(left.state, RunWord::Undone);
    assert!(left.error().is_some());
    assert_eq!(
        std::fs::read_to_string(system.root().join("etc/old.conf")).unwrap(),
        "two\n"
    );
    system.undo(&two);
    assert_eq!(
        std::fs::read_to_string(system.root().join("etc/old.conf")).unwrap(),
        "one\n"
    );
    // In order, all is as it was.
    let system = System::new();
    let one = system.apply(&plan(vec![write("/etc/old.conf", "one\n"), block("x = 1")]));
    let two = system.apply(&plan(vec![write("/etc/old.conf", "two\n"), block("x = 2")]));
    system.undo(&two);
    system.undo(&one);
    assert_eq!(system.listing(), first);
}

#[test]
fn a_failure_stops_goes_on_and_goes_back() {
    let system = System::new();
    let first = system.listing();
    std::fs::create_dir(system.root().join("etc/taken")).unwrap();
    let whole = plan(vec![
        write("/etc/a", "a"),
        write("/etc/taken", "b"),
        write("/etc/c", "c"),
    ]);
    let previews = system.executor.preview(&whole, &NoAgent).unwrap();
    assert_eq!(previews[1].state, PreviewState::Conflict);
    let run = system.apply(&whole);
    assert_eq!(run.state, RunWord::Failed);
    let states: Vec<ActionState> = run.actions.iter().map(|action| action.state).collect();
    assert_eq!(
        states,
        [ActionState::Done, ActionState::Failed, ActionState::Waiting]
    );
    std::fs::remove_dir(system.root().join("etc/taken")).unwrap();
    let done = system
        .executor
        .resume(&run.id, &mut NoAgent, &mut |_| {})
        .unwrap();
    assert_eq!(done.state, RunWord::Done, "{done:?}");
    assert_eq!(system.undo(&run).state, RunWord::Undone);
    assert_eq!(system.listing(), first);
    // The agent's own actions need an agent.
    let setting = Action::SetSetting {
        key: "http.listen".into(),
        value: None,
    };
    let run = system.apply(&plan(vec![setting]));
    assert!(run.error().unwrap().contains("skep up"));
}

#[test]
fn a_download_is_what_it_should_be_or_nothing() {
    use std::io::{Read as _, Write as _};
    let body = b"a driver, perhaps".to_vec();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let served = body.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(3) {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                served.len()
            );
            let _ = stream
                .write_all(head.as_bytes())
                .and_then(|()| stream.write_all(&served));
        }
    });
    let system = System::new();
    let first = system.listing();
    let download = |sha256: String, size_bytes| Action::Download {
        url: format!("http://{address}/driver"),
        sha256,
        size_bytes,
        path: "/etc/driver".into(),
        mode: 0o644,
        owner: Owner::default(),
    };
    let right = kept::sha256(&body);
    for wrong in [download("0".repeat(64), 17), download(right.clone(), 16)] {
        let run = system.apply(&plan(vec![wrong]));
        assert_eq!(run.state, RunWord::Failed);
        assert_eq!(system.listing(), first, "{:?}", run.error());
    }
    let run = system.apply(&plan(vec![download(right, 17)]));
    assert_eq!(run.state, RunWord::Done, "{:?}", run.error());
    assert_eq!(
        std::fs::read(system.root().join("etc/driver")).unwrap(),
        body
    );
    system.undo(&run);
    assert_eq!(system.listing(), first);
}

#[test]
fn programs_are_bounded_in_time_and_words() {
    use super::program::Program;
    let sh = |script: &str| Program::at("/bin/sh".into()).args(["-c", script]);
    assert_eq!(
        sh("echo $HOME $SKEP_X; cat").run_with(b"in").unwrap(),
        "/\nin"
    );
    let failed = sh("echo one >&2; echo two >&2; exit 3").run().unwrap_err();
    assert!(
        failed.to_string().contains("status 3): one; two"),
        "{failed}"
    );
    let slow = sh("sleep 60 & sleep 60")
        .within(std::time::Duration::from_millis(200))
        .run();
    assert!(matches!(slow, Err(ActError::Slow { .. })));
    let much = sh("head -c 30000000 /dev/zero").said(&[]).unwrap();
    assert!(much.out.len() <= crate::limits::PROGRAM_OUTPUT_BYTES);
}
