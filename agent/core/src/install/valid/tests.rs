//! What may be said, and what may not.

use crate::install::{Action, Command, Firewall, KeyKind, Owner, Plan, Planned, Protocol, Scope};

fn write(path: &str) -> Action {
    Action::WriteFile {
        path: path.to_owned(),
        content: String::new(),
        mode: 0o644,
        owner: Owner::default(),
    }
}

#[test]
fn paths() {
    for good in [
        "/etc/skep/config.toml",
        "/a",
        "/etc/a b",
        "/etc/.hidden",
        "/e/ü",
    ] {
        assert_eq!(write(good).check(), Ok(()), "{good}");
    }
    let long = format!("/{}", "a".repeat(241));
    let deep = "/a".repeat(3_000);
    for bad in [
        "",
        "/",
        "etc",
        "/etc/",
        "//etc",
        "/etc//a",
        "/etc/../shadow",
        "/..",
        "/etc/./a",
        "/a\0b",
        "/a\nb",
        &long,
        &deep,
    ] {
        assert!(write(bad).check().is_err(), "{bad:?}");
    }
}

#[test]
fn names_are_never_flags_nor_more_than_one() {
    let words: [&str; 9] = [
        "-y", "--all", "a b", "a\nb", "", "a;b", "a/b", "$(a)", "../a",
    ];
    for word in words {
        let text = word.to_owned();
        let name = || text.clone();
        let unit = format!("{word}.service");
        for action in [
            Action::CreateGroup { name: name() },
            Action::JoinGroup {
                user: "a".into(),
                group: name(),
            },
            Action::InstallPackages {
                names: vec![name()],
            },
            Action::EnableUnit {
                name: unit.clone(),
                scope: Scope::System,
                start: true,
            },
            Action::Run {
                command: Command::LoadModule { name: name() },
            },
            Action::Run {
                command: Command::RestartUnit { name: unit },
            },
            Action::Run {
                command: Command::KeepRunning { user: name() },
            },
            Action::Run {
                command: Command::SetPowerLimit {
                    gpu: name(),
                    watts: 100,
                },
            },
            Action::StartContainers {
                project: name(),
                file: "/a".into(),
            },
        ] {
            assert!(action.check().is_err(), "{action:?}");
        }
    }
}

#[test]
fn ranges_modes_digests_and_lines() {
    let port = |port, from: Option<&str>| Action::OpenPort {
        firewall: Firewall::Nftables,
        protocol: Protocol::Tcp,
        port,
        from: from.map(str::to_owned),
    };
    for from in [
        None,
        Some("192.168.0.0/16"),
        Some("fd00::/8"),
        Some("10.0.0.1/32"),
    ] {
        assert_eq!(port(7420, from).check(), Ok(()));
    }
    for from in [
        "10.0.0.0",
        "10.0.0.0/33",
        "::/129",
        "a/8",
        "10.0.0.0/ 8",
        "10.0.0.0/+8",
        "10.0.0.0/8 accept",
    ] {
        assert!(port(7420, Some(from)).check().is_err(), "{from}");
    }
    assert!(port(0, None).check().is_err());
    let mut file = write("/a");
    if let Action::WriteFile { mode, .. } = &mut file {
        *mode = 0o4755;
    }
    assert!(file.check().is_err());
    let block = |comment: &str, line: &str| Action::EditBlock {
        path: "/a".into(),
        name: "skep".into(),
        comment: comment.into(),
        lines: vec![line.into()],
    };
    assert_eq!(block("#", "a = 1").check(), Ok(()));
    for (comment, line) in [
        ("x", "a"),
        ("#", "a\nb"),
        ("#", "# skep: end skep"),
        ("", "a"),
    ] {
        assert!(block(comment, line).check().is_err(), "{comment} {line}");
    }
    let download = |url: &str, sha256: String| Action::Download {
        url: url.into(),
        sha256,
        size_bytes: 1,
        path: "/a".into(),
        mode: 0o644,
        owner: Owner::default(),
    };
    assert_eq!(
        download("https://example.org/a", "0".repeat(64)).check(),
        Ok(())
    );
    assert!(
        download("ftp://example.org/a", "0".repeat(64))
            .check()
            .is_err()
    );
    assert!(
        download("https://example.org/a", "A".repeat(64))
            .check()
            .is_err()
    );
    assert!(
        download("https://example.org/a", "../".repeat(21) + "0")
            .check()
            .is_err()
    );
    let key = Action::GenerateKey {
        path: "/a".into(),
        kind: KeyKind::EcP256,
        comment: "a\nb".into(),
        owner: Owner::default(),
    };
    assert!(key.check().is_err());
}

#[test]
fn plans_are_bounded() {
    let planned = |action| Planned {
        action,
        why: String::new(),
    };
    let plan = |actions: Vec<Planned>| Plan {
        actions,
        notes: Vec::new(),
    };
    assert!(plan(vec![planned(write("/a")); 257]).check().is_err());
    let mut large = write("/a");
    if let Action::WriteFile { content, .. } = &mut large {
        *content = "a".repeat(1 << 20);
    }
    assert!(plan(vec![planned(large.clone()); 3]).check().is_err());
    assert_eq!(plan(vec![planned(large)]).check(), Ok(()));
}
