//! The helper against clients that lie, stutter and attack.

#![allow(clippy::print_stderr, reason = "what is not tried has to be seen")]

mod flood;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc;

use skep_core::install::{
    Action, Command, Firewall, KeyKind, Owner, Plan, Planned, Protocol, RunId, Scope,
};

use super::super::tests::{Listing, listing};
use super::super::{ActError, Executor, RunView, Workplace};
use super::wire::{Answer, Ask, VERSION};
use super::{Client, Offer, Person, Policy, converse};

/// Somebody who agrees to everything: then only the policy stands between.
struct Careless;

impl Person for Careless {
    fn agrees(&self, _: &Offer<'_>) -> bool {
        true
    }

    fn hears(&self, _: &RunView) {}
}

struct Careful;

impl Person for Careful {
    fn agrees(&self, _: &Offer<'_>) -> bool {
        false
    }

    fn hears(&self, _: &RunView) {}
}

fn policy() -> Policy {
    Policy {
        user: "sam".to_owned(),
    }
}

fn frame(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap();
    [&length.to_be_bytes(), bytes].concat()
}

fn message(ask: &Ask) -> Vec<u8> {
    frame(&serde_json::to_vec(ask).unwrap())
}

/// A root with something to steal, and links that lead to it from where the helper may write.
fn system(folder: &Path) -> Executor {
    let root = folder.join("root");
    for path in [
        "etc/skep",
        "etc/systemd/system",
        "etc/nftables.d",
        "var/lib/skep",
        "usr/local/bin",
        "root/.ssh",
    ] {
        std::fs::create_dir_all(root.join(path)).unwrap();
    }
    std::fs::create_dir(folder.join("outside")).unwrap();
    std::fs::write(folder.join("outside/victim"), "outside").unwrap();
    for (path, text) in [
        ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
        ("etc/group", "root:x:0:\n"),
        ("etc/shadow", "root:SECRETHASH:1::::::\n"),
        ("root/.ssh/authorized_keys", "SECRETKEY\n"),
        ("usr/local/bin/other", "#!/bin/sh\n"),
    ] {
        std::fs::write(root.join(path), text).unwrap();
    }
    for (to, path) in [
        ("../shadow", "etc/skep/shadow"),
        ("/etc", "etc/skep/etc"),
        ("../../outside", "etc/skep/up"),
        ("/root/.ssh", "var/lib/skep/ssh"),
        ("/etc/passwd", "etc/systemd/system/skep.service"),
        ("/etc/shadow", "etc/nftables.d/skep-tcp-1.nft"),
    ] {
        symlink(to, root.join(path)).unwrap();
    }
    symlink(folder.join("outside"), root.join("var/lib/skep/outside")).unwrap();
    Executor::open(&Workplace {
        root,
        journal: folder.join("journal"),
        own: Vec::new(),
        home: None,
        helper: None,
    })
    .unwrap()
}

fn with_helper(person: impl Person + 'static, talk: impl FnOnce(&mut Client)) {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not root: what root would do is not tried");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let executor = system(folder.path());
    let (ours, theirs) = UnixStream::pair().unwrap();
    let serving = std::thread::spawn(move || converse(theirs, &executor, &policy(), &person));
    let mut client = Client::over(ours).unwrap();
    talk(&mut client);
    drop(client);
    serving.join().unwrap().unwrap();
}

fn one(path: &str) -> Plan {
    let action = Action::WriteFile {
        path: path.to_owned(),
        content: "x\n".to_owned(),
        mode: 0o644,
        owner: Owner::default(),
    };
    let why = String::new();
    Plan {
        actions: vec![Planned { action, why }],
        notes: Vec::new(),
    }
}

#[test]
fn a_client_is_served_in_order_and_undone() {
    let run: RunId = "r-1".parse().unwrap();
    with_helper(Careless, |client| {
        let plan = one("/etc/skep/a");
        assert!(
            client.preview(&plan).unwrap()[0]
                .diff
                .as_ref()
                .unwrap()
                .contains("+x")
        );
        assert!(matches!(client.carry_out(0), Err(ActError::Forbidden(_))));
        client.begin(&run, "step-test", "sam", &plan).unwrap();
        assert!(matches!(client.carry_out(1), Err(ActError::Forbidden(_))));
        client.carry_out(0).unwrap();
        // Once more, as after a crash of the client.
        client.carry_out(0).unwrap();
        client.begin(&run, "step-test", "sam", &plan).unwrap();
        client.carry_out(0).unwrap();
        assert!(
            client
                .begin(&run, "step-test", "sam", &one("/etc/skep/b"))
                .is_err()
        );
        assert!(client.drift().unwrap().is_empty());
        client.begin(&run, "step-test", "sam", &plan).unwrap();
        assert_eq!(client.undo(0).unwrap(), None);
        assert_eq!(client.undo(0).unwrap(), None);
        assert!(client.carry_out(0).is_err());
    });
}

#[test]
fn nobody_agreed_nothing_happens() {
    let run: RunId = "r-1".parse().unwrap();
    with_helper(Careful, |client| {
        let plan = one("/etc/skep/a");
        assert!(matches!(
            client.begin(&run, "x", "sam", &plan),
            Err(ActError::Refused)
        ));
        assert!(matches!(client.carry_out(0), Err(ActError::Forbidden(_))));
        assert_eq!(
            client.preview(&plan).unwrap()[0].state,
            super::super::PreviewState::Needed
        );
        // What is not listed is not even looked at.
        assert!(matches!(
            client.preview(&one("/etc/shadow")),
            Err(ActError::Forbidden(_))
        ));
    });
}

#[test]
fn the_lists() {
    let owner = Owner::default;
    let write = |path: &str, mode| Action::WriteFile {
        path: path.into(),
        content: String::new(),
        mode,
        owner: owner(),
    };
    let unit = |name: &str| Action::EnableUnit {
        name: name.into(),
        scope: Scope::System,
        start: true,
    };
    let join = |user: &str, group: &str| Action::JoinGroup {
        user: user.into(),
        group: group.into(),
    };
    let packages = |name: &str| Action::InstallPackages {
        names: vec!["nftables".into(), name.into()],
    };
    for good in [
        write("/etc/skep/tls/key.pem", 0o640),
        write("/etc/systemd/system/skep-backup.timer", 0o644),
        write("/etc/sysctl.d/90-skep.conf", 0o644),
        unit("skep.service"),
        unit("nftables.service"),
        join("sam", "render"),
        packages("nvidia-driver-550"),
        Action::InstallProgram {
            path: "/usr/local/bin/skep".into(),
        },
    ] {
        assert_eq!(policy().permits(&good), Ok(()), "{good}");
    }
    for bad in [
        write("/etc/skep/a", 0o666),
        write("/etc/skepper", 0o644),
        write("/etc/systemd/system/skep/a.service", 0o644),
        write("/etc/sysctl.d/../skep.conf", 0o644),
        write("/usr/local/bin/skep", 0o755),
        unit("ssh.service"),
        unit("skeptic.service"),
        join("sam", "docker"),
        join("other", "video"),
        packages("bash"),
        Action::InstallProgram {
            path: "/usr/bin/sudo".into(),
        },
        Action::SetSetting {
            key: "a".into(),
            value: None,
        },
    ] {
        assert!(policy().permits(&bad).is_err(), "{bad}");
    }
}

#[test]
fn it_ends_when_nobody_wants_anything() {
    let folder = tempfile::tempdir().unwrap();
    let executor = system(folder.path());
    let socket = folder.path().join("run/skep-helper/7.sock");
    let serving = super::Serving {
        executor,
        policy: policy(),
        uid: rustix::process::geteuid().as_raw(),
        socket: &socket,
        idle: std::time::Duration::from_millis(50),
    };
    super::serve(serving, Box::new(Careful)).unwrap();
    assert!(!socket.exists());
}
