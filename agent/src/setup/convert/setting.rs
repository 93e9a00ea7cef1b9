//! Which settings of the agent a plan may change. Whether a value fits the others is seen when it is set.

use skep_core::install::Action;
use toml::{Table, Value};

use super::{Wrong, shown, within};
use crate::config::{Config, SECTIONS};
use crate::limits::STEP_VALUE_BYTES;

pub(super) fn set(key: String, value: Option<String>) -> Result<Action, Wrong> {
    let unknown = || Wrong::Setting(shown(&key));
    let (section, name) = key.split_once('.').ok_or_else(unknown)?;
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if !SECTIONS.contains(&section) || name.is_empty() || !name.bytes().all(fits) {
        return Err(unknown());
    }
    let Some(value) = value else {
        return Ok(Action::SetSetting { key, value: None });
    };
    within("a setting's value", value.len(), STEP_VALUE_BYTES)?;
    let wrong = || Wrong::Value(shown(&value));
    // One line: what is more could be further keys.
    if value.chars().any(char::is_control) {
        return Err(wrong());
    }
    let mut parsed: Table = toml::from_str(&format!("value = {value}")).map_err(|_| wrong())?;
    let (Some(parsed), true) = (parsed.remove("value"), parsed.is_empty()) else {
        return Err(wrong());
    };
    if !is_known(section, name, parsed) {
        return Err(unknown());
    }
    Ok(Action::SetSetting {
        key,
        value: Some(value),
    })
}

/// Whether the configuration has such a key, and takes a value of this kind for it.
fn is_known(section: &str, name: &str, value: Value) -> bool {
    let inner = Table::from_iter([(name.to_owned(), value)]);
    let table = Table::from_iter([(section.to_owned(), Value::Table(inner))]);
    table.try_into::<Config>().is_ok()
}
