//! Looking things up in the facts, and putting descriptions and findings together.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec::Vec;

use super::{
    Account, Description, Disk, Facts, FileFacts, Finding, Firewall, FirewallKind, Listener, Need,
    NetworkInterface, PackageFacts, Program, Protocol, Severity, UnitFacts,
};

impl Description {
    /// Two or three words, and one sentence that says what it is for.
    #[must_use]
    pub fn new(title: &str, purpose: &str) -> Self {
        Self {
            title: title.to_owned(),
            purpose: purpose.to_owned(),
            needs: Vec::new(),
        }
    }

    /// Has something looked at before each call.
    #[must_use]
    pub fn needs(mut self, need: Need) -> Self {
        self.needs.push(need);
        self
    }
}

impl Facts {
    /// Whether the agent runs as root, so that it can do everything by itself.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.agent.uid == 0
    }

    /// A setting of the agent that is not its default, as TOML.
    #[must_use]
    pub fn setting(&self, key: &str) -> Option<&str> {
        let mut settings = self.agent.settings.iter();
        let found = settings.find(|(known, _)| known == key);
        found.map(|(_, value)| value.as_str())
    }

    /// A setting of the agent that is a text, without its quotes.
    #[must_use]
    pub fn setting_text(&self, key: &str) -> Option<&str> {
        self.setting(key).map(|value| value.trim_matches('"'))
    }

    /// A setting of the agent that is a list of texts, without quotes; empty where it is not set.
    #[must_use]
    pub fn setting_texts(&self, key: &str) -> Vec<String> {
        let set = self.setting(key).unwrap_or_default();
        let texts = set.trim_matches(['[', ']']).split(',');
        let texts = texts.map(|text| text.trim().trim_matches('"'));
        let texts = texts.filter(|text| !text.is_empty());
        texts.map(String::from).collect()
    }

    /// A file that was to be looked at, by its path or by `~/` and its path in the agent's home; none: there is none.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&FileFacts> {
        let home = path.strip_prefix("~/");
        let mut files = self.files.iter();
        files.find(|file| match home {
            Some(rest) => {
                let below = file
                    .path
                    .strip_prefix(self.agent.home.trim_end_matches('/'));
                below.and_then(|below| below.strip_prefix('/')) == Some(rest)
            }
            None => file.path == path,
        })
    }

    /// A file's text; none also where it is not told.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<&str> {
        self.file(path)?.content.as_deref()
    }

    /// A program that was to be looked for; none: it is not there.
    #[must_use]
    pub fn program(&self, name: &str) -> Option<&Program> {
        self.programs.iter().find(|program| program.name == name)
    }

    /// A package that was to be looked for; none: nobody here knows of it.
    #[must_use]
    pub fn package(&self, name: &str) -> Option<&PackageFacts> {
        self.packages.iter().find(|package| package.name == name)
    }

    /// Whether a package is installed.
    #[must_use]
    pub fn has_package(&self, name: &str) -> bool {
        self.package(name)
            .is_some_and(|package| package.installed.is_some())
    }

    /// A unit of systemd that was to be looked for.
    #[must_use]
    pub fn unit(&self, name: &str) -> Option<&UnitFacts> {
        self.units.iter().find(|unit| unit.name == name)
    }

    /// An account that was to be looked for, or the agent's own.
    #[must_use]
    pub fn account(&self, name: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.name == name)
    }

    /// A firewall of a kind, if it is installed.
    #[must_use]
    pub fn firewall(&self, kind: FirewallKind) -> Option<&Firewall> {
        self.firewalls.iter().find(|firewall| firewall.kind == kind)
    }

    /// Who listens on a port, but the agent itself.
    #[must_use]
    pub fn taken(&self, protocol: Protocol, port: u16) -> Option<&Listener> {
        self.listeners.iter().find(|listener| {
            listener.protocol == protocol
                && listener.port == port
                && listener.program.as_deref() != Some("skep")
        })
    }

    /// A network interface by its name.
    #[must_use]
    pub fn interface(&self, name: &str) -> Option<&NetworkInterface> {
        self.interfaces
            .iter()
            .find(|interface| interface.name == name)
    }

    /// The disk that a path is on: of the mounts above it the nearest.
    #[must_use]
    pub fn disk_of(&self, path: &str) -> Option<&Disk> {
        let above = |disk: &&Disk| {
            let mount = disk.mount.trim_end_matches('/');
            path.strip_prefix(mount)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.disks
            .iter()
            .filter(above)
            .max_by_key(|disk| disk.mount.len())
    }
}

impl Finding {
    /// Something is as it should be.
    #[must_use]
    pub fn fine(what: impl Into<String>, evidence: impl Into<String>) -> Self {
        Self::new(Severity::Fine, what.into(), evidence.into())
    }

    /// Good to know.
    #[must_use]
    pub fn notice(what: impl Into<String>, evidence: impl Into<String>) -> Self {
        Self::new(Severity::Notice, what.into(), evidence.into())
    }

    /// Something works worse than it should, or soon will not.
    #[must_use]
    pub fn warning(what: impl Into<String>, evidence: impl Into<String>) -> Self {
        Self::new(Severity::Warning, what.into(), evidence.into())
    }

    /// Something does not work.
    #[must_use]
    pub fn failure(what: impl Into<String>, evidence: impl Into<String>) -> Self {
        Self::new(Severity::Failure, what.into(), evidence.into())
    }

    /// What mends it: a command, or what to do.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    const fn new(severity: Severity, what: String, evidence: String) -> Self {
        Self {
            severity,
            what,
            evidence,
            remedy: None,
        }
    }
}
