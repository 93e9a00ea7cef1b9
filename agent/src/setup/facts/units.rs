//! Units of systemd: the machine's, or of the user who runs the agent.

use super::Places;
use super::programs::Programs;
use crate::host::installer::UnitFacts;

pub(super) fn look(places: &Places, programs: &Programs<'_>, wanted: &[String]) -> Vec<UnitFacts> {
    let is_name = |name: &&String| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b":_.@-".contains(&byte);
        !name.starts_with('-') && name.bytes().all(fits)
    };
    let wanted: Vec<&str> = wanted.iter().filter(is_name).map(String::as_str).collect();
    if wanted.is_empty() {
        return Vec::new();
    }
    if !places.here {
        return wanted
            .into_iter()
            .filter_map(|name| lying(places, name))
            .collect();
    }
    let mut units = asked(programs, &[], &wanted);
    let missing: Vec<&str> = wanted
        .into_iter()
        .filter(|name| !units.iter().any(|unit| unit.name == *name))
        .collect();
    if !missing.is_empty() {
        units.extend(asked(programs, &["--user"], &missing));
    }
    units
}

/// Paragraphs of `Property=value`, one for each that was asked for.
fn asked(programs: &Programs<'_>, scope: &[&str], wanted: &[&str]) -> Vec<UnitFacts> {
    let properties = [
        "show",
        "--property=Id,LoadState,UnitFileState,ActiveState",
        "--",
    ];
    let arguments: Vec<&str> = scope
        .iter()
        .chain(&properties)
        .chain(wanted)
        .copied()
        .collect();
    let said = programs.ask("systemctl", &arguments).unwrap_or_default();
    let units = said.split("\n\n").zip(wanted).filter_map(|(said, name)| {
        let property = |name: &str| {
            let mut lines = said.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
        };
        if property("LoadState")? == "not-found" {
            return None;
        }
        let state = property("UnitFileState").unwrap_or_default();
        Some(UnitFacts {
            // An alias has another identity; whoever asked knows it by this name.
            name: (*name).to_owned(),
            enabled: matches!(state, "enabled" | "enabled-runtime" | "static" | "linked"),
            active: property("ActiveState") == Some("active"),
        })
    });
    units.collect()
}

/// On a machine that is only a folder: whether there is such a file, and a link that starts it.
fn lying(places: &Places, name: &str) -> Option<UnitFacts> {
    let folders = [
        "/etc/systemd/system",
        "/usr/lib/systemd/system",
        "/lib/systemd/system",
    ];
    let is_there = |folder: &&str| places.has(&format!("{folder}/{name}"));
    folders.iter().find(|folder| is_there(folder))?;
    let wants = places.names("/etc/systemd/system").into_iter();
    let mut wants = wants.filter(|folder| folder.ends_with(".wants"));
    let link = |folder: String| places.at(&format!("/etc/systemd/system/{folder}/{name}"));
    Some(UnitFacts {
        name: name.to_owned(),
        enabled: wants.any(|folder| link(folder).symlink_metadata().is_ok()),
        active: false,
    })
}
