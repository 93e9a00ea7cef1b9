//! Who may speak in the cluster: its authority, the certificates that it gives its nodes, and the
//! tokens that let a machine ask for one.
//!
//! Decides what a certificate must say and how a token is proved. Refuses to know sockets, and who is a
//! member now: that is the cluster's state.

mod authority;
mod certificate;
mod compare;
mod token;

pub use self::authority::{Authority, AuthorityError};
pub use self::certificate::{Certified, Purpose, Refused, Validity, check, name, spki, validity};
pub use self::compare::{Code, Commitment, EXPORTER as ADOPTING, Nonce, Pairing, commit, nonce};
pub use self::token::{Badge, Proof, StoredKey, Token, TokenError};

use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use skep_core::NodeId;

/// SHA-256 of a public key in DER (`SubjectPublicKeyInfo`), as RFC 7469 pins keys.
pub type Pin = [u8; 32];

/// The pin of an authority's key; none when it is no certificate.
#[must_use]
pub fn pin(authority: &CertificateDer<'_>) -> Option<Pin> {
    spki(authority).map(|key| Sha256::digest(key).into())
}

/// The name under which a node is called that is to show a certificate from the authority with this pin.
#[must_use]
pub fn face(pin: &Pin) -> String {
    let (half, _) = pin.split_at(16);
    let mut name: String = half.iter().map(|byte| format!("{byte:02x}")).collect();
    name.push_str(".skep");
    name
}

/// The node that has this public key, in DER.
#[must_use]
pub fn node_of(public_key_der: &[u8]) -> NodeId {
    let mut id = [0; 16];
    id.iter_mut()
        .zip(Sha256::digest(public_key_der))
        .for_each(|(to, byte)| *to = byte);
    NodeId(id)
}
