//! `skep up --lan`: reached from the local network, under a certificate that was made here where the operator has none.
//!
//! Decides what that changes of the settings, and how long such a certificate is kept. It signs itself, so browsers ask whoever
//! comes first; its fingerprint is shown, so that they can compare.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use rcgen::string::Ia5String;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::config::{Config, TlsFiles};
use crate::limits::{LAN_CERTIFICATE_DAYS, LAN_CERTIFICATE_DAYS_LEFT};
use crate::paths::{Paths, private_folder, replace_durably};

/// Why there is no certificate. Nothing listens.
#[derive(Debug, thiserror::Error)]
pub enum LanError {
    #[error("could not make a certificate for `--lan`")]
    Make(#[from] rcgen::Error),
    #[error("could not {verb} `{path}`")]
    File {
        verb: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Has the agent listen for all of the local network.
pub(super) fn open_up(config: &mut Config, paths: &Paths) -> Result<(), LanError> {
    let listen: Option<SocketAddr> = match &config.http.listen {
        None => Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 7420))),
        Some(text) => text.parse().ok(),
    };
    // What is no address is told by whoever reads the settings; an address beyond loopback is the operator's choice.
    if let Some(listen) = listen.filter(|listen| listen.ip().is_loopback()) {
        let all: IpAddr = match listen.ip() {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        config.http.listen = Some(SocketAddr::new(all, listen.port()).to_string());
    }
    if config.http.tls_certificate.is_none() && config.http.tls_key.is_none() {
        let made = own(paths)?;
        config.http.tls_certificate = Some(made.certificate);
        config.http.tls_key = Some(made.key);
    }
    Ok(())
}

/// The certificate that is made here, for everything that this machine is called by.
pub(super) fn own(paths: &Paths) -> Result<TlsFiles, LanError> {
    let (certificate, key) = files(paths);
    ensure(&certificate, &key, &names())?;
    Ok(TlsFiles { certificate, key })
}

/// Where the certificate that was made here lies, and its key.
pub(super) fn files(paths: &Paths) -> (PathBuf, PathBuf) {
    let folder = paths.state.join("tls");
    (folder.join("certificate.pem"), folder.join("key.pem"))
}

/// SHA-256 of the first certificate of a file, as browsers show it.
pub(crate) fn fingerprint(certificate: &Path) -> Option<String> {
    let first = CertificateDer::from_pem_file(certificate).ok()?;
    let mut text = String::new();
    for byte in Sha256::digest(&first) {
        let colon = if text.is_empty() { "" } else { ":" };
        // Writing to a string cannot fail.
        let _ = write!(text, "{colon}{byte:02X}");
    }
    Some(text)
}

/// Everything that this machine is called by.
fn names() -> BTreeSet<String> {
    let mut names: BTreeSet<String> = crate::cluster::local_addresses()
        .into_iter()
        .chain([Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()])
        .map(|ip: IpAddr| ip.to_string())
        .collect();
    names.insert("localhost".to_owned());
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim().to_ascii_lowercase();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    if !host.is_empty() && host.bytes().all(fits) {
        names.insert(format!("{}.local", host.trim_end_matches(".local")));
        names.insert(host);
    }
    names
}

/// Makes a certificate unless there is one for all of these names that holds for a while yet.
fn ensure(certificate: &Path, key: &Path, names: &BTreeSet<String>) -> Result<(), LanError> {
    let now = now();
    if key.is_file() && holds(certificate, names, now) {
        return Ok(());
    }
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "skep");
    let day = 86_400;
    let at = |unix_s: i64| {
        OffsetDateTime::from_unix_timestamp(unix_s).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    };
    // Clocks on a network differ.
    params.not_before = at(now - day);
    params.not_after = at(now + LAN_CERTIFICATE_DAYS * day);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    for name in names {
        params.subject_alt_names.push(match name.parse::<IpAddr>() {
            Ok(ip) => SanType::IpAddress(ip),
            Err(_) => SanType::DnsName(Ia5String::try_from(name.as_str())?),
        });
    }
    let made = params.self_signed(&pair)?;
    let failed = |verb, path: &Path| {
        let path = path.to_owned();
        move |source| LanError::File { verb, path, source }
    };
    if let Some(folder) = certificate.parent() {
        private_folder(folder).map_err(failed("make", folder))?;
    }
    // A certificate whose key is another is made anew: the key goes first.
    let _ = fs::remove_file(certificate);
    replace_durably(key, pair.serialize_pem().as_bytes()).map_err(failed("write", key))?;
    replace_durably(certificate, made.pem().as_bytes()).map_err(failed("write", certificate))
}

fn now() -> i64 {
    i64::try_from(crate::keys::unix_now_s()).unwrap_or(i64::MAX)
}

fn holds(certificate: &Path, names: &BTreeSet<String>, now: i64) -> bool {
    let Ok(der) = CertificateDer::from_pem_file(certificate) else {
        return false;
    };
    let Ok((_, parsed)) = X509Certificate::from_der(&der) else {
        return false;
    };
    let until = parsed.validity().not_after.timestamp();
    let san = parsed.subject_alternative_name().ok().flatten();
    let has: BTreeSet<String> = san.map_or_else(BTreeSet::new, |san| {
        let names = san
            .value
            .general_names
            .iter()
            .filter_map(|name| match name {
                GeneralName::DNSName(name) => Some((*name).to_owned()),
                GeneralName::IPAddress(bytes) => address(bytes).map(|ip| ip.to_string()),
                _ => None,
            });
        names.collect()
    });
    names.is_subset(&has) && until - now > LAN_CERTIFICATE_DAYS_LEFT * 86_400
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_kept_while_it_fits() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::under(folder.path()).unwrap();
        let (certificate, key) = files(&paths);
        let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let first: BTreeSet<String> = set(&["localhost", "192.168.1.7", "2001:db8::7"]);
        ensure(&certificate, &key, &first).unwrap();
        let shown = fingerprint(&certificate).unwrap();
        assert_eq!(shown.len(), 95);
        ensure(&certificate, &key, &first).unwrap();
        ensure(&certificate, &key, &set(&["192.168.1.7"])).unwrap();
        assert_eq!(fingerprint(&certificate).unwrap(), shown);
        let now = now();
        assert!(holds(&certificate, &first, now));
        assert!(!holds(
            &certificate,
            &first,
            now + (LAN_CERTIFICATE_DAYS - 10) * 86_400
        ));
        // Another address, and a key that is gone, want another.
        ensure(&certificate, &key, &set(&["192.168.1.8"])).unwrap();
        let second = fingerprint(&certificate).unwrap();
        assert_ne!(second, shown);
        fs::remove_file(&key).unwrap();
        ensure(&certificate, &key, &set(&["192.168.1.8"])).unwrap();
        assert_ne!(fingerprint(&certificate).unwrap(), second);
        use std::os::unix::fs::PermissionsExt;
        let mode = key.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn only_what_listens_for_this_machine_alone_is_opened_up() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::under(folder.path()).unwrap();
        let check = |listen: Option<&str>, expect: &str| {
            let mut config = Config::default();
            config.http.listen = listen.map(str::to_owned);
            open_up(&mut config, &paths).unwrap();
            assert_eq!(config.http.listen.as_deref(), Some(expect));
            assert_eq!(config.http.tls_key, Some(files(&paths).1));
            let settings = crate::config::Settings::try_from(config);
            assert!(settings.is_err() || settings.unwrap().http.require_key);
        };
        check(None, "0.0.0.0:7420");
        check(Some("127.0.0.1:1"), "0.0.0.0:1");
        check(Some("[::1]:1"), "[::]:1");
        check(Some("10.0.0.7:1"), "10.0.0.7:1");
        check(Some("nonsense"), "nonsense");
        let mut config = Config::default();
        config.http.tls_certificate = Some("theirs".into());
        config.http.tls_key = Some("theirs".into());
        open_up(&mut config, &paths).unwrap();
        assert_eq!(config.http.tls_key, Some("theirs".into()));
    }
}
