//! Asking and planning as the host does, for the component and for tests.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Answer, Facts, Form, Installer, Plan, Proposal, Question, Value};

/// What came of trying a step out.
#[derive(Debug)]
pub struct Trial {
    /// What was asked, with what is wrong.
    pub questions: Vec<Question>,
    /// What would be done; the error says what is wrong with the answers, or why there is no plan.
    pub plan: Result<Proposal, String>,
}

impl Trial {
    /// A question by its id.
    #[must_use]
    pub fn question(&self, id: &str) -> Option<&Question> {
        self.questions.iter().find(|question| question.id == id)
    }

    /// What is wrong with the answer to a question; none also where it was not asked.
    #[must_use]
    pub fn problem(&self, id: &str) -> Option<&str> {
        self.question(id)?.problem.as_deref()
    }
}

/// Asks and plans, as the host would.
pub fn try_out<I: Installer>(facts: &Facts, answers: &[Answer]) -> Trial {
    Trial {
        questions: ask::<I>(facts, answers).1,
        plan: plan::<I>(facts, answers),
    }
}

/// An answer, for tests.
#[must_use]
pub fn answer(id: &str, value: Value) -> Answer {
    Answer {
        id: id.to_owned(),
        value,
    }
}

pub(super) fn ask<I: Installer>(facts: &Facts, answers: &[Answer]) -> (I::Wish, Vec<Question>) {
    let mut form = Form::new(answers);
    let wish = I::ask(facts, &mut form);
    (wish, form.questions)
}

pub(super) fn plan<I: Installer>(facts: &Facts, answers: &[Answer]) -> Result<Proposal, String> {
    let mut form = Form::new(answers);
    let wish = I::ask(facts, &mut form);
    if let Some(wrong) = form.first_wrong() {
        return Err(wrong);
    }
    let mut plan = Plan::default();
    I::plan(facts, wish, &mut plan)?;
    Ok(plan.done())
}
