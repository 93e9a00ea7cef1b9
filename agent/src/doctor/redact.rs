//! What a support archive must not tell: secrets, whole texts of people, and the addresses and names of their networks.
//!
//! Decides word by word, and rather takes out too much. An address or a name that comes again is the same `ip-1` or `host-1`
//! everywhere in one archive, so that others can still see which belong together.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use serde_json::Value;

use crate::limits::BUNDLE_NAMES_MAX;

/// Takes out, and remembers what stands for what.
#[derive(Debug, Default)]
pub(super) struct Redactor {
    /// In lower case.
    names: BTreeMap<String, usize>,
    addresses: BTreeMap<IpAddr, usize>,
}

impl Redactor {
    /// `names` are those of machines and users, wherever they stand.
    pub(super) fn new(names: impl IntoIterator<Item = String>) -> Self {
        let mut redactor = Self::default();
        for name in names {
            let name = name.to_lowercase();
            if name.len() > 1 && !COMMON.contains(&name.as_str()) {
                redactor.name(&name);
            }
        }
        redactor
    }

    /// Lines of text: settings, logs, what the system tells.
    pub(super) fn text(&mut self, text: &str) -> String {
        let mut lines = Vec::new();
        let mut in_pem = false;
        for line in text.lines() {
            if line.contains("-----BEGIN") {
                in_pem = true;
                lines.push("[a key or certificate]".to_owned());
            }
            if !in_pem {
                lines.push(self.line(line));
            }
            if line.contains("-----END") {
                in_pem = false;
            }
        }
        lines.join("\n")
    }

    /// Everything in a document.
    pub(super) fn document(&mut self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.document(item)),
            Value::Object(fields) => {
                for (key, value) in fields.iter_mut() {
                    if is_sensitive(key)
                        && (value.is_string() || value.is_object() || value.is_array())
                    {
                        *value = Value::String(REMOVED.to_owned());
                    } else {
                        self.document(value);
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn line(&mut self, line: &str) -> String {
        // `key = value` and `"key": value`: of a sensitive one nothing is left.
        if let Some(at) = line.find(['=', ':']) {
            let (key, _) = line.split_at(at);
            let key = key.trim().trim_matches(['"', '\'', '#', ' ', '-']);
            let one_word = !key.is_empty() && !key.contains(' ');
            if one_word && is_sensitive(key) {
                return format!("{}{REMOVED}", line.get(..=at).unwrap_or_default());
            }
        }
        let mut told = String::with_capacity(line.len());
        let mut word = String::new();
        let mut secret_next = false;
        for c in line.chars().chain(['\n']) {
            if c.is_alphanumeric() || "-._~+/=:@%[]?&".contains(c) {
                word.push(c);
                continue;
            }
            if !word.is_empty() {
                if secret_next {
                    told.push_str(REMOVED);
                    secret_next = false;
                } else {
                    secret_next =
                        word.eq_ignore_ascii_case("bearer") || word.eq_ignore_ascii_case("basic");
                    let kept = self.word(&word);
                    told.push_str(&kept);
                }
                word.clear();
            }
            if c != '\n' {
                told.push(c);
            }
        }
        told
    }

    fn word(&mut self, word: &str) -> String {
        // What stands around it, as the full stop of a sentence.
        let core = word.trim_matches(['.', ':', '=', '/', '-', '?', '&']);
        let (Some(at), false) = (word.find(core), core.is_empty()) else {
            return word.to_owned();
        };
        // A folder begins with what was cut off.
        let (before, after) = (
            word.get(..at).unwrap_or_default(),
            word.get(at + core.len()..).unwrap_or_default(),
        );
        let is_address = |key: &str| key.contains("://");
        if let Some((key, value)) = core.split_once('=').filter(|(key, _)| !is_address(key)) {
            let value = if is_sensitive(key) {
                REMOVED.to_owned()
            } else {
                self.word(value)
            };
            return format!("{before}{key}={value}{after}");
        }
        if before.ends_with('/')
            || core.contains('/') && !core.contains("://") && !is_network(core) && !has_port(core)
        {
            return before.to_owned() + &self.path(core) + after;
        }
        before.to_owned() + &self.plain(core) + after
    }

    fn plain(&mut self, word: &str) -> String {
        if SECRETS.iter().any(|start| word.starts_with(start)) {
            return REMOVED.to_owned();
        }
        if let Some((scheme, rest)) = word.split_once("://") {
            // Who signs in there, the path and the question may all be secrets.
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            let tail = if authority.len() < rest.len() {
                "/..."
            } else {
                ""
            };
            let host = authority.rsplit('@').next().unwrap_or_default();
            return format!("{scheme}://{}{tail}", self.host(host));
        }
        if let Some(address) = self.address(word) {
            return address;
        }
        if word.contains('@') {
            return "[mail]".to_owned();
        }
        let hex_pairs = word
            .split(':')
            .filter(|part| part.len() == 2 && is_hex(part))
            .count();
        if hex_pairs >= 6 {
            return "[hardware address]".to_owned();
        }
        if let Some(host) = self.known(word) {
            return host;
        }
        if is_random(word) {
            return format!("[{} characters]", word.len());
        }
        word.to_owned()
    }

    /// Names of users are in paths, and names of machines may be.
    fn path(&mut self, path: &str) -> String {
        let mut after_home = false;
        let parts = path.split('/').map(|part| {
            let is_user = std::mem::replace(&mut after_home, part == "home" || part == "Users");
            if is_user && !part.is_empty() {
                "user".to_owned()
            } else if part.is_empty() {
                String::new()
            } else {
                self.plain(part)
            }
        });
        parts.collect::<Vec<_>>().join("/")
    }

    /// An address with what may be beside it: a port, a prefix.
    fn address(&mut self, word: &str) -> Option<String> {
        if let Ok(socket) = word.parse::<SocketAddr>() {
            let port = socket.port();
            return Some(
                self.ip(socket.ip())
                    .map_or_else(|| word.to_owned(), |ip| format!("{ip}:{port}")),
            );
        }
        let (bare, prefix) = match word.split_once('/') {
            Some((bare, prefix)) if prefix.parse::<u8>().is_ok() => (bare, format!("/{prefix}")),
            _ => (word, String::new()),
        };
        let ip: IpAddr = bare
            .trim_matches(['[', ']'])
            .split('%')
            .next()?
            .parse()
            .ok()?;
        Some(
            self.ip(ip)
                .map_or_else(|| word.to_owned(), |ip| ip + &prefix),
        )
    }

    /// None for addresses that every machine has.
    fn ip(&mut self, ip: IpAddr) -> Option<String> {
        if ip.is_loopback() || ip.is_unspecified() {
            return None;
        }
        let next = self.addresses.len() + 1;
        if next > BUNDLE_NAMES_MAX && !self.addresses.contains_key(&ip) {
            return Some("ip".to_owned());
        }
        let number = self.addresses.entry(ip).or_insert(next);
        Some(format!("ip-{number}"))
    }

    fn host(&mut self, authority: &str) -> String {
        if let Some(address) = self.address(authority) {
            return address;
        }
        let (name, port) = match authority.rsplit_once(':') {
            Some((name, port)) if port.parse::<u16>().is_ok() => (name, format!(":{port}")),
            _ => (authority, String::new()),
        };
        if let Some(address) = self.address(name) {
            return address + &port;
        }
        if name == "localhost" {
            return authority.to_owned();
        }
        self.name(&name.to_lowercase()) + &port
    }

    /// What stands for a name that is to be taken out; also where a domain or a port follows.
    fn known(&self, word: &str) -> Option<String> {
        let word = word.trim_matches(['[', ']', '?', '&', '%', '+', '~']);
        let lower = word.to_lowercase();
        let (name, port) = match lower.rsplit_once(':') {
            Some((name, port)) if port.parse::<u16>().is_ok() => (name, Some(port)),
            _ => (lower.as_str(), None),
        };
        let number = self.names.get(name).or_else(|| {
            let (first, _) = name.split_once('.')?;
            self.names.get(first)
        })?;
        let port = port.map_or_else(String::new, |port| format!(":{port}"));
        Some(format!("host-{number}{port}"))
    }

    fn name(&mut self, name: &str) -> String {
        let next = self.names.len() + 1;
        if next > BUNDLE_NAMES_MAX && !self.names.contains_key(name) {
            return "host".to_owned();
        }
        let number = self.names.entry(name.to_owned()).or_insert(next);
        format!("host-{number}")
    }
}

/// Whether what a key stands for is nobody's business.
fn is_sensitive(key: &str) -> bool {
    let key = key.to_lowercase();
    let last = key.rsplit(['.', '_', '-']).next().unwrap_or_default();
    SENSITIVE.iter().any(|word| key.contains(word)) || last == "key" || last == "keys"
}

fn is_hex(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_hexdigit())
}

fn is_network(word: &str) -> bool {
    word.split_once('/').is_some_and(|(bare, prefix)| {
        bare.parse::<IpAddr>().is_ok() && prefix.parse::<u8>().is_ok()
    })
}

fn has_port(word: &str) -> bool {
    word.parse::<SocketAddr>().is_ok()
}

/// Keys, digests and passwords that a program made.
fn is_random(word: &str) -> bool {
    let digits = |text: &str| text.chars().any(|c| c.is_ascii_digit());
    let letters = |text: &str| text.chars().any(|c| c.is_ascii_alphabetic());
    let upper = |text: &str| text.chars().any(|c| c.is_ascii_uppercase());
    let lower = |text: &str| text.chars().any(|c| c.is_ascii_lowercase());
    let whole = word.len() >= 32 && digits(word) && upper(word) && lower(word);
    let part = |part: &str| part.len() >= 20 && digits(part) && letters(part);
    whole || word.split(['-', '_', '.', ':', '+', '/', '=']).any(part)
}

const REMOVED: &str = "[removed]";

/// As keys of services begin.
const SECRETS: [&str; 12] = [
    "sk-",
    "pk-",
    "skep-join-",
    "ghp_",
    "gho_",
    "github_pat_",
    "glpat-",
    "hf_",
    "xox",
    "eyJ",
    "AKIA",
    "RWR",
];

/// In names of settings and fields.
const SENSITIVE: [&str; 12] = [
    "secret",
    "token",
    "password",
    "passwd",
    "passphrase",
    "authorization",
    "cookie",
    "credential",
    "prompt",
    "content",
    "messages",
    "apikey",
];

/// Names that say nothing of whose machine it is.
const COMMON: [&str; 9] = [
    "localhost",
    "root",
    "skep",
    "user",
    "home",
    "node",
    "here",
    "debian",
    "ubuntu",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(text: &str) -> String {
        Redactor::new(["Attic".to_owned(), "sam".to_owned()]).text(text)
    }

    #[test]
    fn secrets_are_taken_out_wherever_they_stand() {
        let canaries = [
            ("sk-skep-Zz91canary", "a key `sk-skep-Zz91canary` was used"),
            ("Zz91canary", "Authorization: Bearer Zz91canary"),
            ("Zz91canary", "sent with bearer Zz91canary!"),
            ("Zz91canary", "api_key = \"Zz91canary\""),
            ("Zz91canary", "  \"password\": \"Zz91canary\","),
            ("Zz91canary", "# token = Zz91canary"),
            ("Zz91canary", "asked token=Zz91canary now"),
            (
                "Zz91canary",
                "https://sam:Zz91canary@models.example/a?k=Zz91canary",
            ),
            ("Zz91canary", "skep-join-Zz91canary"),
            ("Zz91canary", "prompt=Zz91canary"),
            (
                "MIIBZz91canary",
                "-----BEGIN PRIVATE KEY-----\nMIIBZz91canary\n-----END PRIVATE KEY-----",
            ),
            (
                "MIIBZz91canary",
                "-----BEGIN PRIVATE KEY-----\nMIIBZz91canary",
            ),
            (
                "qL8mZz91canaryXY0aV3nT7b",
                "it said qL8mZz91canaryXY0aV3nT7b.",
            ),
            (
                "models.example",
                "could not fetch https://models.example/x.gguf",
            ),
            ("sam", "/home/sam/.config/skep"),
            ("sam", "run by Sam"),
            ("attic", "asked attic.lan:7420"),
            ("attic", "is it attic? or [attic]"),
            ("10.1.2.3", "listening on 10.1.2.3:7420"),
            ("2001:db8::7", "from [2001:db8::7]:7420"),
            ("fe80::1", "fe80::1%eth0"),
            ("192.168.7.0", "route 192.168.7.0/24"),
            ("52:54:00:12:34:56", "link/ether 52:54:00:12:34:56"),
            ("me@example.org", "mail to me@example.org."),
        ];
        for (canary, line) in canaries {
            let told = redacted(line);
            assert!(
                !told.to_lowercase().contains(&canary.to_lowercase()),
                "{line} became {told}"
            );
        }
    }

    #[test]
    fn what_helps_stays() {
        for line in [
            "serving url=http://127.0.0.1:7420",
            "listening on [::1]:7420 and 0.0.0.0:7420",
            "agent/src/boot.rs:12 could not open /var/lib/skep/data/models: No such file",
            "NVIDIA RTX 4090, driver 550.54.14, 24564 MiB",
            "loaded llama-3.2-1b-instruct-q8_0 in 812 ms",
            "[http]",
            "listen = \"127.0.0.1:7420\"",
            "skep::router::placing chose `cpu`",
            "kernel 6.12.48+deb13-amd64",
            "12:30:05 warn",
        ] {
            assert_eq!(redacted(line), line);
        }
        let mut redactor = Redactor::default();
        let told = redactor.text("10.0.0.1 asked 10.0.0.2:7420, and 10.0.0.1/24 was asked");
        assert_eq!(told, "ip-1 asked ip-2:7420, and ip-1/24 was asked");
    }

    #[test]
    fn documents_lose_what_their_fields_say() {
        let mut value = serde_json::json!({
            "name": "attic", "tokens": 5, "secret": {"a": "b"},
            "messages": [{"role": "user"}], "at": ["10.0.0.9:1"], "max_tokens": 7,
        });
        Redactor::new(["attic".to_owned()]).document(&mut value);
        assert_eq!(
            value,
            serde_json::json!({
                "name": "host-1", "tokens": 5, "secret": "[removed]",
                "messages": "[removed]", "at": ["ip-1:1"], "max_tokens": 7,
            })
        );
    }

    #[test]
    fn anything_can_be_read() {
        for text in [
            "",
            "=",
            ":",
            "://",
            "[]",
            "a=",
            "=b",
            "é=ü",
            "...",
            "@",
            "http://",
            "[::1",
            "%",
            "/",
            "//",
            "-----BEGIN",
        ] {
            let _ = redacted(text);
        }
    }
}
