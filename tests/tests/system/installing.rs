//! The agent made a service of a system in a folder, and as if it had never been; root's hands for one user and no other.
//!
//! All of it needs root, as the commands do.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use skep::act::ActError;
use skep::act::helper::Client;
use skep_core::install::{Action, KeyKind, Owner, Plan, Planned, RunId, Scope};
use skep_tests::agent::binary;
use tempfile::TempDir;

const NOBODY: u32 = 65_534;
const SOMEBODY: u32 = 65_533;

/// A system in a folder: no more than `skep install` looks at.
struct System {
    folder: TempDir,
}

type Listing = BTreeMap<String, (u32, u32, u32, Vec<u8>)>;

fn may() -> bool {
    let root = rustix::process::geteuid().is_root();
    let tools = ["useradd", "groupadd", "userdel", "gpasswd"];
    let there = |tool: &&str| {
        Path::new("/usr/sbin").join(tool).exists() || Path::new("/usr/bin").join(tool).exists()
    };
    let tools = tools.iter().all(there);
    if !root || !tools {
        eprintln!("not tried: this needs root, and the package `passwd` (useradd, groupadd)");
    }
    root && tools
}

impl System {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let root = folder.path();
        for path in [
            "etc/systemd/system",
            "etc/skel",
            "usr/local/bin",
            "usr/sbin",
            "var/lib",
            "run",
            "tmp",
        ] {
            fs::create_dir_all(root.join(path)).unwrap();
        }
        for (path, text, mode) in [
            (
                "etc/passwd",
                "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
                0o644,
            ),
            (
                "etc/group",
                "root:x:0:\nvideo:x:44:\nrender:x:106:\nnogroup:x:65534:\n",
                0o644,
            ),
            (
                "etc/shadow",
                "root:*:19000:0:99999:7:::\nnobody:*:19000:0:99999:7:::\n",
                0o640,
            ),
            (
                "etc/gshadow",
                "root:*::\nvideo:*::\nrender:*::\nnogroup:*::\n",
                0o640,
            ),
            (
                "etc/login.defs",
                "SYS_UID_MAX 999\nSYS_GID_MAX 999\n",
                0o644,
            ),
            ("usr/sbin/nologin", "", 0o755),
        ] {
            fs::write(root.join(path), text).unwrap();
            fs::set_permissions(root.join(path), PermissionsExt::from_mode(mode)).unwrap();
        }
        Self { folder }
    }

    fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Every path with its mode, owner and content, but for what the programs for accounts leave behind: copies of their own files
    /// (`/etc/passwd-`) and a lock.
    fn listing(&self) -> Listing {
        let mut all = Listing::new();
        let mut folders = vec![self.root().to_owned()];
        while let Some(next) = folders.pop() {
            for entry in fs::read_dir(&next).unwrap() {
                let path = entry.unwrap().path();
                let about = path.symlink_metadata().unwrap();
                let name = path
                    .strip_prefix(self.root())
                    .unwrap()
                    .display()
                    .to_string();
                if name.ends_with('-')
                    || name == "etc/.pwd.lock"
                    || name.starts_with("var/lib/skep-setup")
                {
                    continue;
                }
                let content = if about.is_file() && about.len() < 1 << 20 {
                    fs::read(&path).unwrap()
                } else if about.is_symlink() {
                    path.read_link()
                        .unwrap()
                        .into_os_string()
                        .into_encoded_bytes()
                } else {
                    about.len().to_string().into_bytes()
                };
                if about.is_dir() {
                    folders.push(path);
                    all.insert(name, (about.mode(), about.uid(), about.gid(), Vec::new()));
                } else {
                    all.insert(name, (about.mode(), about.uid(), about.gid(), content));
                }
            }
        }
        all
    }

    fn skep(&self, arguments: &[&str], crash_at: Option<u32>) -> Output {
        let mut command = Command::new(binary());
        command.args(arguments).arg("--root").arg(self.root());
        command
            .env("SKEP_HOME", self.root().join("tmp"))
            .env_remove("SUDO_USER")
            .stdin(Stdio::null());
        if let Some(point) = crash_at {
            command.env("SKEP_CRASH_AT", point.to_string());
        }
        command.output().unwrap()
    }

    fn socket(&self) -> PathBuf {
        self.root().join(format!("run/skep-helper/{NOBODY}.sock"))
    }
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn a_system_has_the_service_and_is_then_as_it_was() {
    if !may() {
        return;
    }
    let system = System::new();
    let first = system.listing();
    let shown = system.skep(&["install", "--dry-run"], None);
    assert!(shown.status.success(), "{}", text(&shown));
    assert!(
        text(&shown).contains("+ create the user `skep`")
            && text(&shown).contains("+ExecStart=/usr/local/bin/skep up"),
        "{}",
        text(&shown)
    );
    assert_eq!(system.listing(), first, "a look changed something");
    // Nobody agreed.
    let refused = system.skep(&["install"], None);
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
    assert_eq!(system.listing(), first);

    // It ends in the middle, here and there, and goes on.
    for point in [5, 12, 8, 4] {
        let cut = system.skep(&["install", "--yes"], Some(point));
        assert!(!cut.status.success(), "{}", text(&cut));
    }
    let done = system.skep(&["install", "--yes"], None);
    assert!(done.status.success(), "{}", text(&done));
    let after = system.listing();
    let passwd = fs::read_to_string(system.root().join("etc/passwd")).unwrap();
    assert!(
        passwd.contains("skep:x:") && passwd.contains(":/var/lib/skep:/usr/sbin/nologin"),
        "{passwd}"
    );
    let group = fs::read_to_string(system.root().join("etc/group")).unwrap();
    assert!(
        group.contains("video:x:44:skep\n") && group.contains("render:x:106:skep\n"),
        "{group}"
    );
    let program = system.root().join("usr/local/bin/skep");
    assert_eq!(
        program.metadata().unwrap().len(),
        binary().metadata().unwrap().len()
    );
    assert_eq!(program.metadata().unwrap().mode() & 0o7777, 0o755);
    assert!(
        system
            .root()
            .join("etc/systemd/system/multi-user.target.wants/skep.service")
            .is_symlink()
    );
    let settings = system.root().join("etc/skep");
    assert_eq!(
        (
            settings.metadata().unwrap().mode() & 0o7777,
            settings.metadata().unwrap().uid()
        ),
        (0o770, 0)
    );

    let again = system.skep(&["install", "--yes", "--json"], None);
    assert!(again.status.success(), "{}", text(&again));
    let report: serde_json::Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(report["run"], serde_json::Value::Null);
    assert!(
        report["preview"]
            .as_array()
            .unwrap()
            .iter()
            .all(|one| one["state"] == "already"),
        "{report}"
    );
    assert_eq!(system.listing(), after);

    let gone = system.skep(&["uninstall", "--yes"], None);
    assert!(gone.status.success(), "{}", text(&gone));
    assert_eq!(system.listing(), first, "{}", text(&gone));
    let nothing = system.skep(&["uninstall", "--yes"], None);
    assert!(
        nothing.status.success() && text(&nothing).contains("nothing is installed"),
        "{}",
        text(&nothing)
    );

    // What the service kept stays, unless nothing is to stay.
    let done = system.skep(&["install", "--yes"], None);
    assert!(done.status.success(), "{}", text(&done));
    fs::create_dir_all(system.root().join("var/lib/skep/models")).unwrap();
    fs::write(system.root().join("etc/skep/mine.toml"), "").unwrap();
    let gone = system.skep(&["uninstall", "--yes", "--purge"], None);
    assert!(gone.status.success(), "{}", text(&gone));
    assert_eq!(system.listing(), first, "{}", text(&gone));
    assert!(!system.root().join("var/lib/skep-setup").exists());
}

/// A helper of its own process, for the user `nobody`.
struct Hands {
    child: Child,
    said: BufReader<ChildStdout>,
    waits: bool,
}

impl Hands {
    fn start(system: &System, crash_at: Option<u32>) -> Self {
        let _ = fs::remove_file(system.socket());
        let mut command = Command::new(binary());
        command
            .args(["helper", "--for", "nobody", "--yes", "--root"])
            .arg(system.root());
        command
            .env("SKEP_HOME", system.root().join("tmp"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        if let Some(point) = crash_at {
            command.env("SKEP_CRASH_AT", point.to_string());
        }
        let mut child = command.spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Self {
            child,
            said,
            waits: false,
        }
    }

    /// Once it listens; none when it ended before.
    fn client(&mut self, system: &System) -> Option<Client> {
        while !self.waits {
            let mut line = String::new();
            if self.said.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            self.waits = line.starts_with("waiting for the setup of `nobody`");
        }
        Client::connect(&system.socket()).ok()
    }
}

impl Drop for Hands {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn plan() -> Plan {
    let owner = Owner::default;
    let write = |path: &str, content: &str| Action::WriteFile {
        path: path.into(),
        content: content.into(),
        mode: 0o640,
        owner: owner(),
    };
    let actions = [
        Action::MakeFolder {
            path: "/etc/skep".into(),
            mode: 0o750,
            owner: owner(),
        },
        write(
            "/etc/systemd/system/skep.service",
            "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=a.target\n",
        ),
        Action::EditBlock {
            path: "/etc/skep/shared".into(),
            name: "skep".into(),
            comment: "#".into(),
            lines: vec!["a".into()],
        },
        Action::GenerateKey {
            path: "/etc/skep/key".into(),
            kind: KeyKind::SshEd25519,
            comment: "skep".into(),
            owner: owner(),
        },
        Action::EnableUnit {
            name: "skep.service".into(),
            scope: Scope::System,
            start: true,
        },
    ];
    Plan {
        actions: actions
            .map(|action| Planned {
                action,
                why: String::new(),
            })
            .to_vec(),
        notes: Vec::new(),
    }
}

fn forward(client: &mut Client, run: &RunId) -> Result<(), ActError> {
    client.begin(run, "test", "nobody", &plan())?;
    (0..plan().actions.len()).try_for_each(|action| client.carry_out(action).map(drop))
}

fn back(client: &mut Client, run: &RunId) -> Result<(), ActError> {
    client.begin(run, "test", "nobody", &plan())?;
    for action in (0..plan().actions.len()).rev() {
        assert_eq!(client.undo(action)?, None);
    }
    Ok(())
}

/// Contents of keys differ each time; that they are there does not.
fn shape(listing: &Listing) -> Listing {
    let mut shape = listing.clone();
    for (path, (.., content)) in &mut shape {
        if path.contains("skep/key") {
            content.clear();
        }
    }
    shape.retain(|path, _| !path.starts_with("run"));
    shape
}

/// The helper is killed at every point of a run and of undoing it, and another one goes on.
#[test]
fn killed_at_every_point_it_goes_on_and_back() {
    if !may() {
        return;
    }
    let system = System::new();
    let first = shape(&system.listing());
    let run = |number: u32| -> RunId { format!("r-{number}").parse().unwrap() };
    let mut helper = Hands::start(&system, None);
    let mut client = helper.client(&system).unwrap();
    forward(&mut client, &run(0)).unwrap();
    let done = shape(&system.listing());
    back(&mut client, &run(0)).unwrap();
    assert_eq!(shape(&system.listing()), first);
    drop(client);

    let (mut point, mut crashes, mut ended) = (0, 0, false);
    while !ended {
        point += 1;
        let run = run(point);
        // There.
        helper = Hands::start(&system, Some(point));
        let reached = helper
            .client(&system)
            .map(|mut client| forward(&mut client, &run));
        let there = matches!(reached, Some(Ok(())));
        if there {
            // And back: the points go on from where going there ended.
            let reached = helper
                .client(&system)
                .map(|mut client| back(&mut client, &run));
            ended = matches!(reached, Some(Ok(())));
        }
        crashes += u32::from(!ended);
        drop(helper);
        helper = Hands::start(&system, None);
        let mut client = helper.client(&system).unwrap();
        if !there {
            forward(&mut client, &run).unwrap();
            assert_eq!(shape(&system.listing()), done, "point {point}");
        }
        back(&mut client, &run).unwrap();
        assert_eq!(shape(&system.listing()), first, "point {point}");
    }
    eprintln!("{crashes} points of a crash");
    assert!(crashes > 60, "only {crashes}");
}

/// Does something as another user, in a thread of its own.
fn as_user<T: Send + 'static>(uid: u32, work: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::spawn(move || {
        let uid = rustix::process::Uid::from_raw(uid);
        rustix::thread::set_thread_res_uid(uid, uid, uid).unwrap();
        work()
    });
    thread.join().unwrap()
}

#[test]
fn the_helper_has_one_user() {
    if !may() {
        return;
    }
    let system = System::new();
    let mut helper = Hands::start(&system, None);
    drop(helper.client(&system).unwrap());
    let socket = system.socket();
    let about = socket.metadata().unwrap();
    assert_eq!((about.mode() & 0o777, about.uid()), (0o600, NOBODY));
    let path = socket.clone();
    as_user(NOBODY, move || {
        let mut client = Client::connect(&path).unwrap();
        client.preview(&plan()).unwrap();
    });
    let path = socket.clone();
    let refused = as_user(SOMEBODY, move || UnixStream::connect(path).map(drop));
    assert_eq!(
        refused.unwrap_err().kind(),
        std::io::ErrorKind::PermissionDenied
    );
    // Were the socket open to all, it would still not talk to others.
    fs::set_permissions(&socket, PermissionsExt::from_mode(0o666)).unwrap();
    let path = socket.clone();
    let refused = as_user(SOMEBODY, move || Client::connect(&path).map(drop));
    assert!(matches!(refused, Err(ActError::Helper(_))), "{refused:?}");
    // Nobody but root is believed to be the helper.
    let fake = system.root().join("tmp/fake.sock");
    let listener = std::os::unix::net::UnixListener::bind(&fake).unwrap();
    chown(&fake, Some(NOBODY), None).unwrap();
    drop(listener);
    assert!(matches!(Client::connect(&fake), Err(ActError::NeedsRoot)));
}

#[test]
fn its_journals_are_private_and_a_second_one_takes_over() {
    if !may() {
        return;
    }
    let system = System::new();
    let mut helper = Hands::start(&system, None);
    let mut client = helper.client(&system).unwrap();
    client
        .begin(&"r-1".parse().unwrap(), "test", "nobody", &plan())
        .unwrap();
    drop(client);
    let journals = system.root().join("var/lib/skep-setup");
    assert_eq!(journals.metadata().unwrap().mode() & 0o777, 0o700);
    // We are whoever asked, and still here.
    assert!(helper.child.try_wait().unwrap().is_none());
    let mut second = Hands::start(&system, None);
    second.client(&system).unwrap().preview(&plan()).unwrap();
}
