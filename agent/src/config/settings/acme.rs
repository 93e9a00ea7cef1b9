//! Certificates that an authority gives by ACME: for which names, from whom, and on which terms.
//!
//! Decides what such names and addresses look like. Refuses to know how a certificate is had.

use std::net::IpAddr;
use std::path::PathBuf;

use crate::config::{ConfigError, HttpConfig};

/// What certificates are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmeSettings {
    /// Never empty; in lower case, each once.
    pub names: Vec<String>,
    /// Where the authority says what it offers.
    pub directory: String,
    /// Whom it may write to.
    pub contact: Option<String>,
    /// Until they are agreed to, nothing is asked for.
    pub terms_agreed: bool,
    /// The authority of the directory's own certificate, where it is none that browsers know.
    pub root: Option<PathBuf>,
}

/// None: no names, no certificates.
pub(super) fn settings(config: &HttpConfig) -> Result<Option<AcmeSettings>, ConfigError> {
    let mut names = Vec::new();
    for name in config.acme_names.iter().flatten() {
        let name = name.to_ascii_lowercase();
        if let Some(why) = unfit(&name) {
            return Err(ConfigError::Value {
                key: "http.acme_names",
                found: format!("`{}`", name.escape_debug()),
                expect: format!("{why}; give names as `hive.example.org`"),
            });
        }
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.len() > NAMES_MAX {
        return Err(ConfigError::Value {
            key: "http.acme_names",
            found: format!("{} names", names.len()),
            expect: format!("give {NAMES_MAX} at most"),
        });
    }
    let directory = config.acme_directory.as_deref().unwrap_or(LETS_ENCRYPT);
    if !is_https(directory) {
        return Err(ConfigError::Value {
            key: "http.acme_directory",
            found: format!("`{}`", directory.escape_debug()),
            expect: format!("give an address as `{LETS_ENCRYPT}`"),
        });
    }
    let contact = config.acme_contact.clone().filter(|text| !text.is_empty());
    if let Some(contact) = contact.as_ref().filter(|contact| !is_mail(contact)) {
        return Err(ConfigError::Value {
            key: "http.acme_contact",
            found: format!("`{}`", contact.escape_debug()),
            expect: "give a mail address as `admin@example.org`, or leave it out".into(),
        });
    }
    Ok((!names.is_empty()).then(|| AcmeSettings {
        names,
        directory: directory.to_owned(),
        contact,
        terms_agreed: config.acme_terms_agreed.unwrap_or(false),
        root: config.acme_root.clone(),
    }))
}

/// Why no authority would give a certificate for it.
fn unfit(name: &str) -> Option<&'static str> {
    if name.parse::<IpAddr>().is_ok() {
        return Some("addresses have no such certificates here");
    }
    if name.starts_with("*.") {
        return Some(
            "a certificate for all names below one takes changes of DNS, which skep does not make",
        );
    }
    let label = |label: &str| {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let edges = !label.starts_with('-') && !label.ends_with('-');
        (1..=63).contains(&label.len()) && edges && label.bytes().all(fits)
    };
    let has_dot = name.contains('.');
    (!has_dot || name.len() > 253 || !name.split('.').all(label))
        .then_some("that is no name that the internet knows")
}

fn is_https(text: &str) -> bool {
    let rest = text.strip_prefix("https://");
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', ':']))
        && text.len() <= ADDRESS_BYTES_MAX
        && text.bytes().all(plain)
}

fn is_mail(text: &str) -> bool {
    // RFC 8555, 7.3: one address and no fields after it.
    let plain = |byte: u8| byte.is_ascii_graphic() && !b",?<>\"%&".contains(&byte);
    let parts = text.split_once('@');
    parts.is_some_and(|(who, at)| !who.is_empty() && at.contains('.') && !at.contains('@'))
        && text.len() <= 254
        && text.bytes().all(plain)
}

/// The usual authority.
pub const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// Names of one certificate: more than anybody calls one machine, less than what authorities take.
const NAMES_MAX: usize = 32;
const ADDRESS_BYTES_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(
        names: &[&str],
        directory: Option<&str>,
        contact: Option<&str>,
    ) -> Result<Option<AcmeSettings>, String> {
        let config = HttpConfig {
            acme_names: Some(names.iter().map(|&name| name.to_owned()).collect()),
            acme_directory: directory.map(str::to_owned),
            acme_contact: contact.map(str::to_owned),
            ..HttpConfig::default()
        };
        settings(&config).map_err(|error| error.to_string())
    }

    #[test]
    fn only_what_an_authority_takes_is_asked_for() {
        let found = of(
            &["Hive.Example.org", "hive.example.org"],
            None,
            Some("a@b.org"),
        );
        let found = found.unwrap().unwrap();
        assert_eq!(found.names, ["hive.example.org"]);
        assert_eq!(found.directory, LETS_ENCRYPT);
        assert!(!found.terms_agreed);
        assert_eq!(of(&[], None, None).unwrap(), None);
        for bad in [
            "hive",
            "192.168.1.7",
            "::1",
            "*.example.org",
            "a..b",
            "-a.b",
            "a b.c",
            "",
        ] {
            assert!(
                of(&[bad], None, None)
                    .unwrap_err()
                    .contains("http.acme_names"),
                "{bad}"
            );
        }
        for bad in [
            "http://a.b/dir",
            "https://",
            "a.b",
            "https://a b",
            "https:///x",
        ] {
            let error = of(&["a.b"], Some(bad), None).unwrap_err();
            assert!(error.contains("http.acme_directory"), "{bad}: {error}");
        }
        for bad in [
            "a",
            "a@b",
            "a@b.c,d@e.f",
            "mailto:a b@c.d",
            "a@b@c.d",
            "a@b.c?cc=d",
        ] {
            let error = of(&["a.b"], None, Some(bad)).unwrap_err();
            assert!(error.contains("http.acme_contact"), "{bad}: {error}");
        }
        let many: Vec<String> = (0..40)
            .map(|number| format!("h{number}.example.org"))
            .collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(of(&many, None, None).unwrap_err().contains("32 at most"));
    }
}
