//! What two nodes that do not know each other say while people compare digits, and who they say they are.
//!
//! Decides the words, and that somebody has the key that it shows. Refuses to know in which order they come.

use std::net::SocketAddr;

use ring::signature::{ED25519, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use skep_core::NodeId;

use crate::identity::Identity;
use crate::limits::ADOPT_NAME_LETTERS;
use crate::net::frames::FrameError;
use crate::pki::{self, Badge, Commitment, Nonce};

/// One word of the exchange. The caller adopts; whoever is called is adopted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdoptWord {
    /// The caller's first: who it is, and what holds it to its nonce.
    Commit {
        /// Who calls.
        introduction: Introduction,
        /// See [`pki::commit`].
        commitment: Commitment,
    },
    /// The answer to it.
    Reply {
        /// Who was called.
        introduction: Introduction,
        /// Its nonce.
        nonce: Nonce,
    },
    /// The caller's nonce; after that both know the digits.
    Reveal(Nonce),
    /// A person has seen the same digits there.
    Confirm,
    /// What the adopted node joins with; only after both have confirmed.
    Token(String),
    /// The answer to it; nothing follows.
    Taken,
    /// No, and why; nothing follows.
    Refuse(String),
}

/// Who somebody is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Introduction {
    /// Its public key, in DER.
    pub public_key: Vec<u8>,
    /// That key's signature over its side's name and the connection's exporter.
    pub signature: Vec<u8>,
    /// What people call it.
    pub name: String,
    /// Its release, for people.
    pub software: String,
}

/// What a node says of itself to whoever it meets so.
#[derive(Clone, Copy, Debug)]
pub struct Myself<'a> {
    /// Its key.
    pub identity: &'a Identity,
    /// What people call it.
    pub name: &'a str,
}

/// Who is at the other end: the key is proved, the rest is only said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stranger {
    /// Which node has that key.
    pub node: NodeId,
    /// What it says that it is called.
    pub name: String,
    /// Its release, as it says.
    pub software: String,
    /// Where it is.
    pub address: SocketAddr,
}

/// Why two nodes got no digits to compare.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// Nobody answers there.
    #[error("no answer from {0}: is the agent running there, and does a firewall let UDP through?")]
    Silent(SocketAddr),
    /// The connection could not be made.
    #[error(
        "could not connect to {address}: {why}; a skep that knows nothing of this yet joins with a token (`skep token new`)"
    )]
    Failed {
        /// Where.
        address: SocketAddr,
        /// In words.
        why: String,
    },
    /// The other side said no.
    #[error("it refused: {0}")]
    Refused(String),
    /// The other side did what only somebody between would.
    #[error("{0}: somebody may stand between; nothing was given away")]
    Cheated(&'static str),
    /// The connection broke off, or what came was no message.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The system gave no randomness, or the key could not sign.
    #[error("this node cannot take part: {0}")]
    Here(String),
}

impl Myself<'_> {
    pub(super) fn introduce(&self, side: &[u8], badge: &Badge) -> Result<Introduction, AdoptError> {
        let signature = self.identity.sign(&signed(side, badge));
        Ok(Introduction {
            public_key: self.identity.public_key_der(),
            signature: signature.map_err(|error| AdoptError::Here(error.to_string()))?,
            name: self.name.to_owned(),
            software: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }
}

impl Introduction {
    /// Whether it has the key that it shows.
    pub(super) fn check(&self, side: &[u8], badge: &Badge) -> Result<(), AdoptError> {
        // The key itself stands at the end of an Ed25519 key in DER (RFC 8410, section 4).
        let raw = self.public_key.last_chunk::<32>();
        let proved = raw.is_some_and(|raw| {
            let key = UnparsedPublicKey::new(&ED25519, raw);
            self.public_key.len() == KEY_BYTES
                && key.verify(&signed(side, badge), &self.signature).is_ok()
        });
        proved.then_some(()).ok_or(AdoptError::Cheated(
            "it could not prove the key that it showed",
        ))
    }

    pub(super) fn stranger(&self, address: SocketAddr) -> Stranger {
        let name = short(&self.name);
        Stranger {
            node: pki::node_of(&self.public_key),
            name: if name.is_empty() {
                "unnamed".to_owned()
            } else {
                name
            },
            software: short(&self.software),
            address,
        }
    }
}

fn signed(side: &[u8], badge: &Badge) -> Vec<u8> {
    [b"skep adopt introduction of the ", side, &[0], badge].concat()
}

/// Of what a stranger says, what may be shown.
pub(super) fn short(text: &str) -> String {
    let shown = text.chars().filter(|letter| !letter.is_control());
    shown.take(ADOPT_NAME_LETTERS).collect()
}

pub(super) const CALLER: &[u8] = b"caller";

pub(super) const CALLED: &[u8] = b"called";

/// An Ed25519 key in DER (RFC 8410, section 4).
const KEY_BYTES: usize = 44;
