//! What the helper does at all, whoever asks and whoever agreed.
//!
//! Decides by lists: paths of ours, and named accounts, groups, units, modules and packages. What is on no list is refused before it is
//! looked at, so that the helper cannot be used to read what its client may not read either.

use skep_core::install::{Action, Command, Owner, Scope};

/// For whom the helper works.
#[derive(Clone, Debug)]
pub struct Policy {
    /// That user's name.
    pub user: String,
}

/// Folders below which everything is ours.
const FOLDERS: [&str; 7] = [
    "/srv/skep-container",
    "/srv/skep-backups",
    "/var/backups/skep",
    "/etc/skep",
    "/var/lib/skep",
    "/var/log/skep",
    "/usr/local/lib/skep",
];

/// Files that are ours, as the beginning and the end of their paths; between them are no folders.
const FILES: [(&str, &str); 16] = [
    ("/etc/systemd/system/skep", ".service"),
    ("/etc/systemd/system/skep", ".socket"),
    ("/etc/systemd/system/skep", ".timer"),
    ("/etc/nftables.d/skep", ".nft"),
    ("/etc/logrotate.d/skep", ""),
    ("/etc/modules-load.d/skep", ".conf"),
    ("/etc/modprobe.d/skep", ".conf"),
    ("/etc/sysctl.d/", "skep.conf"),
    ("/etc/sysusers.d/skep", ".conf"),
    ("/etc/tmpfiles.d/skep", ".conf"),
    ("/etc/systemd/journald.conf.d/skep", ".conf"),
    ("/etc/udev/rules.d/", "skep.rules"),
    ("/etc/bash_completion.d/skep", ""),
    ("/etc/chrony/conf.d/skep", ".conf"),
    ("/etc/ufw/applications.d/skep", ""),
    ("/etc/ssh/sshd_config.d/skep", ".conf"),
];

/// Folders that a file of ours may need and that not every system has.
const SHARED_FOLDERS: [&str; 5] = [
    "/etc/nftables.d",
    "/etc/modules-load.d",
    "/etc/sysctl.d",
    "/etc/systemd/journald.conf.d",
    "/etc/logrotate.d",
];

/// Where our program goes, for services and people.
const PROGRAM: &str = "/usr/local/bin/skep";

const ACCOUNTS: [&str; 1] = ["skep"];

/// Groups that our user may be in; none of them gives root.
const GROUPS: [&str; 4] = ["skep", "video", "render", "systemd-journal"];

/// Units beside our own.
const UNITS: [&str; 10] = [
    "nftables.service",
    "firewalld.service",
    "ufw.service",
    "chrony.service",
    "chronyd.service",
    "systemd-timesyncd.service",
    "docker.service",
    "podman.socket",
    "nvidia-persistenced.service",
    "logrotate.timer",
];

const MODULES: [&str; 5] = ["nvidia", "nvidia_uvm", "nvidia-uvm", "amdgpu", "nf_tables"];

const PACKAGES: [&str; 35] = [
    "akmod-nvidia",
    "nvidia",
    "amd-gpu-firmware",
    "linux-firmware-amdgpu",
    "nftables",
    "ufw",
    "firewalld",
    "chrony",
    "systemd-timesyncd",
    "logrotate",
    "openssh-client",
    "openssh-clients",
    "openssh-server",
    "openssh",
    "ca-certificates",
    "curl",
    "docker.io",
    "docker",
    "docker-compose",
    "docker-compose-v2",
    "docker-compose-plugin",
    "podman",
    "podman-compose",
    "firmware-amd-graphics",
    "firmware-misc-nonfree",
    "linux-firmware",
    "mesa-vulkan-drivers",
    "vulkan-tools",
    "libvulkan1",
    "pciutils",
    "clinfo",
    "rocm-smi",
    "rocminfo",
    "restic",
    "rsync",
];

/// Beginnings of packages: those of drivers have versions in their names.
const PACKAGES_OF: [&str; 8] = [
    "nvidia-driver",
    "nvidia-kernel-",
    "nvidia-utils",
    "nvidia-smi",
    "nvidia-open",
    "linux-headers-",
    "libnvidia-",
    "libcuda",
];

impl Policy {
    /// Whether the helper does that. The text says what is on no list.
    ///
    /// # Errors
    /// When it does not.
    pub fn permits(&self, action: &Action) -> Result<(), String> {
        action.check().map_err(|error| error.to_string())?;
        match action {
            Action::WriteFile {
                path, mode, owner, ..
            } => {
                self.file(path, owner)?;
                not_for_all(*mode)
            }
            Action::MakeFolder { path, mode, owner } => {
                not_for_all(*mode)?;
                self.owner(owner)?;
                listed(
                    in_folders(path) || SHARED_FOLDERS.contains(&path.as_str()),
                    "the folder",
                    path,
                )
            }
            // What is copied there is the helper's own program, which root chose.
            Action::InstallProgram { path } => listed(path == PROGRAM, "a program at", path),
            Action::GenerateKey { path, owner, .. } => self.below(path, owner),
            Action::GenerateCertificate {
                path, key, owner, ..
            } => {
                self.below(path, owner)?;
                self.below(key, owner)
            }
            Action::Download {
                url,
                path,
                mode,
                owner,
                ..
            } => {
                not_for_all(*mode)?;
                listed(url.starts_with("https://"), "the address", url)?;
                self.below(path, owner)?;
                // What is downloaded is data; nothing of it is run as root.
                listed(*mode & 0o111 == 0, "a program at", path)
            }
            // Files of others are left alone; ours are written whole.
            Action::EditBlock { path, .. } => listed(in_folders(path), "a part of", path),
            Action::CreateGroup { name } => {
                listed(ACCOUNTS.contains(&name.as_str()), "the group", name)
            }
            Action::CreateUser {
                name, group, home, ..
            } => {
                listed(ACCOUNTS.contains(&name.as_str()), "the user", name)?;
                listed(ACCOUNTS.contains(&group.as_str()), "the group", group)?;
                listed(in_folders(home), "the home", home)
            }
            Action::JoinGroup { user, group } => {
                let known = ACCOUNTS.contains(&user.as_str()) || *user == self.user;
                listed(known, "the user", user)?;
                listed(GROUPS.contains(&group.as_str()), "the group", group)
            }
            Action::InstallPackages { names } => names.iter().try_for_each(|name| {
                let known = PACKAGES.contains(&name.as_str())
                    || PACKAGES_OF
                        .iter()
                        .any(|beginning| name.starts_with(beginning));
                listed(known, "the package", name)
            }),
            Action::EnableUnit { name, scope, .. } => {
                listed(*scope == Scope::System, "units of users, such as", name)?;
                unit(name)
            }
            Action::OpenPort { .. } => Ok(()),
            Action::Run { command } => self.command(command),
            Action::StartContainers { project, file } => {
                listed(project.starts_with("skep"), "the project", project)?;
                listed(in_folders(file), "the compose file", file)
            }
            Action::SetSetting { .. } | Action::KeepSecret { .. } | Action::AddUpstream { .. } => {
                Err("that is the agent's to do".to_owned())
            }
        }
    }

    fn command(&self, command: &Command) -> Result<(), String> {
        match command {
            Command::ReloadUnits | Command::RefreshPackages => Ok(()),
            Command::RestartUnit { name } => unit(name),
            Command::LoadModule { name } => {
                listed(MODULES.contains(&name.as_str()), "the module", name)
            }
            Command::SetPowerLimit { watts, .. } => listed(
                *watts >= 50,
                "so low a limit of power as",
                &watts.to_string(),
            ),
            Command::KeepRunning { user } => {
                let known = *user == self.user || ACCOUNTS.contains(&user.as_str());
                listed(known, "the user", user)
            }
        }
    }

    fn file(&self, path: &str, owner: &Owner) -> Result<(), String> {
        self.owner(owner)?;
        let ours = FILES.iter().any(|(beginning, end)| {
            let middle = path
                .strip_prefix(beginning)
                .and_then(|rest| rest.strip_suffix(end));
            middle.is_some_and(|middle| !middle.contains('/'))
        });
        listed(ours || in_folders(path), "the file", path)
    }

    fn below(&self, path: &str, owner: &Owner) -> Result<(), String> {
        self.owner(owner)?;
        listed(in_folders(path), "the file", path)
    }

    fn owner(&self, owner: &Owner) -> Result<(), String> {
        for name in [&owner.user, &owner.group] {
            let known = name.is_empty()
                || name == "root"
                || *name == self.user
                || ACCOUNTS.contains(&name.as_str());
            listed(known, "the owner", name)?;
        }
        Ok(())
    }
}

fn listed(is: bool, what: &str, name: &str) -> Result<(), String> {
    if is {
        return Ok(());
    }
    Err(format!(
        "{what} `{}` is on none of its lists",
        name.escape_debug()
    ))
}

fn in_folders(path: &str) -> bool {
    FOLDERS.iter().any(|folder| {
        path.strip_prefix(folder)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

fn unit(name: &str) -> Result<(), String> {
    let ours = name.starts_with("skep.") || name.starts_with("skep-") || name.starts_with("skep@");
    listed(ours || UNITS.contains(&name), "the unit", name)
}

/// What everybody may write is nobody's.
fn not_for_all(mode: u16) -> Result<(), String> {
    listed(mode & 0o002 == 0, "the mode", &format!("{mode:o}"))
}
