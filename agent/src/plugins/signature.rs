//! Signatures of components, as `minisign` makes them.
//!
//! Decides what counts as signed: by a key that the cluster trusts, over these bytes. A signature of a trusted key that does not fit the bytes
//! is no signature that is merely missing; it is an error. Refuses to know who trusts whom.

use std::io::Cursor;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minisign::{PublicKey, PublicKeyBox, SecretKey, SignatureBox};

use crate::limits::{KEY_FILE_BYTES, SIGNATURE_BYTES};

/// Of a secret key in minisign's format, with its checksum at the end.
const SECRET_KEY_BYTES: usize = 158;

const CHECKSUM_BYTES: usize = 32;

/// Whose signature some bytes have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signed {
    /// Nobody's.
    Nobody,
    /// A key's that is not trusted; nothing was checked.
    Unknown {
        /// The key's number, as minisign shows it.
        key: String,
    },
    /// A trusted key's, and it is good.
    Trusted {
        /// The key's number.
        key: String,
        /// What the key is called.
        name: String,
    },
}

/// Why a signature or a key is none.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    #[error("the signature is damaged, or none of minisign's: {0}")]
    Malformed(String),
    #[error(
        "the signature is by the trusted key `{name}` and does not fit: the component was changed after it was signed, or the signature belongs to another"
    )]
    Wrong { name: String },
    #[error(
        "`{0}` is no public key of minisign's: 56 letters that begin with `RW`, or a file that has them"
    )]
    PublicKey(String),
    #[error("the secret key cannot be used: {0}")]
    SecretKey(String),
    #[error("could not sign: {0}")]
    Sign(String),
}

/// A new pair of keys, as the texts of their files.
#[derive(Debug)]
pub struct Pair {
    pub public: String,
    pub secret: String,
    /// The public key alone.
    pub key: String,
}

/// Tells whose signature this is; `trusted` are names and public keys.
///
/// # Errors
/// When it is no signature, or is by a trusted key and wrong.
pub fn check<'a>(
    component: &[u8],
    signature: Option<&str>,
    trusted: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Signed, SignatureError> {
    let Some(text) = signature else {
        return Ok(Signed::Nobody);
    };
    if text.len() > SIGNATURE_BYTES {
        return Err(SignatureError::Malformed("it is too long".to_owned()));
    }
    let signature = SignatureBox::from_string(text)
        .map_err(|error| SignatureError::Malformed(error.to_string()))?;
    let key = number(signature.keynum());
    for (name, public) in trusted {
        let Ok(public) = PublicKey::from_base64(public) else {
            continue;
        };
        if public.keynum() != signature.keynum() {
            continue;
        }
        // Signatures of the old kind, over the bytes and not their hash, are as good.
        let fits = minisign::verify(
            &public,
            &signature,
            Cursor::new(component),
            true,
            false,
            true,
        );
        fits.map_err(|_| SignatureError::Wrong {
            name: name.to_owned(),
        })?;
        let name = name.to_owned();
        return Ok(Signed::Trusted { key, name });
    }
    Ok(Signed::Unknown { key })
}

/// A public key, given as itself or as its file: the key alone, checked.
///
/// # Errors
/// When it is none.
pub fn public_key(text: &str) -> Result<String, SignatureError> {
    let shown: String = text.chars().take(80).collect();
    let wrong = || SignatureError::PublicKey(shown.escape_debug().to_string());
    if text.len() > KEY_FILE_BYTES {
        return Err(wrong());
    }
    let key = match text.trim().lines().count() {
        1 => PublicKey::from_base64(text.trim()).ok(),
        _ => PublicKeyBox::from_string(text)
            .and_then(PublicKeyBox::into_public_key)
            .ok(),
    };
    key.map(|key| key.to_base64()).ok_or_else(wrong)
}

/// The number of a public key, as minisign shows it.
#[must_use]
pub fn key_number(public: &str) -> Option<String> {
    let key = PublicKey::from_base64(public).ok()?;
    Some(number(key.keynum()))
}

/// Makes a pair; the secret one is under this password, or under none.
///
/// # Errors
/// When the system gives no randomness.
pub fn generate(password: Option<String>) -> Result<Pair, SignatureError> {
    let failed = |error: minisign::PError| SignatureError::SecretKey(error.to_string());
    let pair = match password {
        None => minisign::KeyPair::generate_unencrypted_keypair(),
        Some(password) => minisign::KeyPair::generate_encrypted_keypair(Some(password)),
    };
    let pair = pair.map_err(failed)?;
    Ok(Pair {
        key: pair.pk.to_base64(),
        public: pair.pk.to_box().map_err(failed)?.into_string(),
        secret: pair.sk.to_box(None).map_err(failed)?.into_string(),
    })
}

/// Reads a secret key's file.
///
/// # Errors
/// When it is none, or the password does not open it.
pub fn secret_key(text: &str, password: Option<String>) -> Result<SecretKey, SignatureError> {
    let failed = |error: minisign::PError| SignatureError::SecretKey(error.to_string());
    let parse = || minisign::SecretKeyBox::from_string(text).map_err(failed);
    match password {
        None => match unchecked(text) {
            Some(bytes) => SecretKey::from_bytes(&bytes).map_err(failed),
            None => parse()?.into_unencrypted_secret_key().map_err(failed),
        },
        Some(password) => parse()?.into_secret_key(Some(password)).map_err(failed),
    }
}

/// The bytes of a key that `minisign -G -W` made: it has neither a password nor, unlike all others, a checksum.
fn unchecked(text: &str) -> Option<Vec<u8>> {
    let bytes = STANDARD.decode(text.lines().nth(1)?.trim()).ok()?;
    let no_password = bytes.get(2..4)? == [0; 2];
    let no_checksum = bytes.get(SECRET_KEY_BYTES - CHECKSUM_BYTES..)? == [0; CHECKSUM_BYTES];
    (no_password && no_checksum && bytes.len() == SECRET_KEY_BYTES).then_some(bytes)
}

/// Signs; the text of the signature's file.
///
/// # Errors
/// When the key cannot be used.
pub fn sign(component: &[u8], key: &SecretKey, comment: &str) -> Result<String, SignatureError> {
    let made = minisign::sign(None, key, Cursor::new(component), Some(comment), None);
    made.map(SignatureBox::into_string)
        .map_err(|error| SignatureError::Sign(error.to_string()))
}

/// The number of a key: eight bytes, the highest first.
fn number(bytes: &[u8]) -> String {
    bytes
        .iter()
        .rev()
        .map(|byte| format!("{byte:02X}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> (Pair, String) {
        let pair = generate(None).unwrap();
        let key = secret_key(&pair.secret, None).unwrap();
        let signature = sign(b"component", &key, "file:one.wasm").unwrap();
        (pair, signature)
    }

    #[test]
    fn only_a_trusted_key_over_these_bytes_counts() {
        let (pair, signature) = made();
        let (other, _) = made();
        let public = public_key(&pair.public).unwrap();
        assert_eq!(public, public_key(&pair.key).unwrap());
        let number = key_number(&public).unwrap();
        assert_eq!(number.len(), 16);
        let trusted = [("else", other.key.as_str()), ("ada", public.as_str())];
        let good = check(b"component", Some(&signature), trusted).unwrap();
        let expected = Signed::Trusted {
            key: number.clone(),
            name: "ada".into(),
        };
        assert_eq!(good, expected);
        let unknown = check(b"component", Some(&signature), [trusted[0]]).unwrap();
        assert_eq!(unknown, Signed::Unknown { key: number });
        assert_eq!(check(b"component", None, trusted).unwrap(), Signed::Nobody);
        let wrong = check(b"Component", Some(&signature), trusted);
        assert!(matches!(wrong, Err(SignatureError::Wrong { .. })));
        for text in [
            "",
            "untrusted comment: x\nRW",
            &"a".repeat(SIGNATURE_BYTES + 1),
        ] {
            assert!(check(b"component", Some(text), trusted).is_err());
        }
    }

    #[test]
    fn one_flipped_letter_is_noticed() {
        let (pair, signature) = made();
        let trusted = [("ada", pair.key.as_str())];
        let lines: Vec<&str> = signature.lines().collect();
        for (line, at) in [(1, 60), (2, 20), (3, 40)] {
            let mut changed: Vec<String> = lines.iter().map(ToString::to_string).collect();
            let old = changed[line].as_bytes()[at];
            let new = if old == b'A' { "B" } else { "A" };
            changed[line].replace_range(at..=at, new);
            let checked = check(b"component", Some(&changed.join("\n")), trusted);
            assert!(checked.is_err(), "line {line}: {checked:?}");
        }
    }

    /// Made by `minisign -G -W` for this test.
    const WITHOUT_CHECKSUM: &str = "untrusted comment: minisign encrypted secret key\nRWQAAEIyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA0p8ZenpNSvkPqCBTRPfQzZ1lun0OE9W2zzABBFTaoSKyxqC0KOqwlX9CfHRHWaKikUh2XACJyf9j6abKzFDnRbQsZ6+noAvtAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";

    #[test]
    fn a_key_of_minisigns_without_a_password_signs() {
        let key = secret_key(WITHOUT_CHECKSUM, None).unwrap();
        let signature = sign(b"component", &key, "x").unwrap();
        let public = PublicKey::from_secret_key(&key).unwrap().to_base64();
        let signed = check(b"component", Some(&signature), [("them", public.as_str())]);
        assert!(matches!(signed, Ok(Signed::Trusted { .. })));
        let cut = &WITHOUT_CHECKSUM[..100];
        assert!(secret_key(cut, None).is_err());
    }

    #[test]
    fn a_password_opens_its_key_alone() {
        let pair = generate(Some("sesame".into())).unwrap();
        assert!(secret_key(&pair.secret, Some("sesame".into())).is_ok());
        assert!(secret_key(&pair.secret, Some("open".into())).is_err());
        assert!(secret_key(&pair.secret, None).is_err());
        assert!(public_key("RWnonsense").is_err());
    }
}
