//! What a step may answer: how much, and what counts as well-formed.
//!
//! Decides that words for people are cut and made printable, and that whatever leads to something (ids, values, numbers of
//! entries) is refused instead: a question or an action that was left out silently would be a lie.

use std::collections::BTreeSet;

use super::super::log::printable;
use super::{
    Description, Finding, Kind, Need, OptionItem, Planned, Proposal, Question, TextRule, Value,
};
use crate::limits::{
    FACTS_TEXT_BYTES, PLAN_ACTIONS_MAX, PLAN_NOTES_MAX, STEP_FINDINGS_MAX, STEP_LABEL_BYTES,
    STEP_NEEDS_MAX, STEP_OPTIONS_MAX, STEP_QUESTIONS_MAX, STEP_SENTENCE_BYTES, STEP_VALUE_BYTES,
};

type Bounded<T> = Result<T, String>;

pub(super) fn description(described: Description) -> Bounded<Description> {
    few("things to look at", described.needs.len(), STEP_NEEDS_MAX)?;
    for need in &described.needs {
        let name = match need {
            Need::File(name)
            | Need::Package(name)
            | Need::Unit(name)
            | Need::Account(name)
            | Need::Group(name)
            | Need::Program(name) => name,
            Need::Services | Need::Neighbours => continue,
        };
        if name.is_empty() || name.len() > FACTS_TEXT_BYTES || printable(name) != *name {
            return Err(
                "the name of something to look at is empty, long or unprintable".to_owned(),
            );
        }
    }
    if described.title.trim().is_empty() {
        return Err("it has no title".to_owned());
    }
    Ok(Description {
        title: label(described.title),
        purpose: sentence(described.purpose),
        needs: described.needs,
    })
}

pub(super) fn questions(asked: Vec<Question>) -> Bounded<Vec<Question>> {
    few("questions", asked.len(), STEP_QUESTIONS_MAX)?;
    let mut ids = BTreeSet::new();
    for question in &asked {
        let id = &question.id;
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if id.is_empty() || id.len() > 64 || !id.bytes().all(fits) {
            let shown = printable(&id.chars().take(64).collect::<String>());
            return Err(format!("`{shown}` is no id of a question"));
        }
        if !ids.insert(id.clone()) {
            return Err(format!("two questions have the id `{id}`"));
        }
    }
    asked.into_iter().map(question).collect()
}

fn question(asked: Question) -> Bounded<Question> {
    let wrong = |what: &str| format!("the question `{}` {what}", asked.id);
    match &asked.kind {
        Kind::Choice(options) | Kind::Several(options) => {
            few("options of a question", options.len(), STEP_OPTIONS_MAX)?;
            let mut values = BTreeSet::new();
            for option in options {
                if !is_value(&option.value) {
                    return Err(wrong("has an option whose value is long or unprintable"));
                }
                if !values.insert(&option.value) {
                    return Err(wrong("has the same option twice"));
                }
            }
        }
        Kind::Number(rule) if rule.min > rule.max || rule.step < 1 => {
            return Err(wrong("has no number between its bounds"));
        }
        Kind::Text(rule) | Kind::Lines(rule) if rule.bytes_max as usize > STEP_VALUE_BYTES => {
            return Err(wrong("takes more text than an answer may have"));
        }
        Kind::Text(_) | Kind::Lines(_) | Kind::Number(_) | Kind::Secret | Kind::Flag => {}
    }
    if let Some(default) = &asked.default
        && !fits(&asked.kind, default)
    {
        return Err(wrong("has a default that is no answer to it"));
    }
    Ok(Question {
        label: label(asked.label),
        help: sentence(asked.help),
        kind: kind(asked.kind),
        problem: asked.problem.map(sentence),
        ..asked
    })
}

fn kind(kind: Kind) -> Kind {
    let option = |item: OptionItem| OptionItem {
        label: label(item.label),
        help: sentence(item.help),
        ..item
    };
    let text = |rule: TextRule| TextRule {
        placeholder: label(rule.placeholder),
        ..rule
    };
    match kind {
        Kind::Choice(options) => Kind::Choice(options.into_iter().map(option).collect()),
        Kind::Several(options) => Kind::Several(options.into_iter().map(option).collect()),
        Kind::Text(rule) => Kind::Text(text(rule)),
        Kind::Lines(rule) => Kind::Lines(text(rule)),
        Kind::Number(mut rule) => {
            rule.unit = label(rule.unit);
            Kind::Number(rule)
        }
        Kind::Secret | Kind::Flag => kind,
    }
}

/// Whether a value is of a question's kind and within its rule.
fn fits(kind: &Kind, value: &Value) -> bool {
    let among =
        |options: &[OptionItem], value: &String| options.iter().any(|item| item.value == *value);
    match (kind, value) {
        (Kind::Text(rule), Value::Text(text)) => {
            text.len() <= rule.bytes_max as usize && printable_or_long(text)
        }
        (Kind::Lines(rule), Value::Text(text)) => {
            text.len() <= rule.bytes_max as usize && text.lines().all(printable_or_long)
        }
        (Kind::Number(rule), Value::Number(number)) => (rule.min..=rule.max).contains(number),
        (Kind::Flag, Value::Flag(_)) => true,
        (Kind::Choice(options), Value::Text(text)) => among(options, text),
        (Kind::Several(options), Value::Several(values)) => {
            values.len() <= options.len() && values.iter().all(|value| among(options, value))
        }
        _ => false,
    }
}

fn is_value(text: &str) -> bool {
    text.len() <= STEP_LABEL_BYTES && printable_or_long(text)
}

/// `printable` cuts long lines, so that it cannot be compared with.
fn printable_or_long(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

pub(super) fn proposal(proposed: Proposal) -> Bounded<Proposal> {
    few("actions", proposed.actions.len(), PLAN_ACTIONS_MAX)?;
    few("notes", proposed.notes.len(), PLAN_NOTES_MAX)?;
    let tidy = |planned: Planned| Planned {
        why: sentence(planned.why),
        ..planned
    };
    Ok(Proposal {
        actions: proposed.actions.into_iter().map(tidy).collect(),
        notes: proposed.notes.into_iter().map(sentence).collect(),
    })
}

pub(super) fn findings(found: Vec<Finding>) -> Bounded<Vec<Finding>> {
    few("findings", found.len(), STEP_FINDINGS_MAX)?;
    let tidy = |finding: Finding| Finding {
        severity: finding.severity,
        what: sentence(finding.what),
        evidence: sentence(finding.evidence),
        remedy: finding.remedy.map(sentence),
    };
    Ok(found.into_iter().map(tidy).collect())
}

fn few(what: &str, count: usize, most: usize) -> Bounded<()> {
    if count > most {
        return Err(format!("it has {count} {what}, and {most} are the most"));
    }
    Ok(())
}

pub(super) fn label(text: String) -> String {
    cut(text, STEP_LABEL_BYTES)
}

pub(super) fn sentence(text: String) -> String {
    cut(text, STEP_SENTENCE_BYTES)
}

fn cut(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max));
    }
    printable(&text)
}
