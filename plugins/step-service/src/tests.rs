//! The plans for made-up machines, and the units before systemd's own judges.

#![allow(clippy::print_stdout, reason = "what is not tried has to be seen")]

use std::process::Command;

use skep_sdk::installer::{
    Account, Action, Answer, Facts, FileFacts, Listener, Proposal, Protocol, Severity, UnitFacts,
    Value, answer, samples, try_out,
};

use super::*;

/// Nothing runs yet, and the groups for cards exist.
fn with_groups(mut facts: Facts) -> Facts {
    facts.listeners.clear();
    facts.groups = vec!["render".into(), "video".into(), "users".into()];
    facts
}

fn planned(facts: &Facts, answers: &[Answer]) -> Proposal {
    try_out::<Service>(facts, answers).plan.unwrap()
}

/// What is done, in a word and a name each.
fn words(proposal: &Proposal) -> Vec<String> {
    let word = |action: &Action| match action {
        Action::CreateGroup(name) => format!("group {name}"),
        Action::CreateUser(user) => format!("user {}", user.name),
        Action::JoinGroup(join) => format!("join {}", join.group),
        Action::MakeFolder(folder) => format!("folder {} {:o}", folder.path, folder.mode),
        Action::WriteFile(file) => format!("file {} {:o}", file.path, file.mode),
        Action::InstallProgram(path) => format!("program {path}"),
        Action::EnableUnit(unit) => format!("enable {} {:?} {}", unit.name, unit.scope, unit.start),
        Action::Run(command) => format!("run {command:?}"),
        other => panic!("{other:?}"),
    };
    proposal
        .actions
        .iter()
        .map(|planned| word(&planned.action))
        .collect()
}

fn file(path: &str, content: Option<&str>) -> FileFacts {
    FileFacts {
        path: path.into(),
        content: content.map(Into::into),
        mode: 0o644,
        owner: "root".into(),
        group: "root".into(),
        size_bytes: 1,
    }
}

fn written<'p>(proposal: &'p Proposal, path: &str) -> &'p str {
    let found = proposal
        .actions
        .iter()
        .find_map(|planned| match &planned.action {
            Action::WriteFile(file) if file.path == path => Some(file.content.as_str()),
            _ => None,
        });
    found.unwrap()
}

#[test]
fn the_machine_gets_a_user_and_a_unit() {
    let mut facts = with_groups(samples::debian());
    facts.agent.executable = "/tmp/skep".into();
    let plan = planned(&facts, &[]);
    assert_eq!(
        words(&plan),
        [
            "group skep",
            "user skep",
            "join render",
            "join video",
            "folder /etc/skep 770",
            "file /etc/skep/config.toml 660",
            "program /usr/local/bin/skep",
            "file /etc/systemd/system/skep.service 644",
            "run Command::ReloadUnits",
            "enable skep.service Scope::System true",
        ]
    );
    let unit = written(&plan, "/etc/systemd/system/skep.service");
    assert!(
        unit.contains("\nExecStart=/usr/local/bin/skep up\n"),
        "{unit}"
    );
    assert!(!unit.contains('{'), "{unit}");
    // Once it is so, the plan is the same, and settings are what they became meanwhile.
    facts.files = vec![
        file("/etc/skep/config.toml", Some("[node]\nname = \"a\"\n")),
        file("/etc/systemd/system/skep.service", Some(unit)),
    ];
    facts.units = vec![UnitFacts {
        name: "skep.service".into(),
        enabled: true,
        active: true,
    }];
    facts.listeners = vec![listener()];
    let again = planned(&facts, &[]);
    assert_eq!(words(&again), words(&plan));
    assert_eq!(
        written(&again, "/etc/skep/config.toml"),
        "[node]\nname = \"a\"\n"
    );
    let findings = Service::check(&facts);
    assert!(
        findings.iter().all(|one| one.severity == Severity::Fine),
        "{findings:?}"
    );
}

fn listener() -> Listener {
    Listener {
        protocol: Protocol::Tcp,
        address: "127.0.0.1".into(),
        port: 7420,
        program: Some("skep".into()),
    }
}

#[test]
fn settings_that_cannot_be_read_are_left_alone() {
    let mut facts = samples::debian();
    facts.files = vec![file("/etc/skep/config.toml", None)];
    let plan = planned(&facts, &[]);
    assert!(
        words(&plan)
            .iter()
            .all(|word| !word.contains("config.toml"))
    );
    assert!(plan.notes.iter().any(|note| note.contains("left as it is")));
}

#[test]
fn what_a_package_brought_is_not_brought_again() {
    let mut facts = samples::debian();
    facts.listeners.clear();
    facts.groups.clear();
    facts.files = vec![file(
        "/usr/lib/systemd/system/skep.service",
        Some(MACHINE_UNIT),
    )];
    assert_eq!(
        words(&planned(&facts, &[])),
        [
            "folder /etc/skep 770",
            "file /etc/skep/config.toml 660",
            "enable skep.service Scope::System true",
        ]
    );
}

#[test]
fn one_user_needs_no_root() {
    let facts = with_groups(samples::of_a_person(samples::fedora()));
    let plan = planned(&facts, &[]);
    let words = words(&plan);
    assert!(
        words.contains(&"enable skep.service Scope::User true".to_owned()),
        "{words:?}"
    );
    assert!(
        !words.iter().any(|word| word.contains("/etc/")),
        "{words:?}"
    );
    // A package's program stays where it is.
    let unit = written(&plan, "/home/sam/.config/systemd/user/skep.service");
    assert!(unit.contains("\nExecStart=/usr/bin/skep up\n"), "{unit}");

    let mut facts = facts;
    facts.agent.executable = "/home/sam/Downloads/skep".into();
    facts.agent.config_folder = "/srv/skep".into();
    facts.agent.data_folder = "/srv/skep/data".into();
    let plan = planned(&facts, &[answer("linger", Value::Flag(false))]);
    let unit = written(&plan, "/home/sam/.config/systemd/user/skep.service");
    assert!(
        unit.contains("\nExecStart=/home/sam/.local/bin/skep --home /srv/skep up\n"),
        "{unit}"
    );
    let all = self::words(&plan);
    assert!(
        all.contains(&"program /home/sam/.local/bin/skep".to_owned()),
        "{all:?}"
    );
    assert!(
        !all.iter().any(|word| word.contains("KeepRunning")),
        "{all:?}"
    );
}

#[test]
fn names_that_a_unit_cannot_have_are_told_before() {
    for home in [
        "",
        "/home/a b",
        "/home/%h",
        "relative",
        "/home/x\nExecStart=/bin/sh",
    ] {
        let mut facts = samples::of_a_person(samples::arch());
        facts.agent.home = home.into();
        let tried = try_out::<Service>(&facts, &[]);
        assert!(tried.problem("scope").is_some(), "{home}");
        let machine = [answer("scope", Value::Text("system".into()))];
        assert!(try_out::<Service>(&facts, &machine).plan.is_ok(), "{home}");
    }
}

#[test]
fn another_skep_on_the_port_is_not_pushed_aside() {
    let mut facts = samples::debian();
    facts.listeners = vec![listener()];
    let plan = planned(&facts, &[]);
    assert_eq!(
        words(&plan).last().unwrap(),
        "enable skep.service Scope::System false"
    );
    assert!(
        plan.notes
            .iter()
            .any(|note| note.contains("systemctl start skep"))
    );
    facts.system.systemd = None;
    let plan = planned(&facts, &[]);
    assert!(
        !words(&plan)
            .iter()
            .any(|word| word.contains("systemd") || word.contains("enable"))
    );
}

#[test]
fn findings_say_what_mends_them() {
    let mut facts = with_groups(samples::debian());
    assert_eq!(Service::check(&facts)[0].severity, Severity::Notice);
    let unit = MACHINE_UNIT.replace("{program}", "/usr/local/bin/skep");
    facts.files = vec![file("/etc/systemd/system/skep.service", Some(&unit))];
    facts.units = vec![UnitFacts {
        name: "skep.service".into(),
        enabled: true,
        active: false,
    }];
    facts.gpus = vec![samples::nvidia(0)];
    facts.accounts = vec![Account {
        name: "skep".into(),
        uid: 990,
        groups: vec!["skep".into(), "video".into()],
        home: "/var/lib/skep".into(),
    }];
    let found = Service::check(&facts);
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(found[0].severity, Severity::Failure);
    assert!(
        found[1]
            .remedy
            .as_deref()
            .unwrap()
            .starts_with("sudo usermod -aG render skep")
    );
    facts.files = vec![file(
        "/etc/systemd/system/skep.service",
        Some("[Service]\nUser=root\n"),
    )];
    assert!(Service::check(&facts)[0].what.contains("another"));
}

/// `systemd-analyze` on a unit with a program that exists, as `skep.service` in a folder of its own.
fn analyze(unit: &str, arguments: &[&str]) -> Option<(bool, String)> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("skep.service");
    std::fs::write(&path, unit.replace("{program}", "/bin/true")).unwrap();
    let run = Command::new("systemd-analyze")
        .args(arguments)
        .arg(&path)
        .output();
    let Ok(output) = run else {
        println!(
            "SKIPPED: `systemd-analyze` is not here; on Debian `apt-get install systemd` brings it"
        );
        return None;
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Some((
        output.status.success(),
        text + &String::from_utf8_lossy(&output.stderr),
    ))
}

#[test]
fn the_machines_unit_is_confined() {
    let judge = ["security", "--offline=true", "--no-pager", "--threshold=20"];
    let Some((fine, said)) = analyze(MACHINE_UNIT, &judge) else {
        return;
    };
    assert!(fine, "{said}");
    // The judge can say no.
    let open = MACHINE_UNIT.replace("ProtectSystem=strict\n", "");
    let (fine, said) = analyze(&open, &judge).unwrap();
    assert!(!fine, "{said}");
}

#[test]
fn systemd_understands_every_line() {
    for unit in [MACHINE_UNIT, PERSON_UNIT] {
        let Some((_, said)) = analyze(unit, &["verify", "--man=no", "--recursive-errors=no"])
        else {
            return;
        };
        assert_eq!(said.trim(), "");
    }
    let (_, said) = analyze(
        "[Service]\nExecStart=/bin/true\nProtectEverything=yes\n",
        &["verify", "--man=no", "--recursive-errors=no"],
    )
    .unwrap();
    assert!(said.contains("ProtectEverything"), "{said}");
}
