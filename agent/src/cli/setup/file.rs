//! `skep setup --from FILE`: all answers from a file, checked before anything is done.
//!
//! Decides that a mistake is told with its line, and that nothing is done which the file does not name.

use std::io::IsTerminal as _;
use std::path::Path;

use super::answers::{self, Answers};
use super::ask;
use super::walk::{Walk, part_path, parts};
use crate::cli::Failure;
use crate::cli::arguments::Setup;
use crate::cli::waiting::Waiting;
use crate::client::Client;
use crate::wire::{SetupAnswers, SetupQuestions, SetupView};

/// With answers from a file.
pub(super) fn set_up(client: &Client, wish: &Setup, path: &Path) -> Result<(), Failure> {
    let answers = answers::read(path)?;
    let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if !(wish.yes || wish.dry_run || terminal) {
        return Err(Failure::usage("there is no terminal to ask on").with_hint(Some(format!(
            "look at it with `skep setup --from {0} --dry-run`; if you agree: skep setup --from {0} --yes",
            path.display()
        ))));
    }
    let view: SetupView = client.get("/api/v1/setup")?;
    known(&view, &answers, path)?;
    if let (Some(_), Some(line)) = (&answers.join, answers.people.first_line()) {
        let told =
            "a cluster that is joined has its people already: leave this out, or `[cluster]`";
        return Err(answers::at(path, line, told));
    }
    let mut walk = Walk::new(client, wish);
    // Everything is looked at before anything is done.
    for part in parts(&view) {
        if let Some(given) = answers.parts.get(part) {
            walk.check(part, given, path)?;
        }
    }
    walk.check_people(&answers.people, path)?;
    for step in &view.steps {
        // Of what the file says nothing, nothing is told.
        if step
            .parts
            .iter()
            .any(|part| answers.parts.contains_key(&part.id))
        {
            walk.heading(step);
        }
        for part in &step.parts {
            match answers.parts.get(&part.id) {
                Some(given) => {
                    let given = given.answers.iter();
                    let given =
                        given.map(|(question, (value, _))| (question.clone(), Some(value.clone())));
                    walk.part(&part.id, given.collect())?;
                }
                None => walk.skip(&part.id, "todo" == part.state || "answered" == part.state)?,
            }
        }
    }
    walk.people(&answers.people, path)?;
    if !wish.dry_run {
        if let Some(join) = &answers.join {
            walk.join(&join.token, &join.at)?;
        } else if answers.skip.iter().any(|(name, _)| name == "cluster") {
            walk.skip("cluster", true)?;
        }
        if answers.tests {
            walk.tests()?;
        }
        if answers.finish && view.state == "open" {
            walk.finish()?;
        }
    }
    walk.end()
}

/// Refuses names that are none.
fn known(view: &SetupView, answers: &Answers, file: &Path) -> Result<(), Failure> {
    let names: Vec<&str> = parts(view).collect();
    let built_in = ["cluster", "tests"];
    let unknown = |name: &str| format!("there is no part `{name}`; there are {}", names.join(", "));
    for (name, part) in &answers.parts {
        if !names.contains(&name.as_str()) {
            return Err(answers::at(file, part.line, &unknown(name)));
        }
    }
    for (name, line) in &answers.skip {
        if !names.contains(&name.as_str()) && !built_in.contains(&name.as_str()) {
            return Err(answers::at(file, *line, &unknown(name)));
        }
        if answers.parts.contains_key(name) {
            let told = format!("`{name}` is answered below, and to be skipped");
            return Err(answers::at(file, *line, &told));
        }
    }
    Ok(())
}

impl Walk<'_> {
    /// Whether the answers of a file are right; if not, the line is told.
    fn check(&self, part: &str, given: &answers::Part, file: &Path) -> Result<(), Failure> {
        let values = given.answers.iter();
        let wish = SetupAnswers {
            answers: values
                .map(|(question, (value, _))| (question.clone(), Some(value.clone())))
                .collect(),
        };
        let waiting = Waiting::begin(format!("checking the answers of `{part}`"));
        let asked: Result<SetupQuestions, _> = self.client.post(&part_path(part, "/ask"), &wish);
        drop(waiting);
        let asked = match asked {
            Ok(asked) => asked,
            Err(error @ crate::client::ClientError::Refused { status: 400, .. }) => {
                // It names the question.
                let told = error.to_string();
                let line = given
                    .answers
                    .iter()
                    .find(|(question, _)| told.contains(&format!("`{question}`")));
                let line = line.map_or(given.line, |(_, (_, line))| *line);
                return Err(answers::at(file, line, &told));
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(unasked) = asked.unasked.first() {
            let line = given
                .answers
                .get(unasked)
                .map_or(given.line, |(_, line)| *line);
            let known: Vec<String> = asked
                .questions
                .iter()
                .map(|one| format!("`{}`", one.id))
                .collect();
            let told = format!(
                "`{part}` does not ask for `{unasked}`; it asks for {}",
                known.join(", ")
            );
            return Err(answers::at(file, line, &told));
        }
        for question in &asked.questions {
            let line = given
                .answers
                .get(&question.id)
                .map_or(given.line, |(_, line)| *line);
            let problem = question.problem.clone();
            let needed = || ask::needed(question).then(|| "an answer is needed".to_owned());
            if let Some(problem) = problem.or_else(needed) {
                let told = format!("`{}`: {problem}", question.id);
                return Err(answers::at(file, line, &told));
            }
        }
        Ok(())
    }
}
