//! Why there is no certificate, in words for whoever can mend it.

use std::io;
use std::path::PathBuf;

use instant_acme::{Error, Problem};

use super::authority::{Unreached, chain};
use crate::limits::ACME_WHY_BYTES;

/// Why an attempt came to nothing. What was shown before is shown on.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    #[error("the terms of the authority were not agreed to{}", .0.as_ref().map_or_else(String::new, |url| format!(": `{url}`")))]
    Terms(Option<String>),
    #[error("`http.acme_root`, `{path}`, cannot be used: {why}")]
    Root { path: PathBuf, why: String },
    #[error("the authority was not reached: {0}")]
    Unreached(String),
    #[error("the authority refuses: {why}")]
    Refused { kind: String, why: String },
    #[error("the authority could not make sure that `{name}` is ours: {why}")]
    Unproved { name: String, why: String },
    #[error("the authority answers what makes no sense: {0}")]
    Nonsense(String),
    #[error("the authority wants to be left alone until {}", httpdate::fmt_http_date(std::time::UNIX_EPOCH + std::time::Duration::from_secs(*.0)))]
    Pause(u64),
    #[error("it took too long; what is under way is gone on with")]
    Slow,
    #[error("could not {verb} `{path}`")]
    File {
        verb: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("inside the agent: {0}")]
    Own(String),
}

impl AcmeError {
    /// Whether the authority had to do something for it, which it counts.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Refused { .. } | Self::Unproved { .. } | Self::Nonsense(_) | Self::Slow
        )
    }

    /// What mends it.
    #[must_use]
    pub fn remedy(&self) -> String {
        let text = match self {
            Self::Terms(_) => {
                "read them; if you agree, set `http.acme_terms_agreed = true` and start the agent anew"
            }
            Self::Root { .. } => {
                "name a PEM file that the agent's user can read, or leave `http.acme_root` out"
            }
            Self::Unreached(_) => {
                "does this machine reach the internet, and is `http.acme_directory` right? `skep doctor` looks around"
            }
            Self::Refused { kind, .. } if kind == "rateLimited" => {
                "wait: it was asked too often; the agent tries again by itself"
            }
            Self::Refused { kind, .. } if kind == "rejectedIdentifier" || kind == "caa" => {
                "it gives no certificate for that name: check `http.acme_names`, and the name's CAA records"
            }
            Self::Refused { kind, .. } if kind == "invalidContact" => "correct `http.acme_contact`",
            Self::Unproved { .. } => {
                "the name must lead to this machine, and port 443 of it to the port of `http.listen`: check DNS, the router's \
                 forwarding and the firewall; nothing between may end TLS"
            }
            Self::Refused { .. } | Self::Nonsense(_) | Self::Slow | Self::Pause(_) => {
                "the agent tries again by itself; `skep logs` tells more"
            }
            Self::File { .. } => "is the disk full, or read-only? `skep doctor` looks",
            Self::Own(_) => "`skep logs` tells more",
        };
        text.to_owned()
    }

    /// Everything that led to it, within bounds: much of it is the authority's.
    #[must_use]
    pub fn why(&self) -> String {
        let text: String = chain(self).escape_debug().to_string();
        let mut end = text.len().min(ACME_WHY_BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.get(..end)
            .unwrap_or_default()
            .replace("\\'", "'")
            .replace("\\\"", "\"")
    }
}

impl From<Error> for AcmeError {
    fn from(error: Error) -> Self {
        match error {
            Error::Api(problem) => {
                let (kind, why) = said(&problem);
                Self::Refused { kind, why }
            }
            Error::Other(other) if other.is::<Unreached>() => Self::Unreached(other.to_string()),
            Error::Timeout(_) => Self::Slow,
            other => Self::Nonsense(chain(&other)),
        }
    }
}

/// The kind of a problem, and what it says.
pub(super) fn said(problem: &Problem) -> (String, String) {
    let kind = problem.r#type.as_deref().unwrap_or_default();
    let kind = kind.rsplit(':').next().unwrap_or_default().to_owned();
    let mut why = problem.detail.clone().unwrap_or_else(|| kind.clone());
    for part in problem
        .subproblems
        .iter()
        .filter_map(|part| part.detail.as_deref())
    {
        why = format!("{why}; {part}");
    }
    if !kind.is_empty() && !why.contains(&kind) {
        why = format!("{why} ({kind})");
    }
    (kind, why)
}

/// An error about a file.
pub(super) fn file(
    verb: &'static str,
    path: &std::path::Path,
) -> impl FnOnce(io::Error) -> AcmeError + use<> {
    let path = path.to_owned();
    move |source| AcmeError::File { verb, path, source }
}
