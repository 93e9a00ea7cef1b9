//! Where the agent keeps things: one folder each for configuration, data, state, cache and sockets.
//!
//! Decides the folders and their modes; refuses to know what the files in them mean. Three layouts:
//! one folder for everything (`--home`, `SKEP_HOME`), a system service's own folders (systemd sets
//! `STATE_DIRECTORY` and friends), or a user's folders by the XDG base directory specification.

use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Every folder of one agent. Nothing is made until [`Paths::create`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// `config.toml` and what else an operator writes.
    pub config: PathBuf,
    /// Models and plugins: large, wanted again, can be fetched again.
    pub data: PathBuf,
    /// Identity, keys, lock, log: small, must not be lost.
    pub state: PathBuf,
    /// Compiled components: may be deleted at any time.
    pub cache: PathBuf,
    /// Sockets and tokens that mean something only while the agent runs.
    pub runtime: PathBuf,
}

/// Why there are no folders to work in. Nothing was changed, or only folders were made.
#[derive(Debug, thiserror::Error)]
pub enum PathsError {
    #[error(
        "cannot tell where to keep state: neither `HOME` nor `SKEP_HOME` is set; set `SKEP_HOME` or give `--home DIR`"
    )]
    Homeless,
    #[error("`{0}` must be an absolute path")]
    Relative(PathBuf),
    #[error("could not make the folder `{path}`; choose another with `--home DIR`")]
    Create {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl Paths {
    /// Chooses the layout. `variable` looks up an environment variable.
    ///
    /// # Errors
    /// When nothing says where, or what says so is relative.
    pub fn choose(
        home: Option<&Path>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, PathsError> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        if let Some(home) = home
            .map(Path::to_path_buf)
            .or_else(|| set("SKEP_HOME").map(PathBuf::from))
        {
            return Self::under(&home);
        }
        if let Some(state) = set("STATE_DIRECTORY") {
            return Ok(Self::service(first_of_list(&state), set));
        }
        Self::xdg(set)
    }

    /// Everything below one folder.
    ///
    /// # Errors
    /// When the folder's absolute path cannot be told.
    pub fn under(home: &Path) -> Result<Self, PathsError> {
        let home =
            std::path::absolute(home).map_err(|_| PathsError::Relative(home.to_path_buf()))?;
        Ok(Self {
            config: home.clone(),
            data: home.join("data"),
            state: home.join("state"),
            cache: home.join("cache"),
            runtime: home.join("run"),
        })
    }

    /// Makes what is missing, each folder readable by its owner alone.
    ///
    /// # Errors
    /// When a folder cannot be made or its mode cannot be set.
    pub fn create(&self) -> Result<(), PathsError> {
        // The configuration's folder is the operator's to make: a service may not write there.
        for path in [&self.data, &self.state, &self.cache, &self.runtime] {
            private_folder(path).map_err(|source| PathsError::Create {
                path: path.clone(),
                source,
            })?;
        }
        Ok(())
    }

    /// The configuration file's place; it need not exist.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.config.join("config.toml")
    }

    /// Held locked by the running agent; its text is the agent's process id.
    #[must_use]
    pub fn lock_file(&self) -> PathBuf {
        self.state.join("agent.lock")
    }

    /// The components of plugins that were added.
    #[must_use]
    pub fn plugins(&self) -> PathBuf {
        self.data.join("plugins")
    }

    /// The node's private key.
    #[must_use]
    pub fn identity_file(&self) -> PathBuf {
        self.state.join("identity.pem")
    }

    /// The API keys' hashes.
    #[must_use]
    pub fn keys_file(&self) -> PathBuf {
        self.state.join("keys.json")
    }

    /// The browsers that are signed in, by hashes of their cookies.
    #[must_use]
    pub fn sessions_file(&self) -> PathBuf {
        self.state.join("sessions.json")
    }

    /// How far the setup of this machine has come.
    #[must_use]
    pub fn setup_file(&self) -> PathBuf {
        self.state.join("setup.json")
    }

    /// What the last burn-in of each card found.
    #[must_use]
    pub fn burn_ins_file(&self) -> PathBuf {
        self.state.join("burn-ins.json")
    }

    /// The upstreams and notifiers that were configured.
    #[must_use]
    pub fn services_file(&self) -> PathBuf {
        self.state.join("services.json")
    }

    /// What upstreams offered the last time, a file each.
    #[must_use]
    pub fn offers(&self) -> PathBuf {
        self.state.join("offers")
    }

    /// The texts of secrets, a file each.
    #[must_use]
    pub fn secrets(&self) -> PathBuf {
        self.state.join("secrets")
    }

    /// The alerts that are raised, and those that are not delivered yet.
    #[must_use]
    pub fn alerts_file(&self) -> PathBuf {
        self.state.join("alerts.json")
    }

    /// When backups were made, and how that went.
    #[must_use]
    pub fn backups_file(&self) -> PathBuf {
        self.state.join("backup.json")
    }

    /// What is kept of certificates that are had by ACME.
    #[must_use]
    pub fn acme(&self) -> PathBuf {
        self.state.join("acme")
    }

    /// The cluster's state and its log; see `store`.
    #[must_use]
    pub fn cluster(&self) -> PathBuf {
        self.state.join("cluster")
    }

    /// What the agent logged; the file before it ends in `.old`.
    #[must_use]
    pub fn log_file(&self) -> PathBuf {
        self.state.join("skep.log")
    }

    /// Model files and their catalogue.
    #[must_use]
    pub fn models(&self) -> PathBuf {
        self.data.join("models")
    }

    /// Components that were compiled ahead.
    #[must_use]
    pub fn compiled(&self) -> PathBuf {
        self.cache.join("compiled")
    }

    /// Where a running agent says how to reach it, for commands on the same machine.
    #[must_use]
    pub fn endpoint_file(&self) -> PathBuf {
        self.runtime.join("endpoint.json")
    }

    fn service(state: &str, set: impl Fn(&str) -> Option<String>) -> Self {
        let state = PathBuf::from(state);
        let given = |name: &str, fallback: &str| {
            set(name).map_or_else(
                || state.join(fallback),
                |value| PathBuf::from(first_of_list(&value)),
            )
        };
        Self {
            config: set("CONFIGURATION_DIRECTORY").map_or_else(
                || PathBuf::from("/etc/skep"),
                |value| PathBuf::from(first_of_list(&value)),
            ),
            data: state.join("data"),
            state: state.join("state"),
            cache: given("CACHE_DIRECTORY", "cache"),
            runtime: given("RUNTIME_DIRECTORY", "run"),
        }
    }

    fn xdg(set: impl Fn(&str) -> Option<String>) -> Result<Self, PathsError> {
        // The specification says that a relative path in these variables is to be ignored.
        let absolute = |name: &str| set(name).map(PathBuf::from).filter(|p| p.is_absolute());
        let home = absolute("HOME");
        let base = |name: &str, fallback: &str| {
            absolute(name)
                .or_else(|| home.as_ref().map(|home| home.join(fallback)))
                .map(|base| base.join("skep"))
                .ok_or(PathsError::Homeless)
        };
        let state = base("XDG_STATE_HOME", ".local/state")?;
        Ok(Self {
            config: base("XDG_CONFIG_HOME", ".config")?,
            data: base("XDG_DATA_HOME", ".local/share")?,
            cache: base("XDG_CACHE_HOME", ".cache")?,
            runtime: absolute("XDG_RUNTIME_DIR")
                .map_or_else(|| state.join("run"), |base| base.join("skep")),
            state,
        })
    }
}

/// Replaces a file so that a crash at any moment leaves the old text or the new, and returns only
/// once the new one is durable: temporary file, fsync, rename, fsync of the folder.
///
/// # Errors
/// When any step fails; the old file, if any, is then untouched.
pub fn replace_durably(path: &Path, text: &[u8]) -> io::Result<()> {
    let folder = path
        .parent()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut temporary = tempfile::Builder::new()
        .prefix(".new-")
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(folder)?;
    temporary.write_all(text)?;
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|failed| failed.error)?;
    File::open(folder)?.sync_all()
}

/// Renames so that a crash afterwards does not undo it.
///
/// # Errors
/// As the system says.
pub fn rename_durably(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)?;
    to.parent()
        .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// Removes a folder with all that is in it; one that is not there is no error.
///
/// # Errors
/// As the system says.
pub fn remove_folder(place: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The place of this name with something after it.
#[must_use]
pub fn beside(folder: &Path, ending: &str) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Opens a file that only its owner may read, making it if need be.
///
/// # Errors
/// As the system says.
pub fn open_private(path: &Path) -> io::Result<File> {
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

/// Makes a folder that only its owner may enter, with those above it.
///
/// # Errors
/// As the system says.
pub fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// systemd separates several directories by colons; ours is the first.
fn first_of_list(list: &str) -> &str {
    list.split(':').next().unwrap_or(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(variables: &[(&str, &str)], expect: Result<[&str; 5], &str>) {
        let found = Paths::choose(None, |name| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        });
        match (found, expect) {
            (Ok(paths), Ok(expect)) => {
                let found = [
                    paths.config,
                    paths.data,
                    paths.state,
                    paths.cache,
                    paths.runtime,
                ];
                assert_eq!(found, expect.map(PathBuf::from));
            }
            (Err(error), Err(expect)) => assert!(error.to_string().contains(expect), "{error}"),
            (found, expect) => panic!("{found:?} instead of {expect:?}"),
        }
    }

    #[test]
    fn layouts() {
        check(
            &[("HOME", "/h")],
            Ok([
                "/h/.config/skep",
                "/h/.local/share/skep",
                "/h/.local/state/skep",
                "/h/.cache/skep",
                "/h/.local/state/skep/run",
            ]),
        );
        check(
            &[
                ("HOME", "/h"),
                ("XDG_STATE_HOME", "relative"),
                ("XDG_RUNTIME_DIR", "/run/user/7"),
                ("XDG_CACHE_HOME", "/c"),
            ],
            Ok([
                "/h/.config/skep",
                "/h/.local/share/skep",
                "/h/.local/state/skep",
                "/c/skep",
                "/run/user/7/skep",
            ]),
        );
        check(
            &[("HOME", "/h"), ("SKEP_HOME", "/all")],
            Ok(["/all", "/all/data", "/all/state", "/all/cache", "/all/run"]),
        );
        check(
            &[
                ("STATE_DIRECTORY", "/var/lib/skep:/other"),
                ("RUNTIME_DIRECTORY", "/run/skep"),
            ],
            Ok([
                "/etc/skep",
                "/var/lib/skep/data",
                "/var/lib/skep/state",
                "/var/lib/skep/cache",
                "/run/skep",
            ]),
        );
        check(&[("SKEP_HOME", "")], Err("SKEP_HOME"));
    }

    #[test]
    fn what_is_made_is_private_and_whole() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::under(&folder.path().join("a/b")).unwrap();
        paths.create().unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&paths.state), 0o700);
        let file = paths.state.join("file");
        replace_durably(&file, b"one").unwrap();
        replace_durably(&file, b"two").unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"two");
        assert_eq!(mode(&file), 0o600);
        assert_eq!(std::fs::read_dir(&paths.state).unwrap().count(), 1);
    }
}
