//! Asking on the terminal: one question after the other, each until its answer is right.
//!
//! Decides how an answer is typed. What is wrong with it the agent says, as to everybody.

use std::collections::BTreeMap;
use std::io;

use crate::cli::terminal::{Paint, complain, printable};
use crate::cli::{Failure, secret, segment};
use crate::client::Client;
use crate::wire::{
    SetupAnswers, SetupKind, SetupOption, SetupQuestion, SetupQuestions, SetupValue,
};

/// Answers, by question.
pub(super) type Given = BTreeMap<String, Option<SetupValue>>;

/// Asks everything that a part wants to know. Nothing is kept yet.
pub(super) fn ask(client: &Client, part: &str, all: bool) -> Result<Given, Failure> {
    let mut given = Given::new();
    let mut asked: Vec<String> = Vec::new();
    loop {
        let questions = questions(client, part, &given)?;
        // What is asked may depend on what was answered.
        let next = questions.iter().find(|question| {
            let wrong = question.problem.is_some() && asked.contains(&question.id);
            let new =
                !asked.contains(&question.id) && (all || !question.advanced || needed(question));
            wrong || new
        });
        let Some(question) = next else {
            return Ok(given);
        };
        if let Some(problem) = question
            .problem
            .as_ref()
            .filter(|_| asked.contains(&question.id))
        {
            complain(&Paint::for_stderr().red(format!("  {}", printable(problem))));
        }
        if let Some(value) = one(question)? {
            given.insert(question.id.clone(), Some(value));
        }
        if !asked.contains(&question.id) {
            asked.push(question.id.clone());
        }
    }
}

/// The questions as they are with these answers.
pub(super) fn questions(
    client: &Client,
    part: &str,
    given: &Given,
) -> Result<Vec<SetupQuestion>, Failure> {
    let wish = SetupAnswers {
        answers: given.clone(),
    };
    let path = format!("/api/v1/setup/parts/{}/ask", segment(part));
    let asked: SetupQuestions = client.post(&path, &wish)?;
    Ok(asked.questions)
}

/// Whether there has to be an answer and is none.
pub(super) fn needed(question: &SetupQuestion) -> bool {
    let optional = matches!(question.kind, SetupKind::Secret | SetupKind::Several { .. });
    question.answer.is_none() && question.default.is_none() && !optional
}

fn one(question: &SetupQuestion) -> Result<Option<SetupValue>, Failure> {
    let paint = Paint::for_stderr();
    complain("");
    complain(&paint.bold(printable(&question.label)));
    if !question.help.is_empty() {
        complain(&paint.dim(format!("  {}", printable(&question.help))));
    }
    let taken = question.answer.as_ref().or(question.default.as_ref());
    loop {
        let told = match &question.kind {
            SetupKind::Secret => return hidden(question),
            SetupKind::Flag => "y or n".to_owned(),
            SetupKind::Text { placeholder, .. } => placeholder.clone(),
            SetupKind::Lines { placeholder, .. } => {
                format!("{placeholder} (several lines; an empty one ends)")
            }
            SetupKind::Number { min, max, unit, .. } => format!("{min} to {max} {unit}"),
            SetupKind::Choice { options } => {
                list(options, paint);
                "a number".to_owned()
            }
            SetupKind::Several { options } => {
                list(options, paint);
                "numbers with commas, - for none".to_owned()
            }
        };
        let otherwise = taken.map(|taken| format!(" [{}]", shown(taken)));
        complain(&format!(
            "  {}{}",
            printable(told.trim()),
            otherwise.unwrap_or_default()
        ));
        let lines = matches!(question.kind, SetupKind::Lines { .. });
        let typed = typed(lines)?;
        if typed.is_empty() {
            return Ok(None);
        }
        match read(&question.kind, &typed) {
            Some(value) => return Ok(Some(value)),
            None => complain(&paint.red("  that is none of these")),
        }
    }
}

fn hidden(question: &SetupQuestion) -> Result<Option<SetupValue>, Failure> {
    let given = matches!(question.answer, Some(SetupValue::Secret { given: true }));
    let what = if given {
        "  a new one, or nothing to keep the one from before"
    } else {
        "  the secret, or nothing"
    };
    let text = secret::ask(what)?;
    let text = text.trim_end_matches(['\n', '\r']);
    Ok((!text.is_empty()).then(|| SetupValue::Text(text.to_owned())))
}

fn list(options: &[SetupOption], paint: Paint) {
    for (number, option) in options.iter().enumerate() {
        let recommended = if option.recommended {
            paint.green(" (recommended)")
        } else {
            String::new()
        };
        complain(&format!(
            "  {}) {}{recommended}",
            number + 1,
            printable(&option.label)
        ));
        if !option.help.is_empty() {
            complain(&paint.dim(format!("     {}", printable(&option.help))));
        }
    }
}

fn typed(lines: bool) -> Result<String, Failure> {
    let mut all = String::new();
    loop {
        let mut line = String::new();
        let read = io::stdin().read_line(&mut line)?;
        if read == 0 && all.is_empty() {
            return Err(Failure::new(
                "the input has ended; nothing more was changed",
            ));
        }
        let line = line.trim_end_matches(['\n', '\r']);
        if !lines {
            return Ok(line.trim().to_owned());
        }
        if line.is_empty() || read == 0 || all.len() > LINES_BYTES_MAX {
            return Ok(all);
        }
        if !all.is_empty() {
            all.push('\n');
        }
        all.push_str(line);
    }
}

/// What was typed, as an answer; none when it cannot be one.
fn read(kind: &SetupKind, typed: &str) -> Option<SetupValue> {
    let option = |options: &[SetupOption], typed: &str| {
        let typed = typed.trim();
        let by_number = typed.parse::<usize>().ok().and_then(|number| {
            let index = number.checked_sub(1)?;
            options.get(index)
        });
        let found = options
            .iter()
            .find(|option| option.value == typed)
            .or(by_number);
        found.map(|option| option.value.clone())
    };
    match kind {
        SetupKind::Text { .. } | SetupKind::Lines { .. } | SetupKind::Secret => {
            Some(SetupValue::Text(typed.to_owned()))
        }
        SetupKind::Number { .. } => {
            let digits = typed.replace(['_', ' '], "");
            digits.parse().ok().map(SetupValue::Number)
        }
        SetupKind::Flag => match typed.to_ascii_lowercase().as_str() {
            "y" | "yes" | "true" => Some(SetupValue::Flag(true)),
            "n" | "no" | "false" => Some(SetupValue::Flag(false)),
            _ => None,
        },
        SetupKind::Choice { options } => option(options, typed).map(SetupValue::Text),
        SetupKind::Several { .. } if typed == "-" => Some(SetupValue::Several(Vec::new())),
        SetupKind::Several { options } => {
            let chosen = typed.split(',').map(|one| option(options, one));
            chosen.collect::<Option<_>>().map(SetupValue::Several)
        }
    }
}

/// An answer in a few letters.
pub(super) fn shown(value: &SetupValue) -> String {
    let text = match value {
        SetupValue::Flag(flag) => if *flag { "y" } else { "n" }.to_owned(),
        SetupValue::Number(number) => number.to_string(),
        SetupValue::Text(text) => text.replace('\n', " / "),
        SetupValue::Several(several) => several.join(","),
        SetupValue::Secret { .. } => "given".to_owned(),
    };
    printable(&text).chars().take(60).collect()
}

/// What somebody types by hand stays far below.
const LINES_BYTES_MAX: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_becomes_an_answer_or_is_asked_again() {
        let option = |value: &str| SetupOption {
            value: value.to_owned(),
            label: String::new(),
            help: String::new(),
            recommended: false,
        };
        let options = vec![option("eth0"), option("1")];
        let choice = SetupKind::Choice {
            options: options.clone(),
        };
        let several = SetupKind::Several { options };
        let number = SetupKind::Number {
            min: 0,
            max: 9,
            step: 1,
            unit: String::new(),
        };
        let text = |text: &str| Some(SetupValue::Text(text.to_owned()));
        let list = |list: &[&str]| {
            Some(SetupValue::Several(
                list.iter().map(|&one| one.to_owned()).collect(),
            ))
        };
        assert_eq!(read(&choice, "eth0"), text("eth0"));
        assert_eq!(read(&choice, "2"), text("1"));
        // A value counts for more than a number.
        assert_eq!(read(&choice, "1"), text("1"));
        assert_eq!(read(&choice, "3"), None);
        assert_eq!(read(&choice, "0"), None);
        assert_eq!(read(&several, "eth0, 2"), list(&["eth0", "1"]));
        assert_eq!(read(&several, "eth0,,"), None);
        assert_eq!(read(&several, "-"), list(&[]));
        assert_eq!(read(&SetupKind::Flag, "YES"), Some(SetupValue::Flag(true)));
        assert_eq!(read(&SetupKind::Flag, "perhaps"), None);
        assert_eq!(read(&number, "1_000"), Some(SetupValue::Number(1_000)));
        assert_eq!(read(&number, "many"), None);
    }
}
