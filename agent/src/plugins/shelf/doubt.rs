//! What speaks against a component besides what it wants to touch. Each doubt has to be agreed to by its name.
//!
//! Decides what is doubtful: that nobody who is trusted stands for it once somebody is trusted, and that an update is another's, for
//! something else, or older than what runs. Refuses to know who decides.

use std::fmt;
use std::str::FromStr;

use semver::Version;
use skep_core::state::{PluginVersion, SignedBy};

use crate::host::World;
use crate::plugins::signature::Signed;

/// Why somebody should think twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Doubt {
    /// Keys are trusted here, and nobody signed it.
    Unsigned,
    /// Keys are trusted here, and none of them signed it.
    UnknownSigner,
    /// The version that runs was signed by another, or more surely.
    OtherSigner,
    /// The version that runs is for another world.
    OtherWorld,
    /// The version that runs is newer.
    OlderVersion,
}

/// Text that names no doubt.
#[derive(Debug, thiserror::Error)]
#[error(
    "what can be accepted is `unsigned`, `unknown-signer`, `other-signer`, `other-world` and `older-version`"
)]
pub struct NoDoubt;

impl Doubt {
    const ALL: [Self; 5] = [
        Self::Unsigned,
        Self::UnknownSigner,
        Self::OtherSigner,
        Self::OtherWorld,
        Self::OlderVersion,
    ];

    /// As it is accepted.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unsigned => "unsigned",
            Self::UnknownSigner => "unknown-signer",
            Self::OtherSigner => "other-signer",
            Self::OtherWorld => "other-world",
            Self::OlderVersion => "older-version",
        }
    }

    /// A sentence for whoever decides.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Unsigned => "nobody signed it, although this cluster trusts signers",
            Self::UnknownSigner => {
                "it is signed by a key that this cluster does not trust, so that nothing could be checked"
            }
            Self::OtherSigner => {
                "the version that runs was signed by somebody else, or this one is not signed at all"
            }
            Self::OtherWorld => {
                "it is for another world than the version that runs: it would do something else"
            }
            Self::OlderVersion => "it is older than the version that runs",
        }
    }

    /// Whether it is that no trusted key stands for it.
    pub(super) fn is_of_trust(self) -> bool {
        matches!(self, Self::Unsigned | Self::UnknownSigner)
    }
}

/// What is doubtful; `trusting`: there are keys that are trusted.
pub(super) fn doubts(
    trusting: bool,
    signed: &Signed,
    world: World,
    version: &Version,
    present: Option<&PluginVersion>,
) -> Vec<Doubt> {
    let by_another = present.is_some_and(|now| signer_changes(now.signer.as_ref(), signed));
    let trust = match signed {
        Signed::Nobody if trusting => Some(Doubt::Unsigned),
        Signed::Unknown { .. } if trusting => Some(Doubt::UnknownSigner),
        _ if by_another => Some(Doubt::OtherSigner),
        _ => None,
    };
    let other_world = present.is_some_and(|now| now.world != world.name());
    let older = present
        .and_then(|now| Version::parse(&now.version).ok())
        .is_some_and(|now| *version < now);
    let world = other_world.then_some(Doubt::OtherWorld);
    let older = older.then_some(Doubt::OlderVersion);
    trust.into_iter().chain(world).chain(older).collect()
}

/// Whether what comes is signed by another than what is there, or less surely.
fn signer_changes(before: Option<&SignedBy>, now: &Signed) -> bool {
    match (before, now) {
        // Nothing was checked before: an unknown key's number is no proof.
        (None | Some(SignedBy { name: None, .. }), _) => false,
        (Some(before), Signed::Trusted { key, .. }) => before.key != *key,
        (Some(_), Signed::Unknown { .. } | Signed::Nobody) => true,
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Doubt {
    type Err = NoDoubt;

    fn from_str(text: &str) -> Result<Self, NoDoubt> {
        let mut all = Self::ALL.into_iter();
        all.find(|doubt| doubt.name() == text).ok_or(NoDoubt)
    }
}

#[cfg(test)]
mod tests {
    use skep_core::state::PluginDigest;

    use super::*;

    fn present(version: &str, signer: Option<(&str, Option<&str>)>) -> PluginVersion {
        PluginVersion {
            version: version.into(),
            digest: PluginDigest([1; 32]),
            world: "scheduler".into(),
            bytes: 1,
            signer: signer.map(|(key, name)| SignedBy {
                key: key.into(),
                name: name.map(str::to_owned),
            }),
            source: None,
            added_at: 0,
            added_by: "user ada".into(),
        }
    }

    #[test]
    fn every_doubt_is_raised_and_no_other() {
        let trusted = |key: &str| Signed::Trusted {
            key: key.into(),
            name: "ada".into(),
        };
        let unknown = || Signed::Unknown { key: "2".into() };
        let ada = || Some(present("1.0.0", Some(("1", Some("ada")))));
        let check = |trusting,
                     signed: Signed,
                     version: &str,
                     before: Option<PluginVersion>,
                     expected: &[Doubt]| {
            let version = Version::parse(version).unwrap();
            let found = doubts(
                trusting,
                &signed,
                World::Scheduler,
                &version,
                before.as_ref(),
            );
            assert_eq!(found, expected, "{signed:?} {version} {before:?}");
        };
        check(false, Signed::Nobody, "1.0.0", None, &[]);
        check(false, unknown(), "1.0.0", None, &[]);
        check(true, Signed::Nobody, "1.0.0", None, &[Doubt::Unsigned]);
        check(true, unknown(), "1.0.0", ada(), &[Doubt::UnknownSigner]);
        check(true, trusted("1"), "1.0.0", ada(), &[]);
        check(true, trusted("3"), "1.1.0", ada(), &[Doubt::OtherSigner]);
        check(false, Signed::Nobody, "1.1.0", ada(), &[Doubt::OtherSigner]);
        check(
            false,
            trusted("1"),
            "1.0.0-rc.1",
            ada(),
            &[Doubt::OlderVersion],
        );
        let not_checked = Some(present("1.0.0", Some(("1", None))));
        check(false, Signed::Nobody, "1.1.0", not_checked, &[]);
        check(
            false,
            trusted("1"),
            "1.1.0",
            Some(present("1.0.0", None)),
            &[],
        );
        let version = Version::new(0, 9, 0);
        let found = doubts(
            true,
            &Signed::Nobody,
            World::Upstream,
            &version,
            ada().as_ref(),
        );
        assert_eq!(
            found,
            [Doubt::Unsigned, Doubt::OtherWorld, Doubt::OlderVersion]
        );
    }

    #[test]
    fn a_doubt_is_read_as_it_is_written() {
        for doubt in Doubt::ALL {
            assert_eq!(doubt.name().parse::<Doubt>().unwrap(), doubt);
        }
        assert!("all".parse::<Doubt>().is_err());
    }
}
