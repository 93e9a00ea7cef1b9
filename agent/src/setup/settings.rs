//! The agent's own settings, changed in the operator's file: one key at a time, with every comment left where it is.
//!
//! Decides that a file which the agent could not start with is never written. Refuses to know why something is set.

use std::fs;
use std::io;
use std::path::PathBuf;

use toml_edit::{DocumentMut, Item, Table, Value};

use crate::config::{Config, SECTIONS, Settings};
use crate::paths::{private_folder, replace_durably};

/// Why a setting was not changed. The file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum SettingError {
    #[error("`{0}` is no setting: write it as `http.listen`")]
    Key(String),
    #[error("`{value}` cannot be the value of `{key}`: {why}")]
    Value {
        key: String,
        value: String,
        why: String,
    },
    #[error("`{path}` is no TOML as it stands: {why}")]
    Damaged { path: PathBuf, why: String },
    #[error("with that the agent would not start: {0}")]
    Unfit(String),
    #[error("could not {verb} `{path}`")]
    Io {
        verb: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The operator's file.
#[derive(Clone, Debug)]
pub(super) struct SettingsFile {
    path: PathBuf,
}

impl SettingsFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it is.
    pub(super) fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// Whether there is one.
    pub(super) fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Removes a file in which nothing is left.
    pub(super) fn remove_if_empty(&self) -> Result<(), SettingError> {
        let (text, _) = self.read()?;
        if text.trim().is_empty() && self.exists() {
            fs::remove_file(&self.path).map_err(|source| self.failed("remove", source))?;
        }
        Ok(())
    }

    /// What a key has, as TOML; none: it is not set.
    pub(super) fn find(&self, key: &str) -> Result<Option<String>, SettingError> {
        let (_, document) = self.read()?;
        let path = path_of(key)?;
        Ok(value_at(&document, &path).map(plain))
    }

    /// Whether the key has this value already; none: whether it is not set.
    pub(super) fn is(&self, key: &str, value: Option<&str>) -> bool {
        let Ok(found) = self.find(key) else {
            return false;
        };
        match (found, value) {
            (None, None) => true,
            (Some(found), Some(wanted)) => {
                let parse = |text: &str| toml::from_str::<toml::Table>(&format!("v = {text}"));
                // The same value may be written in two ways.
                matches!((parse(&found), parse(wanted)), (Ok(one), Ok(two)) if one == two)
            }
            _ => false,
        }
    }

    /// Sets a key, or takes it out; returns what it had before. Blocks on the disk.
    pub(super) fn set(
        &self,
        key: &str,
        value: Option<&str>,
    ) -> Result<Option<String>, SettingError> {
        let (text, mut document) = self.read()?;
        let path = path_of(key)?;
        let before = value_at(&document, &path).map(plain);
        match value {
            Some(value) => insert(&mut document, key, &path, value)?,
            None => remove(&mut document, &path),
        }
        let changed = document.to_string();
        if changed == text {
            return Ok(before);
        }
        fits(&changed)?;
        self.write(&changed)?;
        Ok(before)
    }

    fn read(&self) -> Result<(String, DocumentMut), SettingError> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(self.failed("read", source)),
        };
        let parsed = text
            .parse()
            .map_err(|error: toml_edit::TomlError| SettingError::Damaged {
                path: self.path.clone(),
                why: error.message().to_owned(),
            })?;
        Ok((text, parsed))
    }

    fn write(&self, text: &str) -> Result<(), SettingError> {
        let mode = fs::metadata(&self.path).map(|data| data.permissions());
        if let Some(folder) = self.path.parent() {
            private_folder(folder).map_err(|source| self.failed("make the folder of", source))?;
        }
        replace_durably(&self.path, text.as_bytes())
            .map_err(|source| self.failed("write", source))?;
        // Who may read it was the operator's choice.
        match mode {
            Ok(mode) => fs::set_permissions(&self.path, mode)
                .map_err(|source| self.failed("set the mode of", source)),
            Err(_) => Ok(()),
        }
    }

    fn failed(&self, verb: &'static str, source: io::Error) -> SettingError {
        SettingError::Io {
            verb,
            path: self.path.clone(),
            source,
        }
    }
}

/// `section.key`, or deeper, as `models.engines.NAME`.
fn path_of(key: &str) -> Result<Vec<&str>, SettingError> {
    let unfit = || SettingError::Key(key.chars().take(100).collect());
    let path: Vec<&str> = key.splitn(3, '.').collect();
    let known = path.first().is_some_and(|first| SECTIONS.contains(first));
    if !known || path.len() < 2 || path.iter().any(|part| part.is_empty()) {
        return Err(unfit());
    }
    Ok(path)
}

fn value_at<'a>(document: &'a DocumentMut, path: &[&str]) -> Option<&'a Value> {
    let mut item = document.as_item();
    for part in path {
        item = item.get(part)?;
    }
    item.as_value()
}

/// A value without the space and the comments around it.
fn plain(value: &Value) -> String {
    let mut value = value.clone();
    value.decor_mut().clear();
    value.to_string()
}

fn insert(
    document: &mut DocumentMut,
    key: &str,
    path: &[&str],
    text: &str,
) -> Result<(), SettingError> {
    let unfit = |why: String| SettingError::Value {
        key: key.to_owned(),
        value: text.chars().take(100).collect(),
        why,
    };
    let mut value: Value = text
        .parse()
        .map_err(|error: toml_edit::TomlError| unfit(error.message().to_owned()))?;
    let (last, folders) = path.split_last().ok_or_else(|| unfit(String::new()))?;
    let mut item = document.as_item_mut();
    for folder in folders {
        let table = item
            .as_table_like_mut()
            .ok_or_else(|| unfit("what it is in is no table".to_owned()))?;
        item = table
            .entry(folder)
            .or_insert_with(|| Item::Table(Table::new()));
    }
    let table = item
        .as_table_like_mut()
        .ok_or_else(|| unfit("what it is in is no table".to_owned()))?;
    if let Some(old) = table.get_mut(last) {
        // A comment that follows the value stays.
        if let Some(before) = old.as_value() {
            *value.decor_mut() = before.decor().clone();
        }
        *old = Item::Value(value);
    } else {
        table.insert(last, Item::Value(value));
    }
    Ok(())
}

/// Takes a key out, and the table around it once that is empty and nobody wrote a comment to it.
fn remove(document: &mut DocumentMut, path: &[&str]) {
    let Some((last, folders)) = path.split_last() else {
        return;
    };
    let mut item = document.as_item_mut();
    for folder in folders {
        match item.get_mut(folder) {
            Some(inner) => item = inner,
            None => return,
        }
    }
    if let Some(table) = item.as_table_like_mut() {
        table.remove(last);
    }
    let Some(section) = path.first() else {
        return;
    };
    let bare = document
        .get(section)
        .and_then(Item::as_table)
        .is_some_and(|table| {
            let prefix = table.decor().prefix().and_then(|prefix| prefix.as_str());
            table.is_empty() && prefix.is_none_or(|prefix| prefix.trim().is_empty())
        });
    if bare {
        document.remove(section);
    }
}

/// Whether the agent could start with this file. What the environment says is another matter.
fn fits(text: &str) -> Result<(), SettingError> {
    let config: Config = toml::from_str(text)
        .map_err(|error| SettingError::Unfit(error.message().replace('\n', "; ")))?;
    Settings::try_from(config).map_err(|error| SettingError::Unfit(error.to_string()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# ours\n[http] # where\nlisten = \"127.0.0.1:1\" # not 2\n\n# later\n[log]\nfilter = \"warn\"\n";

    fn file(text: &str) -> (tempfile::TempDir, SettingsFile) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("skep/config.toml");
        fs::create_dir(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        (folder, SettingsFile::new(path))
    }

    #[test]
    fn comments_stay_and_undoing_gives_the_same_bytes() {
        let check = |key: &str, value: Option<&str>, expect: &str| {
            let (_folder, file) = file(TEXT);
            assert!(!file.is(key, value), "{key}");
            let before = file.set(key, value).unwrap();
            let found = fs::read_to_string(&file.path).unwrap();
            assert_eq!(found, expect);
            assert!(file.is(key, value));
            file.set(key, before.as_deref()).unwrap();
            assert_eq!(fs::read_to_string(&file.path).unwrap(), TEXT, "{key}");
        };
        check(
            "http.listen",
            Some("\"127.0.0.1:2\""),
            &TEXT.replace("0.1:1", "0.1:2"),
        );
        check(
            "models.context_tokens",
            Some("4096"),
            &format!("{TEXT}\n[models]\ncontext_tokens = 4096\n"),
        );
        check(
            "log.format",
            Some("\"json\""),
            &format!("{TEXT}format = \"json\"\n"),
        );
    }

    #[test]
    fn a_file_that_was_not_there_is_made_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let file = SettingsFile::new(folder.path().join("a/config.toml"));
        assert_eq!(file.set("node.name", Some("\"hive\"")).unwrap(), None);
        assert!(file.is("node.name", Some("'hive'")));
        let mode = fs::metadata(&file.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::set_permissions(&file.path, fs::Permissions::from_mode(0o644)).unwrap();
        file.set("node.threads", Some("2")).unwrap();
        let mode = fs::metadata(&file.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
    }

    #[test]
    fn what_the_agent_could_not_start_with_is_not_written() {
        let refused = |key: &str, value: &str, part: &str| {
            let (_folder, file) = file(TEXT);
            let error = file.set(key, Some(value)).unwrap_err();
            let told = error.to_string();
            assert!(told.contains(part), "`{part}` is not in: {told}");
            assert_eq!(fs::read_to_string(&file.path).unwrap(), TEXT);
        };
        refused("http.listen", "\"0.0.0.0:80\"", "without TLS");
        refused("http.listne", "\"a\"", "listne");
        refused("http.connections_max", "\"many\"", "u32");
        refused("http.connections_max", "1\nx = 2", "http.connections_max");
        refused("http.connections_max", "", "http.connections_max");
        refused("listen", "1", "no setting");
        refused("bees.count", "1", "no setting");
        refused("http.listen.deep", "1", "no table");
        let (_folder, broken) = file("[http");
        let error = broken.set("node.name", Some("\"a\"")).unwrap_err();
        assert!(matches!(error, SettingError::Damaged { .. }), "{error}");
    }
}
