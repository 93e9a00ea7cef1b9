//! What steps of a setup answer: descriptions, questions, proposals and findings of anything. What passes can be shown in a line,
//! carried out by its type, and asked of the helper, which refuses what is on none of its lists.
#![allow(clippy::expect_used, reason = "what does not hold ends it")]

use arbitrary::{Result, Unstructured};
use skep_core::install::Action as Checked;

use super::{
    Action, AddUpstream, Command, Compose, CreateUser, Description, Download, EditBlock,
    EnableUnit, Finding, FirewallKind, GenerateCertificate, GenerateKey, JoinGroup, KeepSecret,
    KeyKind, Kind, MakeFolder, Need, NumberRule, OpenPort, OptionItem, Owner, Planned, Proposal,
    Protocol, Question, Scope, SetPower, SetSetting, Severity, TextRule, Value, WriteFile, bounds,
};
use crate::act::helper::Policy;
use crate::host::fuzzed::{list, maybe, number, text};
use crate::setup::convert;

/// Answers of one step.
///
/// # Panics
/// When something passes that must not.
pub fn step_answers(bytes: &[u8]) {
    // It ends where the bytes do.
    let _ = answers(&mut Unstructured::new(bytes));
}

fn answers(u: &mut Unstructured<'_>) -> Result<()> {
    let needs = list(u, 70, |u| Ok(Need::File(text(u, PATHS)?)))?;
    let described = Description {
        title: u.arbitrary()?,
        purpose: u.arbitrary()?,
        needs,
    };
    if let Ok(described) = bounds::description(described) {
        shown(&described.title);
        shown(&described.purpose);
    }
    if let Ok(asked) = bounds::questions(list(u, 8, question)?) {
        asked.iter().for_each(|question| shown(&question.label));
    }
    let severity = [Severity::Fine, Severity::Warning];
    let findings = list(u, 4, |u| {
        Ok(Finding {
            severity: *u.choose(&severity)?,
            what: u.arbitrary()?,
            evidence: u.arbitrary()?,
            remedy: maybe(u, |u| u.arbitrary())?,
        })
    })?;
    for finding in bounds::findings(findings).unwrap_or_default() {
        shown(&finding.what);
        shown(&finding.evidence);
    }
    let actions = list(u, 12, |u| {
        Ok(Planned {
            action: action(u)?,
            why: u.arbitrary()?,
        })
    })?;
    let notes = list(u, 4, |u| u.arbitrary())?;
    let proposed = bounds::proposal(Proposal { actions, notes });
    if let Some(plan) = proposed
        .ok()
        .and_then(|proposed| convert::plan(proposed).ok())
    {
        let policy = Policy {
            user: "skep".to_owned(),
        };
        for planned in &plan.actions {
            shown(&planned.why);
            shown(&planned.action.to_string());
            if planned.action.check().is_ok() && policy.permits(&planned.action).is_ok() {
                ours(&planned.action);
            }
        }
    }
    Ok(())
}

/// One line, with nothing in it that a terminal obeys.
fn shown(text: &str) {
    assert!(!text.chars().any(char::is_control), "{text:?}");
}

/// Root writes nowhere else.
fn ours(action: &Checked) {
    let (Checked::WriteFile { path, .. }
    | Checked::EditBlock { path, .. }
    | Checked::MakeFolder { path, .. }
    | Checked::Download { path, .. }
    | Checked::GenerateKey { path, .. }
    | Checked::GenerateCertificate { path, .. }) = action
    else {
        return;
    };
    let is_plain = path
        .split('/')
        .skip(1)
        .all(|part| !part.is_empty() && part != "." && part != "..");
    let names_us = path.contains("skep") || SHARED.contains(&path.as_str());
    assert!(path.starts_with('/') && is_plain && names_us, "{path:?}");
}

fn question(u: &mut Unstructured<'_>) -> Result<Question> {
    let option = |u: &mut Unstructured<'_>| {
        Ok(OptionItem {
            value: text(u, &["a", "b"])?,
            label: u.arbitrary()?,
            help: u.arbitrary()?,
            recommended: u.arbitrary()?,
        })
    };
    let rule = TextRule {
        placeholder: u.arbitrary()?,
        bytes_max: number(u)?,
    };
    let kind = match u.int_in_range(0..=6)? {
        0 => Kind::Text(rule),
        1 => Kind::Secret,
        2 => Kind::Number(NumberRule {
            min: u.arbitrary()?,
            max: u.arbitrary()?,
            step: u.arbitrary()?,
            unit: u.arbitrary()?,
        }),
        3 => Kind::Flag,
        4 => Kind::Choice(list(u, 4, option)?),
        5 => Kind::Several(list(u, 4, option)?),
        _ => Kind::Lines(rule),
    };
    let value = |u: &mut Unstructured<'_>| {
        Ok(match u.int_in_range(0..=4)? {
            0 => Value::Text(text(u, &["a"])?),
            1 => Value::Number(u.arbitrary()?),
            2 => Value::Flag(u.arbitrary()?),
            3 => Value::Several(list(u, 4, |u| text(u, &["a", "b"]))?),
            _ => Value::SecretGiven,
        })
    };
    Ok(Question {
        id: text(u, &["a", "b", "c-d"])?,
        label: u.arbitrary()?,
        help: u.arbitrary()?,
        kind,
        default: maybe(u, value)?,
        advanced: u.arbitrary()?,
        problem: maybe(u, |u| u.arbitrary())?,
    })
}

fn action(u: &mut Unstructured<'_>) -> Result<Action> {
    Ok(match u.int_in_range(0..=17)? {
        0 => Action::WriteFile(WriteFile {
            path: text(u, PATHS)?,
            content: u.arbitrary()?,
            mode: mode(u)?,
            owner: owner(u)?,
        }),
        1 => Action::EditBlock(EditBlock {
            path: text(u, PATHS)?,
            name: text(u, NAMES)?,
            comment: text(u, &["#", "//"])?,
            lines: list(u, 4, |u| u.arbitrary())?,
        }),
        2 => Action::MakeFolder(MakeFolder {
            path: text(u, PATHS)?,
            mode: mode(u)?,
            owner: owner(u)?,
        }),
        3 => Action::CreateGroup(text(u, NAMES)?),
        4 => Action::CreateUser(CreateUser {
            name: text(u, NAMES)?,
            group: text(u, NAMES)?,
            home: text(u, PATHS)?,
            comment: u.arbitrary()?,
        }),
        5 => Action::JoinGroup(JoinGroup {
            user: text(u, NAMES)?,
            group: text(u, &["video", "sudo"])?,
        }),
        6 => Action::InstallPackages(list(u, 4, |u| text(u, &["nftables", "-y", "bash"]))?),
        7 => Action::EnableUnit(EnableUnit {
            name: text(u, &["skep.service", "ssh.service"])?,
            scope: *u.choose(&[Scope::System, Scope::User])?,
            start: u.arbitrary()?,
        }),
        8 => Action::OpenPort(OpenPort {
            firewall: *u.choose(&[FirewallKind::Nftables, FirewallKind::Ufw])?,
            protocol: *u.choose(&[Protocol::Tcp, Protocol::Udp])?,
            port: u.arbitrary()?,
            from: maybe(u, |u| text(u, &["10.0.0.0/8", "::/0"]))?,
        }),
        9 => Action::GenerateKey(GenerateKey {
            path: text(u, PATHS)?,
            kind: *u.choose(&[KeyKind::SshEd25519, KeyKind::EcP256])?,
            comment: u.arbitrary()?,
            owner: owner(u)?,
        }),
        10 => Action::GenerateCertificate(GenerateCertificate {
            path: text(u, PATHS)?,
            key: text(u, PATHS)?,
            names: list(u, 4, |u| text(u, &["hive", "10.0.0.1"]))?,
            days: number(u)?,
            owner: owner(u)?,
        }),
        11 => Action::Download(Download {
            url: text(u, &["https://example.org/a", "file:///etc/shadow"])?,
            sha256: text(u, &[DIGEST])?,
            size_bytes: u.arbitrary()?,
            path: text(u, PATHS)?,
            mode: mode(u)?,
            owner: owner(u)?,
        }),
        12 => Action::InstallProgram(text(u, &["/usr/local/bin/skep", "/usr/bin/sudo"])?),
        13 => Action::Run(command(u)?),
        14 => Action::StartContainers(Compose {
            project: text(u, NAMES)?,
            file: text(u, PATHS)?,
        }),
        15 => Action::SetSetting(SetSetting {
            key: text(u, &["http.listen", "node.device", "x"])?,
            value: maybe(u, |u| text(u, &["1", "\"a\"", "[[x"]))?,
        }),
        16 => Action::KeepSecret(KeepSecret {
            name: text(u, NAMES)?,
            question: text(u, NAMES)?,
        }),
        _ => Action::AddUpstream(AddUpstream {
            name: text(u, NAMES)?,
            plugin: text(u, &["openai", "../x"])?,
            settings: list(u, 4, |u| Ok((text(u, NAMES)?, u.arbitrary()?)))?,
        }),
    })
}

fn command(u: &mut Unstructured<'_>) -> Result<Command> {
    Ok(match u.int_in_range(0..=5)? {
        0 => Command::ReloadUnits,
        1 => Command::RestartUnit(text(u, &["skep.service", "-x"])?),
        2 => Command::RefreshPackages,
        3 => Command::LoadModule(text(u, &["nvidia", "/tmp/x.ko"])?),
        4 => Command::SetPowerLimit(SetPower {
            gpu: text(u, &["GPU-0"])?,
            watts: u.arbitrary()?,
        }),
        _ => Command::KeepRunning(text(u, NAMES)?),
    })
}

fn owner(u: &mut Unstructured<'_>) -> Result<Owner> {
    Ok(Owner {
        user: text(u, NAMES)?,
        group: text(u, NAMES)?,
    })
}

fn mode(u: &mut Unstructured<'_>) -> Result<u16> {
    Ok(*u.choose(&[0o644, 0o600, 0o755, 0o777, 0o4755, u16::MAX])?)
}

const NAMES: &[&str] = &["", "skep", "root", "a", "-a", "../a"];

const PATHS: &[&str] = &[
    "/etc/skep/a",
    "/etc/systemd/system/skep-a.service",
    "/etc/systemd/system/skep/../x.service",
    "/srv/skep-backups",
    "/etc/nftables.d",
    "/etc/passwd",
    "/proc/self/mem",
    "~/.ssh/authorized_keys",
    "//etc/skep/a",
    "etc/skep",
];

/// Folders of others in which files of ours lie.
const SHARED: &[&str] = &[
    "/etc/nftables.d",
    "/etc/modules-load.d",
    "/etc/sysctl.d",
    "/etc/systemd/journald.conf.d",
    "/etc/logrotate.d",
];

const DIGEST: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
