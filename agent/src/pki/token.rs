//! The token that lets one machine in: what is in it, how it is written, how its secret is proved.
//!
//! The proof is that of SCRAM (RFC 5802, section 3), bound to the TLS session by its exporter (RFC 9266):
//! what the cluster keeps proves nothing to anybody, and what is sent over one connection is worth nothing
//! on another.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use skep_core::{ClusterId, TokenId};

use super::Pin;

/// What an operator carries to the other machine. Its `Debug` does not show the secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Which cluster it lets into.
    pub cluster: ClusterId,
    /// The key of the cluster's authority: whoever answers must have a certificate from it.
    pub pin: Pin,
    /// Which token it is.
    pub id: TokenId,
    secret: [u8; 16],
    /// Where the cluster may be reached; hints, believed only after the pin was checked.
    pub addresses: Vec<SocketAddr>,
}

/// What the cluster keeps of a token: proves a proof, and is none.
pub type StoredKey = [u8; 32];

/// What a joiner sends instead of its secret.
pub type Proof = [u8; 32];

/// What a proof is bound to: 32 bytes of the TLS session's exporter, as [`Token::EXPORTER`] labels it.
pub type Badge = [u8; 32];

/// Why a text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It does not begin as tokens do.
    #[error(
        "a token begins with `{PREFIX}`; make one with `skep token new` on a node of the cluster"
    )]
    Foreign,
    /// Letters are missing, or were changed.
    #[error("the token is not whole: copy it again, from its first to its last letter")]
    Damaged,
    /// It comes from a later skep.
    #[error("the token was made by a newer skep; update this one with `skep update`")]
    Newer,
}

impl Token {
    /// The label of the exporter that proofs are bound to (RFC 8446, section 7.5).
    pub const EXPORTER: &'static [u8] = b"EXPORTER-skep-join";

    /// A new token, and what the cluster keeps of it.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn new(
        cluster: ClusterId,
        pin: Pin,
        addresses: Vec<SocketAddr>,
    ) -> Result<(Self, StoredKey), getrandom::Error> {
        let mut id = [0; 8];
        let mut secret = [0; 16];
        getrandom::fill(&mut id)?;
        getrandom::fill(&mut secret)?;
        let token = Self {
            cluster,
            pin,
            id: TokenId(id),
            secret,
            addresses,
        };
        let stored = Sha256::digest(token.client_key()).into();
        Ok((token, stored))
    }

    /// Proves the secret on the connection that `badge` comes from.
    #[must_use]
    pub fn prove(&self, badge: &Badge) -> Proof {
        let key = self.client_key();
        let stored = Sha256::digest(key).into();
        xor(key, sign(&stored, self.id, badge))
    }

    /// Whether a proof on the connection that `badge` comes from is one of the token's secret.
    #[must_use]
    pub fn is_proof(stored: &StoredKey, id: TokenId, badge: &Badge, proof: &Proof) -> bool {
        let key = xor(*proof, sign(stored, id, badge));
        let hash: [u8; 32] = Sha256::digest(key).into();
        subtle::ConstantTimeEq::ct_eq(hash.as_slice(), stored.as_slice()).into()
    }

    fn client_key(&self) -> [u8; 32] {
        hmac_of(&self.secret, &[b"skep join client key"])
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![VERSION];
        // Neither can fail: there is nothing in it that postcard cannot write.
        bytes = postcard::to_extend(self, bytes).map_err(|_| fmt::Error)?;
        let check = Sha256::digest(&bytes);
        bytes.extend(check.iter().take(CHECK_BYTES));
        write!(f, "{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        let body = text.strip_prefix(PREFIX).ok_or(TokenError::Foreign)?;
        if body.len() > TEXT_MAX {
            return Err(TokenError::Damaged);
        }
        let bytes = URL_SAFE_NO_PAD
            .decode(body)
            .map_err(|_| TokenError::Damaged)?;
        let (bytes, check) = bytes
            .split_last_chunk::<CHECK_BYTES>()
            .ok_or(TokenError::Damaged)?;
        if Sha256::digest(bytes).get(..CHECK_BYTES) != Some(check) {
            return Err(TokenError::Damaged);
        }
        let (version, rest) = bytes.split_first().ok_or(TokenError::Damaged)?;
        if *version != VERSION {
            return Err(TokenError::Newer);
        }
        let (token, rest): (Self, _) =
            postcard::take_from_bytes(rest).map_err(|_| TokenError::Damaged)?;
        if !rest.is_empty() || token.addresses.len() > ADDRESSES_MAX {
            return Err(TokenError::Damaged);
        }
        Ok(token)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("cluster", &self.cluster)
            .field("id", &self.id)
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

fn sign(stored: &StoredKey, id: TokenId, badge: &Badge) -> [u8; 32] {
    hmac_of(stored, &[&id.0, badge])
}

fn hmac_of(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in parts {
        context.update(part);
    }
    let mut bytes = [0; 32];
    let tag = context.sign();
    bytes
        .iter_mut()
        .zip(tag.as_ref())
        .for_each(|(to, byte)| *to = *byte);
    bytes
}

fn xor(mut one: [u8; 32], other: [u8; 32]) -> [u8; 32] {
    one.iter_mut().zip(other).for_each(|(to, byte)| *to ^= byte);
    one
}

/// What every token begins with, so that one is known for what it is wherever it turns up.
const PREFIX: &str = "skep-join-";

/// Raised when what is in a token changes.
const VERSION: u8 = 1;

/// Finds what was lost in copying; it protects nothing.
const CHECK_BYTES: usize = 4;

/// How many places a token names: the interfaces of one machine.
const ADDRESSES_MAX: usize = 8;

/// Longer than any token with as many addresses as it may have.
const TEXT_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> (Token, StoredKey) {
        let addresses = vec!["192.168.1.5:7420".parse().unwrap()];
        Token::new(ClusterId([7; 16]), [9; 32], addresses).unwrap()
    }

    #[test]
    fn a_token_survives_being_written_down() {
        let (token, _) = token();
        let text = token.to_string();
        assert_eq!(text.parse::<Token>().unwrap(), token);
        assert_eq!(format!(" {text}\n").parse::<Token>().unwrap(), token);
        assert!(!format!("{token:?}").contains("secret"));
    }

    #[test]
    fn a_token_that_was_cut_or_changed_is_known_for_it() {
        let text = token().0.to_string();
        for cut in PREFIX.len()..text.len() {
            assert_eq!(text[..cut].parse::<Token>(), Err(TokenError::Damaged));
        }
        for place in PREFIX.len()..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(changed.parse::<Token>(), Err(TokenError::Damaged));
        }
        assert_eq!("sk-skep-x".parse::<Token>(), Err(TokenError::Foreign));
        assert_eq!("".parse::<Token>(), Err(TokenError::Foreign));
        let long = format!("{PREFIX}{}", "A".repeat(1 << 20));
        assert_eq!(long.parse::<Token>(), Err(TokenError::Damaged));
    }

    #[test]
    fn a_proof_holds_for_its_token_and_connection_alone() {
        let (token, stored) = token();
        let proof = token.prove(&[1; 32]);
        assert!(Token::is_proof(&stored, token.id, &[1; 32], &proof));
        assert!(!Token::is_proof(&stored, token.id, &[2; 32], &proof));
        assert!(!Token::is_proof(&stored, TokenId([0; 8]), &[1; 32], &proof));
        assert!(!Token::is_proof(&stored, token.id, &[1; 32], &[0; 32]));
        // What the cluster keeps is no proof, in any place of one.
        assert!(!Token::is_proof(&stored, token.id, &[1; 32], &stored));
        let (other, _) = Token::new(ClusterId([7; 16]), [9; 32], Vec::new()).unwrap();
        assert!(!Token::is_proof(
            &stored,
            token.id,
            &[1; 32],
            &other.prove(&[1; 32])
        ));
    }

    /// A token's text with this inside, whole as far as the check can tell.
    fn text_of(version: u8, body: &[u8]) -> String {
        let mut bytes = [&[version], body].concat();
        let check = Sha256::digest(&bytes);
        bytes.extend(check.iter().take(CHECK_BYTES));
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    #[test]
    fn hostile_texts_are_refused_or_are_tokens_that_can_be_written_down() {
        let seed: u64 = std::env::var("SKEP_SEED").map_or(7, |seed| seed.parse().unwrap());
        let mut state = seed;
        let mut next = || {
            // SplitMix64 (Steele, Lea, Flood 2014).
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        };
        let whole = postcard::to_stdvec(&token().0).unwrap();
        let (mut refused, mut taken) = (0, 0);
        for round in 0..20_000 {
            let mut body = whole.clone();
            match round % 4 {
                0 => body = (0..next() % 300).map(|_| next() as u8).collect(),
                1 => body.truncate((next() % whole.len() as u64) as usize),
                2 => body.extend((0..=next() % 40).map(|_| next() as u8)),
                _ => {
                    let at = (next() % whole.len() as u64) as usize;
                    body[at] ^= 1 << (next() % 8);
                }
            }
            match text_of(VERSION, &body).parse::<Token>() {
                Ok(token) => {
                    assert!(token.addresses.len() <= ADDRESSES_MAX, "seed {seed}");
                    assert_eq!(token.to_string().parse(), Ok(token), "seed {seed}");
                    taken += 1;
                }
                Err(error) => {
                    assert_eq!(error, TokenError::Damaged, "seed {seed}");
                    refused += 1;
                }
            }
        }
        assert!(refused > 10_000 && taken > 1_000, "{refused} {taken}");
        // What says that a million addresses follow takes no memory for them.
        let many = [&whole[..56], &[0xff, 0xff, 0xff, 0xff, 0x0f]].concat();
        assert_eq!(
            text_of(VERSION, &many).parse::<Token>(),
            Err(TokenError::Damaged)
        );
        assert_eq!(
            text_of(VERSION + 1, &whole).parse::<Token>(),
            Err(TokenError::Newer)
        );
        for text in [
            "skep-join-",
            "skep-join-=",
            "skep-join-\u{0}",
            "SKEP-JOIN-AA",
        ] {
            assert!(text.parse::<Token>().is_err());
        }
    }
}
