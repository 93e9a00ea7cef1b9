//! What can be done to a machine: a closed list of typed, reversible actions.
//!
//! Decides which actions exist, which values they may carry, and who has to carry each out. Refuses to know how: that is
//! the executor's, which looks first whether a machine is already as an action wants it, keeps what was there before, and puts it back.

use serde::{Deserialize, Serialize};

/// One thing to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
#[allow(
    missing_docs,
    reason = "the fields are those of `wit/installer.wit`, described there"
)]
pub enum Action {
    /// A whole file.
    WriteFile {
        path: String,
        content: String,
        mode: u16,
        owner: Owner,
    },
    /// Lines between two marks in a text file that others may edit, too.
    EditBlock {
        path: String,
        name: String,
        comment: String,
        lines: Vec<String>,
    },
    MakeFolder {
        path: String,
        mode: u16,
        owner: Owner,
    },
    CreateGroup {
        name: String,
    },
    CreateUser {
        name: String,
        group: String,
        home: String,
        comment: String,
    },
    JoinGroup {
        user: String,
        group: String,
    },
    InstallPackages {
        names: Vec<String>,
    },
    EnableUnit {
        name: String,
        scope: Scope,
        start: bool,
    },
    OpenPort {
        firewall: Firewall,
        protocol: Protocol,
        port: u16,
        /// `ADDRESS/PREFIX`; none: from anywhere.
        from: Option<String>,
    },
    GenerateKey {
        path: String,
        kind: KeyKind,
        comment: String,
        owner: Owner,
    },
    GenerateCertificate {
        path: String,
        key: String,
        names: Vec<String>,
        days: u32,
        owner: Owner,
    },
    Download {
        url: String,
        sha256: String,
        size_bytes: u64,
        path: String,
        mode: u16,
        owner: Owner,
    },
    /// Which program is the executor's to know: its own. A plan never names what is copied.
    InstallProgram {
        path: String,
    },
    Run {
        command: Command,
    },
    StartContainers {
        project: String,
        file: String,
    },
    SetSetting {
        key: String,
        /// TOML; none: the setting is taken out.
        value: Option<String>,
    },
    KeepSecret {
        name: String,
        question: String,
    },
    AddUpstream {
        name: String,
        plugin: String,
        settings: Vec<(String, String)>,
    },
}

/// Who owns a file. Empty names: whoever carries the action out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The user's name.
    pub user: String,
    /// The group's name.
    pub group: String,
}

/// Whose units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// The machine's.
    System,
    /// Those of the user who runs the agent.
    User,
}

/// A program that filters packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "names of programs")]
pub enum Firewall {
    Nftables,
    Ufw,
    Firewalld,
}

/// What a port is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "names of protocols")]
pub enum Protocol {
    Tcp,
    Udp,
}

/// Which key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyKind {
    /// OpenSSH's private key, with the public one beside it as `PATH.pub`.
    SshEd25519,
    /// PKCS #8 in PEM.
    EcP256,
}

/// A program that may be run, with typed arguments and no shell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "run", rename_all = "kebab-case")]
#[allow(
    missing_docs,
    reason = "the fields are those of `wit/installer.wit`, described there"
)]
pub enum Command {
    /// `systemctl daemon-reload`
    ReloadUnits,
    /// `systemctl restart NAME`
    RestartUnit { name: String },
    /// `apt-get update`, or what does that here.
    RefreshPackages,
    /// `modprobe NAME`
    LoadModule { name: String },
    /// `nvidia-smi --power-limit`
    SetPowerLimit { gpu: String, watts: u32 },
    /// `loginctl enable-linger USER`
    KeepRunning { user: String },
}

/// An action, and what it is good for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// What is done.
    pub action: Action,
    /// One sentence for people.
    pub why: String,
}

/// Actions in the order in which they are carried out; they are undone in reverse.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What is done.
    pub actions: Vec<Planned>,
    /// What people should know beside that.
    pub notes: Vec<String>,
}

/// Who carries an action out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Actor {
    /// The agent by itself: settings, secrets and upstreams are its own.
    Agent,
    /// The executor, as the user who runs the agent.
    User,
    /// The executor, as root.
    Root,
}

impl Action {
    /// Who has to carry it out. `own` are the folders that belong to the user who runs the agent: what is written
    /// there, or is a unit of that user, needs no root.
    #[must_use]
    pub fn actor(&self, own: &[&str]) -> Actor {
        let user_if = |fits: bool| if fits { Actor::User } else { Actor::Root };
        let below = |path: &str| {
            own.iter().any(|folder| {
                path.strip_prefix(folder)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
        };
        match self {
            Self::SetSetting { .. } | Self::KeepSecret { .. } | Self::AddUpstream { .. } => {
                Actor::Agent
            }
            Self::WriteFile { path, .. }
            | Self::EditBlock { path, .. }
            | Self::MakeFolder { path, .. }
            | Self::GenerateKey { path, .. }
            | Self::GenerateCertificate { path, .. }
            | Self::Download { path, .. }
            | Self::InstallProgram { path } => user_if(below(path)),
            Self::EnableUnit { scope, .. } => user_if(*scope == Scope::User),
            Self::CreateGroup { .. }
            | Self::CreateUser { .. }
            | Self::JoinGroup { .. }
            | Self::InstallPackages { .. }
            | Self::OpenPort { .. }
            | Self::Run { .. } => Actor::Root,
            // Whoever may write the file could have root run anything by it.
            Self::StartContainers { file, .. } => user_if(below(file)),
        }
    }
}
