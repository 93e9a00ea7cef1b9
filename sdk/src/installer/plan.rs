//! A plan while it is put together.

use alloc::string::String;
use alloc::vec::Vec;

use super::{
    Action, AddUpstream, Command, Compose, CreateUser, Download, EditBlock, EnableUnit,
    GenerateCertificate, GenerateKey, JoinGroup, KeepSecret, MakeFolder, OpenPort, Owner, Planned,
    Proposal, SetSetting, WriteFile,
};

/// What would be done, in the order in which it is.
#[derive(Debug, Default)]
pub struct Plan {
    actions: Vec<Planned>,
    notes: Vec<String>,
}

impl Plan {
    /// Adds an action, and one sentence that says what it is good for.
    pub fn act(&mut self, action: impl Into<Action>, why: impl Into<String>) {
        self.actions.push(Planned {
            action: action.into(),
            why: why.into(),
        });
    }

    /// Sets one of the agent's own settings; the value is TOML, made by [`super::toml`].
    pub fn set(&mut self, key: &str, value: impl Into<String>, why: impl Into<String>) {
        let setting = SetSetting {
            key: key.into(),
            value: Some(value.into()),
        };
        self.act(setting, why);
    }

    /// Takes one of the agent's own settings out, so that its default holds.
    pub fn unset(&mut self, key: &str, why: impl Into<String>) {
        let setting = SetSetting {
            key: key.into(),
            value: None,
        };
        self.act(setting, why);
    }

    /// Tells people something beside the actions: what they have to do themselves, what was left as it is.
    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    pub(super) fn done(self) -> Proposal {
        Proposal {
            actions: self.actions,
            notes: self.notes,
        }
    }
}

#[allow(
    clippy::derivable_impls,
    reason = "the record is generated, and derives no default"
)]
impl Default for Owner {
    /// Whoever carries the action out.
    fn default() -> Self {
        Self {
            user: String::new(),
            group: String::new(),
        }
    }
}

macro_rules! actions {
    ($($variant:ident($record:ty)),* $(,)?) => {
        $(impl From<$record> for Action {
            fn from(record: $record) -> Self {
                Self::$variant(record)
            }
        })*
    };
}

actions! {
    WriteFile(WriteFile),
    EditBlock(EditBlock),
    MakeFolder(MakeFolder),
    CreateUser(CreateUser),
    JoinGroup(JoinGroup),
    EnableUnit(EnableUnit),
    OpenPort(OpenPort),
    GenerateKey(GenerateKey),
    GenerateCertificate(GenerateCertificate),
    Download(Download),
    Run(Command),
    StartContainers(Compose),
    SetSetting(SetSetting),
    KeepSecret(KeepSecret),
    AddUpstream(AddUpstream),
}
