//! What another machine is, as far as putting skep there needs to know.

use super::command::{Input, shown};
use super::error::SshError;
use super::scripts::SURVEY;
use super::session::Session;
use crate::limits::SSH_COMMAND_TIMEOUT;

/// What a machine says of itself. All of it is only what it says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// As `uname -s` names it.
    pub system: String,
    /// As `uname -m` names it.
    pub architecture: String,
    /// Tools that are missing there.
    pub lacks: Vec<String>,
    /// Folders below the user's own that are missing, the outer one first.
    pub missing: Vec<String>,
    /// Whether the user has a systemd there.
    pub units: bool,
    /// Whether it has a unit of ours, or of that name.
    pub unit: bool,
    /// The digest of the skep that is there.
    pub there: Option<String>,
    /// Whether an agent answers there.
    pub runs: bool,
    /// What is free where it is to go.
    pub free_bytes: Option<u64>,
}

impl Survey {
    /// The folders that have to be made for the program.
    pub(super) fn lacking(&self) -> impl Iterator<Item = &String> {
        let missing = self.missing.iter();
        missing.filter(|missing| PROGRAM.contains(&missing.as_str()))
    }
}

/// Looks at a machine.
///
/// # Errors
/// See [`SshError`].
pub async fn survey(session: &Session) -> Result<Survey, SshError> {
    let ran = session
        .done(
            "looking at it",
            SURVEY,
            &[],
            Input::Nothing,
            SSH_COMMAND_TIMEOUT,
        )
        .await?;
    Ok(read(&ran.output))
}

fn read(text: &str) -> Survey {
    let mut survey = Survey::default();
    for line in text.lines() {
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        let value = shown(value.trim());
        match key {
            "os" => survey.system = value,
            "arch" => survey.architecture = value,
            "lacks" if survey.lacks.len() < LISTED_MAX => survey.lacks.push(value),
            // Ours are these; nothing else is ever made or removed.
            "missing" if FOLDERS.contains(&value.as_str()) && !survey.missing.contains(&value) => {
                survey.missing.push(value);
            }
            "units" => survey.units = value == "yes",
            "unit" => survey.unit = value == "yes",
            "there" => survey.there = Some(value),
            "runs" => survey.runs = value == "yes",
            "free" => {
                let kib = value.split_ascii_whitespace().nth(3);
                let kib: Option<u64> = kib.and_then(|kib| kib.parse().ok());
                survey.free_bytes = kib.map(|kib| kib.saturating_mul(1_024));
            }
            _ => {}
        }
    }
    survey
}

/// The folders that a program goes to, the outer one first.
pub(super) const PROGRAM: [&str; 2] = [".local", ".local/bin"];

/// What the agent makes for itself, and fills.
pub(super) const HOMES: [&str; 3] = [".local/state/skep", ".local/share/skep", ".cache/skep"];

/// Every folder that can come to be, outer ones before inner ones.
pub(super) const FOLDERS: [&str; 12] = [
    ".local",
    ".local/bin",
    ".local/state",
    ".local/state/skep",
    ".local/share",
    ".local/share/skep",
    ".cache",
    ".cache/skep",
    ".config",
    ".config/skep",
    ".config/systemd",
    ".config/systemd/user",
];

const LISTED_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_machine_says_is_read_and_bounded() {
        let text = "Last login: today\nos=Linux\narch=aarch64\nuid=1000\nhome=/home/sam\nmissing=.local/bin\n\
                    missing=.ssh\nmissing=../..\nunits=yes\nthere=00ff\nlacks=setsid\n\
                    free=/dev/sda1 100 40 60 40% /\n";
        let survey = read(text);
        let expect = Survey {
            system: "Linux".into(),
            architecture: "aarch64".into(),
            lacks: vec!["setsid".into()],
            missing: vec![".local/bin".into()],
            units: true,
            there: Some("00ff".into()),
            free_bytes: Some(60 << 10),
            ..Survey::default()
        };
        assert_eq!(survey, expect);
        let many = "lacks=x\n".repeat(10_000);
        assert_eq!(read(&many).lacks.len(), LISTED_MAX);
        assert_eq!(read("os=\u{1b}[31mx").system, " [31mx");
        assert_eq!(read("\0=\0\n=\n").system, "");
    }
}
