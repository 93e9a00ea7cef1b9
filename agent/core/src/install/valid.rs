//! Which values an action may carry, whoever proposed it.
//!
//! Decides spelling and sizes: what passes here can be given to a program as one argument, written as one line, or named as one
//! path, and is never read as something else. Refuses to know what is allowed where: that is the policy of whoever carries it out.

use std::net::IpAddr;

use super::action::{Action, Command, Plan};
use super::spelling::{
    account, at_most, file, is_plain, is_word, list, owned, path_fits, range, rule, text, unit,
};
use crate::limits::{
    INSTALL_ACTIONS_MAX, INSTALL_CONTENT_BYTES_MAX, INSTALL_DOWNLOAD_BYTES_MAX, INSTALL_LINES_MAX,
    INSTALL_NAMES_MAX, INSTALL_PLAN_BYTES_MAX, INSTALL_TEXT_BYTES_MAX,
};

/// What makes no sense, and what would.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Nonsense {
    /// A value that may not be.
    #[error("{what} {rule}; `{found}` does not")]
    Value {
        /// Of what.
        what: &'static str,
        /// As it was, cut and escaped.
        found: String,
        /// What would be right.
        rule: &'static str,
    },
    /// Too much of something.
    #[error("{what} may be {most} at most; these are {found}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// How much.
        found: usize,
        /// The limit.
        most: usize,
    },
    /// Records that cannot follow each other.
    #[error("the journal makes no sense: {0}")]
    Order(&'static str),
}

impl Nonsense {
    pub(super) fn of(what: &'static str, found: &str, rule: &'static str) -> Self {
        let shown: String = found.chars().take(80).collect();
        Self::Value {
            what,
            found: shown.escape_debug().to_string(),
            rule,
        }
    }
}

impl Plan {
    /// Checks every action, and that there are not too many.
    ///
    /// # Errors
    /// The first thing that may not be.
    pub fn check(&self) -> Result<(), Nonsense> {
        at_most(
            "the actions of a plan",
            self.actions.len(),
            INSTALL_ACTIONS_MAX,
        )?;
        at_most("the notes of a plan", self.notes.len(), INSTALL_ACTIONS_MAX)?;
        let mut bytes = 0;
        for planned in &self.actions {
            planned.action.check()?;
            text("a reason", &planned.why)?;
            bytes += planned.action.weight();
        }
        for note in &self.notes {
            text("a note", note)?;
        }
        at_most("the bytes of a plan", bytes, INSTALL_PLAN_BYTES_MAX)
    }
}

impl Action {
    /// Checks what it carries.
    ///
    /// # Errors
    /// The first thing that may not be.
    pub fn check(&self) -> Result<(), Nonsense> {
        match self {
            Self::WriteFile {
                path,
                content,
                mode,
                owner,
            } => {
                file(path, *mode, owner)?;
                at_most(
                    "the bytes of a file",
                    content.len(),
                    INSTALL_CONTENT_BYTES_MAX,
                )
            }
            Self::EditBlock {
                path,
                name,
                comment,
                lines,
            } => {
                path_fits(path)?;
                let named = (1..=64).contains(&name.len())
                    && name.trim() == name
                    && name
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b" ._-".contains(&b));
                rule(
                    named,
                    "a block's name",
                    name,
                    "has letters, digits, spaces and `._-`",
                )?;
                let marks = ["#", ";", "//", "--", "\"", "!", "%"];
                rule(
                    marks.contains(&comment.as_str()),
                    "a mark of comments",
                    comment,
                    "is one of # ; // -- \" ! %",
                )?;
                at_most("the lines of a block", lines.len(), INSTALL_LINES_MAX)?;
                lines.iter().try_for_each(|line| {
                    let one = line.len() <= INSTALL_TEXT_BYTES_MAX
                        && !line.contains(['\n', '\r', '\0'])
                        && !(line.contains("skep: begin ") || line.contains("skep: end "));
                    rule(
                        one,
                        "a line of a block",
                        line,
                        "is one line, and none of the marks around blocks",
                    )
                })
            }
            Self::MakeFolder { path, mode, owner } => file(path, *mode, owner),
            Self::CreateGroup { name } => account("a group's name", name),
            Self::CreateUser {
                name,
                group,
                home,
                comment,
            } => {
                account("a user's name", name)?;
                account("a group's name", group)?;
                path_fits(home)?;
                rule(!home.contains(':'), "a home", home, "has no colon")?;
                let plain =
                    comment.len() <= 200 && !comment.contains([':', ',']) && is_plain(comment);
                rule(
                    plain,
                    "the comment of a user",
                    comment,
                    "is a line without colons and commas",
                )
            }
            Self::JoinGroup { user, group } => {
                account("a user's name", user)?;
                account("a group's name", group)
            }
            Self::InstallPackages { names } => {
                list("packages", names)?;
                names.iter().try_for_each(|name| {
                    rule(
                        is_word(name, "+._-:~") && !name.ends_with('-'),
                        "a package's name",
                        name,
                        "has letters, digits and `+._-:~`, and no `-` at its end",
                    )
                })
            }
            Self::EnableUnit { name, .. } => unit(name),
            Self::OpenPort { port, from, .. } => {
                rule(*port != 0, "a port", "0", "is between 1 and 65535")?;
                from.as_deref().map_or(Ok(()), range)
            }
            Self::GenerateKey {
                path,
                comment,
                owner,
                ..
            } => {
                path_fits(path)?;
                owned(owner)?;
                rule(
                    comment.len() <= 256 && is_plain(comment),
                    "a key's comment",
                    comment,
                    "is one line",
                )
            }
            Self::GenerateCertificate {
                path,
                key,
                names,
                days,
                owner,
            } => {
                path_fits(path)?;
                path_fits(key)?;
                rule(
                    path != key,
                    "a certificate's path",
                    path,
                    "is another than its key's",
                )?;
                owned(owner)?;
                list("names of a certificate", names)?;
                names.iter().try_for_each(|name| {
                    let host = name.strip_prefix("*.").unwrap_or(name);
                    let fits = name.parse::<IpAddr>().is_ok()
                        || (is_word(host, ".-") && name.len() <= 253);
                    rule(
                        fits,
                        "a name of a certificate",
                        name,
                        "is a host's name or an address",
                    )
                })?;
                rule(
                    (1..=3650).contains(days),
                    "a certificate's life",
                    &days.to_string(),
                    "is 1 to 3650 days",
                )
            }
            Self::Download {
                url,
                sha256,
                size_bytes,
                path,
                mode,
                owner,
            } => {
                file(path, *mode, owner)?;
                let fits = url.len() <= INSTALL_TEXT_BYTES_MAX
                    && url.bytes().all(|byte| byte.is_ascii_graphic())
                    && (url.starts_with("https://") || url.starts_with("http://"));
                rule(
                    fits,
                    "an address to download from",
                    url,
                    "begins with https://",
                )?;
                let hex = sha256.len() == 64
                    && sha256
                        .bytes()
                        .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                rule(
                    hex,
                    "a digest",
                    sha256,
                    "is 64 hexadecimal digits in lower case",
                )?;
                let size = (1..=INSTALL_DOWNLOAD_BYTES_MAX).contains(size_bytes);
                rule(
                    size,
                    "the size of a download",
                    &size_bytes.to_string(),
                    "is 1 byte to 4 GiB",
                )
            }
            Self::InstallProgram { path } => path_fits(path),
            Self::Run { command } => command.check(),
            Self::StartContainers { project, file } => {
                let fits = is_word(project, "_-")
                    && !project.bytes().any(|byte| byte.is_ascii_uppercase());
                rule(
                    fits,
                    "a project's name",
                    project,
                    "has a-z, 0-9, `_` and `-`",
                )?;
                path_fits(file)
            }
            Self::SetSetting { key, value } => {
                rule(
                    is_word(key, "._-"),
                    "a setting",
                    key,
                    "has letters, digits and `._-`",
                )?;
                let bytes = value.as_ref().map_or(0, String::len);
                at_most("the bytes of a setting", bytes, INSTALL_CONTENT_BYTES_MAX)
            }
            Self::KeepSecret { name, question } => {
                rule(
                    is_word(name, "._-"),
                    "a secret's name",
                    name,
                    "has letters, digits and `._-`",
                )?;
                rule(
                    is_word(question, "._-"),
                    "a question",
                    question,
                    "has letters, digits and `._-`",
                )
            }
            Self::AddUpstream {
                name,
                plugin,
                settings,
            } => {
                rule(
                    is_word(name, "._-"),
                    "an upstream's name",
                    name,
                    "has letters, digits and `._-`",
                )?;
                rule(
                    is_word(plugin, "._-"),
                    "a plugin's name",
                    plugin,
                    "has letters, digits and `._-`",
                )?;
                at_most("settings of an upstream", settings.len(), INSTALL_NAMES_MAX)?;
                settings.iter().try_for_each(|(key, value)| {
                    rule(
                        is_word(key, "._-"),
                        "a setting",
                        key,
                        "has letters, digits and `._-`",
                    )?;
                    at_most(
                        "the bytes of a setting",
                        value.len(),
                        INSTALL_TEXT_BYTES_MAX,
                    )
                })
            }
        }
    }

    /// About how many bytes it has.
    fn weight(&self) -> usize {
        512 + match self {
            Self::WriteFile { content, .. } => content.len(),
            Self::EditBlock { lines, .. } => lines.iter().map(|line| line.len() + 8).sum(),
            Self::SetSetting { value, .. } => value.as_ref().map_or(0, String::len),
            Self::AddUpstream { settings, .. } => settings
                .iter()
                .map(|(key, value)| key.len() + value.len())
                .sum(),
            _ => 0,
        }
    }
}

impl Command {
    fn check(&self) -> Result<(), Nonsense> {
        match self {
            Self::ReloadUnits | Self::RefreshPackages => Ok(()),
            Self::RestartUnit { name } => unit(name),
            Self::LoadModule { name } => rule(
                is_word(name, "_-"),
                "a module's name",
                name,
                "has letters, digits, `_` and `-`",
            ),
            Self::SetPowerLimit { gpu, watts } => {
                rule(
                    is_word(gpu, ":._-"),
                    "a card",
                    gpu,
                    "is its number, UUID or place on the bus",
                )?;
                rule(
                    (1..=10_000).contains(watts),
                    "a limit of power",
                    &watts.to_string(),
                    "is 1 to 10000 W",
                )
            }
            Self::KeepRunning { user } => account("a user's name", user),
        }
    }
}

#[cfg(test)]
mod tests;
