//! How a machine stands: every file that is not as in its root, its packages, its rules, its units.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::machine::Machine;

/// What is not as it was delivered, and how it is.
pub(super) type State = BTreeMap<String, String>;

/// What is left out, as the beginning of its path, and why.
const LEFT_OUT: [(&str, &str); 24] = [
    ("trial", "the trial's own"),
    (
        "agent",
        "the agent's own folder; what is set in it is compared apart",
    ),
    ("var/log", "programs say there what they do"),
    ("var/cache/apt", "what apt downloads and indexes"),
    (
        "var/lib/apt",
        "apt's lists, and which packages came by themselves",
    ),
    (
        "var/cache/debconf",
        "debconf remembers questions of packages that are gone",
    ),
    ("var/lib/dpkg/lock", "dpkg's locks"),
    ("var/lib/dpkg/triggers", "dpkg's locks"),
    ("var/lib/dpkg/updates", "dpkg's own journal"),
    ("var/lib/dpkg/available", "dpkg's copies of its own files"),
    ("var/lib/dpkg/status-old", "dpkg's copies of its own files"),
    (
        "var/lib/dpkg/diversions-old",
        "dpkg's copies of its own files",
    ),
    (
        "var/lib/dpkg/statoverride-old",
        "dpkg's copies of its own files",
    ),
    ("var/cache/ldconfig", "the linker's own cache"),
    ("var/lib/systemd/random-seed", "new at each start"),
    ("var/lib/systemd/timers", "when timers fired"),
    ("var/lib/systemd/deb-systemd", "Debian's notes of units"),
    ("var/lib/logrotate", "when logs were rotated"),
    (
        "etc/firewalld/zones/public.xml.old",
        "firewalld's copy of what its file was before",
    ),
    (
        "var/tmp/systemd-private",
        "systemd makes them for units that run just now",
    ),
    (
        "var/lib/private",
        "systemd makes it for units with a user of their own",
    ),
    (
        "var/lib/skep",
        "systemd makes it for the service; `skep uninstall --purge` removes it",
    ),
    (
        "var/cache/skep",
        "systemd makes it for the service; `skep uninstall --purge` removes it",
    ),
    ("etc/.pwd.lock", "the lock of useradd and its kin"),
];

/// Files that programs for accounts copy before each change.
const COPIES: [&str; 6] = [
    "passwd-", "group-", "shadow-", "gshadow-", "subuid-", "subgid-",
];

/// How a machine stands now. Of files below `varies` only that they are there counts: keys and certificates are made anew each time.
pub(super) fn of(machine: &Machine, varies: &[&str]) -> State {
    let mut state = State::new();
    let places = Places {
        root: machine.root(),
        upper: &machine.upper(),
        whole: &machine.whole(),
        varies,
    };
    places.compare(Path::new(""), &mut state);
    for path in ["config.toml", "state/secrets", "state/services.json"] {
        own(&machine.home(), path, &mut state);
    }
    let mut said = |what: &str, script: &str| {
        let (_, text) = machine.try_shell(script);
        for (number, line) in text.lines().enumerate() {
            state.insert(format!("{what} {number:05}"), line.to_owned());
        }
    };
    said(
        "package",
        "dpkg-query --show --showformat='${db:Status-Abbrev} ${Package} ${Version}\\n'",
    );
    said(
        "rule",
        "nft --stateless list ruleset | sed 's/counter packets [0-9]* bytes [0-9]*/counter/'",
    );
    said("ufw", "ufw show added");
    said(
        "firewalld",
        "firewall-cmd --list-all; firewall-cmd --permanent --list-all",
    );
    said(
        "unit",
        "systemctl list-unit-files --no-legend --no-pager --plain",
    );
    said(
        "active",
        "systemctl is-active skep.service nftables ufw firewalld ssh",
    );
    state
}

/// Files of the agent's folder, private as they are.
fn own(home: &Path, name: &str, state: &mut State) {
    let path = home.join(name);
    if path.is_dir() {
        for entry in fs::read_dir(&path).unwrap().flatten() {
            own(
                home,
                &format!("{name}/{}", entry.file_name().to_string_lossy()),
                state,
            );
        }
    } else if let Ok(about) = path.symlink_metadata() {
        let content = fs::read(&path).unwrap();
        let mut value: serde_json::Value = serde_json::from_slice(&content).unwrap_or_default();
        let services = value
            .get_mut("services")
            .and_then(|list| list.as_array_mut());
        let sum = match services {
            // The agent's list of services may be there and empty.
            Some(services) if services.is_empty() => return,
            Some(services) => {
                for service in &mut *services {
                    // When it was added is another time each time.
                    service["added_unix_s"] = serde_json::Value::Null;
                }
                digest(value.to_string().as_bytes())
            }
            None => digest(&content),
        };
        state.insert(
            format!("agent: {name}"),
            format!("{:o} {sum}", about.mode()),
        );
    }
}

struct Places<'a> {
    root: &'a Path,
    upper: &'a Path,
    whole: &'a Path,
    varies: &'a [&'a str],
}

impl Places<'_> {
    /// What an overlay has above its root is all that can differ.
    fn compare(&self, below: &Path, state: &mut State) {
        let mut names: Vec<_> = fs::read_dir(self.upper.join(below))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        // A folder that was removed and made again hides what is below it.
        if let Ok(there) = fs::read_dir(self.root.join(below)) {
            let gone = there.map(|entry| entry.unwrap().file_name());
            let whole = self.whole.join(below);
            names.extend(gone.filter(|name| whole.join(name).symlink_metadata().is_err()));
        }
        names.sort();
        names.dedup();
        for name in names {
            let path = below.join(name);
            let shown = path.to_str().unwrap().to_owned();
            let copy = COPIES.iter().any(|copy| shown == format!("etc/{copy}"));
            if copy
                || LEFT_OUT
                    .iter()
                    .any(|(beginning, _)| shown.starts_with(beginning))
            {
                continue;
            }
            let (was, is) = (self.entry(self.root, &path), self.entry(self.whole, &path));
            if was != is {
                state.insert(format!("/{shown}"), is);
            }
            let upper = self.upper.join(&path);
            if upper.symlink_metadata().is_ok_and(|about| about.is_dir()) {
                self.compare(&path, state);
            }
        }
    }

    fn entry(&self, above: &Path, path: &Path) -> String {
        let at = above.join(path);
        let Ok(about) = at.symlink_metadata() else {
            return "nothing".to_owned();
        };
        let kind = about.file_type();
        let content = if kind.is_symlink() {
            format!("link to {}", at.read_link().unwrap().display())
        } else if kind.is_file() {
            let name = format!("/{}", path.display());
            if self.varies.iter().any(|varies| name.starts_with(varies)) {
                "file".to_owned()
            } else {
                format!("file {}", digest(&fs::read(&at).unwrap()))
            }
        } else if kind.is_dir() {
            "folder".to_owned()
        } else if kind.is_char_device() {
            "device".to_owned()
        } else {
            format!("something else in {}", at.as_os_str().as_bytes().len())
        };
        format!(
            "{content}, mode {:o}, owner {}:{}",
            about.mode() & 0o7777,
            about.uid(),
            about.gid()
        )
    }
}

fn digest(bytes: &[u8]) -> String {
    let sum = Sha256::digest(bytes);
    sum.iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Where two differ, in words, cut.
pub(super) fn differences(expected: &State, found: &State) -> Vec<String> {
    let none = "nothing".to_owned();
    let keys: std::collections::BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
    let differ = keys.into_iter().filter_map(|key| {
        let (one, two) = (
            expected.get(key).unwrap_or(&none),
            found.get(key).unwrap_or(&none),
        );
        (one != two).then(|| format!("{key}: `{one}` was expected, `{two}` is"))
    });
    differ.take(12).collect()
}
