//! What an agent and a service say to each other. A service (`skep service`) is the process that runs one plugin of the world
//! `upstream` or `notifier` for one set of settings; it has walls like a worker's, with a way out to granted hosts.
//! One frame carries one message. Decides nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use skep_core::capability::{Capability, SecretName};
use zeroize::Zeroize as _;

use super::{Error, Line, ModelInfo, Tagged, Work};

/// From the agent to a service. `Hello`, then `Open`, then anything in any order. Requests and calls have their identities
/// from one and the same set, and no two that live have the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToService {
    /// The first frame; the service leaves when the version is not its own.
    Hello {
        version: u32,
    },
    Open(Box<OpenService>),
    /// What it may touch from now on, in calls that are under way, too. Takes the place of what it might before.
    Rights(Rights),
    /// Answered by `Models` with the same `call`.
    Models {
        call: u64,
    },
    /// Sends a request upstream, under an identity that no living request has. Answered by events.
    Submit {
        request: u64,
        model: String,
        work: Arc<Work>,
    },
    /// Ends a request or a call now: nothing is sent of it any more. Unknown identities are ignored.
    Cancel {
        request: u64,
    },
    /// Has the upstream get a model. Answered by `Progress` with the same `call`, and `Done` at last.
    Pull {
        call: u64,
        model: String,
    },
    /// Delivers an alert. Answered by `Done` with the same `call`.
    Notify {
        call: u64,
        alert: Alert,
    },
    /// Finish what is under way, then leave without another word. What comes meanwhile is answered with `Error::Lost`.
    Drain,
}

/// From a service to the agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FromService {
    /// The first frame.
    Hello {
        version: u32,
    },
    /// The plugin is loaded and can be called.
    Opened,
    /// The compiled component is for another version or processor: compile it again.
    Stale,
    Models {
        call: u64,
        result: Result<Vec<Offer>, Error>,
    },
    /// What requests gained.
    Events(Vec<Tagged>),
    Progress {
        call: u64,
        progress: PullProgress,
    },
    Done {
        call: u64,
        result: Result<(), Error>,
    },
    /// Something that the plugin wrote for the operator.
    Log(Line),
    /// A call trapped, ran too long or grew too large: its own caller has an error, and the service goes on. One sentence
    /// for people.
    Fault(String),
    /// Resources since the last time; sent about once a second while there is something to say.
    Used(ServiceUse),
    /// The last frame: why it leaves, when nobody asked it to. One sentence for people.
    Ending(String),
}

/// What a service runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenService {
    /// The plugin's name, for messages.
    pub plugin: String,
    /// `upstream` or `notifier`.
    pub world: String,
    /// The component compiled ahead, in the agent's own cache.
    pub compiled: PathBuf,
    /// What the operator set, by name.
    pub settings: Vec<(String, String)>,
    pub rights: Rights,
    /// Where the agent itself listens (its API and its cluster's port): never reached, whatever is granted.
    pub own_addresses: Vec<SocketAddr>,
    /// The resolver to ask; none: the system's.
    pub resolver: Option<SocketAddr>,
    /// Trusted beside the usual authorities: certificates in DER.
    pub authorities: Vec<Vec<u8>>,
    pub timeouts: ServiceTimeouts,
}

/// What a plugin may touch now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rights {
    pub granted: Vec<Capability>,
    /// The texts of the secrets that are granted.
    pub secrets: BTreeMap<SecretName, SecretText>,
}

/// A secret's text. Never shown, also not by `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretText(String);

/// How long a service's calls may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceTimeouts {
    /// One call, from its beginning to its return, waiting included: the longest silence of an upstream between two events.
    pub call: Duration,
    /// The processor time of one call.
    pub computing: Duration,
    /// Until a connection stands, TLS included.
    pub connect: Duration,
}

/// A model that an upstream offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The name to ask for.
    pub id: String,
    /// What is known of it.
    pub info: Option<ModelInfo>,
}

/// How far a model has come to an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullProgress {
    /// What is being done, for people.
    pub what: String,
    pub done_bytes: u64,
    pub total_bytes: Option<u64>,
}

/// How bad an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Info,
    Warning,
    Critical,
}

/// Something that happened, or that is over: `record alert` of `wit/notifier.wit`, which documents each field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    pub id: String,
    pub kind: String,
    pub severity: Severity,
    pub title: String,
    pub text: String,
    pub cluster: String,
    pub node: Option<String>,
    pub at_unix_s: u64,
    pub resolved: bool,
    pub facts: Vec<(String, String)>,
}

/// What a plugin used since it was last told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceUse {
    pub calls: u64,
    pub faults: u64,
    /// Requests that it sent out.
    pub requests_out: u64,
    /// Of those, refused for want of a grant.
    pub refused_out: u64,
    pub bytes_out: u64,
    pub bytes_in: u64,
    /// Processor time inside of the sandbox, in microseconds.
    pub computing_us: u64,
    /// The most that one of its calls had, in bytes.
    pub memory_peak_bytes: u64,
}

impl SecretText {
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for the one place that puts it into a header or a sign-in.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl Drop for SecretText {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}
