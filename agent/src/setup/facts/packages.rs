//! Packages of the distribution: which version is installed, and which could be.
//!
//! Decides where each manager keeps that. Nothing is fetched: what could be installed is what the machine was last told of.

use super::Places;
use super::programs::Programs;
use crate::host::installer::PackageFacts;
use crate::limits::FACTS_SYSTEM_FILE_BYTES;

pub(super) fn look(
    places: &Places,
    programs: &Programs<'_>,
    manager: &str,
    wanted: &[String],
) -> Vec<PackageFacts> {
    let wanted: Vec<&str> = wanted
        .iter()
        .map(String::as_str)
        .filter(|name| is_name(name))
        .collect();
    if wanted.is_empty() {
        return Vec::new();
    }
    let (installed, available) = match manager {
        "apt" => (dpkg(places, &wanted), apt(programs, &wanted)),
        "dnf" | "zypper" => (rpm(programs, &wanted), Vec::new()),
        "pacman" => (pacman(places, &wanted), sync(programs, &wanted)),
        "apk" => (apk(places, &wanted), Vec::new()),
        _ => return Vec::new(),
    };
    let of = |list: &[(String, String)], name: &str| {
        let found = list.iter().find(|(known, _)| known == name);
        found.map(|(_, version)| version.clone())
    };
    let packages = wanted.into_iter().filter_map(|name| {
        let installed = of(&installed, name);
        let available = of(&available, name);
        (installed.is_some() || available.is_some()).then(|| PackageFacts {
            name: name.to_owned(),
            installed,
            available,
        })
    });
    packages.collect()
}

type Versions = Vec<(String, String)>;

/// Nothing that a program could take for an option or a pattern.
fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"+._-".contains(&byte);
    let first = name.bytes().next();
    first.is_some_and(|first| first.is_ascii_alphanumeric()) && name.bytes().all(fits)
}

/// Paragraphs of `Field: value` (deb-control(5)).
fn dpkg(places: &Places, wanted: &[&str]) -> Versions {
    let text = places.text("/var/lib/dpkg/status", FACTS_SYSTEM_FILE_BYTES);
    let mut found = Versions::new();
    for paragraph in text.split("\n\n") {
        let field = |name: &str| {
            let mut lines = paragraph.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        };
        let Some(name) = field("Package").filter(|name| wanted.contains(name)) else {
            continue;
        };
        let is_there = field("Status").is_some_and(|status| status.ends_with(" installed"));
        if let Some(version) = field("Version").filter(|_| is_there) {
            found.push((name.to_owned(), version.to_owned()));
        }
    }
    found
}

/// The lines `NAME:` and `  Candidate: VERSION`.
fn apt(programs: &Programs<'_>, wanted: &[&str]) -> Versions {
    let arguments: Vec<&str> = ["policy", "--"].iter().chain(wanted).copied().collect();
    let said = programs.ask("apt-cache", &arguments).unwrap_or_default();
    let mut found = Versions::new();
    let mut name = "";
    for line in said.lines() {
        if let Some(begun) = line.strip_suffix(':').filter(|line| !line.starts_with(' ')) {
            name = begun;
        } else if let Some(version) = line.trim().strip_prefix("Candidate: ")
            && version != "(none)"
        {
            found.push((name.to_owned(), version.to_owned()));
        }
    }
    found
}

fn rpm(programs: &Programs<'_>, wanted: &[&str]) -> Versions {
    // One that is not there makes it end badly, so each is asked for.
    let ask = |name: &&str| {
        let version = programs.ask(
            "rpm",
            &["-q", "--queryformat", "%{VERSION}-%{RELEASE}", "--", name],
        )?;
        Some(((*name).to_owned(), version))
    };
    wanted.iter().filter_map(ask).collect()
}

/// A folder for each, `NAME-VERSION-RELEASE`.
fn pacman(places: &Places, wanted: &[&str]) -> Versions {
    let folders = places.names("/var/lib/pacman/local").into_iter();
    let found = folders.filter_map(|folder| {
        let (rest, release) = folder.rsplit_once('-')?;
        let (name, version) = rest.rsplit_once('-')?;
        wanted
            .contains(&name)
            .then(|| (name.to_owned(), format!("{version}-{release}")))
    });
    found.collect()
}

/// The lines `REPOSITORY NAME VERSION [installed]`.
fn sync(programs: &Programs<'_>, wanted: &[&str]) -> Versions {
    let ask = |name: &&str| {
        let said = programs.ask(
            "pacman",
            &[
                "-Sp",
                "--print-format",
                "%n %v",
                "--nodeps",
                "--nodeps",
                name,
            ],
        )?;
        let line = said.lines().next()?;
        let (_, version) = line.split_once(' ')?;
        Some(((*name).to_owned(), version.to_owned()))
    };
    wanted.iter().filter_map(ask).collect()
}

/// Paragraphs with `P:` and `V:`.
fn apk(places: &Places, wanted: &[&str]) -> Versions {
    let text = places.text("/lib/apk/db/installed", FACTS_SYSTEM_FILE_BYTES);
    let paragraphs = text.split("\n\n").filter_map(|paragraph| {
        let field = |name: &str| paragraph.lines().find_map(|line| line.strip_prefix(name));
        let name = field("P:").filter(|name| wanted.contains(name))?;
        Some((name.to_owned(), field("V:")?.to_owned()))
    });
    paragraphs.collect()
}
