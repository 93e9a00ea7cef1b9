//! Six digits that tell two people, each before one machine, that the two machines talk to each other and
//! to nobody between.
//!
//! Whoever calls commits to a nonce before it has seen the other's, and shows it only after that. Somebody
//! between has a connection to each side and must settle on what he says to either before he can know the
//! digits of both, so they agree by luck alone: once in a million tries (S. Vaudenay, "Secure Communications
//! over Insecure Channels Based on Short Authenticated Strings", CRYPTO 2005). ZRTP's hash commitment
//! (RFC 6189, section 4.4.1.1) and Bluetooth's numeric comparison (Core 5.4, Vol 2, Part H, 7.2.1) are the same order
//! of steps. How many tries there may be is decided by whoever answers (`cluster::adopt`): one that is broken off
//! counts.

use std::fmt;

use sha2::{Digest, Sha256};

use super::Badge;

/// What each side adds of its own to the digits.
pub type Nonce = [u8; 32];

/// What a nonce is held to before it is shown.
pub type Commitment = [u8; 32];

/// What both sides know before anything is compared: the TLS session, and the keys that each has proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pairing {
    /// 32 bytes of the session's exporter: whoever stands between has another with each side.
    pub badge: Badge,
    /// The caller's public key, in DER.
    pub caller: Vec<u8>,
    /// The public key of whoever was called, in DER.
    pub called: Vec<u8>,
}

/// The digits that people compare.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Code(u32);

/// The label of the exporter that all of this is bound to (RFC 8446, section 7.5).
pub const EXPORTER: &[u8] = b"EXPORTER-skep-adopt";

/// A nonce that nobody can guess.
///
/// # Errors
/// When the system gives no randomness.
pub fn nonce() -> Result<Nonce, getrandom::Error> {
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce)?;
    Ok(nonce)
}

/// Holds the caller to its nonce, on this session and under this key alone.
#[must_use]
pub fn commit(badge: &Badge, caller: &[u8], nonce: &Nonce) -> Commitment {
    hash(b"skep adopt commitment", &[badge, caller, nonce])
}

impl Pairing {
    /// Whether the caller has shown the nonce that it was held to.
    #[must_use]
    pub fn opens(&self, commitment: &Commitment, nonce: &Nonce) -> bool {
        let held = commit(&self.badge, &self.caller, nonce);
        subtle::ConstantTimeEq::ct_eq(held.as_slice(), commitment.as_slice()).into()
    }

    /// The digits that both sides show.
    #[must_use]
    pub fn code(&self, caller: &Nonce, called: &Nonce) -> Code {
        let parts: [&[u8]; 5] = [&self.badge, &self.caller, &self.called, caller, called];
        let hash = hash(b"skep adopt digits", &parts);
        let (first, _) = hash.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        // Of 2^64 numbers: no remainder is likelier than another by more than one in 10^13.
        let digits = u64::from_be_bytes(*first) % CODES;
        Code(u32::try_from(digits).unwrap_or_default())
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03} {:03}", self.0 / 1_000, self.0 % 1_000)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({self})")
    }
}

/// Each part behind its length, so that nothing can be moved from one into the next.
fn hash(label: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in std::iter::once(&label).chain(parts) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// Six digits: some 20 bits.
const CODES: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn pairing() -> Pairing {
        Pairing {
            badge: [1; 32],
            caller: vec![2; 44],
            called: vec![3; 44],
        }
    }

    #[test]
    fn the_digits_hang_on_everything_that_was_said() {
        let usual = pairing();
        let code = usual.code(&[4; 32], &[5; 32]);
        assert_eq!(code, pairing().code(&[4; 32], &[5; 32]));
        let other_badge = Pairing {
            badge: [9; 32],
            ..pairing()
        };
        let other_caller = Pairing {
            caller: vec![9; 44],
            ..pairing()
        };
        let other_called = Pairing {
            called: vec![9; 44],
            ..pairing()
        };
        // The same bytes, cut elsewhere.
        let moved = Pairing {
            caller: vec![2; 43],
            called: [vec![2], vec![3; 44]].concat(),
            ..pairing()
        };
        for other in [other_badge, other_caller, other_called, moved] {
            assert_ne!(other.code(&[4; 32], &[5; 32]), code, "{other:?}");
        }
        assert_ne!(usual.code(&[9; 32], &[5; 32]), code);
        assert_ne!(usual.code(&[4; 32], &[9; 32]), code);
        assert_ne!(usual.code(&[5; 32], &[4; 32]), code);
    }

    #[test]
    fn a_commitment_opens_for_one_nonce_session_and_key() {
        let usual = pairing();
        let commitment = commit(&usual.badge, &usual.caller, &[4; 32]);
        assert!(usual.opens(&commitment, &[4; 32]));
        assert!(!usual.opens(&commitment, &[5; 32]));
        let elsewhere = Pairing {
            badge: [9; 32],
            ..pairing()
        };
        assert!(!elsewhere.opens(&commitment, &[4; 32]));
        let another = Pairing {
            caller: vec![9; 44],
            ..pairing()
        };
        assert!(!another.opens(&commitment, &[4; 32]));
    }

    #[test]
    fn codes_are_six_digits_and_all_of_them_come() {
        let mut seen = [false; 10];
        for round in 0..200_u8 {
            let text = pairing().code(&[round; 32], &[0; 32]).to_string();
            assert_eq!(text.len(), 7, "{text}");
            assert_eq!(text.as_bytes()[3], b' ', "{text}");
            let first = text.chars().next().and_then(|digit| digit.to_digit(10));
            seen[first.unwrap() as usize] = true;
        }
        assert_eq!(seen, [true; 10]);
        assert_eq!(Code(42_917).to_string(), "042 917");
    }
}
