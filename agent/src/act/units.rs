//! Units of systemd: by `systemctl` where systemd is in charge, else by the links that it would make.

use skep_core::install::{Before, Scope};

use super::ActError;
use super::place::Place;
use super::program::{Program, find, need};
use super::root::Rights;
use super::view::Found;
use super::wanted::{Wanted, What, scope_word};
use crate::limits::{UNIT_FILE_BYTES_MAX, UNIT_TIMEOUT};

/// Where units of the machine are; the first is where links go.
const SYSTEM: [&str; 4] = [
    "/etc/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// Whether the systemd of this scope can be asked.
pub(super) fn is_live(place: &Place, scope: Scope) -> bool {
    if find("systemctl").is_none() {
        return false;
    }
    match scope {
        Scope::System => place.has_systemd(),
        Scope::User => {
            place.is_live()
                && place
                    .root
                    .exists(&format!("/run/user/{}/systemd/private", place.uid))
        }
    }
}

fn systemctl(place: &Place, scope: Scope) -> Result<Program, ActError> {
    let program = need("systemctl")?
        .within(UNIT_TIMEOUT)
        .arg("--no-ask-password");
    Ok(match scope {
        Scope::System => program,
        Scope::User => program
            .arg("--user")
            .variable("XDG_RUNTIME_DIR", format!("/run/user/{}", place.uid)),
    })
}

fn is_enabled(place: &Place, name: &str, scope: Scope) -> Result<bool, ActError> {
    systemctl(place, scope)?
        .args(["--quiet", "is-enabled", name])
        .holds()
}

fn is_active(place: &Place, name: &str, scope: Scope) -> Result<bool, ActError> {
    systemctl(place, scope)?
        .args(["--quiet", "is-active", name])
        .holds()
}

pub(super) fn look(
    place: &Place,
    name: &str,
    scope: Scope,
    start: bool,
) -> Result<Found, ActError> {
    let so = is_enabled(place, name, scope)? && (!start || is_active(place, name, scope)?);
    Ok(if so { Found::Already } else { Found::Needed })
}

pub(super) fn before(place: &Place, name: &str, scope: Scope) -> Result<Before, ActError> {
    Ok(Before::Unit {
        enabled: is_enabled(place, name, scope)?,
        active: is_active(place, name, scope)?,
    })
}

pub(super) fn enable(place: &Place, name: &str, scope: Scope, start: bool) -> Result<(), ActError> {
    // A plan for a user has no other way to have a changed unit read.
    systemctl(place, scope)?.arg("daemon-reload").run()?;
    systemctl(place, scope)?.args(["enable", name]).run()?;
    if start {
        systemctl(place, scope)?.args(["start", name]).run()?;
    }
    if look(place, name, scope, start)? == Found::Already {
        return Ok(());
    }
    let whose = scope_word(scope);
    Err(ActError::Conflict(format!(
        "`{name}` of {whose} was started and does not run; `journalctl -u {name}` says why"
    )))
}

pub(super) fn disable(
    place: &Place,
    name: &str,
    scope: Scope,
    before: &Before,
) -> Result<(), ActError> {
    let Before::Unit { enabled, active } = *before else {
        return Ok(());
    };
    if !active && is_active(place, name, scope)? {
        systemctl(place, scope)?.args(["stop", name]).run()?;
    }
    if !enabled && is_enabled(place, name, scope)? {
        systemctl(place, scope)?.args(["disable", name]).run()?;
    }
    Ok(())
}

pub(super) fn reload(place: &Place) -> Result<(), ActError> {
    if is_live(place, Scope::System) {
        systemctl(place, Scope::System)?
            .arg("daemon-reload")
            .run()?;
    }
    if !place.is_root() && is_live(place, Scope::User) {
        systemctl(place, Scope::User)?.arg("daemon-reload").run()?;
    }
    Ok(())
}

/// What runs is restarted; what does not is not started by the way.
pub(super) fn restart(place: &Place, name: &str) -> Result<(), ActError> {
    if is_live(place, Scope::System) {
        systemctl(place, Scope::System)?
            .args(["try-restart", name])
            .run()?;
    }
    Ok(())
}

/// What undoing a restart needs to know.
pub(super) fn before_restart(place: &Place, name: &str) -> Result<Before, ActError> {
    let on = is_live(place, Scope::System) && is_active(place, name, Scope::System)?;
    Ok(Before::Flag { on })
}

/// Restarts a unit once more if it is still there and runs.
pub(super) fn restart_again(place: &Place, name: &str) -> Result<(), ActError> {
    if is_live(place, Scope::System) && is_active(place, name, Scope::System)? {
        systemctl(place, Scope::System)?
            .args(["try-restart", name])
            .run()?;
    }
    Ok(())
}

/// The links that enabling makes, by the `[Install]` section of the unit.
pub(super) fn wanted_links(
    place: &Place,
    name: &str,
    scope: Scope,
) -> Result<Vec<Wanted>, ActError> {
    let home = place.home.clone().unwrap_or_default();
    let own = format!("{home}/.config/systemd/user");
    let (links, folders): (&str, Vec<&str>) = match scope {
        Scope::System => (SYSTEM[0], SYSTEM.to_vec()),
        Scope::User if home.is_empty() => {
            return Err(ActError::Conflict(
                "it is not known whose home this is".to_owned(),
            ));
        }
        Scope::User => (
            &own,
            vec![&own, "/etc/systemd/user", "/usr/lib/systemd/user"],
        ),
    };
    // An instance is made from the file of its template.
    let template = name.split_once('@').and_then(|(stem, rest)| {
        let kind = rest.rsplit_once('.')?.1;
        Some(format!("{stem}@.{kind}"))
    });
    let mut found = None;
    for folder in &folders {
        for file in [Some(name), template.as_deref()].into_iter().flatten() {
            let path = format!("{folder}/{file}");
            // A folder that is reached through a link (`/lib`) is found under its own name, too.
            let text = match place.root.read(&path, UNIT_FILE_BYTES_MAX) {
                Ok(text) => text,
                Err(ActError::Link { .. }) => None,
                Err(error) => return Err(error),
            };
            found = found.or_else(|| text.map(|text| (path, text)));
        }
    }
    let (path, text) = found.ok_or_else(|| ActError::Missing {
        what: "unit",
        name: name.to_owned(),
    })?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let rights = Rights {
        mode: 0o755,
        uid: place.uid,
        gid: place.gid,
    };
    let mut all = Vec::new();
    for (key, ending) in [
        ("WantedBy", "wants"),
        ("RequiredBy", "requires"),
        ("UpheldBy", "upholds"),
    ] {
        for target in install_values(&text, key) {
            let folder = format!("{links}/{target}.{ending}");
            all.push(Wanted::folder_at_least(place, &folder, || Ok(rights))?);
            all.push(Wanted {
                path: format!("{folder}/{name}"),
                what: What::Link { to: path.clone() },
            });
        }
    }
    for alias in install_values(&text, "Alias") {
        all.push(Wanted {
            path: format!("{links}/{alias}"),
            what: What::Link { to: path.clone() },
        });
    }
    if all.is_empty() {
        return Err(ActError::Conflict(format!(
            "`{path}` says nothing of when it starts (no `[Install]`)"
        )));
    }
    Ok(all)
}

/// Names in the `[Install]` section of a unit. What is no unit's name is left out: it would be a path.
fn install_values(text: &str, key: &str) -> Vec<String> {
    let mut inside = false;
    let mut names: Vec<String> = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == "[Install]";
        }
        let value = line
            .split_once('=')
            .filter(|(name, _)| inside && name.trim() == key);
        let Some((_, value)) = value else {
            continue;
        };
        if value.trim().is_empty() {
            names.clear();
        }
        let fits = |name: &&str| {
            !name.starts_with('.')
                && name
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || ":_.@-".contains(c))
        };
        names.extend(value.split_whitespace().filter(fits).map(str::to_owned));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn install_sections() {
        let text = "[Unit]\nWantedBy=no.target\n[Install]\nWantedBy=multi-user.target a.target\n WantedBy = ../../x b.target\nAlias=c.service\n";
        assert_eq!(
            install_values(text, "WantedBy"),
            ["multi-user.target", "a.target", "b.target"]
        );
        assert_eq!(install_values(text, "Alias"), ["c.service"]);
        assert!(install_values("[Install]\nWantedBy=a.target\nWantedBy=\n", "WantedBy").is_empty());
    }
}
