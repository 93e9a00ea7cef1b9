//! Packages of the distribution, by its own tool.
//!
//! Decides which tool and its arguments, and that undoing removes what came and nothing that was there before or that something
//! else needs: the tools that remove refuse where another package would break.

use std::time::{Duration, SystemTime};

use skep_core::install::Before;

use super::ActError;
use super::place::Place;
use super::program::{Program, inside};
use super::view::Found;
use crate::limits::{PACKAGES_FRESH, PACKAGES_LOCK_ATTEMPTS, PACKAGES_LOCK_WAIT, PACKAGES_TIMEOUT};

/// A distribution's tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tool {
    Apt,
    Dnf,
    Zypper,
    Pacman,
    Apk,
}

const TOOLS: [(Tool, &str); 5] = [
    (Tool::Apt, "/usr/bin/apt-get"),
    (Tool::Dnf, "/usr/bin/dnf"),
    (Tool::Zypper, "/usr/bin/zypper"),
    (Tool::Pacman, "/usr/bin/pacman"),
    (Tool::Apk, "/sbin/apk"),
];

impl Tool {
    fn of(place: &Place) -> Result<Self, ActError> {
        let found = TOOLS.iter().find(|(_, path)| place.root.exists(path));
        found
            .map(|(tool, _)| *tool)
            .ok_or_else(|| ActError::NoProgram("apt-get, dnf, zypper, pacman or apk".to_owned()))
    }

    /// Every installed package, a name in each line.
    fn installed(self, place: &Place) -> Result<Vec<String>, ActError> {
        let text = match self {
            Self::Apt => {
                let said = inside(place, "dpkg-query")?
                    .args(["--show", "--showformat=${db:Status-Abbrev} ${Package}\\n"])
                    .run()?;
                said.lines()
                    .filter_map(|line| line.strip_prefix("ii "))
                    .map(|name| name.trim().to_owned() + "\n")
                    .collect()
            }
            Self::Dnf | Self::Zypper => inside(place, "rpm")?
                .args(["-qa", "--qf", "%{NAME}\\n"])
                .run()?,
            Self::Pacman => inside(place, "pacman")?.arg("-Qq").run()?,
            Self::Apk => inside(place, "apk")?.arg("info").run()?,
        };
        let mut names: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
        names.retain(|name| !name.is_empty());
        names.sort();
        names.dedup();
        Ok(names)
    }

    fn install(self, place: &Place) -> Result<Program, ActError> {
        Ok(match self {
            Self::Apt => inside(place, "apt-get")?
                .args(["--yes", "--quiet", "--no-install-recommends"])
                .args([
                    "-o",
                    "DPkg::Lock::Timeout=120",
                    "-o",
                    "Dpkg::Options::=--force-confold",
                ])
                // Names are names, never patterns.
                .args(["-o", "APT::Cmd::Pattern-Only=true", "install"]),
            Self::Dnf => inside(place, "dnf")?.args(["--assumeyes", "--quiet", "install"]),
            Self::Zypper => {
                inside(place, "zypper")?.args(["--non-interactive", "install", "--no-recommends"])
            }
            Self::Pacman => inside(place, "pacman")?.args(["-S", "--noconfirm", "--needed"]),
            Self::Apk => inside(place, "apk")?.args(["add", "--quiet"]),
        })
    }

    /// Removes packages, and fails where another needs one of them.
    fn remove(self, place: &Place) -> Result<Program, ActError> {
        Ok(match self {
            Self::Apt => inside(place, "dpkg")?.arg("--purge"),
            Self::Dnf | Self::Zypper => inside(place, "rpm")?.arg("-e"),
            Self::Pacman => inside(place, "pacman")?.args(["-R", "--noconfirm"]),
            Self::Apk => inside(place, "apk")?.args(["del", "--quiet"]),
        })
    }
}

fn missing(place: &Place, names: &[String]) -> Result<(Vec<String>, Vec<String>), ActError> {
    let installed = Tool::of(place)?.installed(place)?;
    let bare = |name: &str| name.split(':').next().unwrap_or_default().to_owned();
    let missing = names
        .iter()
        .filter(|name| installed.binary_search(&bare(name)).is_err());
    Ok((missing.cloned().collect(), installed))
}

pub(super) fn look(place: &Place, names: &[String]) -> Result<Found, ActError> {
    let (missing, _) = missing(place, names)?;
    Ok(if missing.is_empty() {
        Found::Already
    } else {
        Found::Needed
    })
}

pub(super) fn before(place: &Place, names: &[String]) -> Result<Before, ActError> {
    let (missing, installed) = missing(place, names)?;
    let list = installed.join("\n");
    let installed = place
        .kept
        .keep(&mut list.as_bytes())
        .map_err(ActError::io("keep", "the list of packages"))?;
    Ok(Before::Packages { missing, installed })
}

/// Installs them, and says what came: these and what they need.
pub(super) fn install(
    place: &Place,
    names: &[String],
    before: &Before,
) -> Result<Vec<String>, ActError> {
    let tool = Tool::of(place)?;
    let (lacking, _) = missing(place, names)?;
    if !lacking.is_empty() {
        if tool == Tool::Apt {
            // What a crash left half configured; mostly nothing.
            alone(|| {
                inside(place, "dpkg")?
                    .args(["--configure", "-a"])
                    .within(PACKAGES_TIMEOUT)
                    .run()
            })?;
        }
        tool.install(place)?
            .args(&lacking)
            .within(PACKAGES_TIMEOUT)
            .run()?;
    }
    let (lacking, now) = missing(place, names)?;
    if let Some(name) = lacking.first() {
        return Err(ActError::Missing {
            what: "package",
            name: name.clone(),
        });
    }
    let then = list_before(place, before)?;
    Ok(now
        .into_iter()
        .filter(|name| !then.contains(name))
        .collect())
}

/// Waits for whoever has the lock: perhaps what an agent started that was killed. `dpkg` itself does not wait.
fn alone(run: impl Fn() -> Result<String, ActError>) -> Result<String, ActError> {
    for _ in 1..PACKAGES_LOCK_ATTEMPTS {
        match run() {
            Err(ActError::Program { said, .. }) if said.contains("lock") => {}
            other => return other,
        }
        crate::act::program::pause(PACKAGES_LOCK_WAIT);
    }
    run()
}

fn list_before(place: &Place, before: &Before) -> Result<Vec<String>, ActError> {
    let Before::Packages { installed, .. } = before else {
        return Err(ActError::Agent(
            "what was installed before is not known".to_owned(),
        ));
    };
    let list = place
        .kept
        .read(installed)
        .map_err(ActError::io("read", "the list of packages"))?;
    let list = String::from_utf8_lossy(&list);
    Ok(list.lines().map(str::to_owned).collect())
}

/// Removes what came. After a crash nobody said what that was: then it is what the action names and was missing.
pub(super) fn remove(
    place: &Place,
    before: &Before,
    came: &[String],
) -> Result<Option<String>, ActError> {
    let Before::Packages { missing, .. } = before else {
        return Ok(None);
    };
    let came = if came.is_empty() { missing } else { came };
    let tool = Tool::of(place)?;
    let installed = tool.installed(place)?;
    let there: Vec<&String> = came
        .iter()
        .filter(|name| installed.binary_search(name).is_ok())
        .collect();
    if there.is_empty() {
        return Ok(None);
    }
    let removed = alone(|| {
        tool.remove(place)?
            .args(there.iter().copied())
            .within(PACKAGES_TIMEOUT)
            .run()
    });
    match removed {
        Ok(_) => Ok(None),
        // Something that came later needs them.
        Err(ActError::Program { said, .. })
            if said.contains("depend") || said.contains("needed by") =>
        {
            Ok(Some(format!(
                "other packages need what was installed: {said}"
            )))
        }
        Err(error) => Err(error),
    }
}

/// Whether the lists are young enough.
pub(super) fn look_lists(place: &Place) -> Result<Found, ActError> {
    let lists = match Tool::of(place)? {
        Tool::Apt => "var/lib/apt/lists",
        Tool::Dnf => "var/cache/libdnf5",
        Tool::Zypper => "var/cache/zypp/solv",
        Tool::Pacman => "var/lib/pacman/sync",
        Tool::Apk => "var/cache/apk",
    };
    let changed =
        std::fs::metadata(place.root.path().join(lists)).and_then(|about| about.modified());
    let young = changed.is_ok_and(|changed| {
        SystemTime::now()
            .duration_since(changed)
            .unwrap_or(Duration::ZERO)
            < PACKAGES_FRESH
    });
    Ok(if young { Found::Already } else { Found::Needed })
}

pub(super) fn refresh(place: &Place) -> Result<(), ActError> {
    let program = match Tool::of(place)? {
        Tool::Apt => {
            inside(place, "apt-get")?.args(["--quiet", "-o", "DPkg::Lock::Timeout=120", "update"])
        }
        Tool::Dnf => inside(place, "dnf")?.args(["--quiet", "makecache"]),
        Tool::Zypper => inside(place, "zypper")?.args(["--non-interactive", "refresh"]),
        // Only the lists would leave half of an upgrade; the tool's own advice is not to.
        Tool::Pacman => return Ok(()),
        Tool::Apk => inside(place, "apk")?.args(["update", "--quiet"]),
    };
    program.within(PACKAGES_TIMEOUT).run()?;
    Ok(())
}
