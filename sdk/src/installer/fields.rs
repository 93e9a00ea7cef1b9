//! One question while it is put together, and what is in force for it.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::marker::PhantomData;

use super::{Form, Kind, OptionItem, Question, Value};

/// A question while it is put together; `get` asks it.
#[derive(Debug)]
#[must_use = "a question is asked by `get`"]
pub struct Field<'f, 'a, K> {
    form: &'f mut Form<'a>,
    pub(super) question: Question,
    kind: PhantomData<K>,
}

/// One line of text.
#[derive(Debug)]
pub struct Text;
/// Lines of text.
#[derive(Debug)]
pub struct Lines;
/// A text that only the host sees.
#[derive(Debug)]
pub struct Secret;
/// A whole number.
#[derive(Debug)]
pub struct Number;
/// Yes or no.
#[derive(Debug)]
pub struct Flag;
/// One of several.
#[derive(Debug)]
pub struct Choice;
/// Any of several.
#[derive(Debug)]
pub struct Several;

impl<'f, 'a, K> Field<'f, 'a, K> {
    pub(super) fn new(form: &'f mut Form<'a>, id: &str, label: &str, kind: Kind) -> Self {
        Self {
            form,
            question: Question {
                id: id.to_owned(),
                label: label.to_owned(),
                help: String::new(),
                kind,
                default: None,
                advanced: false,
                problem: None,
            },
            kind: PhantomData,
        }
    }

    /// One or two sentences for whoever does not know.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.question.help = help.into();
        self
    }

    /// Not shown unless somebody asks for more.
    pub fn advanced(mut self) -> Self {
        self.question.advanced = true;
        self
    }

    /// Asks, and returns what is in force: the answer if it fits, else the default.
    fn settle(mut self, none: Value, fits: impl Fn(&Value, &Kind) -> Result<(), String>) -> Value {
        // One that does not fit, as a path of the machine's that is too long, would make the question nonsense.
        let default = self.question.default.take();
        let default = default.filter(|default| fits(default, &self.question.kind).is_ok());
        self.question.default.clone_from(&default);
        let value = match (self.form.answer(&self.question.id), default) {
            (Some(given), default) => match fits(given, &self.question.kind) {
                Ok(()) => given.clone(),
                Err(problem) => {
                    self.question.problem = Some(problem);
                    default.unwrap_or(none)
                }
            },
            (None, Some(default)) => default,
            (None, None) => {
                self.question.problem = Some("an answer is needed".to_owned());
                none
            }
        };
        self.form.questions.push(self.question);
        value
    }
}

macro_rules! text_like {
    ($kind:ident, $variant:ident) => {
        impl Field<'_, '_, $kind> {
            /// What stands there while nothing does, as an example.
            pub fn placeholder(mut self, example: impl Into<String>) -> Self {
                if let Kind::$variant(rule) = &mut self.question.kind {
                    rule.placeholder = example.into();
                }
                self
            }

            /// How long it may be.
            pub fn at_most(mut self, bytes: u32) -> Self {
                if let Kind::$variant(rule) = &mut self.question.kind {
                    rule.bytes_max = bytes;
                }
                self
            }

            /// What is taken when nothing is answered. Empty: no answer is needed.
            pub fn default(mut self, text: impl Into<String>) -> Self {
                self.question.default = Some(Value::Text(text.into()));
                self
            }
        }
    };
}

text_like!(Text, Text);
text_like!(Lines, Lines);

impl Field<'_, '_, Text> {
    /// Asks. Without spaces around it; empty only where that is the default.
    pub fn get(self) -> String {
        let may_be_empty =
            matches!(&self.question.default, Some(Value::Text(text)) if text.is_empty());
        let value = self.settle(Value::Text(String::new()), |value, kind| {
            let text = words(value, kind)?;
            if text.chars().any(char::is_control) {
                return Err("one line without control characters".to_owned());
            }
            if text.trim().is_empty() && !may_be_empty {
                return Err("an answer is needed".to_owned());
            }
            Ok(())
        });
        match value {
            Value::Text(text) => text.trim().to_owned(),
            _ => String::new(),
        }
    }
}

impl Field<'_, '_, Lines> {
    /// Asks. Lines without spaces around them; empty ones are left out.
    pub fn get(self) -> Vec<String> {
        let value = self.settle(Value::Text(String::new()), |value, kind| {
            let text = words(value, kind)?;
            let is_plain = |line: &str| !line.trim_end_matches('\r').chars().any(char::is_control);
            if !text.split('\n').all(is_plain) {
                return Err("lines without control characters".to_owned());
            }
            Ok(())
        });
        let Value::Text(text) = value else {
            return Vec::new();
        };
        let lines = text.lines().map(str::trim);
        lines
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect()
    }
}

impl Field<'_, '_, Secret> {
    /// Asks, and says whether one was given. None is needed.
    pub fn get(mut self) -> bool {
        let given = self.form.answer(&self.question.id);
        let is_given = matches!(given, Some(Value::SecretGiven));
        if !is_given && given.is_some() {
            self.question.problem = Some("a secret is needed here".to_owned());
        }
        self.form.questions.push(self.question);
        is_given
    }
}

impl Field<'_, '_, Number> {
    /// What is taken when nothing is answered, within the bounds.
    pub fn default(mut self, number: i64) -> Self {
        if let Kind::Number(rule) = &self.question.kind {
            let number = number.clamp(rule.min, rule.max);
            self.question.default = Some(Value::Number(number));
        }
        self
    }

    /// What is counted: `bytes`, `percent`, `W`, `cores`, `tokens`, `days`.
    pub fn unit(mut self, unit: &str) -> Self {
        if let Kind::Number(rule) = &mut self.question.kind {
            unit.clone_into(&mut rule.unit);
        }
        self
    }

    /// The distance between two positions of a slider.
    pub fn step(mut self, step: i64) -> Self {
        if let Kind::Number(rule) = &mut self.question.kind {
            rule.step = step.max(1);
        }
        self
    }

    /// Asks. Always within the bounds.
    pub fn get(self) -> i64 {
        let least = match &self.question.kind {
            Kind::Number(rule) => rule.min,
            _ => 0,
        };
        let value = self.settle(Value::Number(least), |value, kind| match (value, kind) {
            (Value::Number(number), Kind::Number(rule)) => {
                let fits = (rule.min..=rule.max).contains(number);
                fits.then_some(())
                    .ok_or_else(|| format!("from {} to {}", rule.min, rule.max))
            }
            _ => Err("a whole number".to_owned()),
        });
        match value {
            Value::Number(number) => number,
            _ => least,
        }
    }
}

impl Field<'_, '_, Flag> {
    /// What is taken when nothing is answered.
    pub fn default(mut self, flag: bool) -> Self {
        self.question.default = Some(Value::Flag(flag));
        self
    }

    /// Asks.
    pub fn get(self) -> bool {
        let value = self.settle(Value::Flag(false), |value, _| match value {
            Value::Flag(_) => Ok(()),
            _ => Err("yes or no".to_owned()),
        });
        matches!(value, Value::Flag(true))
    }
}

macro_rules! with_options {
    ($kind:ident) => {
        impl Field<'_, '_, $kind> {
            /// Adds an option. A value that cannot be one, long or with control characters, is left out.
            pub fn option(
                self,
                value: impl Into<String>,
                label: impl Into<String>,
                help: impl Into<String>,
            ) -> Self {
                self.add(value.into(), label.into(), help.into(), false)
            }

            /// Adds an option that most people should take.
            pub fn recommend(
                self,
                value: impl Into<String>,
                label: impl Into<String>,
                help: impl Into<String>,
            ) -> Self {
                self.add(value.into(), label.into(), help.into(), true)
            }

            fn add(
                mut self,
                value: String,
                label: String,
                help: String,
                recommended: bool,
            ) -> Self {
                if let Kind::Choice(options) | Kind::Several(options) = &mut self.question.kind
                    && !options.iter().any(|known| known.value == value)
                    && options.len() < OPTIONS_MAX
                    && value.len() <= VALUE_BYTES
                    && !value.chars().any(char::is_control)
                {
                    options.push(OptionItem {
                        value,
                        label,
                        help,
                        recommended,
                    });
                }
                self
            }
        }
    };
}

with_options!(Choice);
with_options!(Several);

impl Field<'_, '_, Choice> {
    /// What is taken when nothing is answered; to be said after the options. What is no option is no default.
    pub fn default(mut self, value: &str) -> Self {
        if among(&self.question.kind, value) {
            self.question.default = Some(Value::Text(value.to_owned()));
        }
        self
    }

    /// Asks. One of the options' values; empty only when something is wrong.
    pub fn get(self) -> String {
        let value = self.settle(Value::Text(String::new()), |value, kind| match value {
            Value::Text(text) if among(kind, text) => Ok(()),
            _ => Err("one of the options".to_owned()),
        });
        match value {
            Value::Text(text) => text,
            _ => String::new(),
        }
    }
}

impl Field<'_, '_, Several> {
    /// What is taken when nothing is answered; to be said after the options. What is no option is left out.
    pub fn default(mut self, values: impl IntoIterator<Item = String>) -> Self {
        let kind = &self.question.kind;
        let values = values.into_iter().filter(|value| among(kind, value));
        self.question.default = Some(Value::Several(values.collect()));
        self
    }

    /// Asks. Values of options, each once.
    pub fn get(self) -> Vec<String> {
        let value = self.settle(Value::Several(Vec::new()), |value, kind| match value {
            Value::Several(values) if values.iter().all(|value| among(kind, value)) => Ok(()),
            _ => Err("some of the options".to_owned()),
        });
        let Value::Several(mut values) = value else {
            return Vec::new();
        };
        values.sort();
        values.dedup();
        values
    }
}

fn among(kind: &Kind, value: &str) -> bool {
    let (Kind::Choice(options) | Kind::Several(options)) = kind else {
        return false;
    };
    options.iter().any(|option| option.value == value)
}

fn words<'v>(value: &'v Value, kind: &Kind) -> Result<&'v str, String> {
    let (Value::Text(text), Kind::Text(rule) | Kind::Lines(rule)) = (value, kind) else {
        return Err("a text".to_owned());
    };
    if text.len() > rule.bytes_max as usize {
        return Err(format!("{} bytes at most", rule.bytes_max));
    }
    Ok(text)
}

/// What the host takes.
const OPTIONS_MAX: usize = 64;
const VALUE_BYTES: usize = 160;
