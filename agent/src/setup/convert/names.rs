//! Which names a plan may carry. None begins with `-`: programs take that for an option.

use std::net::IpAddr;

use skep_core::capability::SecretName;

use super::{Wrong, shown, within};
use crate::plugins::manifest::check_name;

/// A user or group, as `useradd` takes it.
pub(super) fn account(text: String) -> Result<String, Wrong> {
    let first = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    let rest = |byte: u8| first(byte) || byte.is_ascii_digit() || byte == b'-';
    spelled("name of a user or group", text, 32, first, rest)
}

/// What is said of a user or key: one line, without what separates fields.
pub(super) fn comment(text: String) -> Result<String, Wrong> {
    within("a comment", text.len(), 160)?;
    if text.chars().any(|c| c.is_control() || c == ':') {
        let text = shown(&text);
        let what = "comment: it has control characters or `:`";
        return Err(Wrong::Name { what, text });
    }
    Ok(text)
}

/// What begins a comment in a file: `#`, `;`, `//`.
pub(super) fn comment_sign(text: String) -> Result<String, Wrong> {
    let is_sign = |byte: u8| byte.is_ascii_punctuation();
    spelled("sign that begins a comment", text, 4, is_sign, is_sign)
}

pub(super) fn package(text: String) -> Result<String, Wrong> {
    let first = |byte: u8| byte.is_ascii_alphanumeric();
    let rest = |byte: u8| first(byte) || b"+._-".contains(&byte);
    spelled("name of a package", text, 128, first, rest)
}

/// A unit of systemd, with its kind.
pub(super) fn unit(text: String) -> Result<String, Wrong> {
    let kinds = [
        ".service", ".timer", ".socket", ".path", ".target", ".mount",
    ];
    let kind = kinds.iter().find(|kind| text.ends_with(**kind));
    if kind.is_none_or(|kind| kind.len() == text.len()) {
        let text = shown(&text);
        let what = "name of a unit, as `skep.service`";
        return Err(Wrong::Name { what, text });
    }
    let first = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let rest = |byte: u8| first(byte) || b":.@-".contains(&byte);
    spelled("name of a unit", text, 128, first, rest)
}

/// A module of the kernel.
pub(super) fn module(text: String) -> Result<String, Wrong> {
    let first = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let rest = |byte: u8| first(byte) || byte == b'-';
    spelled("name of a module", text, 64, first, rest)
}

/// A card, as NVIDIA's tools name it.
pub(super) fn card(text: String) -> Result<String, Wrong> {
    let first = |byte: u8| byte.is_ascii_alphanumeric();
    let rest = |byte: u8| first(byte) || b":.-".contains(&byte);
    spelled("name of a card", text, 64, first, rest)
}

/// A project of containers.
pub(super) fn project(text: String) -> Result<String, Wrong> {
    let first = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let rest = |byte: u8| first(byte) || byte == b'_' || byte == b'-';
    spelled("name of a project", text, 63, first, rest)
}

/// A question's id, or the name of a block in a file.
pub(super) fn question(text: String) -> Result<String, Wrong> {
    let first = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let rest = |byte: u8| first(byte) || byte == b'-';
    spelled("id", text, 64, first, rest)
}

/// A plugin, a service, or a setting of one.
pub(super) fn plugin(text: String) -> Result<String, Wrong> {
    if check_name("name", &text).is_err() {
        let text = shown(&text);
        let what = "name of a plugin or service";
        return Err(Wrong::Name { what, text });
    }
    Ok(text)
}

pub(super) fn secret(text: String) -> Result<String, Wrong> {
    if text.parse::<SecretName>().is_err() {
        let text = shown(&text);
        let what = "name of a secret";
        return Err(Wrong::Name { what, text });
    }
    Ok(text)
}

/// A name or an address that a certificate is for.
pub(super) fn host(text: String) -> Result<String, Wrong> {
    let part = |part: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let edges = !part.starts_with('-') && !part.ends_with('-');
        (1..=63).contains(&part.len()) && edges && part.bytes().all(fits)
    };
    let is_name = text.len() <= 253 && text.split('.').all(part);
    if !is_name && text.parse::<IpAddr>().is_err() {
        let text = shown(&text);
        let what = "host name or address";
        return Err(Wrong::Name { what, text });
    }
    Ok(text)
}

/// `ADDRESS/PREFIX`.
pub(super) fn network(text: String) -> Result<String, Wrong> {
    let is_network = || {
        let (address, prefix) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let digits = prefix.len() <= 3 && prefix.bytes().all(|byte| byte.is_ascii_digit());
        (digits && prefix.parse::<u8>().ok()? <= most).then_some(())
    };
    match is_network() {
        Some(()) => Ok(text),
        None => Err(Wrong::Network(shown(&text))),
    }
}

/// Where something is downloaded from. Its digest says what it is; the address is shown to people, so it has to be readable.
pub(super) fn url(text: String) -> Result<String, Wrong> {
    let is_url = || {
        let rest = text.strip_prefix("https://")?;
        let host = rest.split(['/', '?', '#']).next()?;
        let plain = |c: char| c.is_ascii_graphic() && !"\"'`<>\\^{|}".contains(c);
        // A user before the host could be taken for it.
        let fits = text.len() <= 2_048 && text.chars().all(plain) && !host.contains('@');
        (fits && !host.is_empty() && text.parse::<ureq::http::Uri>().is_ok()).then_some(())
    };
    match is_url() {
        Some(()) => Ok(text),
        None => Err(Wrong::Url(shown(&text))),
    }
}

pub(super) fn digest(text: String) -> Result<String, Wrong> {
    let fits = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() != 64 || !text.bytes().all(fits) {
        return Err(Wrong::Digest(shown(&text)));
    }
    Ok(text)
}

fn spelled(
    what: &'static str,
    text: String,
    bytes_max: usize,
    first: impl Fn(u8) -> bool,
    rest: impl Fn(u8) -> bool,
) -> Result<String, Wrong> {
    let mut bytes = text.bytes();
    let fits = bytes.next().is_some_and(first) && bytes.all(rest) && text.len() <= bytes_max;
    match fits {
        true => Ok(text),
        false => Err(Wrong::Name {
            what,
            text: shown(&text),
        }),
    }
}
