//! Signing in, and the setup.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::act::{Drift, Preview, RunView};

/// `GET /api/v1/session`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionView {
    pub signed_in: bool,
    /// `open`, `closed`
    pub setup: String,
    /// The node's name.
    pub node: String,
    pub version: String,
    /// Whether everything but this needs a key or a session.
    pub needs_key: bool,
    /// The user who asks, where it is one.
    #[serde(default)]
    pub user: Option<SessionUser>,
    /// Whether there are users, so that a name and a password are worth asking for.
    #[serde(default)]
    pub users: bool,
    /// What the OpenID provider is called by which people sign in, where there is one.
    #[serde(default)]
    pub provider: Option<String>,
}

/// Who is signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionUser {
    pub name: String,
    pub display: String,
    /// `admin`, `member`
    pub role: String,
    /// `local`, `ldap`, `oidc`
    pub source: String,
}

/// `POST /api/v1/session`: the secret, the key, or name and password.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// Of the link that the setup is opened by.
    #[serde(default)]
    pub secret: Option<String>,
    #[serde(default)]
    pub key: Option<String>,
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub password: Option<String>,
}

impl std::fmt::Debug for SignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SignIn(..)")
    }
}

/// `POST /api/v1/setup/link`: the only time that it is shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetupLink {
    pub url: String,
    pub until_unix_s: u64,
}

/// `GET /api/v1/setup`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetupView {
    /// `open`, `closed`
    pub state: String,
    /// The first step that is not done or skipped; none when all are.
    pub current: Option<String>,
    pub node: String,
    pub version: String,
    /// Whether settings were changed that hold from the next start of the agent.
    #[serde(default)]
    pub restart_needed: bool,
    pub steps: Vec<SetupStep>,
}

/// One of the eight.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetupStep {
    pub id: String,
    pub number: u8,
    pub title: String,
    pub purpose: String,
    /// `todo`, `done`, `skipped`, `failed`
    pub state: String,
    pub parts: Vec<SetupPartLine>,
}

/// A part of a step, in a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetupPartLine {
    pub id: String,
    pub title: String,
    pub purpose: String,
    /// `todo`, `answered`, `applied`, `skipped`, `failed`, `drifted`
    pub state: String,
    /// The newest run of its plan.
    pub run: Option<String>,
}

/// `GET /api/v1/setup/parts/{part}`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetupPart {
    #[serde(flatten)]
    pub line: SetupPartLine,
    pub findings: Vec<SetupFinding>,
    pub questions: Vec<SetupQuestion>,
}

/// What is right or wrong on this machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetupFinding {
    /// `fine`, `notice`, `warning`, `failure`
    pub severity: String,
    pub what: String,
    pub evidence: String,
    pub remedy: Option<String>,
}

/// Something that a part wants to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetupQuestion {
    pub id: String,
    pub label: String,
    pub help: String,
    pub kind: SetupKind,
    /// What is taken without an answer; none: an answer is needed.
    pub default: Option<SetupValue>,
    pub advanced: bool,
    /// What is wrong with the answer.
    pub problem: Option<String>,
    pub answer: Option<SetupValue>,
}

/// What an answer can be.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SetupKind {
    Text {
        placeholder: String,
        bytes_max: u32,
    },
    Secret,
    Number {
        min: i64,
        max: i64,
        step: i64,
        unit: String,
    },
    Flag,
    Choice {
        options: Vec<SetupOption>,
    },
    Several {
        options: Vec<SetupOption>,
    },
    Lines {
        placeholder: String,
        bytes_max: u32,
    },
}

/// One of a choice.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetupOption {
    pub value: String,
    pub label: String,
    pub help: String,
    pub recommended: bool,
}

/// An answer. Lines are one text with line breaks; a secret comes in as a text, and is read back as `{"given": true}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SetupValue {
    Flag(bool),
    Number(i64),
    Text(String),
    Several(Vec<String>),
    Secret { given: bool },
}

/// `POST /api/v1/setup/parts/{part}/ask`, `POST /api/v1/setup/parts/{part}/plan`, where nothing of it is kept, and
/// `PUT /api/v1/setup/parts/{part}/answers`
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetupAnswers {
    /// By the question; null takes an answer back.
    pub answers: BTreeMap<String, Option<SetupValue>>,
}

impl std::fmt::Debug for SetupAnswers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Secrets may be among them.
        f.debug_set().entries(self.answers.keys()).finish()
    }
}

/// The answer to `POST /api/v1/setup/parts/{part}/ask`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetupQuestions {
    pub questions: Vec<SetupQuestion>,
    /// Answers to what is not asked.
    #[serde(default)]
    pub unasked: Vec<String>,
}

/// `POST /api/v1/setup/parts/{part}/plan`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetupPlan {
    /// Changes with whatever would be done.
    pub digest: String,
    pub actions: Vec<Preview>,
    pub notes: Vec<String>,
    /// Whether anything that is still to be done needs root.
    pub needs_root: bool,
    /// `available`, `missing`
    pub root: String,
    /// What makes root available.
    pub command: Option<String>,
}

/// `POST /api/v1/setup/parts/{part}/apply`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetupApply {
    pub digest: String,
}

/// The answer to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetupStarted {
    /// None: nothing was to be done.
    pub run: Option<String>,
}

/// `GET /api/v1/setup/runs`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetupRuns {
    pub runs: Vec<RunView>,
}

/// `GET /api/v1/setup/drift`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetupDrifts {
    pub drift: Vec<Drift>,
}

/// One event of `POST /api/v1/setup/tests`: a test, each time that its state changes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetupTest {
    pub id: String,
    pub title: String,
    /// `waiting`, `running`, `passed`, `failed`, `skipped`
    pub state: String,
    pub evidence: Vec<String>,
    pub remedy: Option<String>,
    pub took_ms: Option<u64>,
}
