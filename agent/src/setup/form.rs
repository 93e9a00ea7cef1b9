//! Questions and answers, between a step and those who answer.
//!
//! Decides which answers fit a kind of question, and that a step never sees a secret's text. What the step itself has against an
//! answer counts first. Refuses to know what is asked.

use std::collections::BTreeMap;

use crate::host::installer::{self as host, Kind, Question};
use crate::wire::{SetupKind, SetupOption, SetupQuestion, SetupValue};

/// Answers, by question.
pub(super) type Answers = BTreeMap<String, SetupValue>;

/// An answer that cannot be one.
#[derive(Debug, thiserror::Error)]
#[error("the answer to `{question}` {what}")]
pub struct Misfit {
    pub question: String,
    pub what: String,
}

/// Answers, and those of them that are texts of secrets.
#[derive(Default)]
pub(super) struct Filled {
    /// With every secret's text replaced by that one is given.
    pub(super) answers: Answers,
    /// Texts by question.
    pub(super) secrets: BTreeMap<String, zeroize::Zeroizing<String>>,
    pub(super) questions: Vec<Question>,
    /// Answers to what was not asked.
    pub(super) unasked: Vec<String>,
}

/// Lays new answers over old ones, a few at a time, since what is asked may depend on what was answered; `ask` is the step.
///
/// # Errors
/// When an answer is of another kind than its question, or the step fails.
pub(super) fn fill<E: From<Misfit>>(
    mut answers: Answers,
    mut new: BTreeMap<String, Option<SetupValue>>,
    ask: impl Fn(&[host::Answer]) -> Result<Vec<Question>, E>,
) -> Result<Filled, E> {
    let mut secrets = BTreeMap::new();
    new.retain(|question, value| {
        let taken_back = value.is_none();
        if taken_back {
            answers.remove(question);
        }
        !taken_back
    });
    let mut questions = ask(&for_step(&answers))?;
    loop {
        let mut changed = false;
        for question in &questions {
            let Some(value) = new.remove(&question.id).flatten() else {
                continue;
            };
            let misfit = |what: String| Misfit {
                question: question.id.clone(),
                what,
            };
            let value = match (&question.kind, value) {
                (Kind::Secret, SetupValue::Text(text)) => {
                    secrets.insert(question.id.clone(), zeroize::Zeroizing::new(text));
                    SetupValue::Secret { given: true }
                }
                // What was read is written back.
                (Kind::Secret, SetupValue::Secret { given: true })
                    if answers.contains_key(&question.id) =>
                {
                    continue;
                }
                (kind, value) => {
                    fits(kind, &value).map_err(misfit)?;
                    value
                }
            };
            changed |= answers.insert(question.id.clone(), value.clone()) != Some(value);
        }
        if !changed {
            break;
        }
        questions = ask(&for_step(&answers))?;
        if new.is_empty() {
            break;
        }
    }
    Ok(Filled {
        answers,
        secrets,
        questions,
        unasked: new.into_keys().collect(),
    })
}

/// As a step is told.
pub(super) fn for_step(answers: &Answers) -> Vec<host::Answer> {
    let told = answers.iter().filter_map(|(id, value)| {
        let value = match value {
            SetupValue::Flag(flag) => host::Value::Flag(*flag),
            SetupValue::Number(number) => host::Value::Number(*number),
            SetupValue::Text(text) => host::Value::Text(text.clone()),
            SetupValue::Several(several) => host::Value::Several(several.clone()),
            SetupValue::Secret { given: true } => host::Value::SecretGiven,
            SetupValue::Secret { given: false } => return None,
        };
        Some(host::Answer {
            id: id.clone(),
            value,
        })
    });
    told.collect()
}

/// The answers of all questions, with what is taken where nothing was answered.
pub(super) fn complete(questions: &[Question], answers: &Answers) -> Answers {
    let mut complete = answers.clone();
    for question in questions {
        if let Some(default) = question.default.as_ref().and_then(value) {
            complete.entry(question.id.clone()).or_insert(default);
        }
    }
    complete.retain(|id, _| questions.iter().any(|question| question.id == *id));
    complete
}

/// What stands in the way of a plan, by question.
pub(super) fn problems(questions: &[Question], answers: &Answers) -> Vec<(String, String)> {
    let found = questions.iter().filter_map(|question| {
        let answer = answers.get(&question.id);
        let missing = || {
            let needed = answer.is_none() && question.default.is_none();
            let optional = matches!(question.kind, Kind::Secret | Kind::Several(_));
            (needed && !optional).then(|| "an answer is needed".to_owned())
        };
        let problem = problem(question, answer).or_else(missing)?;
        Some((question.id.clone(), problem))
    });
    found.collect()
}

/// A question as people see it.
pub(super) fn question(question: &Question, answers: &Answers) -> SetupQuestion {
    let answer = answers.get(&question.id);
    SetupQuestion {
        id: question.id.clone(),
        label: question.label.clone(),
        help: question.help.clone(),
        kind: kind(&question.kind),
        default: question.default.as_ref().and_then(value),
        advanced: question.advanced,
        problem: problem(question, answer),
        answer: answer.cloned(),
    }
}

/// What the step has against an answer, or what its own rule says.
fn problem(question: &Question, answer: Option<&SetupValue>) -> Option<String> {
    let by_rule = || {
        let answer = answer?;
        within(&question.kind, answer).err()
    };
    question.problem.clone().or_else(by_rule)
}

/// Whether a value is of a kind at all.
fn fits(kind: &Kind, value: &SetupValue) -> Result<(), String> {
    let expected = match (kind, value) {
        (Kind::Text(_) | Kind::Lines(_) | Kind::Choice(_), SetupValue::Text(_))
        | (Kind::Number(_), SetupValue::Number(_))
        | (Kind::Flag, SetupValue::Flag(_))
        | (Kind::Several(_), SetupValue::Several(_))
        | (Kind::Secret, SetupValue::Secret { given: false }) => return Ok(()),
        (Kind::Text(_), _) => "has to be a text",
        (Kind::Lines(_), _) => "has to be a text with line breaks",
        (Kind::Choice(_), _) => "has to be one of the choices, as a text",
        (Kind::Number(_), _) => "has to be a whole number",
        (Kind::Flag, _) => "has to be true or false",
        (Kind::Several(_), _) => "has to be a list of texts",
        (Kind::Secret, _) => "has to be the secret's text",
    };
    Err(expected.to_owned())
}

/// Whether a value of the right kind is within its rule.
fn within(kind: &Kind, value: &SetupValue) -> Result<(), String> {
    let one_of = |options: &[host::OptionItem], value: &str| {
        if options.iter().any(|option| option.value == value) {
            return Ok(());
        }
        let values: Vec<&str> = options.iter().map(|option| option.value.as_str()).collect();
        Err(format!("choose one of: {}", values.join(", ")))
    };
    match (kind, value) {
        (Kind::Text(rule) | Kind::Lines(rule), SetupValue::Text(text)) => {
            let steers = |c: char| c.is_control() && !(c == '\n' && matches!(kind, Kind::Lines(_)));
            if text.len() > rule.bytes_max as usize {
                return Err(format!("at most {} bytes fit", rule.bytes_max));
            }
            if text.contains(steers) {
                return Err("it has characters that cannot be shown".to_owned());
            }
            Ok(())
        }
        (Kind::Number(rule), SetupValue::Number(number)) => {
            let off = rule.step > 1 && (number.wrapping_sub(rule.min)) % rule.step != 0;
            if *number < rule.min || *number > rule.max {
                return Err(format!("give {} to {}", rule.min, rule.max));
            }
            if off && *number != rule.max {
                return Err(format!("give {} and a multiple of {}", rule.min, rule.step));
            }
            Ok(())
        }
        (Kind::Choice(options), SetupValue::Text(text)) => one_of(options, text),
        (Kind::Several(options), SetupValue::Several(several)) => {
            several.iter().try_for_each(|value| one_of(options, value))
        }
        // The kind of a question may have changed since it was answered.
        (kind, value) if !matches!(value, SetupValue::Secret { .. }) => fits(kind, value),
        _ => Ok(()),
    }
}

fn value(value: &host::Value) -> Option<SetupValue> {
    Some(match value {
        host::Value::Text(text) => SetupValue::Text(text.clone()),
        host::Value::Number(number) => SetupValue::Number(*number),
        host::Value::Flag(flag) => SetupValue::Flag(*flag),
        host::Value::Several(several) => SetupValue::Several(several.clone()),
        host::Value::SecretGiven => return None,
    })
}

fn kind(kind: &Kind) -> SetupKind {
    let options = |options: &[host::OptionItem]| {
        let options = options.iter().map(|option| SetupOption {
            value: option.value.clone(),
            label: option.label.clone(),
            help: option.help.clone(),
            recommended: option.recommended,
        });
        options.collect()
    };
    match kind {
        Kind::Text(rule) => SetupKind::Text {
            placeholder: rule.placeholder.clone(),
            bytes_max: rule.bytes_max,
        },
        Kind::Secret => SetupKind::Secret,
        Kind::Number(rule) => SetupKind::Number {
            min: rule.min,
            max: rule.max,
            step: rule.step,
            unit: rule.unit.clone(),
        },
        Kind::Flag => SetupKind::Flag,
        Kind::Choice(of) => SetupKind::Choice {
            options: options(of),
        },
        Kind::Several(of) => SetupKind::Several {
            options: options(of),
        },
        Kind::Lines(rule) => SetupKind::Lines {
            placeholder: rule.placeholder.clone(),
            bytes_max: rule.bytes_max,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(id: &str, kind: Kind) -> Question {
        Question {
            id: id.to_owned(),
            label: String::new(),
            help: String::new(),
            kind,
            default: None,
            advanced: false,
            problem: None,
        }
    }

    fn text(text: &str) -> SetupValue {
        SetupValue::Text(text.to_owned())
    }

    fn option(value: &str) -> host::OptionItem {
        host::OptionItem {
            value: value.to_owned(),
            label: String::new(),
            help: String::new(),
            recommended: false,
        }
    }

    /// A step that asks for a key only once it knows that there is to be one.
    fn step(answers: &[host::Answer]) -> Result<Vec<Question>, Misfit> {
        let told = format!("{answers:?}");
        assert!(!told.contains("hush"), "the step saw a secret: {told}");
        let mut questions = vec![asked("use-key", Kind::Flag)];
        let yes = |answer: &host::Answer| {
            answer.id == "use-key" && matches!(answer.value, host::Value::Flag(true))
        };
        if answers.iter().any(yes) {
            questions.push(asked("key", Kind::Secret));
        }
        Ok(questions)
    }

    #[test]
    fn a_secret_is_known_as_one_before_it_is_told() {
        let new = [
            ("key".to_owned(), Some(text("hush"))),
            ("use-key".to_owned(), Some(SetupValue::Flag(true))),
            ("other".to_owned(), Some(text("hush hush"))),
        ];
        let filled = fill(Answers::new(), new.into(), step).unwrap();
        assert_eq!(filled.answers["key"], SetupValue::Secret { given: true });
        assert_eq!(filled.secrets["key"].as_str(), "hush");
        assert_eq!(filled.unasked, ["other"]);
        assert_eq!(filled.questions.len(), 2);
        // What was read can be written back, and taken back.
        let back = [("key".to_owned(), Some(SetupValue::Secret { given: true }))];
        let again = fill(filled.answers.clone(), back.into(), step).unwrap();
        assert_eq!(again.answers, filled.answers);
        assert!(again.secrets.is_empty());
        let gone = [("key".to_owned(), None)];
        let again = fill(filled.answers, gone.into(), step).unwrap();
        assert!(!again.answers.contains_key("key"));
    }

    #[test]
    fn an_answer_of_another_kind_is_none() {
        for wrong in [
            text("yes"),
            SetupValue::Number(1),
            SetupValue::Several(vec![]),
        ] {
            let new = [("use-key".to_owned(), Some(wrong))];
            let misfit = fill(Answers::new(), new.into(), step).err().unwrap();
            assert_eq!(misfit.question, "use-key");
            assert!(misfit.what.contains("true or false"), "{misfit}");
        }
    }

    #[test]
    fn rules_hold_also_where_a_step_says_nothing() {
        let number = Kind::Number(host::NumberRule {
            min: 10,
            max: 95,
            step: 10,
            unit: String::new(),
        });
        let rule = host::TextRule {
            placeholder: String::new(),
            bytes_max: 4,
        };
        let check = |kind: &Kind, value: SetupValue, part: &str| {
            let question = asked("q", kind.clone());
            let found = problem(&question, Some(&value)).unwrap_or_default();
            assert!(
                found.contains(part) && found.is_empty() == part.is_empty(),
                "{found}"
            );
        };
        check(&number, SetupValue::Number(10), "");
        check(&number, SetupValue::Number(90), "");
        check(&number, SetupValue::Number(95), "");
        check(&number, SetupValue::Number(9), "10 to 95");
        check(&number, SetupValue::Number(i64::MIN), "10 to 95");
        check(&number, SetupValue::Number(15), "multiple of 10");
        check(&Kind::Text(rule.clone()), text("abcd"), "");
        check(&Kind::Text(rule.clone()), text("abcde"), "4 bytes");
        check(&Kind::Text(rule.clone()), text("a\nb"), "shown");
        check(&Kind::Lines(rule), text("a\nb"), "");
        let options = vec![option("a"), option("b")];
        check(&Kind::Choice(options.clone()), text("a"), "");
        check(&Kind::Choice(options.clone()), text("c"), "a, b");
        check(
            &Kind::Several(options.clone()),
            SetupValue::Several(vec![]),
            "",
        );
        let several = SetupValue::Several(vec!["a".to_owned(), "c".to_owned()]);
        check(&Kind::Several(options), several, "a, b");
        check(&Kind::Flag, text("true"), "true or false");
    }

    #[test]
    fn what_is_not_answered_is_needed_or_has_a_default() {
        let mut questions = vec![asked("a", Kind::Flag), asked("b", Kind::Flag)];
        questions[1].default = Some(host::Value::Flag(true));
        let answers = Answers::new();
        let found = problems(&questions, &answers);
        assert_eq!(found, [("a".to_owned(), "an answer is needed".to_owned())]);
        let stale = [("z".to_owned(), text("old"))].into();
        let complete = complete(&questions, &stale);
        assert_eq!(complete, [("b".to_owned(), SetupValue::Flag(true))].into());
    }
}
