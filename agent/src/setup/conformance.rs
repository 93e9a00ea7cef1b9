//! What every step of a setup must do, tried on one: it describes itself, asks sensibly, and plans the same for the same calls.
//!
//! Decides what is tried, on machines that are made up. Refuses to judge whether a plan is a good one.

use std::collections::BTreeSet;

use super::convert;
use crate::conformance::Check;
use crate::host::installer::{
    Answer, Description, Facts, Finding, InstallerLoadError, Kind, Question, Value,
};
use crate::host::{Fault, Installer};
use crate::limits::{INSTALLER_FUEL, STEP_ANSWERS_MAX};
use crate::scheduling::conformance::Most;

mod after;
mod machines;

/// Options of one question that are chosen, one after the other.
const OPTIONS_TRIED: usize = 6;

/// A step, and what it said that it is.
struct Trial<'a> {
    step: &'a Installer,
}

/// Runs everything; `load` makes the step of the component.
pub(crate) fn run(load: &dyn Fn() -> Result<Installer, InstallerLoadError>) -> (Vec<Check>, Most) {
    let mut checks = Vec::new();
    let step = match load() {
        Ok(step) => step,
        Err(error) => {
            checks.push(Check {
                name: "it starts",
                fault: Some(error.to_string()),
                left_out: None,
            });
            return (checks, Most::default());
        }
    };
    let trial = Trial { step: &step };
    let mut attempt = |name, outcome: Result<(), String>| {
        checks.push(Check {
            name,
            fault: outcome.err(),
            left_out: None,
        });
    };
    attempt("it starts", Ok(()));
    attempt("it describes itself, the same each time", trial.describes());
    attempt(
        "it takes a machine of which nothing is known",
        trial.visit(&Facts::default(), false),
    );
    attempt(
        "it asks and plans on usual machines",
        trial.each_usual(|trial, facts| trial.visit(facts, true)),
    );
    attempt(
        "the same calls give the same answers",
        trial.each_usual(Trial::repeats),
    );
    attempt(
        "each option can be chosen",
        trial.each_usual(Trial::every_option),
    );
    attempt(
        "answers that are nonsense do no harm",
        trial.each_usual(Trial::nonsense),
    );
    attempt(
        "its plan stays the same once it was carried out",
        trial.each_usual(Trial::twice),
    );
    attempt(
        "its findings have evidence",
        trial.each_usual(Trial::evidence),
    );
    attempt(
        "it takes a machine that is large and strange",
        trial.visit(&machines::strange(), false),
    );
    let most = step.most();
    let most = Most {
        fuel: most.fuel,
        fuel_limit: INSTALLER_FUEL,
        memory_bytes: most.memory_bytes,
    };
    (checks, most)
}

impl Trial<'_> {
    fn describes(&self) -> Result<(), String> {
        let first = self.step.describe().map_err(said)?;
        let same = |other: &Description| {
            (&other.title, &other.purpose, &other.needs)
                == (&first.title, &first.purpose, &first.needs)
        };
        let again = self.step.describe().map_err(said)?;
        if !same(&again) {
            return Err("it describes itself otherwise each time".to_owned());
        }
        if first.purpose.trim().is_empty() {
            return Err("its purpose is empty".to_owned());
        }
        Ok(())
    }

    fn each_usual(&self, body: impl Fn(&Self, &Facts) -> Result<(), String>) -> Result<(), String> {
        machines::usual().into_iter().try_for_each(|(name, facts)| {
            body(self, &facts).map_err(|fault| format!("on {name}: {fault}"))
        })
    }

    /// Asks, plans where nothing is wrong, and checks. `must_plan`: there has to be a plan then.
    fn visit(&self, facts: &Facts, must_plan: bool) -> Result<(), String> {
        let asked = self.step.ask(facts, &[]).map_err(said)?;
        self.settle(facts, &in_force(&asked), must_plan)?;
        self.step.check(facts).map_err(said)?;
        Ok(())
    }

    /// Plans with these answers where nothing is wrong with them. What is planned can be carried out.
    fn settle(&self, facts: &Facts, answers: &[Answer], must_plan: bool) -> Result<(), String> {
        let asked = self.step.ask(facts, answers).map_err(said)?;
        let wrong = asked.iter().find_map(|question| question.problem.as_ref());
        let planned = self.step.plan(facts, answers).map_err(said)?;
        match (planned, wrong) {
            (Ok(proposal), _) => match convert::plan(proposal) {
                Ok(_) => Ok(()),
                Err(nonsense) => Err(format!("{nonsense}, with {}", shown(answers))),
            },
            (Err(why), None) if must_plan => Err(format!(
                "nothing is wrong with {}, and there is no plan: {why}",
                shown(answers)
            )),
            (Err(_), _) => Ok(()),
        }
    }

    fn repeats(&self, facts: &Facts) -> Result<(), String> {
        let answers = self.defaults(facts)?;
        let ask = || self.step.ask(facts, &answers).map_err(said);
        let plan = || self.step.plan(facts, &answers).map_err(said);
        let check = || self.step.check(facts).map_err(said);
        let same = [
            (ask()? == ask()?, "questions"),
            (plan()? == plan()?, "plans"),
            (check()? == check()?, "findings"),
        ];
        match same.iter().find(|(same, _)| !same) {
            Some((_, what)) => Err(format!("two calls give different {what}")),
            None => Ok(()),
        }
    }

    fn every_option(&self, facts: &Facts) -> Result<(), String> {
        let asked = self.step.ask(facts, &[]).map_err(said)?;
        for question in &asked {
            for value in choices(&question.kind) {
                let chosen = Answer {
                    id: question.id.clone(),
                    value,
                };
                self.settle(facts, std::slice::from_ref(&chosen), true)?;
            }
        }
        Ok(())
    }

    fn nonsense(&self, facts: &Facts) -> Result<(), String> {
        let asked = self.step.ask(facts, &[]).map_err(said)?;
        for question in &asked {
            for value in machines::nonsense() {
                let answer = Answer {
                    id: question.id.clone(),
                    value,
                };
                self.settle(facts, std::slice::from_ref(&answer), false)?;
            }
        }
        let outdated: Vec<_> = (0..STEP_ANSWERS_MAX)
            .map(|number| Answer {
                id: format!("was-there-once-{number}"),
                value: Value::Text("still here".to_owned()),
            })
            .collect();
        if self.step.ask(facts, &outdated).map_err(said)? != asked {
            return Err("it heeds answers to what it does not ask".to_owned());
        }
        self.settle(facts, &outdated, false)
    }

    fn twice(&self, facts: &Facts) -> Result<(), String> {
        let answers = self.defaults(facts)?;
        let Ok(first) = self.step.plan(facts, &answers).map_err(said)? else {
            return Ok(());
        };
        let done = after::carried_out(facts, &first);
        match self.step.plan(&done, &answers).map_err(said)? {
            Ok(again) if again.actions == first.actions => Ok(()),
            Ok(again) => Err(format!(
                "the plan had {} actions, and other {} once they were carried out",
                first.actions.len(),
                again.actions.len()
            )),
            Err(why) => Err(format!("there is no plan once it was carried out: {why}")),
        }
    }

    fn evidence(&self, facts: &Facts) -> Result<(), String> {
        let found = self.step.check(facts).map_err(said)?;
        let bare = |finding: &&Finding| {
            finding.what.trim().is_empty() || finding.evidence.trim().is_empty()
        };
        match found.iter().find(bare) {
            Some(finding) => Err(format!("`{}` has no evidence", finding.what)),
            None => Ok(()),
        }
    }

    /// The answers that are in force where nobody answers, said aloud.
    fn defaults(&self, facts: &Facts) -> Result<Vec<Answer>, String> {
        Ok(in_force(&self.step.ask(facts, &[]).map_err(said)?))
    }
}

fn in_force(asked: &[Question]) -> Vec<Answer> {
    let answers = asked.iter().filter_map(|question| {
        Some(Answer {
            id: question.id.clone(),
            value: question.default.clone()?,
        })
    });
    answers.collect()
}

/// Values that fit a question.
fn choices(kind: &Kind) -> Vec<Value> {
    match kind {
        Kind::Choice(options) => {
            let options = options.iter().take(OPTIONS_TRIED);
            options
                .map(|option| Value::Text(option.value.clone()))
                .collect()
        }
        Kind::Several(options) => {
            let all: BTreeSet<_> = options.iter().map(|option| option.value.clone()).collect();
            let first = all.iter().next().cloned().into_iter().collect();
            [Vec::new(), first, all.into_iter().collect()]
                .map(Value::Several)
                .into()
        }
        Kind::Number(rule) => [rule.min, rule.max].map(Value::Number).into(),
        Kind::Flag => [false, true].map(Value::Flag).into(),
        Kind::Secret => vec![Value::SecretGiven],
        Kind::Text(_) | Kind::Lines(_) => Vec::new(),
    }
}

fn shown(answers: &[Answer]) -> String {
    let answers: Vec<_> = answers
        .iter()
        .take(4)
        .map(|answer| {
            let value: String = format!("{:?}", answer.value).chars().take(80).collect();
            format!("`{}` = {value}", answer.id)
        })
        .collect();
    match answers.is_empty() {
        true => "no answer".to_owned(),
        false => answers.join(", "),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn said(fault: Fault) -> String {
    fault.to_string()
}
