//! Whose fault it is when a service fails, as its clients are told.
//!
//! Decides what of an upstream's words a client can mend; the rest is between this cluster and the upstream.

use skep_core::capability::SecretName;

use super::{Kind, Service};
use crate::protocol::Error;

/// Names a service in what is said of its failures.
#[derive(Clone, Debug)]
pub(super) struct Blame {
    kind: Kind,
    name: String,
    plugin: String,
    secrets: Vec<SecretName>,
}

impl Blame {
    pub(super) fn new(service: &Service, secrets: Vec<SecretName>) -> Self {
        Self {
            kind: service.kind,
            name: service.name.clone(),
            plugin: service.plugin.clone(),
            secrets,
        }
    }

    /// The error as a client should hear it.
    pub(super) fn of(&self, error: Error) -> Error {
        let who = self.who();
        match error {
            // What the client asked, and what it can do something about.
            Error::Invalid(_) | Error::TooLong(_) | Error::Unsupported(_) => error,
            Error::Exhausted(why) => Error::Exhausted(format!("{who}: {why}")),
            Error::Limited {
                message,
                retry_after_s,
            } => Error::Limited {
                message: format!("{who}: {message}"),
                retry_after_s,
            },
            Error::Denied(why) => Error::Upstream(format!("{who}: {why}; {}", self.remedy())),
            Error::Malformed(why) | Error::Other(why) | Error::Upstream(why) => {
                Error::Upstream(format!("{who}: {why}"))
            }
            Error::Lost(why) => Error::Lost(format!("{who}: {why}")),
            Error::TimedOut(why) => Error::TimedOut(format!("{who}: {why}")),
        }
    }

    /// Nothing came for so long.
    pub(super) fn silent(&self, seconds: u64) -> Error {
        self.of(Error::TimedOut(format!("it said nothing for {seconds} s")))
    }

    /// Its process is gone. What a client has read of an answer cannot be gone on with elsewhere, since nobody here knows
    /// its tokens.
    pub(super) fn gone(&self, why: &str, said: bool) -> Error {
        self.of(match said {
            false => Error::Lost(why.to_owned()),
            true => Error::Other(format!("the answer broke off: {why}")),
        })
    }

    pub(super) fn who(&self) -> String {
        format!("the {} `{}`", self.kind, self.name)
    }

    fn remedy(&self) -> String {
        let secrets: Vec<&str> = self.secrets.iter().map(SecretName::as_str).collect();
        match secrets.as_slice() {
            [] => format!(
                "`skep {} show {}` tells what it may do",
                self.kind, self.name
            ),
            [only] => format!(
                "its key is the secret `{only}`: `skep secret set {only}` changes it, and `skep {} show {}` tells what \
                 `{}` may do",
                self.kind, self.name, self.plugin
            ),
            many => format!(
                "its keys are the secrets `{}`: `skep secret set` changes one",
                many.join("`, `")
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_key_is_the_clusters_matter_and_names_the_secret() {
        let service = Service {
            kind: Kind::Upstream,
            name: "work".into(),
            plugin: "openai".into(),
            settings: [].into(),
            models: Vec::new(),
            prefix: false,
            timeout_s: None,
            added_unix_s: 0,
        };
        let blame = Blame::new(&service, vec!["key".parse().unwrap()]);
        let Error::Upstream(text) = blame.of(Error::Denied("401".into())) else {
            panic!()
        };
        for part in ["`work`", "401", "`skep secret set key`"] {
            assert!(text.contains(part), "{text}");
        }
        let unsupported = Error::Unsupported("x".into());
        assert_eq!(blame.of(unsupported.clone()), unsupported);
        assert!(matches!(
            blame.of(Error::Other("500".into())),
            Error::Upstream(_)
        ));
        assert!(matches!(
            blame.of(Error::Exhausted("429".into())),
            Error::Exhausted(_)
        ));
        // Only what nobody has read yet may go elsewhere.
        assert!(matches!(blame.gone("killed", false), Error::Lost(_)));
        assert!(matches!(blame.gone("killed", true), Error::Upstream(_)));
    }
}
