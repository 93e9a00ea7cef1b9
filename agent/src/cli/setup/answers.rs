//! A file of answers: which part is answered how, and on which line that stands.
//!
//! Decides the form: a table for each part, `skip` for those to be left out, and secrets that may lie elsewhere. Refuses to know the
//! questions, which are the agent's.

use std::collections::BTreeMap;
use std::path::Path;

use toml_edit::{Document, Item, Key, Table, Value};

use super::people::{self, DoorAnswer, People};
use crate::cli::Failure;
use crate::limits::SECRET_BYTES_MAX;
use crate::wire::SetupValue;

/// The whole file.
#[derive(Debug, Default)]
pub(super) struct Answers {
    pub(super) parts: BTreeMap<String, Part>,
    /// Parts and steps to be left as they are.
    pub(super) skip: Vec<(String, usize)>,
    /// Whether the setup is closed for good once all went well.
    pub(super) finish: bool,
    pub(super) join: Option<Join>,
    pub(super) people: People,
    /// Whether to try at the end that all of it works.
    pub(super) tests: bool,
}

/// A part's table.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) line: usize,
    /// By question, each with its line.
    pub(super) answers: BTreeMap<String, (SetupValue, usize)>,
}

/// The cluster to be joined.
#[derive(Debug)]
pub(super) struct Join {
    pub(super) token: String,
    pub(super) at: Vec<String>,
}

/// Reads it.
pub(super) fn read(path: &Path) -> Result<Answers, Failure> {
    let metadata = std::fs::metadata(path);
    if metadata.is_ok_and(|data| data.len() > FILE_BYTES_MAX) {
        return Err(Failure::usage(format!(
            "`{}` is larger than {FILE_BYTES_MAX} bytes, which no answers are",
            path.display()
        )));
    }
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::usage(format!("could not read `{}`: {error}", path.display()))
            .with_hint(Some("`skep setup --example > answers.toml` writes one"))
    })?;
    let variable = |name: &str| std::env::var(name).ok();
    parse(&text, variable).map_err(|(line, what)| at(path, line, &what))
}

/// A mistake on a line of the file.
pub(super) fn at(path: &Path, line: usize, what: &str) -> Failure {
    Failure::usage(format!("`{}` line {line}: {what}", path.display()))
}

/// A line, and what is wrong there.
pub(super) type Wrong = (usize, String);

fn parse(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Answers, Wrong> {
    let line = |span: Option<std::ops::Range<usize>>| {
        let start = span.map_or(0, |span| span.start).min(text.len());
        text.get(..start).unwrap_or_default().matches('\n').count() + 1
    };
    let document = Document::parse(text)
        .map_err(|error| (line(error.span()), error.message().replace('\n', "; ")))?;
    let mut answers = Answers {
        finish: true,
        tests: true,
        ..Answers::default()
    };
    for (name, item) in document.as_table() {
        let key = document.as_table().key(name);
        let here = line(key.and_then(Key::span).or_else(|| item.span()));
        let wrong = |what: &str| (here, format!("`{name}` {what}"));
        match (name, item) {
            ("skip", item) => {
                let names = texts(item).ok_or_else(|| wrong("has to be a list of names"))?;
                answers.skip = names.into_iter().map(|name| (name, here)).collect();
            }
            ("finish", item) => {
                let flag = item.as_bool();
                answers.finish = flag.ok_or_else(|| wrong("has to be true or false"))?;
            }
            ("tests", item) => {
                let flag = item.as_bool();
                answers.tests = flag.ok_or_else(|| wrong("has to be true or false"))?;
            }
            ("cluster", Item::Table(table)) => {
                let line = |key: &str| line(table.key(key).and_then(Key::span));
                answers.join = Some(join(table, here, line, &variable)?);
            }
            ("administrator", Item::Table(table)) => {
                let line = |key: &Key| line(key.span());
                let one = people::administrator(table, here, line, &variable)?;
                answers.people.administrator = Some(one);
            }
            ("ldap" | "oidc", Item::Table(table)) => {
                let line = |key: &Key| line(key.span());
                let secret = people::secret(table, line, &variable)?;
                let mut whole: toml::Table =
                    toml::from_str(text).map_err(|error| (here, error.message().to_owned()))?;
                let mut settings = match whole.remove(name) {
                    Some(toml::Value::Table(settings)) => settings,
                    _ => toml::Table::new(),
                };
                settings.remove("secret");
                answers.people.doors.push(DoorAnswer {
                    door: if name == "ldap" { "ldap" } else { "oidc" },
                    line: here,
                    settings,
                    secret,
                });
            }
            (_, Item::Table(table)) => {
                let mut part = Part {
                    line: here,
                    ..Part::default()
                };
                for (question, item) in table {
                    let here = line(table.key(question).and_then(Key::span));
                    let value = item
                        .as_value()
                        .ok_or_else(|| (here, format!("`{question}` has to be one value")))?;
                    let value = answer(value, &variable)
                        .map_err(|what| (here, format!("`{question}` {what}")))?;
                    part.answers.insert(question.to_owned(), (value, here));
                }
                answers.parts.insert(name.to_owned(), part);
            }
            _ => {
                return Err(wrong(
                    "is neither a table of answers nor one of `skip`, `finish`, `tests`",
                ));
            }
        }
    }
    Ok(answers)
}

fn join(
    table: &Table,
    here: usize,
    line: impl Fn(&str) -> usize,
    variable: &impl Fn(&str) -> Option<String>,
) -> Result<Join, Wrong> {
    let mut token = None;
    let mut at = Vec::new();
    for (key, item) in table {
        match key {
            "token" => {
                let value = item.as_value().ok_or_else(|| "has to be a text".to_owned());
                let value = value.and_then(|value| answer(value, variable));
                match value.map_err(|what| (line(key), format!("`token` {what}")))? {
                    SetupValue::Text(text) => token = Some(text),
                    _ => return Err((line(key), "`token` has to be a text".to_owned())),
                }
            }
            "at" => {
                let what = "`at` has to be a list of addresses".to_owned();
                at = texts(item).ok_or_else(|| (line(key), what))?;
            }
            other => {
                let what = format!("`cluster` has no `{other}`; it has `token` and `at`");
                return Err((line(key), what));
            }
        }
    }
    let token = token.ok_or_else(|| {
        (
            here,
            "`cluster` needs a `token` of `skep token new`".to_owned(),
        )
    })?;
    Ok(Join { token, at })
}

fn texts(item: &Item) -> Option<Vec<String>> {
    let array = item.as_array()?;
    let texts = array.iter().map(|value| value.as_str().map(str::to_owned));
    texts.collect()
}

/// A value; `{ file = "PATH" }` and `{ env = "NAME" }` are texts that lie elsewhere, as secrets should.
pub(super) fn answer(
    value: &Value,
    variable: &impl Fn(&str) -> Option<String>,
) -> Result<SetupValue, String> {
    match value {
        Value::String(text) => Ok(SetupValue::Text(text.value().clone())),
        Value::Integer(number) => Ok(SetupValue::Number(*number.value())),
        Value::Boolean(flag) => Ok(SetupValue::Flag(*flag.value())),
        Value::Array(array) => {
            let texts: Option<Vec<String>> = array
                .iter()
                .map(|value| value.as_str().map(str::to_owned))
                .collect();
            let texts = texts.ok_or("has to be a list of texts")?;
            Ok(SetupValue::Several(texts))
        }
        Value::InlineTable(table) => {
            let of = |key: &str| table.get(key).and_then(Value::as_str);
            let text = match (of("file"), of("env"), table.len()) {
                (Some(path), None, 1) => elsewhere(Path::new(path))?,
                (None, Some(name), 1) => variable(name)
                    .ok_or_else(|| format!("is to come from `{name}`, which is not set"))?,
                _ => {
                    return Err(
                        "has to be a value, `{ file = \"…\" }` or `{ env = \"…\" }`".to_owned()
                    );
                }
            };
            Ok(SetupValue::Text(text))
        }
        Value::Float(_) | Value::Datetime(_) => {
            Err("has to be a text, a whole number, true, false, or a list of texts".to_owned())
        }
    }
}

fn elsewhere(path: &Path) -> Result<String, String> {
    use std::io::Read as _;

    let failed = |error: std::io::Error| format!("is to come from `{}`: {error}", path.display());
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(SECRET_BYTES_MAX as u64 + 2)
        .read_to_string(&mut text)
        .map_err(failed)?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

/// Answers to some hundred questions are a few KiB.
const FILE_BYTES_MAX: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Answers, Wrong> {
        parse(text, |name| (name == "TOKEN").then(|| "hush".to_owned()))
    }

    #[test]
    fn everything_has_its_line() {
        let text = "skip = [\"step-drivers\"]\nfinish = false\n\n# ours\n[step-network]\nport = 7420\n\
                    bind = \"lan\"\nmdns = true\nlist = [\"a\", \"b\"]\n[step-backends]\nkey = { env = \"TOKEN\" }\n\
                    [cluster]\ntoken = { env = \"TOKEN\" }\nat = [\"10.0.0.1:7420\"]\n";
        let found = parsed(text).unwrap();
        assert!(!found.finish && found.tests);
        assert_eq!(found.skip, [("step-drivers".to_owned(), 1)]);
        let network = &found.parts["step-network"];
        assert_eq!(network.line, 5);
        let answers = &network.answers;
        assert_eq!(answers["port"], (SetupValue::Number(7420), 6));
        assert_eq!(answers["bind"], (SetupValue::Text("lan".into()), 7));
        assert_eq!(answers["mdns"], (SetupValue::Flag(true), 8));
        let list = SetupValue::Several(vec!["a".into(), "b".into()]);
        assert_eq!(answers["list"], (list, 9));
        let key = &found.parts["step-backends"].answers["key"];
        assert_eq!(*key, (SetupValue::Text("hush".into()), 11));
        let text = "[administrator]\nname = \"Ada\"\npassword = \"correct horse\"\n[oidc]\nissuer = \"https://x\"\nsecret = { env = \"TOKEN\" }\n";
        let people = parsed(text).unwrap().people;
        assert!(people.administrator.is_some() && people.first_line() == Some(1));
        let [oidc] = people.doors.as_slice() else {
            panic!("{people:?}")
        };
        assert_eq!((oidc.door, oidc.line, oidc.settings.len()), ("oidc", 4, 1));
        assert_eq!(oidc.secret.as_deref(), Some("hush"));
        let join = found.join.unwrap();
        assert_eq!((join.token.as_str(), join.at.len()), ("hush", 1));
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        let check = |text: &str, line: usize, part: &str| {
            let (found, what) = parsed(text).unwrap_err();
            assert_eq!(found, line, "{what}");
            assert!(what.contains(part), "`{part}` is not in: {what}");
        };
        check("[a]\nx = 1\n[b\n", 3, "");
        check("[a]\nx = 1\nx = 2\n", 3, "");
        check("\nport = 1\n", 2, "`port`");
        check("skip = \"a\"\n", 1, "list of names");
        check("finish = 1\n", 1, "true or false");
        check("[a]\nx = 1.5\n", 2, "whole number");
        check("[a]\nx = [1]\n", 2, "list of texts");
        check("[a]\n\nx = { env = \"NONE\" }\n", 3, "`NONE`");
        check("[a]\nx = { file = \"/nonexistent\" }\n", 2, "/nonexistent");
        check("[a]\nx = { file = \"a\", env = \"b\" }\n", 2, "file");
        check("[a]\n[a.b]\nx = 1\n", 2, "one value");
        check("[cluster]\nat = [\"a\"]\n", 1, "`token`");
        check("[cluster]\ntoken = \"a\"\nhow = 1\n", 3, "`how`");
        check("[administrator]\nname = \"ada\"\n", 1, "needs a `password`");
        check("[administrator]\nname = \"a b\"\n", 2, "a b");
        check("[administrator]\nname = 3\n", 2, "has to be a text");
        check("[administrator]\nrole = \"x\"\n", 2, "`role`");
        let short = "[administrator]\nname = \"ada\"\n\npassword = \"x\"\n";
        check(short, 4, "at least");
        check("[ldap]\nurl = \"a\"\nsecret = 3\n", 3, "`secret`");
    }
}
