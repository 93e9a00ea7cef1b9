//! A step's proposal made into a plan that can be carried out, or refused.
//!
//! Decides which paths, names, numbers and texts an action may carry, whoever asked for it: nothing that is relative, not
//! normalised, too long, or that a program could take for an option. Refuses to know the machine: whether a user exists or a port is
//! free is the executor's to see.

use skep_core::install::{self as core, Action, Command, Plan, Planned};

use crate::host::installer as wit;
use crate::limits::{
    PLAN_CERTIFICATE_DAYS_MAX, PLAN_CERTIFICATE_NAMES_MAX, PLAN_DOWNLOAD_BYTES, PLAN_FILE_BYTES,
    PLAN_LINE_BYTES, PLAN_LINES_MAX, PLAN_PACKAGES_MAX, PLAN_SETTINGS_MAX, STEP_VALUE_BYTES,
};

mod names;
mod paths;
mod setting;

use self::names as name;

/// Why a proposal cannot be carried out. Nothing of it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("action {action} of the plan is refused: {wrong}")]
pub struct Nonsense {
    /// Which one, from 1.
    pub action: usize,
    pub wrong: Wrong,
}

/// What is wrong with an action.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    #[error("`{0}` is no absolute path without `.`, `..` and doubled slashes")]
    Path(String),
    #[error("`{0}` is the kernel's and no place for files")]
    Kernel(String),
    #[error("`{0}` says who may sign in and become root: accounts have actions of their own")]
    Accounts(String),
    #[error("mode {0:o} has more than permissions, or lets everybody write")]
    Mode(u16),
    #[error("`{text}` is no {what}")]
    Name { what: &'static str, text: String },
    #[error("{what} has {found}, and {most} are the most")]
    TooMuch {
        what: &'static str,
        found: u64,
        most: u64,
    },
    #[error("{0} is empty")]
    Empty(&'static str),
    #[error("{0} has control characters")]
    Control(&'static str),
    #[error("`{0}` is no `https://` address that can be downloaded from")]
    Url(String),
    #[error("`{0}` is no SHA-256 in hex")]
    Digest(String),
    #[error("`{0}` is no `ADDRESS/PREFIX`")]
    Network(String),
    #[error("port 0 is none")]
    Port,
    #[error("the agent has no setting `{0}`")]
    Setting(String),
    #[error("`{0}` cannot be the value of a setting: it is no TOML value")]
    Value(String),
}

/// Makes a plan of a proposal.
///
/// # Errors
/// The first action that may not be carried out, and why.
pub fn plan(proposal: wit::Proposal) -> Result<Plan, Nonsense> {
    let mut actions = Vec::with_capacity(proposal.actions.len());
    for (before, planned) in proposal.actions.into_iter().enumerate() {
        let wrong = |wrong| Nonsense {
            action: before + 1,
            wrong,
        };
        actions.push(Planned {
            action: action(planned.action).map_err(wrong)?,
            why: planned.why,
        });
    }
    Ok(Plan {
        actions,
        notes: proposal.notes,
    })
}

fn action(action: wit::Action) -> Result<Action, Wrong> {
    Ok(match action {
        wit::Action::WriteFile(file) => {
            within("a file's text", file.content.len(), PLAN_FILE_BYTES)?;
            Action::WriteFile {
                path: paths::file(file.path)?,
                content: file.content,
                mode: paths::mode(file.mode)?,
                owner: owner(file.owner)?,
            }
        }
        wit::Action::EditBlock(block) => edit_block(block)?,
        wit::Action::MakeFolder(folder) => Action::MakeFolder {
            path: paths::file(folder.path)?,
            mode: paths::mode(folder.mode)?,
            owner: owner(folder.owner)?,
        },
        wit::Action::CreateGroup(group) => Action::CreateGroup {
            name: name::account(group)?,
        },
        wit::Action::CreateUser(user) => Action::CreateUser {
            name: name::account(user.name)?,
            group: name::account(user.group)?,
            home: paths::file(user.home)?,
            comment: name::comment(user.comment)?,
        },
        wit::Action::JoinGroup(join) => Action::JoinGroup {
            user: name::account(join.user)?,
            group: name::account(join.group)?,
        },
        wit::Action::InstallPackages(packages) => {
            within("the list of packages", packages.len(), PLAN_PACKAGES_MAX)?;
            if packages.is_empty() {
                return Err(Wrong::Empty("the list of packages"));
            }
            let names: Result<_, _> = packages.into_iter().map(name::package).collect();
            Action::InstallPackages { names: names? }
        }
        wit::Action::EnableUnit(unit) => Action::EnableUnit {
            name: name::unit(unit.name)?,
            scope: match unit.scope {
                wit::Scope::System => core::Scope::System,
                wit::Scope::User => core::Scope::User,
            },
            start: unit.start,
        },
        wit::Action::OpenPort(port) => open_port(port)?,
        wit::Action::GenerateKey(key) => Action::GenerateKey {
            path: paths::file(key.path)?,
            kind: match key.kind {
                wit::KeyKind::SshEd25519 => core::KeyKind::SshEd25519,
                wit::KeyKind::EcP256 => core::KeyKind::EcP256,
            },
            comment: name::comment(key.comment)?,
            owner: owner(key.owner)?,
        },
        wit::Action::GenerateCertificate(certificate) => generate_certificate(certificate)?,
        wit::Action::Download(download) => self::download(download)?,
        wit::Action::InstallProgram(path) => Action::InstallProgram {
            path: paths::program(path)?,
        },
        wit::Action::Run(command) => Action::Run {
            command: self::command(command)?,
        },
        wit::Action::StartContainers(compose) => Action::StartContainers {
            project: name::project(compose.project)?,
            file: paths::file(compose.file)?,
        },
        wit::Action::SetSetting(setting) => setting::set(setting.key, setting.value)?,
        wit::Action::KeepSecret(secret) => Action::KeepSecret {
            name: name::secret(secret.name)?,
            question: name::question(secret.question)?,
        },
        wit::Action::AddUpstream(upstream) => add_upstream(upstream)?,
    })
}

fn edit_block(block: wit::EditBlock) -> Result<Action, Wrong> {
    within("the list of lines", block.lines.len(), PLAN_LINES_MAX)?;
    for line in &block.lines {
        within("a line", line.len(), PLAN_LINE_BYTES)?;
        if line.chars().any(|c| c.is_control() && c != '\t') {
            return Err(Wrong::Control("a line"));
        }
    }
    Ok(Action::EditBlock {
        path: paths::file(block.path)?,
        name: name::question(block.name)?,
        comment: name::comment_sign(block.comment)?,
        lines: block.lines,
    })
}

fn open_port(port: wit::OpenPort) -> Result<Action, Wrong> {
    if port.port == 0 {
        return Err(Wrong::Port);
    }
    Ok(Action::OpenPort {
        firewall: match port.firewall {
            wit::FirewallKind::Nftables => core::Firewall::Nftables,
            wit::FirewallKind::Ufw => core::Firewall::Ufw,
            wit::FirewallKind::Firewalld => core::Firewall::Firewalld,
        },
        protocol: match port.protocol {
            wit::Protocol::Tcp => core::Protocol::Tcp,
            wit::Protocol::Udp => core::Protocol::Udp,
        },
        port: port.port,
        from: port.from.map(name::network).transpose()?,
    })
}

fn generate_certificate(certificate: wit::GenerateCertificate) -> Result<Action, Wrong> {
    let names = certificate.names;
    within("the list of names", names.len(), PLAN_CERTIFICATE_NAMES_MAX)?;
    if names.is_empty() {
        return Err(Wrong::Empty("the list of names"));
    }
    if certificate.days == 0 {
        return Err(Wrong::Empty("the time that the certificate holds"));
    }
    within(
        "the time that the certificate holds, in days,",
        certificate.days as usize,
        PLAN_CERTIFICATE_DAYS_MAX as usize,
    )?;
    let names: Result<_, _> = names.into_iter().map(name::host).collect();
    Ok(Action::GenerateCertificate {
        path: paths::file(certificate.path)?,
        key: paths::file(certificate.key)?,
        names: names?,
        days: certificate.days,
        owner: owner(certificate.owner)?,
    })
}

fn download(download: wit::Download) -> Result<Action, Wrong> {
    if download.size_bytes == 0 {
        return Err(Wrong::Empty("what is downloaded"));
    }
    if download.size_bytes > PLAN_DOWNLOAD_BYTES {
        return Err(Wrong::TooMuch {
            what: "what is downloaded",
            found: download.size_bytes,
            most: PLAN_DOWNLOAD_BYTES,
        });
    }
    Ok(Action::Download {
        url: name::url(download.url)?,
        sha256: name::digest(download.sha256)?,
        size_bytes: download.size_bytes,
        path: paths::file(download.path)?,
        mode: paths::mode(download.mode)?,
        owner: owner(download.owner)?,
    })
}

fn command(command: wit::Command) -> Result<Command, Wrong> {
    Ok(match command {
        wit::Command::ReloadUnits => Command::ReloadUnits,
        wit::Command::RestartUnit(unit) => Command::RestartUnit {
            name: name::unit(unit)?,
        },
        wit::Command::RefreshPackages => Command::RefreshPackages,
        wit::Command::LoadModule(module) => Command::LoadModule {
            name: name::module(module)?,
        },
        wit::Command::SetPowerLimit(limit) => {
            if limit.watts == 0 {
                return Err(Wrong::Empty("the power limit"));
            }
            within(
                "the power limit, in watts,",
                limit.watts as usize,
                WATTS_MAX,
            )?;
            Command::SetPowerLimit {
                gpu: name::card(limit.gpu)?,
                watts: limit.watts,
            }
        }
        wit::Command::KeepRunning(user) => Command::KeepRunning {
            user: name::account(user)?,
        },
    })
}

fn add_upstream(upstream: wit::AddUpstream) -> Result<Action, Wrong> {
    within(
        "the list of settings",
        upstream.settings.len(),
        PLAN_SETTINGS_MAX,
    )?;
    for (key, value) in &upstream.settings {
        name::plugin(key.clone())?;
        within("a setting's value", value.len(), STEP_VALUE_BYTES)?;
        if value.chars().any(char::is_control) {
            return Err(Wrong::Control("a setting's value"));
        }
    }
    Ok(Action::AddUpstream {
        name: name::plugin(upstream.name)?,
        plugin: name::plugin(upstream.plugin)?,
        settings: upstream.settings,
    })
}

/// Empty names stay empty: whoever carries the action out.
fn owner(owner: wit::Owner) -> Result<core::Owner, Wrong> {
    let named = |text: String| match text.is_empty() {
        true => Ok(text),
        false => name::account(text),
    };
    Ok(core::Owner {
        user: named(owner.user)?,
        group: named(owner.group)?,
    })
}

fn within(what: &'static str, found: usize, most: usize) -> Result<(), Wrong> {
    if found > most {
        return Err(Wrong::TooMuch {
            what,
            found: found as u64,
            most: most as u64,
        });
    }
    Ok(())
}

/// What is shown of something wrong: not all of it, and nothing that moves a cursor.
fn shown(text: &str) -> String {
    let cut = text.floor_char_boundary(text.len().min(SHOWN_BYTES));
    crate::host::printable(text.get(..cut).unwrap_or_default())
}

const SHOWN_BYTES: usize = 120;

/// No card takes more.
const WATTS_MAX: usize = 2_000;

#[cfg(test)]
mod tests;
