//! `skep setup --example`: a file with every question, ready to be answered.
//!
//! Decides the form: what would be taken without an answer stands there as a comment, so that the file as it is changes nothing.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::ask;
use crate::cli::Failure;
use crate::cli::terminal::say;
use crate::cli::waiting::Waiting;
use crate::client::Client;
use crate::wire::{SetupKind, SetupQuestion, SetupValue, SetupView};

pub(super) fn example(client: &Client) -> Result<(), Failure> {
    let view: SetupView = client.get("/api/v1/setup")?;
    let waiting = Waiting::begin("looking at this machine");
    let mut text = HEAD.to_owned();
    for step in &view.steps {
        for part in &step.parts {
            let questions = ask::questions(client, &part.id, &ask::Given::new())?;
            text.push_str(&table(&part.id, &part.title, &questions));
            let ask = |given: &ask::Given| ask::questions(client, &part.id, given);
            for (given, questions) in behind(questions, ask)? {
                text.push_str(&only_with(&given, &questions));
            }
        }
    }
    drop(waiting);
    text.push_str(TAIL);
    Ok(say(text.trim_end())?)
}

fn table(part: &str, title: &str, questions: &[SetupQuestion]) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "\n# {}\n[{part}]", one_line(title));
    for question in questions {
        entry(&mut text, question, ask::needed(question));
    }
    text
}

/// Questions that nobody is asked who answers nothing.
fn only_with(given: &ask::Given, questions: &[SetupQuestion]) -> String {
    let answers = given.iter().filter_map(|(id, value)| {
        let value = written(value.as_ref()?);
        Some(format!("{id} = {value}"))
    });
    let answers: Vec<String> = answers.collect();
    let mut text = format!("\n# === only with {}\n", answers.join(" and "));
    for question in questions {
        entry(&mut text, question, false);
    }
    text
}

/// One question; one that has to be answered stands out: as it is, the file is refused with its line.
fn entry(text: &mut String, question: &SetupQuestion, needed: bool) {
    let _ = writeln!(text, "\n# {}", one_line(&question.label));
    if !question.help.is_empty() {
        let _ = writeln!(text, "# {}", one_line(&question.help));
    }
    let _ = writeln!(text, "# {}", allowed(&question.kind));
    if needed {
        let _ = writeln!(text, "{} = \"\"", question.id);
        return;
    }
    let value = question.answer.as_ref().or(question.default.as_ref());
    let value = match (value, &question.kind) {
        (_, SetupKind::Secret) => "{ env = \"NAME\" }".to_owned(),
        (Some(value), _) => written(value),
        (None, _) => "…".to_owned(),
    };
    let _ = writeln!(text, "# {} = {value}", question.id);
}

/// What is asked only where others are answered otherwise than by default, with those answers.
fn behind(
    asked: Vec<SetupQuestion>,
    ask: impl Fn(&ask::Given) -> Result<Vec<SetupQuestion>, Failure>,
) -> Result<Vec<(ask::Given, Vec<SetupQuestion>)>, Failure> {
    let mut known: BTreeSet<String> = asked.iter().map(|one| one.id.clone()).collect();
    let (mut open, mut found, mut asks) = (vec![(ask::Given::new(), asked)], Vec::new(), 0);
    while let Some((given, questions)) = open.pop() {
        for question in &questions {
            for other in otherwise(question) {
                if asks == ASKS_MAX {
                    return Ok(found);
                }
                asks += 1;
                let mut given = given.clone();
                given.insert(question.id.clone(), Some(other));
                let mut new = ask(&given)?;
                new.retain(|one| known.insert(one.id.clone()));
                if !new.is_empty() {
                    open.push((given.clone(), new.clone()));
                    found.push((given, new));
                }
            }
        }
    }
    Ok(found)
}

/// The other answers of which there are few.
fn otherwise(question: &SetupQuestion) -> Vec<SetupValue> {
    let now = question.answer.as_ref().or(question.default.as_ref());
    match &question.kind {
        SetupKind::Flag => vec![SetupValue::Flag(!matches!(
            now,
            Some(SetupValue::Flag(true))
        ))],
        SetupKind::Choice { options } => {
            let values = options.iter().map(|option| option.value.clone());
            let is_other =
                |value: &String| !matches!(now, Some(SetupValue::Text(now)) if now == value);
            values.filter(is_other).map(SetupValue::Text).collect()
        }
        _ => Vec::new(),
    }
}

fn allowed(kind: &SetupKind) -> String {
    match kind {
        SetupKind::Text { .. } => "a text".to_owned(),
        SetupKind::Secret => {
            "a text, or better { env = \"NAME\" } or { file = \"PATH\" }".to_owned()
        }
        SetupKind::Number { min, max, unit, .. } => {
            format!("{min} to {max} {unit}").trim_end().to_owned()
        }
        SetupKind::Flag => "true or false".to_owned(),
        SetupKind::Choice { options } => {
            let values: Vec<String> = options.iter().map(|option| quoted(&option.value)).collect();
            format!("one of {}", values.join(", "))
        }
        SetupKind::Several { options } => {
            let values: Vec<String> = options.iter().map(|option| quoted(&option.value)).collect();
            format!("a list of any of {}", values.join(", "))
        }
        SetupKind::Lines { .. } => "lines, as \"\"\"…\"\"\"".to_owned(),
    }
}

fn written(value: &SetupValue) -> String {
    match value {
        SetupValue::Flag(flag) => flag.to_string(),
        SetupValue::Number(number) => number.to_string(),
        SetupValue::Text(text) => quoted(text),
        SetupValue::Several(several) => {
            let values: Vec<String> = several.iter().map(|value| quoted(value)).collect();
            format!("[{}]", values.join(", "))
        }
        SetupValue::Secret { .. } => "{ env = \"NAME\" }".to_owned(),
    }
}

/// A text as TOML has it, on one line: as JSON has it, but for one character that TOML wants escaped as well.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text)
        .to_string()
        .replace('\u{7f}', "\\u007F")
}

fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    crate::host::printable(&line)
}

/// For each part; ours need some twenty.
const ASKS_MAX: usize = 64;

const HEAD: &str = "\
# Answers to the questions of a setup: `skep setup --from FILE --dry-run` shows what would be done.
# A part whose table is taken out is left as it is. What is behind a # is taken where nothing is answered.

# skip = [\"cluster\"]   leave these as they are
# tests = true           try at the end that all of it works
# finish = true          close the setup for good when it did
";

const TAIL: &str = "
# Who signs in on the page by a name and a password, besides those with a key:
# [administrator]
# name = \"ada\"
# password = { env = \"SKEP_PASSWORD\" }

# A directory or a provider, as `skep help sign-in` shows them, with the secret that `skep sign-in set` would ask for:
# [ldap]
# url = \"ldaps://ldap.example.org\"
# base = \"ou=people,dc=example,dc=org\"
# bind_dn = \"cn=skep,dc=example,dc=org\"
# secret = { file = \"ldap.secret\" }

# To join a cluster that is there already, with what `skep token new` shows there:
# [cluster]
# token = { env = \"SKEP_TOKEN\" }
# at = [\"10.0.0.1:7420\"]
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_toml_and_only_asks_for_what_is_needed() {
        let question = |id: &str, kind, default| SetupQuestion {
            id: id.to_owned(),
            label: "What\n[evil]".to_owned(),
            help: String::new(),
            kind,
            default,
            advanced: false,
            problem: None,
            answer: None,
        };
        let text_kind = || SetupKind::Text {
            placeholder: String::new(),
            bytes_max: 9,
        };
        let text = table(
            "step-a",
            "A",
            &[
                question("name", text_kind(), None),
                question(
                    "path",
                    text_kind(),
                    Some(SetupValue::Text("a\"b\nc\u{7f}".to_owned())),
                ),
                question("key", SetupKind::Secret, None),
                question("on", SetupKind::Flag, Some(SetupValue::Flag(true))),
            ],
        );
        // What is asked only with another answer stands there, too, and is no answer.
        let ask = |given: &ask::Given| {
            let mut all = vec![question("on", SetupKind::Flag, None)];
            if given.contains_key("on") {
                all.push(question("more", SetupKind::Flag, None));
                all.push(question("where", text_kind(), None));
            }
            if given.contains_key("more") {
                all.push(question("most", SetupKind::Secret, None));
            }
            Ok(all)
        };
        let hidden = behind(ask(&ask::Given::new()).unwrap(), ask).unwrap();
        let hidden: Vec<String> = hidden
            .iter()
            .map(|(given, of)| only_with(given, of))
            .collect();
        assert_eq!(hidden.len(), 2);
        assert!(hidden[0].contains("only with on = true\n") && hidden[0].contains("# where = …"));
        assert!(hidden[1].contains("only with more = true and on = true\n"));
        let text = text + &hidden.concat();
        let whole = format!("{HEAD}{text}{TAIL}");
        let parsed: toml::Table = toml::from_str(&whole).unwrap();
        let part = parsed["step-a"].as_table().unwrap();
        assert_eq!(part.len(), 1, "{whole}");
        assert_eq!(part["name"].as_str(), Some(""));
        // With every mark taken away it is what would be taken.
        for (line, expect) in [("# on = true", "on = true"), ("# path = ", "path = ")] {
            assert!(text.contains(line) && text.contains(expect), "{text}");
        }
        let path = text
            .lines()
            .find_map(|line| line.strip_prefix("# path"))
            .unwrap();
        let value: toml::Table = toml::from_str(&format!("path{path}")).unwrap();
        assert_eq!(value["path"].as_str(), Some("a\"b\nc\u{7f}"));
    }
}
