//! Actions in words, for people who are to agree to them.

use std::fmt;

use super::action::{Action, Command, Firewall, KeyKind, Protocol, Scope};

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WriteFile { path, mode, .. } => write!(f, "write {path} (mode {mode:04o})"),
            Self::EditBlock { path, name, .. } => {
                write!(f, "put the block `{name}` into {path}")
            }
            Self::MakeFolder { path, mode, owner } => {
                write!(f, "make the folder {path} (mode {mode:04o}")?;
                if !owner.user.is_empty() {
                    write!(f, ", of {}", owner.user)?;
                }
                f.write_str(")")
            }
            Self::CreateGroup { name } => write!(f, "create the group `{name}`"),
            Self::CreateUser { name, .. } => write!(f, "create the user `{name}`"),
            Self::JoinGroup { user, group } => {
                write!(f, "let `{user}` into the group `{group}`")
            }
            Self::InstallPackages { names } => write!(f, "install {}", names.join(", ")),
            Self::EnableUnit { name, scope, start } => {
                let then = if *start { " and start it" } else { "" };
                let whose = match scope {
                    Scope::System => "",
                    Scope::User => " of this user",
                };
                write!(f, "let {name}{whose} start with the machine{then}")
            }
            Self::OpenPort {
                firewall,
                protocol,
                port,
                from,
            } => {
                write!(f, "open port {port}/{protocol} ")?;
                match from {
                    Some(from) => write!(f, "for {from}")?,
                    None => f.write_str("for everybody")?,
                }
                write!(f, " in {firewall}")
            }
            Self::GenerateKey { path, kind, .. } => {
                let kind = match kind {
                    KeyKind::SshEd25519 => "an SSH key",
                    KeyKind::EcP256 => "a private key",
                };
                write!(f, "make {kind} in {path}")
            }
            Self::GenerateCertificate { path, names, .. } => {
                write!(f, "make a certificate for {} in {path}", names.join(", "))
            }
            Self::Download {
                url,
                path,
                size_bytes,
                ..
            } => write!(f, "download {size_bytes} bytes from {url} to {path}"),
            Self::InstallProgram { path } => write!(f, "copy this program to {path}"),
            Self::Run { command } => command.fmt(f),
            Self::StartContainers { project, file } => {
                write!(f, "start the containers of `{project}` ({file})")
            }
            Self::SetSetting { key, value } => match value {
                Some(value) => write!(f, "set {key} = {value}"),
                None => write!(f, "take the setting {key} out"),
            },
            Self::KeepSecret { name, .. } => write!(f, "keep the secret `{name}`"),
            Self::AddUpstream { name, plugin, .. } => {
                write!(f, "use the upstream `{name}` by `{plugin}`")
            }
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReloadUnits => f.write_str("let systemd read its units again"),
            Self::RestartUnit { name } => write!(f, "restart {name}"),
            Self::RefreshPackages => f.write_str("bring the list of packages up to date"),
            Self::LoadModule { name } => write!(f, "load the kernel module {name}"),
            Self::SetPowerLimit { gpu, watts } => write!(f, "limit the card {gpu} to {watts} W"),
            Self::KeepRunning { user } => {
                write!(f, "let units of `{user}` run without a session")
            }
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

impl fmt::Display for Firewall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nftables => "nftables",
            Self::Ufw => "ufw",
            Self::Firewalld => "firewalld",
        })
    }
}
