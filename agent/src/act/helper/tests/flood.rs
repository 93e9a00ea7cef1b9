//! A hundred thousand messages of somebody who means no good.

use super::*;

/// What the policy may change at all, said here once more and by other means.
fn is_ours(path: &str) -> bool {
    let linked = [
        "etc/skep/shadow",
        "etc/skep/etc",
        "etc/skep/up",
        "var/lib/skep/ssh",
        "var/lib/skep/outside",
    ];
    let begins = |what: &[&str]| what.iter().any(|what| path.starts_with(what));
    !linked.contains(&path)
        && (begins(&[
            "etc/skep/",
            "var/lib/skep/",
            "var/log/skep",
            "usr/local/lib/skep",
        ]) || begins(&[
            "etc/systemd/system/skep",
            "etc/nftables.d/skep",
            "etc/logrotate.d/skep",
        ]) || begins(&["var/lib/systemd/linger"])
            || path == "etc/skep")
}

fn others(listing: &Listing) -> BTreeMap<&String, &(u32, u32, u32, Vec<u8>)> {
    listing.iter().filter(|(path, _)| !is_ours(path)).collect()
}

/// Numbers that are the same each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % most as u64).unwrap()
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.below(most))
            .map(|_| self.next().to_le_bytes()[0])
            .collect()
    }
}

const PATHS: [&str; 34] = [
    "/etc/skep/a",
    "/etc/skep/b/c",
    "/etc/skep",
    "/var/lib/skep/x",
    "/etc/systemd/system/skep-a.service",
    "/etc/nftables.d/skep-tcp-9.nft",
    "/usr/local/bin/skep",
    "/etc/skep/../shadow",
    "/etc/skep/./../passwd",
    "/etc/skep/shadow",
    "/etc/skep/etc/shadow",
    "/etc/skep/etc/new",
    "/etc/skep/up/victim",
    "/var/lib/skep/ssh/authorized_keys",
    "/var/lib/skep/outside/victim",
    "/etc/shadow",
    "/etc/passwd",
    "/etc/skepx/a",
    "/etc/skep\0/a",
    "/etc/skep/\0",
    "//etc/skep/a",
    "/etc/skep//a",
    "etc/skep/a",
    "",
    "/",
    "/etc/systemd/system/skep/../x.service",
    "/etc/systemd/system/skep.service",
    "/etc/systemd/system/skep.service.d/../../x.conf",
    "/etc/nftables.d/skep-tcp-1.nft",
    "/etc/sysctl.d/skep.conf",
    "/root/.ssh/authorized_keys",
    "/usr/local/bin/other",
    "/proc/self/root/etc/passwd",
    "/etc/cron.d/skep",
];
const NAMES: [&str; 14] = [
    "skep",
    "root",
    "sam",
    "skep.service",
    "sshd.service",
    "../x.service",
    "-f",
    "video",
    "docker",
    "sudo",
    "nvidia",
    "nftables",
    "bash",
    "a b",
];

fn action(random: &mut Random) -> Action {
    let path = random.of(&PATHS).to_owned();
    let name = random.of(&NAMES).to_owned();
    let other = random.of(&NAMES).to_owned();
    let owner = Owner {
        user: random
            .of(&["", "root", "skep", "daemon", "../x"])
            .to_owned(),
        group: random.of(&["", "root", "shadow"]).to_owned(),
    };
    let mode = [0o644, 0o600, 0o4755, 0o777, 0o755][random.below(5)];
    match random.below(18) {
        0..=3 => Action::WriteFile {
            path,
            content: name,
            mode,
            owner,
        },
        4 => Action::MakeFolder { path, mode, owner },
        5 => Action::EditBlock {
            path,
            name,
            comment: "#".into(),
            lines: vec![other],
        },
        6 => Action::GenerateKey {
            path,
            kind: KeyKind::EcP256,
            comment: other,
            owner,
        },
        7 => Action::GenerateCertificate {
            path,
            key: random.of(&PATHS).to_owned(),
            names: vec![name],
            days: 9,
            owner,
        },
        8 => Action::Download {
            url: random
                .of(&[
                    "file:///etc/shadow",
                    "https://127.0.0.1:1/x",
                    "http://127.0.0.1:1/x",
                ])
                .to_owned(),
            sha256: "0".repeat(64),
            size_bytes: 10,
            path,
            mode,
            owner,
        },
        // Where it may really go, it is large; that is tried elsewhere.
        9 => Action::InstallProgram {
            path: path.replace("bin/skep", "bin/other"),
        },
        10 => Action::CreateUser {
            name: other,
            group: name,
            home: path,
            comment: "x".into(),
        },
        11 => Action::JoinGroup {
            user: name,
            group: other,
        },
        12 => Action::InstallPackages {
            names: vec![name, other],
        },
        13 => Action::EnableUnit {
            name,
            scope: Scope::System,
            start: true,
        },
        14 => Action::OpenPort {
            firewall: Firewall::Nftables,
            protocol: Protocol::Tcp,
            port: u16::try_from(random.below(3)).unwrap(),
            from: Some(
                random
                    .of(&["10.0.0.0/8", "0.0.0.0/0 accept", "\n"])
                    .to_owned(),
            ),
        },
        15 => Action::StartContainers {
            project: name,
            file: path,
        },
        16 => Action::Run {
            command: Command::LoadModule { name },
        },
        _ => Action::Run {
            command: Command::KeepRunning { user: name },
        },
    }
}

fn plan(random: &mut Random) -> Plan {
    let count = 1 + random.below(2);
    let planned = (0..count).map(|_| Planned {
        action: action(random),
        why: String::new(),
    });
    Plan {
        actions: planned.collect(),
        notes: Vec::new(),
    }
}

/// What an attacker says after hello, and whether it is the last thing.
fn attack(random: &mut Random, number: usize) -> (Vec<u8>, bool) {
    let run: RunId = format!("r-{number}").parse().unwrap();
    match random.below(100) {
        // Anything at all.
        0..=29 => (random.bytes(200), true),
        30..=39 => (frame(&random.bytes(200)), true),
        // A length that nobody has memory for.
        40..=41 => (
            vec![
                0xff,
                0xff,
                0xff,
                u8::try_from(random.below(256)).unwrap(),
                1,
            ],
            true,
        ),
        // What would be valid, with some bytes changed.
        42..=64 => {
            let mut bytes = message(&Ask::Preview { plan: plan(random) });
            for _ in 0..1 + random.below(4) {
                let at = 4 + random.below(bytes.len() - 4);
                bytes[at] = random.next().to_le_bytes()[0];
            }
            (bytes, true)
        }
        65..=94 => (message(&Ask::Preview { plan: plan(random) }), false),
        95 => (
            message(&Ask::CarryOut {
                action: random.below(3),
            }),
            false,
        ),
        96 => (
            message(&Ask::Undo {
                action: random.below(3),
            }),
            false,
        ),
        97 => (
            frame(&[b"[".repeat(100_000), b"{\"ask\":".repeat(3)].concat()),
            true,
        ),
        _ => {
            let (part, by) = ("x\u{1b}[2J".repeat(40), "root".to_owned());
            let plan = plan(random);
            let begin = message(&Ask::Begin {
                run,
                part,
                by,
                plan,
            });
            let there = message(&Ask::CarryOut { action: 0 });
            let back = message(&Ask::Undo {
                action: random.below(2),
            });
            ([begin, there, back].concat(), false)
        }
    }
}

#[test]
fn a_hundred_thousand_messages_do_nothing_that_is_not_listed() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not root: what root would do is not tried");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let executor = system(folder.path());
    let first = listing(&folder.path().join("root"));
    let outside = listing(&folder.path().join("outside"));
    let (sender, streams) = mpsc::channel::<UnixStream>();
    let serving = std::thread::spawn(move || {
        for stream in streams {
            // However it ends.
            let _ = converse(stream, &executor, &policy(), &Careless);
        }
        executor
    });
    let mut random = Random(0x5eed_5eed_5eed_5eed);
    let (mut said, mut answers) = (0_usize, BTreeMap::<&str, usize>::new());
    let mut leaked = 0;
    while said < 100_000 {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        sender.send(theirs).unwrap();
        ours.write_all(&message(&Ask::Hello { version: VERSION }))
            .unwrap();
        for _ in 0..20 {
            let (bytes, last) = attack(&mut random, said);
            said += 1;
            // It may have hung up.
            let _ = ours.write_all(&bytes);
            if last {
                break;
            }
        }
        let _ = ours.shutdown(std::net::Shutdown::Write);
        let mut heard = Vec::new();
        let _ = ours.read_to_end(&mut heard);
        leaked += usize::from(heard.windows(6).any(|part| part == b"SECRET"));
        let mut rest = heard.as_slice();
        // A connection that is reset may take an answer along.
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let length = usize::try_from(u32::from_be_bytes(*length)).unwrap();
            let Some(json) = after.get(..length) else {
                break;
            };
            let word = match serde_json::from_slice(json).unwrap() {
                Answer::Hello { .. } => "hello",
                Answer::Previews { .. } => "previews",
                Answer::Agreed {} => "agreed",
                Answer::Done { .. } => "done",
                Answer::Undone { .. } => "undone",
                Answer::Forbidden { .. } => "forbidden",
                Answer::Failed { .. } => "failed",
                Answer::Drift { .. } | Answer::Refused {} => "other",
            };
            *answers.entry(word).or_default() += 1;
            rest = &after[length..];
        }
    }
    drop(sender);
    serving.join().unwrap();
    let last = listing(&folder.path().join("root"));
    assert_eq!(
        others(&last),
        others(&first),
        "something that is not ours was changed"
    );
    assert_eq!(listing(&folder.path().join("outside")), outside);
    assert_eq!(leaked, 0, "something of root's was told");
    // It was not deaf: it did what is listed, and refused the rest by name.
    for word in ["previews", "agreed", "done", "forbidden", "failed"] {
        assert!(
            answers.get(word).is_some_and(|count| *count > 5),
            "{answers:?}"
        );
    }
    assert_ne!(last, first, "{answers:?}");
    eprintln!("{said} messages: {answers:?}");
}
