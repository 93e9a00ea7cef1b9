//! Every kind of value that an action may not carry, and that good ones pass.

use super::*;
use crate::host::installer::{
    AddUpstream, CreateUser, Download, EditBlock, EnableUnit, FirewallKind, GenerateCertificate,
    KeepSecret, MakeFolder, OpenPort, Owner, Proposal, Protocol, Scope, SetPower, SetSetting,
    WriteFile,
};

fn nobody() -> Owner {
    Owner {
        user: String::new(),
        group: String::new(),
    }
}

fn convert(action: wit::Action) -> Result<Action, Wrong> {
    let planned = wit::Planned {
        action,
        why: "so".to_owned(),
    };
    let proposal = Proposal {
        actions: vec![planned],
        notes: Vec::new(),
    };
    match plan(proposal) {
        Ok(mut plan) => Ok(plan.actions.remove(0).action),
        Err(nonsense) => {
            assert_eq!(nonsense.action, 1);
            Err(nonsense.wrong)
        }
    }
}

fn write(path: &str, mode: u16) -> Result<Action, Wrong> {
    convert(wit::Action::WriteFile(WriteFile {
        path: path.to_owned(),
        content: "text".to_owned(),
        mode,
        owner: nobody(),
    }))
}

#[test]
fn paths_are_absolute_and_normalised() {
    assert!(write("/etc/skep/config.toml", 0o644).is_ok());
    assert!(write("/srv/模型/..x", 0o644).is_ok());
    let long = format!("/{}", "x".repeat(256));
    for path in [
        "",
        "/",
        "etc",
        "./etc",
        "/etc/",
        "/etc//skep",
        "/etc/../root",
        "/etc/./skep",
        "/a\0b",
        "/a\nb",
        long.as_str(),
    ] {
        let wrong = write(path, 0o644).unwrap_err();
        assert!(matches!(wrong, Wrong::Path(_)), "{path:?}: {wrong:?}");
    }
    let wrong = write(&"/x".repeat(4_096), 0o644).unwrap_err();
    assert!(
        matches!(wrong, Wrong::TooMuch { most: 4_096, .. }),
        "{wrong:?}"
    );
    for path in ["/proc/sys/kernel/core_pattern", "/sys", "/dev/sda"] {
        assert!(
            matches!(write(path, 0o644), Err(Wrong::Kernel(_))),
            "{path}"
        );
    }
    for path in ["/etc/shadow", "/etc/sudoers.d/skep", "/etc/passwd"] {
        assert!(
            matches!(write(path, 0o644), Err(Wrong::Accounts(_))),
            "{path}"
        );
    }
    assert!(write("/etc/passwd-of-models", 0o644).is_ok());
}

#[test]
fn modes_are_permissions() {
    for mode in [0o600, 0o755, 0o775, 0o000] {
        assert!(write("/a", mode).is_ok(), "{mode:o}");
    }
    for mode in [0o4755, 0o2755, 0o1777, 0o666, 0o777, u16::MAX] {
        assert_eq!(write("/a", mode), Err(Wrong::Mode(mode)), "{mode:o}");
    }
}

#[test]
fn names_cannot_be_options() {
    let unit = |name: &str| {
        convert(wit::Action::EnableUnit(EnableUnit {
            name: name.to_owned(),
            scope: Scope::System,
            start: true,
        }))
    };
    let group = |name: &str| convert(wit::Action::CreateGroup(name.to_owned()));
    let package = |name: &str| convert(wit::Action::InstallPackages(vec![name.to_owned()]));
    for good in ["skep.service", "getty@tty1.service", "skep-backup.timer"] {
        assert!(unit(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "skep",
        ".service",
        "-H.service",
        "a b.service",
        "../a.service",
        "a\n.service",
    ] {
        assert!(unit(bad).is_err(), "{bad:?}");
    }
    assert!(group("skep").is_ok() && group("_skep-2").is_ok());
    let long = "x".repeat(33);
    for bad in ["", "-g", "Skep", "a:b", "a b", "0skep", long.as_str()] {
        assert!(group(bad).is_err(), "{bad:?}");
    }
    assert!(package("libstdc++6").is_ok() && package("nvidia-driver-580").is_ok());
    for bad in [
        "",
        "-y",
        "a;b",
        "a b",
        "--allow-unauthenticated",
        "a/b",
        "a=1",
    ] {
        assert!(package(bad).is_err(), "{bad:?}");
    }
    assert!(convert(wit::Action::InstallPackages(Vec::new())).is_err());
    let power = |gpu: &str, watts| {
        let limit = SetPower {
            gpu: gpu.to_owned(),
            watts,
        };
        convert(wit::Action::Run(wit::Command::SetPowerLimit(limit)))
    };
    assert!(power("GPU-8a3f-11", 300).is_ok());
    for (gpu, watts) in [("-i", 300), ("GPU-1", 0), ("GPU-1", 20_000), ("", 300)] {
        assert!(power(gpu, watts).is_err(), "{gpu:?} {watts}");
    }
    for bad in ["-r", "", "a.ko", "../nvidia"] {
        let load = wit::Command::LoadModule(bad.to_owned());
        assert!(convert(wit::Action::Run(load)).is_err(), "{bad:?}");
    }
}

#[test]
fn users_have_plain_names_homes_and_comments() {
    let user = |name: &str, home: &str, comment: &str| {
        convert(wit::Action::CreateUser(CreateUser {
            name: name.to_owned(),
            group: "skep".to_owned(),
            home: home.to_owned(),
            comment: comment.to_owned(),
        }))
    };
    assert!(user("skep", "/var/lib/skep", "The agent").is_ok());
    assert!(user("skep", "var", "The agent").is_err());
    assert!(user("skep", "/var/lib/skep", "a:0:0").is_err());
    assert!(user("root;", "/var/lib/skep", "").is_err());
}

#[test]
fn ports_and_networks_are_some() {
    let open = |port, from: Option<&str>| {
        convert(wit::Action::OpenPort(OpenPort {
            firewall: FirewallKind::Ufw,
            protocol: Protocol::Udp,
            port,
            from: from.map(str::to_owned),
        }))
    };
    assert!(open(7420, None).is_ok());
    assert!(open(7420, Some("192.168.1.0/24")).is_ok());
    assert!(open(7420, Some("fd00::/8")).is_ok());
    assert_eq!(open(0, None), Err(Wrong::Port));
    for bad in [
        "",
        "192.168.1.1",
        "192.168.1.0/33",
        "10.0.0.0/-1",
        "any/0",
        "::/129",
        "1.1.1.1/+1",
    ] {
        assert!(open(1, Some(bad)).is_err(), "{bad:?}");
    }
}

#[test]
fn certificates_have_names_and_an_end() {
    let certificate = |names: &[&str], days| {
        convert(wit::Action::GenerateCertificate(GenerateCertificate {
            path: "/etc/skep/tls.crt".to_owned(),
            key: "/etc/skep/tls.key".to_owned(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            days,
            owner: nobody(),
        }))
    };
    assert!(certificate(&["hive.example", "192.168.1.10", "::1", "localhost"], 365).is_ok());
    for (names, days) in [
        (&[][..], 1),
        (&["a"], 0),
        (&["a"], 826),
        (&["*.example"], 1),
        (&["a b"], 1),
        (&["-a"], 1),
        (&[""], 1),
        (&["a"; 33], 1),
    ] {
        assert!(certificate(names, days).is_err(), "{names:?} {days}");
    }
}

#[test]
fn downloads_say_what_they_are() {
    let get = |url: &str, sha256: &str, size_bytes| {
        convert(wit::Action::Download(Download {
            url: url.to_owned(),
            sha256: sha256.to_owned(),
            size_bytes,
            path: "/opt/file".to_owned(),
            mode: 0o644,
            owner: nobody(),
        }))
    };
    let digest = "0123456789abcdef".repeat(4);
    assert!(get("https://example.org/file?a=b", &digest, 1).is_ok());
    for url in [
        "",
        "http://example.org/file",
        "https://",
        "https:///file",
        "https://user@example.org/",
        "https://example.org/a b",
        "https://example.org/\u{202e}",
        "file:///etc/passwd",
    ] {
        assert!(matches!(get(url, &digest, 1), Err(Wrong::Url(_))), "{url}");
    }
    let url = "https://example.org/file";
    let upper = digest.to_uppercase();
    for digest in ["", "0123", upper.as_str()] {
        assert!(
            matches!(get(url, digest, 1), Err(Wrong::Digest(_))),
            "{digest}"
        );
    }
    assert!(get(url, &digest, 0).is_err());
    assert!(get(url, &digest, u64::MAX).is_err());
}

#[test]
fn only_settings_that_exist_can_be_set() {
    let set = |key: &str, value: Option<&str>| {
        convert(wit::Action::SetSetting(SetSetting {
            key: key.to_owned(),
            value: value.map(str::to_owned),
        }))
    };
    assert!(set("http.listen", Some("\"0.0.0.0:7420\"")).is_ok());
    assert!(set("models.devices", Some("[\"cuda:0\", \"cuda:1\"]")).is_ok());
    assert!(set("node.threads", Some("4")).is_ok());
    assert!(set("node.threads", None).is_ok());
    for (key, value) in [
        ("http", "1"),
        ("http.", "1"),
        ("http.port", "1"),
        ("nothing.listen", "1"),
        ("http.listen.x", "1"),
        ("node.threads", "\"four\""),
    ] {
        let wrong = set(key, Some(value)).unwrap_err();
        assert!(matches!(wrong, Wrong::Setting(_)), "{key}: {wrong:?}");
    }
    for value in ["", "1\nlisten = 2", "\"", "1 # x\r", "[http]", "}"] {
        let wrong = set("node.threads", Some(value)).unwrap_err();
        assert!(matches!(wrong, Wrong::Value(_)), "{value:?}: {wrong:?}");
    }
}

#[test]
fn blocks_secrets_and_upstreams_are_bounded() {
    let block = |comment: &str, lines: Vec<String>| {
        convert(wit::Action::EditBlock(EditBlock {
            path: "/etc/hosts".to_owned(),
            name: "skep".to_owned(),
            comment: comment.to_owned(),
            lines,
        }))
    };
    assert!(block("#", vec!["127.0.1.1\thive".to_owned()]).is_ok());
    assert!(block("", Vec::new()).is_err());
    assert!(block("rm ", Vec::new()).is_err());
    assert!(block("#", vec!["a\nb".to_owned()]).is_err());
    assert!(block("#", vec![String::new(); 257]).is_err());
    assert!(block("#", vec!["x".repeat(4_097)]).is_err());
    let secret = |name: &str, question: &str| {
        convert(wit::Action::KeepSecret(KeepSecret {
            name: name.to_owned(),
            question: question.to_owned(),
        }))
    };
    assert!(secret("openai-key", "key").is_ok());
    assert!(secret("../key", "key").is_err() && secret("key", "A key?").is_err());
    let upstream = |name: &str, value: &str| {
        convert(wit::Action::AddUpstream(AddUpstream {
            name: name.to_owned(),
            plugin: "openai".to_owned(),
            settings: vec![("base-url".to_owned(), value.to_owned())],
        }))
    };
    assert!(upstream("openai", "https://api.example.org/v1").is_ok());
    assert!(upstream("Open AI", "https://api.example.org").is_err());
    assert!(upstream("openai", "a\r\nb").is_err());
    let folder = wit::Action::MakeFolder(MakeFolder {
        path: "/srv/models".to_owned(),
        mode: 0o750,
        owner: Owner {
            user: "-R".to_owned(),
            group: String::new(),
        },
    });
    assert!(convert(folder).is_err());
    let content = wit::Action::WriteFile(WriteFile {
        path: "/a".to_owned(),
        content: "x".repeat((256 << 10) + 1),
        mode: 0o644,
        owner: nobody(),
    });
    assert!(matches!(convert(content), Err(Wrong::TooMuch { .. })));
}

#[test]
fn the_action_that_is_wrong_is_named() {
    let good = wit::Planned {
        action: wit::Action::CreateGroup("skep".to_owned()),
        why: String::new(),
    };
    let bad = wit::Planned {
        action: wit::Action::CreateGroup("\u{1b}[2J".to_owned()),
        why: String::new(),
    };
    let proposal = Proposal {
        actions: vec![good, bad],
        notes: Vec::new(),
    };
    let said = plan(proposal).unwrap_err().to_string();
    assert!(said.starts_with("action 2 of the plan"), "{said}");
    assert!(!said.contains('\u{1b}'), "{said}");
}
