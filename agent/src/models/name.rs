//! Names of models: what may become a file name and a field of a request.
//!
//! Decides the alphabet; refuses to know which names exist.

use std::fmt;
use std::str::FromStr;

use super::limits::NAME_BYTES_MAX;

/// A model's name: 1 to 128 ASCII letters, digits and `.` `_` `-` `:`, of which the first is a
/// letter or digit. Never a path: no slash, no `..`, and none of the names that some systems
/// give to devices.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelName(String);

/// Why a text is not a model's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing there.
    #[error("a model's name cannot be empty")]
    Empty,
    /// Longer than a file name can be.
    #[error("a model's name has at most {NAME_BYTES_MAX} characters, this one has {0}")]
    Long(usize),
    /// A character outside the alphabet.
    #[error(
        "`{name}` cannot name a model because of {character:?}: letters, digits and `.` `_` `-` \
         `:` can, beginning with a letter or digit"
    )]
    Character {
        /// What was given, with control characters made visible.
        name: String,
        /// The first character that does not belong.
        character: char,
    },
    /// A name with another meaning to the file system.
    #[error("`{0}` has another meaning to file systems and cannot name a model")]
    Reserved(String),
}

impl ModelName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A name made of whatever a file is called: `My Model.Q4_K_M.gguf` gives `My-Model.Q4_K_M`.
    /// None when nothing usable is left.
    #[must_use]
    pub fn from_file_name(file_name: &str) -> Option<Self> {
        let stem = file_name
            .strip_suffix(".gguf")
            .or_else(|| file_name.strip_suffix(".GGUF"))
            .unwrap_or(file_name);
        let plain: String = stem
            .chars()
            .map(|c| if is_allowed(c) { c } else { '-' })
            .collect();
        let start = plain.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        let mut name = start.trim_end_matches(['-', '.']).replace("..", ".");
        name.truncate(NAME_BYTES_MAX);
        name.parse().ok()
    }
}

impl FromStr for ModelName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > NAME_BYTES_MAX {
            return Err(NameError::Long(text.chars().count()));
        }
        let first = text.chars().next().filter(|c| !c.is_ascii_alphanumeric());
        if let Some(character) = first.or_else(|| text.chars().find(|c| !is_allowed(*c))) {
            return Err(NameError::Character {
                name: text.escape_debug().to_string(),
                character,
            });
        }
        let stem = text.split('.').next().unwrap_or(text);
        let device = DEVICES.iter().any(|name| stem.eq_ignore_ascii_case(name));
        if device || text.contains("..") || text.ends_with('.') {
            return Err(NameError::Reserved(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ModelName({:?})", self.0)
    }
}

fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':')
}

/// Device names of Windows, whose disks Linux mounts too
/// (<https://learn.microsoft.com/windows/win32/fileio/naming-a-file>).
const DEVICES: [&str; 22] = [
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8",
    "com9", "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let check = |text: &str, good: bool| {
            assert_eq!(text.parse::<ModelName>().is_ok(), good, "{text:?}");
        };
        for good in [
            "tiny",
            "qwen3:0.6b",
            "Llama-3.2-1B.Q4_K_M",
            "7b",
            &"a".repeat(128),
        ] {
            check(good, true);
        }
        let long = "a".repeat(4096);
        for bad in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "a\\b",
            "-rf",
            ".hidden",
            "a b",
            "a\0b",
            "a\nb",
            "naïve",
            "a..b",
            "CON",
            "con.gguf",
            "nul",
            "a.",
            &long,
            &"a".repeat(129),
        ] {
            check(bad, false);
        }
    }

    #[test]
    fn names_of_files() {
        let check = |file: &str, name: Option<&str>| {
            let got = ModelName::from_file_name(file);
            assert_eq!(got.as_ref().map(ModelName::as_str), name, "{file:?}");
        };
        check("tiny.gguf", Some("tiny"));
        check("My Model (v2).Q4_K_M.gguf", Some("My-Model--v2-.Q4_K_M"));
        check("..%2f..%2fetc.gguf", Some("2f.-2fetc"));
        check(".gguf", None);
        check("日本", None);
        check("con.gguf", None);
        check(&format!("{}.gguf", "x".repeat(300)), Some(&"x".repeat(128)));
    }
}
