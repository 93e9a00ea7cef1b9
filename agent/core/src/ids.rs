//! Names of things, each its own type so that they cannot be confused.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A request of a client, from arrival to settlement. Never used twice while the node runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// A loaded or loading model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReplicaId(pub u64);

/// On whose account a request runs: an API key, or everybody who needs none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub u64);

/// A node of the cluster: the first bytes of the SHA-256 of its public key. As text it is in hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub [u8; 16]);

/// A cluster: 128 random bits, chosen once when it was founded. As text it is in hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClusterId(pub [u8; 16]);

/// A join token, without its secret: random bits. As text it is in hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TokenId(pub [u8; 8]);

/// An authority that signs certificates: the SHA-256 of its public key (SPKI, DER). As text it is in
/// hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AuthorityId(pub [u8; 32]);

/// Text that is not the hexadecimal form of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id here is {digits} hexadecimal digits")]
pub struct IdError {
    /// As many as it has.
    pub digits: usize,
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! hexadecimal {
    ($($id:ident),*) => {$(
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($id), "({})"), self)
            }
        }

        impl FromStr for $id {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                unhex(text).map(Self)
            }
        }
    )*};
}

hexadecimal!(NodeId, ClusterId, TokenId, AuthorityId);

fn unhex<const BYTES: usize>(text: &str) -> Result<[u8; BYTES], IdError> {
    let wrong = IdError { digits: BYTES * 2 };
    if text.len() != BYTES * 2 {
        return Err(wrong);
    }
    let mut bytes = [0; BYTES];
    for (place, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        let mut value = 0;
        for &digit in pair {
            let digit = char::from(digit).to_digit(16).ok_or(wrong)?;
            value = value * 16 + digit;
        }
        *place = u8::try_from(value).map_err(|_| wrong)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let token = TokenId([0, 1, 0xab, 255, 4, 5, 6, 7]);
        assert_eq!(token.to_string(), "0001abff04050607");
        assert_eq!("0001ABff04050607".parse(), Ok(token));
        for wrong in [
            "",
            "0001abff0405060",
            "0001abff0405060g",
            "+001abff04050607",
            "ü001abff040506",
        ] {
            assert_eq!(
                wrong.parse::<TokenId>(),
                Err(IdError { digits: 16 }),
                "{wrong}"
            );
        }
    }
}
