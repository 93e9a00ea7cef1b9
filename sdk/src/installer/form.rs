//! Asking and reading at once: what is in force for each question, and what is wrong with its answer.
//!
//! Decides which answers count: those of the right kind, within their question's rule. Refuses to know what they are for.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::fields::{Choice, Field, Flag, Lines, Number, Secret, Several, Text};
use super::{Answer, Kind, NumberRule, Question, TextRule, Value};

/// The questions of a step, with the answers so far.
#[derive(Debug)]
pub struct Form<'a> {
    answers: &'a [Answer],
    pub(super) questions: Vec<Question>,
}

impl<'a> Form<'a> {
    /// A form with nothing asked yet. The host makes one for each call; tests may, too.
    #[must_use]
    pub const fn new(answers: &'a [Answer]) -> Self {
        Self {
            answers,
            questions: Vec::new(),
        }
    }

    /// Asks for one line of text. `id` is of `a-z`, `0-9` and `-`; without [`Field::default`] an answer is needed.
    pub fn text(&mut self, id: &str, label: &str) -> Field<'_, 'a, Text> {
        let rule = TextRule {
            placeholder: String::new(),
            bytes_max: LINE_BYTES,
        };
        Field::new(self, id, label, Kind::Text(rule))
    }

    /// Asks for lines of text.
    pub fn lines(&mut self, id: &str, label: &str) -> Field<'_, 'a, Lines> {
        let rule = TextRule {
            placeholder: String::new(),
            bytes_max: LINES_BYTES,
        };
        Field::new(self, id, label, Kind::Lines(rule))
    }

    /// Asks for text that is kept as a secret of this node; a step learns only whether there is one.
    pub fn secret(&mut self, id: &str, label: &str) -> Field<'_, 'a, Secret> {
        Field::new(self, id, label, Kind::Secret)
    }

    /// Asks for a whole number from `min` to `max`.
    pub fn number(&mut self, id: &str, label: &str, min: i64, max: i64) -> Field<'_, 'a, Number> {
        let rule = NumberRule {
            min,
            max: max.max(min),
            step: 1,
            unit: String::new(),
        };
        Field::new(self, id, label, Kind::Number(rule))
    }

    /// Asks whether. Nothing answered: no, unless [`Field::default`] says otherwise.
    pub fn flag(&mut self, id: &str, label: &str) -> Field<'_, 'a, Flag> {
        let mut field = Field::new(self, id, label, Kind::Flag);
        field.question.default = Some(Value::Flag(false));
        field
    }

    /// Asks for one of the options that [`Field::option`] adds.
    pub fn choice(&mut self, id: &str, label: &str) -> Field<'_, 'a, Choice> {
        Field::new(self, id, label, Kind::Choice(Vec::new()))
    }

    /// Asks for any of the options that [`Field::option`] adds. Nothing answered: none, unless [`Field::default`] says otherwise.
    pub fn several(&mut self, id: &str, label: &str) -> Field<'_, 'a, Several> {
        let mut field = Field::new(self, id, label, Kind::Several(Vec::new()));
        field.question.default = Some(Value::Several(Vec::new()));
        field
    }

    /// Says what is wrong with the answer to a question, and what would be right. The first that is said stays; a question that
    /// was not asked cannot be wrong.
    pub fn wrong(&mut self, id: &str, problem: impl Into<String>) {
        if let Some(question) = self.questions.iter_mut().find(|known| known.id == id) {
            question.problem.get_or_insert_with(|| problem.into());
        }
    }

    /// Whether anything is wrong so far.
    #[must_use]
    pub fn is_right(&self) -> bool {
        let mut questions = self.questions.iter();
        questions.all(|question| question.problem.is_none())
    }

    /// What was answered, whatever it is. The last one counts.
    pub(super) fn answer(&self, id: &str) -> Option<&'a Value> {
        let found = self.answers.iter().rev().find(|answer| answer.id == id);
        found.map(|answer| &answer.value)
    }

    /// What was asked, and of it the first thing that is wrong.
    pub(super) fn first_wrong(&self) -> Option<String> {
        let mut questions = self.questions.iter();
        questions.find_map(|question| {
            let problem = question.problem.as_ref()?;
            Some(question.label.to_string() + ": " + problem)
        })
    }
}

/// What a line may have unless [`Field::at_most`] says otherwise.
const LINE_BYTES: u32 = 512;
/// What lines may have.
const LINES_BYTES: u32 = 16 << 10;
