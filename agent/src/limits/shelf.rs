//! The limits of plugins that come from elsewhere, each with its reason.
//!
//! Decides numbers and nothing else: what an offered component, its signature and the node that has it can make this one
//! hold or wait for.

use std::time::Duration;

use super::KIB;

/// Bytes of a signature's file: minisign's have some 300, and its comments are for people.
pub const SIGNATURE_BYTES: usize = 4 * KIB;

/// Bytes of a key's file.
pub const KEY_FILE_BYTES: usize = 4 * KIB;

/// Components that were shown to somebody who has not agreed yet. The oldest is forgotten.
pub const COMPONENT_OFFERS_MAX: usize = 16;

/// How long an offer can be agreed to: long enough to read it and ask a colleague.
pub const OFFER_LIFE: Duration = Duration::from_mins(30);

/// How long a component stays on disk that no version refers to: longer than an offer, and than the log of a follower that is behind.
pub const COMPONENT_GRACE: Duration = Duration::from_hours(1);

/// How often components are looked for that nobody needs any more.
pub const SHELF_TIDIED: Duration = Duration::from_mins(10);

/// Damaged components that are kept for whoever wants to know why. One is bad luck; so many have a cause.
pub const COMPONENTS_DAMAGED_MAX: usize = 8;

/// How often a node that lacks a component asks the others again.
pub const COMPONENT_RETRY: Duration = Duration::from_secs(2);

/// How long another node may say nothing while it sends a component.
pub const COMPONENT_SILENCE: Duration = Duration::from_secs(10);

/// Bytes of a component in one message: small enough that what is more urgent goes between.
pub const COMPONENT_PART_BYTES: usize = 128 * KIB;

/// A version of a plugin that traps so often within `TRAPS_WINDOW` is given up for the one before it.
pub const TRAPS_MAX: usize = 3;

/// See `TRAPS_MAX`: one an hour is a bug; three in ten minutes are a broken release.
pub const TRAPS_WINDOW: Duration = Duration::from_mins(10);

/// Plugins whose traps are counted.
pub const TRAPPING_MAX: usize = 128;

/// How long a connection to whoever offers a component may take, TLS included.
pub const FETCH_CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// How long whoever offers a component may say nothing.
pub const FETCH_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long it may take in all: the largest component over a slow line.
pub const FETCH_TIMEOUT: Duration = Duration::from_mins(5);

/// Redirects that are followed: registries and mirrors need two or three.
pub const FETCH_REDIRECTS_MAX: usize = 5;

/// Bytes of a manifest in a registry: what registries accept at most; those of components have some 600.
pub const OCI_MANIFEST_BYTES: usize = 4 << 20;

/// Bytes of a registry's answer with a token: some have several KiB of claims.
pub const OCI_TOKEN_BYTES: usize = 64 * KIB;

/// Bytes of the file in which `docker login` keeps passwords.
pub const DOCKER_CONFIG_BYTES: usize = 1 << 20;
