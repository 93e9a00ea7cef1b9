//! The first word of each side on a new connection: who it is in this life, and what it speaks.

use std::net::SocketAddr;

use quinn::Connection;
use serde::{Deserialize, Serialize};

use super::frames::{Answers, Asked, FrameError};
use super::wire::{PROTOCOL, PROTOCOL_OLDEST, Priority};
use crate::limits::HELLO_BYTES_MAX;

/// What a node says of itself. Everything in it but the node's identity, which TLS vouches for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The newest version that it speaks.
    pub protocol: u16,
    /// The oldest.
    pub oldest: u16,
    /// Its release, for people.
    pub software: String,
    /// What people call it.
    pub name: String,
    /// Which of its lives this is.
    pub generation: u64,
    /// Where it wants to be called.
    pub address: SocketAddr,
}

/// Why two nodes do not talk.
#[derive(Debug, thiserror::Error)]
pub enum HelloError {
    /// They have no version in common.
    #[error(
        "the other node ({software}) speaks versions {oldest} to {newest} of the protocol, this one {PROTOCOL_OLDEST} to {PROTOCOL}; update the older one with `skep update`"
    )]
    Versions {
        /// The other's oldest.
        oldest: u16,
        /// The other's newest.
        newest: u16,
        /// The other's release.
        software: String,
    },
    /// The other said nothing that can be understood.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

impl Hello {
    /// What this binary says.
    #[must_use]
    pub fn new(name: &str, generation: u64, address: SocketAddr) -> Self {
        Self {
            protocol: PROTOCOL,
            oldest: PROTOCOL_OLDEST,
            software: env!("CARGO_PKG_VERSION").into(),
            name: name.into(),
            generation,
            address,
        }
    }

    /// The version to speak with the other: the newest that both do.
    ///
    /// # Errors
    /// When there is none.
    pub fn agree(&self, other: &Self) -> Result<u16, HelloError> {
        let version = self.protocol.min(other.protocol);
        if version < self.oldest || version < other.oldest {
            return Err(HelloError::Versions {
                oldest: other.oldest,
                newest: other.protocol,
                software: other.software.escape_debug().take(64).collect(),
            });
        }
        Ok(version)
    }
}

/// Says ours, hears theirs, and agrees.
pub(super) async fn greet(
    connection: &Connection,
    ours: &Hello,
) -> Result<(Hello, u16), HelloError> {
    let lost = |_| HelloError::Frame(FrameError::Lost);
    let stream = connection.open_uni().await.map_err(lost)?;
    let mut answers = Answers::new(stream, Priority::Control);
    answers.send(ours).await?;
    answers.end();
    let stream = connection.accept_uni().await.map_err(lost)?;
    let mut asked = Asked::new(stream, HELLO_BYTES_MAX);
    let theirs: Hello = asked.next().await?.ok_or(FrameError::Ended)?;
    let version = ours.agree(&theirs)?;
    Ok((theirs, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speaks(oldest: u16, protocol: u16) -> Hello {
        Hello {
            protocol,
            oldest,
            ..Hello::new("n", 1, "127.0.0.1:1".parse().unwrap())
        }
    }

    #[test]
    fn nodes_one_version_apart_agree_and_others_say_why_not() {
        assert_eq!(speaks(1, 1).agree(&speaks(1, 1)).unwrap(), 1);
        assert_eq!(speaks(1, 2).agree(&speaks(1, 1)).unwrap(), 1);
        assert_eq!(speaks(1, 1).agree(&speaks(1, 2)).unwrap(), 1);
        assert_eq!(speaks(2, 3).agree(&speaks(1, 2)).unwrap(), 2);
        for (ours, theirs) in [(speaks(1, 1), speaks(2, 3)), (speaks(2, 3), speaks(1, 1))] {
            let error = ours.agree(&theirs).unwrap_err().to_string();
            assert!(error.contains("skep update"), "{error}");
        }
    }
}
