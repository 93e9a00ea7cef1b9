//! File, environment and flags, laid over each other.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use toml::{Table, Value};

use super::{Config, ConfigError, Override, Source};

/// The tables of the file; `SKEP_<SECTION>_<KEY>` in the environment overrides a key of one.
pub const SECTIONS: [&str; 11] = [
    "node",
    "http",
    "requests",
    "models",
    "scheduler",
    "cluster",
    "state",
    "telemetry",
    "alerts",
    "backup",
    "log",
];

/// No configuration of ours comes near; a wrong path to a model file would.
const FILE_MAX_BYTES: u64 = 1 << 20;

/// Reads the file, lays the environment over it and the flags over both.
///
/// # Errors
/// Naming the file, line and key, or the variable or flag, and what is allowed there.
pub fn load(
    source: Source<'_>,
    environment: impl IntoIterator<Item = (String, String)>,
    flags: &[Override],
) -> Result<Config, ConfigError> {
    let (path, named) = match source {
        Source::Default(path) => (path, false),
        Source::Named(path) => (path, true),
    };
    let text = read(path, named)?;
    // Checked alone first, so that an error tells the line.
    toml::from_str::<Config>(&text).map_err(|error| file_error(path, &text, &error))?;
    let mut table: Table =
        toml::from_str(&text).map_err(|error| file_error(path, &text, &error))?;
    for over in from_environment(environment).iter().chain(flags) {
        lay_over(&mut table, over)?;
    }
    table.try_into().map_err(|error| ConfigError::Override {
        origin: "settings".into(),
        message: error.message().into(),
    })
}

/// What is set otherwise than by default, in the file and the environment: each key, and its value as TOML.
///
/// # Errors
/// As for [`load`].
pub fn in_force(
    source: Source<'_>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Vec<(String, String)>, ConfigError> {
    let (path, named) = match source {
        Source::Default(path) => (path, false),
        Source::Named(path) => (path, true),
    };
    let text = read(path, named)?;
    let mut table: Table =
        toml::from_str(&text).map_err(|error| file_error(path, &text, &error))?;
    for over in &from_environment(environment) {
        lay_over(&mut table, over)?;
    }
    let mut found = Vec::new();
    for (section, keys) in table {
        let Value::Table(keys) = keys else { continue };
        let keys = keys.into_iter();
        found.extend(keys.map(|(key, value)| (format!("{section}.{key}"), value.to_string())));
    }
    Ok(found)
}

fn read(path: &Path, named: bool) -> Result<String, ConfigError> {
    let failed = |source| ConfigError::Read {
        path: path.into(),
        source,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !named => {
            return Ok(String::new());
        }
        Err(error) => return Err(failed(error)),
    };
    let mut text = String::new();
    let read = file
        .take(FILE_MAX_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if read as u64 > FILE_MAX_BYTES {
        return Err(ConfigError::Large {
            path: path.into(),
            limit: FILE_MAX_BYTES,
        });
    }
    Ok(text)
}

fn from_environment(environment: impl IntoIterator<Item = (String, String)>) -> Vec<Override> {
    let mut found: Vec<Override> = environment
        .into_iter()
        .filter_map(|(name, value)| {
            let rest = name.strip_prefix("SKEP_")?.to_ascii_lowercase();
            let (section, key) = rest.split_once('_')?;
            SECTIONS.contains(&section).then(|| Override {
                key: format!("{section}.{key}"),
                value,
                origin: format!("environment variable `{name}`"),
            })
        })
        .collect();
    // The environment has no order of its own.
    found.sort_by(|a, b| a.key.cmp(&b.key));
    found
}

/// Lays one value over the table, after trying it on an empty configuration for a clear error.
/// A value is read as TOML where that fits the key (`8`, `true`, `["a"]`) and as text otherwise.
fn lay_over(table: &mut Table, over: &Override) -> Result<(), ConfigError> {
    let wrong = |message: String| ConfigError::Override {
        origin: over.origin.clone(),
        message,
    };
    let Some((section, key)) = over.key.split_once('.') else {
        return Err(wrong(format!("`{}` is not `section.key`", over.key)));
    };
    let single = |value: &Value| {
        let inner = Table::from_iter([(key.to_owned(), value.clone())]);
        Table::from_iter([(section.to_owned(), Value::Table(inner))])
    };
    let text = Value::String(over.value.clone());
    let parsed = toml::from_str::<Table>(&format!("value = {}", over.value))
        .ok()
        .and_then(|mut table| table.remove("value"));
    let value = match parsed {
        Some(value) if single(&value).try_into::<Config>().is_ok() => value,
        // `8` does not fit a name, but the text "8" does; if neither fits, the first error counts.
        parsed => match single(&text).try_into::<Config>() {
            Ok(_) => text,
            Err(error) => {
                let error = parsed
                    .and_then(|value| single(&value).try_into::<Config>().err())
                    .unwrap_or(error);
                return Err(wrong(format!("`{}`: {}", over.key, error.message())));
            }
        },
    };
    let inner = table
        .entry(section)
        .or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(inner) = inner {
        inner.insert(key.to_owned(), value);
    }
    Ok(())
}

fn file_error(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let at = error.span().map_or(0, |span| span.start).min(text.len());
    let before = text.get(..at).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let source = text.lines().nth(line - 1).unwrap_or_default();
    let section = before
        .lines()
        .rev()
        .find_map(|line| line.trim().strip_prefix('[')?.strip_suffix(']'))
        .map_or_else(String::new, |name| format!("{}.", name.trim()));
    let key = source.split_once('=').map_or_else(String::new, |(key, _)| {
        format!("`{section}{}`: ", key.trim())
    });
    ConfigError::File {
        path: path.into(),
        line,
        key,
        message: error.message().replace('\n', "; "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(
        text: &str,
        environment: &[(&str, &str)],
        flags: &[(&str, &str)],
    ) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        let environment = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let flags: Vec<_> = flags
            .iter()
            .map(|(key, value)| Override {
                key: (*key).into(),
                value: (*value).into(),
                origin: format!("--{key}"),
            })
            .collect();
        load(Source::Named(&path), environment, &flags).map_err(|error| error.to_string())
    }

    #[test]
    fn later_layers_win() {
        let listen = |file: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]| {
            attempt(file, environment, flags).unwrap().http.listen
        };
        let file = "[http]\nlisten = \"a:1\"\nbody_max_bytes = 7\n";
        let variable = [("SKEP_HTTP_LISTEN", "b:2"), ("SKEP_HOME", "/x")];
        assert_eq!(listen(file, &[], &[]).as_deref(), Some("a:1"));
        assert_eq!(listen(file, &variable, &[]).as_deref(), Some("b:2"));
        let flag = [("http.listen", "c:3")];
        assert_eq!(listen(file, &variable, &flag).as_deref(), Some("c:3"));
        let config = attempt(
            file,
            &[
                ("SKEP_HTTP_ALLOWED_HOSTS", "[\"x\"]"),
                ("SKEP_HTTP_REQUIRE_KEY", "true"),
                ("SKEP_NODE_NAME", "8"),
            ],
            &[],
        )
        .unwrap();
        assert_eq!(config.http.allowed_hosts, Some(vec!["x".to_owned()]));
        assert_eq!(config.http.require_key, Some(true));
        assert_eq!(config.node.name.as_deref(), Some("8"));
        assert_eq!(config.http.body_max_bytes, Some(7));
    }

    #[test]
    fn errors_name_the_place_and_what_is_allowed() {
        let check = |file: &str, environment: &[(&str, &str)], parts: &[&str]| {
            let error = attempt(file, environment, &[]).unwrap_err();
            for part in parts {
                assert!(error.contains(part), "`{part}` is not in: {error}");
            }
        };
        check(
            "[http]\nlissten = \"a\"\n",
            &[],
            &[
                "config.toml` line 2",
                "`http.lissten`",
                "expected one of",
                "listen",
            ],
        );
        check(
            "# x\n[http]\nconnections_max = \"many\"\n",
            &[],
            &["line 3", "`http.connections_max`", "u32"],
        );
        check("[nodes]\n", &[], &["line 1", "nodes", "requests"]);
        check("[http\n", &[], &["line 1"]);
        check(
            "",
            &[("SKEP_HTTP_CONNECTIONS_MAX", "-1")],
            &[
                "`SKEP_HTTP_CONNECTIONS_MAX`",
                "`http.connections_max`",
                "u32",
            ],
        );
        check(
            "",
            &[("SKEP_HTTP_LISTN", "x")],
            &["SKEP_HTTP_LISTN", "listen"],
        );
    }

    #[test]
    fn only_a_named_file_must_exist() {
        let gone = Path::new("/nonexistent/config.toml");
        assert_eq!(
            load(Source::Default(gone), [], &[]).unwrap(),
            Config::default()
        );
        assert!(load(Source::Named(gone), [], &[]).is_err());
    }
}
