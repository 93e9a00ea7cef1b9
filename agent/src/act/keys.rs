//! Keys and certificates that are made here and never leave.
//!
//! Decides that a key which is there is used and never replaced, and that a certificate is made anew only when it no longer fits.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, PKCS_ECDSA_P256_SHA256, SanType,
};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use skep_core::install::{Entry, KeyKind, Owner};
use zeroize::Zeroizing;

use super::ActError;
use super::place::Place;
use super::root::Rights;
use super::wanted::Wanted;
use crate::limits::KEY_FILE_BYTES;

const SSH: &str = "ssh-ed25519";
const SSH_MAGIC: &[u8] = b"openssh-key-v1\0";
const SSH_BEGIN: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\n";
const SSH_END: &str = "-----END OPENSSH PRIVATE KEY-----\n";

/// The key that is there, or a new one; and the public half of one for SSH.
pub(super) fn wanted_key(
    place: &Place,
    path: &str,
    kind: KeyKind,
    comment: &str,
    owner: &Owner,
) -> Result<Vec<Wanted>, ActError> {
    let there = existing(place, path)?;
    let fresh = place.rights(0o600, owner)?;
    let (text, rights) = match (there, kind) {
        (Some(found), _) => found,
        (None, KeyKind::SshEd25519) => (new_ssh_key(comment)?, fresh),
        (None, KeyKind::EcP256) => {
            let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
            (Zeroizing::new(key.serialize_pem().into_bytes()), fresh)
        }
    };
    let other = || ActError::Conflict(format!("`{path}` is there and is no such key"));
    let mut all = vec![Wanted::file(path, text.to_vec(), rights)];
    match kind {
        KeyKind::SshEd25519 => {
            let public = ssh_public(&text).ok_or_else(other)?;
            let line = format!("{SSH} {} {comment}\n", STANDARD.encode(&public));
            let beside = format!("{path}.pub");
            // A public half that says the same with another comment is as good.
            let (bytes, rights) = match existing(place, &beside)? {
                Some((bytes, rights)) if same_public(&bytes, &public) => (bytes.to_vec(), rights),
                _ => (
                    line.into_bytes(),
                    Rights {
                        mode: 0o644,
                        ..fresh
                    },
                ),
            };
            all.push(Wanted::file(&beside, bytes, rights));
        }
        KeyKind::EcP256 => {
            let text = std::str::from_utf8(&text).map_err(|_| other())?;
            let key = KeyPair::from_pem(text).map_err(|_| other())?;
            if !key.is_compatible(&PKCS_ECDSA_P256_SHA256) {
                return Err(other());
            }
        }
    }
    Ok(all)
}

/// The certificate that is there while it fits, or a new one.
pub(super) fn wanted_certificate(
    place: &Place,
    path: &str,
    key: &str,
    names: &[String],
    days: u32,
    owner: &Owner,
) -> Result<Wanted, ActError> {
    let missing = || ActError::Missing {
        what: "key",
        name: key.to_owned(),
    };
    let (text, _) = existing(place, key)?.ok_or_else(missing)?;
    let no_key = |_| ActError::Conflict(format!("`{key}` is no private key in PEM"));
    let text = std::str::from_utf8(&text)
        .map_err(|_| ActError::Conflict(format!("`{key}` is no text")))?;
    let key = KeyPair::from_pem(text).map_err(no_key)?;
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    if let Some((bytes, rights)) = existing(place, path)?
        && fits(&bytes, &key, names, now)
    {
        return Ok(Wanted::file(path, bytes.to_vec(), rights));
    }
    let made = certificate(&key, names, days, now)?;
    Ok(Wanted::file(
        path,
        made.into_bytes(),
        place.rights(0o644, owner)?,
    ))
}

/// A file's bytes, and who may do what with it.
type Held = (Zeroizing<Vec<u8>>, Rights);

fn existing(place: &Place, path: &str) -> Result<Option<Held>, ActError> {
    match place.root.entry(path)? {
        Entry::Absent => Ok(None),
        Entry::File { mode, uid, gid, .. } => {
            let bytes = place.root.read(path, KEY_FILE_BYTES)?.unwrap_or_default();
            Ok(Some((Zeroizing::new(bytes), Rights { mode, uid, gid })))
        }
        Entry::Folder { .. } | Entry::Link { .. } | Entry::Other => {
            Err(ActError::Conflict(format!("`{path}` is no file")))
        }
    }
}

fn certificate(
    key: &KeyPair,
    names: &[String],
    days: u32,
    now: Duration,
) -> Result<String, ActError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    let first = names.first().map_or("skep", String::as_str);
    params.distinguished_name.push(DnType::CommonName, first);
    for name in names {
        let name = match name.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(name.as_str().try_into().map_err(failed)?),
        };
        params.subject_alt_names.push(name);
    }
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let moment = |unix_s: u64| {
        let unix_s = i64::try_from(unix_s).unwrap_or(i64::MAX);
        time::OffsetDateTime::from_unix_timestamp(unix_s)
            .unwrap_or(time::OffsetDateTime::UNIX_EPOCH)
    };
    // Clocks of others may be behind.
    params.not_before = moment(now.as_secs().saturating_sub(3_600));
    params.not_after = moment(now.as_secs() + u64::from(days) * 86_400);
    Ok(params.self_signed(key).map_err(failed)?.pem())
}

/// Whether a certificate is of this key, for these names, and valid now.
fn fits(pem: &[u8], key: &KeyPair, names: &[String], now: Duration) -> bool {
    use rcgen::PublicKeyData as _;
    use x509_parser::extensions::GeneralName;
    let Ok((_, pem)) = x509_parser::pem::parse_x509_pem(pem) else {
        return false;
    };
    let Ok(certificate) = pem.parse_x509() else {
        return false;
    };
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let validity = certificate.validity();
    let in_time = validity.not_before.timestamp() <= now && now < validity.not_after.timestamp();
    let own = certificate.public_key().raw == key.subject_public_key_info().as_slice();
    let Ok(Some(alternatives)) = certificate.subject_alternative_name() else {
        return false;
    };
    let has = |name: &String| {
        alternatives
            .value
            .general_names
            .iter()
            .any(|general| match general {
                GeneralName::DNSName(dns) => dns == name,
                GeneralName::IPAddress(bytes) => {
                    name.parse::<IpAddr>().is_ok_and(|address| match address {
                        IpAddr::V4(address) => address.octets().as_slice() == *bytes,
                        IpAddr::V6(address) => address.octets().as_slice() == *bytes,
                    })
                }
                _ => false,
            })
    };
    in_time && own && names.iter().all(has)
}

/// A new private key in the form of OpenSSH (`PROTOCOL.key` there), without a passphrase.
fn new_ssh_key(comment: &str) -> Result<Zeroizing<Vec<u8>>, ActError> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut_slice()).map_err(|_| ActError::Random)?;
    let check = getrandom::u32()
        .map_err(|_| ActError::Random)?
        .to_be_bytes();
    let key = Ed25519KeyPair::from_seed_unchecked(seed.as_slice())
        .map_err(|error| ActError::Key(error.to_string()))?;
    let public = key.public_key().as_ref();
    let mut private = Zeroizing::new(Vec::new());
    private.extend_from_slice(&check);
    private.extend_from_slice(&check);
    put(&mut private, SSH.as_bytes());
    put(&mut private, public);
    put(&mut private, &[seed.as_slice(), public].concat());
    put(&mut private, comment.as_bytes());
    for padding in 1_u8.. {
        if private.len() % 8 == 0 {
            break;
        }
        private.push(padding);
    }
    let mut whole = Zeroizing::new(SSH_MAGIC.to_vec());
    for part in [b"none".as_slice(), b"none", b""] {
        put(&mut whole, part);
    }
    whole.extend_from_slice(&1_u32.to_be_bytes());
    put(&mut whole, &public_blob(public));
    put(&mut whole, &private);
    let encoded = Zeroizing::new(STANDARD.encode(whole.as_slice()));
    let mut text = Zeroizing::new(SSH_BEGIN.as_bytes().to_vec());
    for line in encoded.as_bytes().chunks(70) {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text.extend_from_slice(SSH_END.as_bytes());
    Ok(text)
}

fn public_blob(public: &[u8]) -> Vec<u8> {
    let mut blob = Vec::new();
    put(&mut blob, SSH.as_bytes());
    put(&mut blob, public);
    blob
}

fn put(to: &mut Vec<u8>, part: &[u8]) {
    // Nothing here is near that long.
    let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
    to.extend_from_slice(&length.to_be_bytes());
    to.extend_from_slice(part);
}

/// The public half that stands in a private key of OpenSSH, also where the rest is encrypted.
fn ssh_public(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?;
    let inner = text
        .trim()
        .strip_prefix(SSH_BEGIN.trim())?
        .strip_suffix(SSH_END.trim())?;
    let packed: String = inner.split_whitespace().collect();
    let bytes = Zeroizing::new(STANDARD.decode(packed).ok()?);
    let mut rest = bytes.strip_prefix(SSH_MAGIC)?;
    for _ in 0..3 {
        take(&mut rest)?;
    }
    rest = rest.strip_prefix(&1_u32.to_be_bytes())?;
    let blob = take(&mut rest)?;
    let mut inside = blob;
    (take(&mut inside)? == SSH.as_bytes()).then(|| blob.to_vec())
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (part, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(part)
}

fn same_public(line: &[u8], public: &[u8]) -> bool {
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_whitespace();
    words.next() == Some(SSH) && words.next() == Some(&STANDARD.encode(public))
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn failed(error: rcgen::Error) -> ActError {
    ActError::Key(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ssh_key_is_read_back() {
        let text = new_ssh_key("sam@box").unwrap();
        let public = ssh_public(&text).unwrap();
        assert_eq!(public.len(), 4 + 11 + 4 + 32);
        let line = format!("{SSH} {} other comment\n", STANDARD.encode(&public));
        assert!(same_public(line.as_bytes(), &public));
        for cut in 0..text.len() - 1 {
            let shorter = ssh_public(&text[..cut]);
            assert!(
                shorter.is_none() || shorter.as_ref() == Some(&public),
                "{cut}"
            );
        }
    }

    #[test]
    fn a_certificate_fits_until_it_does_not() {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let names = [
            "box.example".to_owned(),
            "192.0.2.7".to_owned(),
            "2001:db8::1".to_owned(),
        ];
        let now = Duration::from_secs(1_800_000_000);
        let pem = certificate(&key, &names, 30, now).unwrap();
        let day = Duration::from_secs(86_400);
        assert!(fits(pem.as_bytes(), &key, &names, now));
        assert!(fits(pem.as_bytes(), &key, &names[1..], now + day * 29));
        assert!(!fits(pem.as_bytes(), &key, &names, now + day * 31));
        assert!(!fits(
            pem.as_bytes(),
            &key,
            &["other.example".to_owned()],
            now
        ));
        let other = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        assert!(!fits(pem.as_bytes(), &other, &names, now));
        assert!(!fits(b"nothing", &key, &names, now));
    }
}
