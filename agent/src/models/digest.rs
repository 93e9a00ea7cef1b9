//! SHA-256 digests of model files, as the only thing that may become the name of a blob.
//!
//! Decides the spelling; refuses to know where a digest came from: it is 64 hexadecimal digits
//! or it is nothing.

use std::fmt;
use std::str::FromStr;

/// The SHA-256 of a file's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

/// A text that is not 64 hexadecimal digits, with or without `sha256:` or `sha256-` before them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a SHA-256 digest has 64 hexadecimal digits; this has {0} characters, or others among them"
)]
pub struct DigestError(usize);

impl Digest {
    /// The digest of bytes in memory.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// The digest of what a hasher has seen.
    #[must_use]
    pub fn finish(hasher: sha2::Sha256) -> Self {
        use sha2::Digest as _;
        Self(hasher.finalize().into())
    }

    /// 64 lower-case digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        use fmt::Write as _;
        let mut hex = String::with_capacity(64);
        for byte in self.0 {
            // Writing to a `String` cannot fail.
            let _ = write!(hex, "{byte:02x}");
        }
        hex
    }

    /// What the blob with these bytes is called.
    #[must_use]
    pub fn blob_name(&self) -> String {
        format!("sha256-{}", self.to_hex())
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let hex = text
            .strip_prefix("sha256:")
            .or_else(|| text.strip_prefix("sha256-"))
            .unwrap_or(text);
        let wrong = || DigestError(text.chars().count());
        if hex.len() != 64 {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            let &[high, low] = pair else {
                return Err(wrong());
            };
            let digit = |c: u8| {
                char::from(c)
                    .to_digit(16)
                    .and_then(|d| u8::try_from(d).ok())
            };
            let (Some(high), Some(low)) = (digit(high), digit(low)) else {
                return Err(wrong());
            };
            *byte = high << 4 | low;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling() {
        // FIPS 180-4's example for "abc".
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::of(b"abc").to_hex(), abc);
        for good in [
            abc,
            &abc.to_uppercase(),
            &format!("sha256:{abc}"),
            &format!("sha256-{abc}"),
        ] {
            assert_eq!(
                good.parse::<Digest>().unwrap(),
                Digest::of(b"abc"),
                "{good}"
            );
        }
        let slash = format!("../{}", &abc[3..]);
        for bad in [
            "",
            "sha256:",
            &abc[1..],
            &format!("{abc}0"),
            &slash,
            &"é".repeat(32),
        ] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }
}
