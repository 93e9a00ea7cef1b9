//! How things are spelled: paths, accounts, units, ranges of addresses.

use std::net::IpAddr;

use super::action::Owner;
use super::valid::Nonsense;
use crate::limits::{INSTALL_NAMES_MAX, INSTALL_TEXT_BYTES_MAX};

pub(super) fn rule(
    holds: bool,
    what: &'static str,
    found: &str,
    rule: &'static str,
) -> Result<(), Nonsense> {
    if holds {
        return Ok(());
    }
    Err(Nonsense::of(what, found, rule))
}

pub(super) fn at_most(what: &'static str, found: usize, most: usize) -> Result<(), Nonsense> {
    if found <= most {
        return Ok(());
    }
    Err(Nonsense::TooMuch { what, found, most })
}

pub(super) fn list(what: &'static str, names: &[String]) -> Result<(), Nonsense> {
    at_most(what, names.len(), INSTALL_NAMES_MAX)?;
    rule(!names.is_empty(), what, "", "are at least one")
}

pub(super) fn text(what: &'static str, text: &str) -> Result<(), Nonsense> {
    at_most(what, text.len(), INSTALL_TEXT_BYTES_MAX)
}

pub(super) fn file(path: &str, mode: u16, owner: &Owner) -> Result<(), Nonsense> {
    path_fits(path)?;
    // Neither setuid nor the like: what runs as somebody else is made by packages.
    rule(mode <= 0o777, "a mode", &format!("{mode:o}"), "is 0 to 777")?;
    owned(owner)
}

pub(super) fn owned(owner: &Owner) -> Result<(), Nonsense> {
    for name in [&owner.user, &owner.group] {
        if !name.is_empty() {
            account("an owner", name)?;
        }
    }
    Ok(())
}

pub(super) fn path_fits(path: &str) -> Result<(), Nonsense> {
    let parts = path.strip_prefix('/').map(|rest| rest.split('/'));
    let fits = path.len() < 4096
        && !path.chars().any(char::is_control)
        && parts.is_some_and(|mut parts| {
            parts.all(|part| (1..=240).contains(&part.len()) && part != "." && part != "..")
        });
    rule(
        fits,
        "a path",
        path,
        "is absolute, without `.`, `..` and empty parts",
    )
}

pub(super) fn account(what: &'static str, name: &str) -> Result<(), Nonsense> {
    let fits = (1..=32).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'));
    rule(
        fits,
        what,
        name,
        "has a-z, 0-9, `_` and `-`, and begins with a letter",
    )
}

pub(super) fn unit(name: &str) -> Result<(), Nonsense> {
    let kinds = [
        ".service", ".socket", ".timer", ".path", ".target", ".mount",
    ];
    let fits = is_word(name, ":_.@-") && kinds.iter().any(|kind| name.ends_with(kind));
    rule(
        fits,
        "a unit's name",
        name,
        "is one of systemd, such as `skep.service`",
    )
}

pub(super) fn range(from: &str) -> Result<(), Nonsense> {
    let fits = from.split_once('/').is_some_and(|(address, prefix)| {
        let bits = match address.parse::<IpAddr>() {
            Ok(IpAddr::V4(_)) => 32,
            Ok(IpAddr::V6(_)) => 128,
            Err(_) => return false,
        };
        let digits = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
        digits && prefix.parse::<u8>().is_ok_and(|prefix| prefix <= bits)
    });
    rule(fits, "where packets come from", from, "is ADDRESS/PREFIX")
}

/// One word that no program takes for a flag.
pub(super) fn is_word(text: &str, more: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || more.contains(c))
}

pub(super) fn is_plain(text: &str) -> bool {
    !text.chars().any(char::is_control)
}
