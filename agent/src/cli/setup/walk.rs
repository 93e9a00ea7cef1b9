//! Going through a setup: part by part, then the cluster, then the tests, then the end.
//!
//! Decides the order, that nothing is done which was not shown and agreed to, and that it stops at the first part that fails.
//! Refuses to know where answers come from.

use std::io::IsTerminal as _;

use serde::Serialize;
use ureq::http::Method;

use super::follow::{event, follow};
use super::people::PeopleSummary;
use super::{ask, show};
use crate::act::{RunView, RunWord};
use crate::cli::arguments::Setup;
use crate::cli::terminal::{Paint, complain, printable};
use crate::cli::waiting::Waiting;
use crate::cli::{Exit, Failure, print_json, segment};
use crate::client::Client;
use crate::wire::{
    JoinWish, Joined, SetupAnswers, SetupApply, SetupPart, SetupPlan, SetupStarted, SetupStep,
    SetupTest, SetupView,
};

/// What came of it, for programs.
#[derive(Debug, Default, Serialize)]
pub(super) struct Summary {
    parts: Vec<PartSummary>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) people: Vec<PeopleSummary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    joined: Option<Joined>,
    tests: Vec<SetupTest>,
    finished: bool,
    restart_needed: bool,
}

#[derive(Debug, Serialize)]
struct PartSummary {
    part: String,
    /// `applied`, `unchanged`, `skipped`, `planned`
    outcome: &'static str,
    run: Option<RunView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<SetupPlan>,
}

/// How somebody wants it.
pub(super) struct Walk<'a> {
    pub(super) client: &'a Client,
    pub(super) wish: &'a Setup,
    pub(super) paint: Paint,
    pub(super) summary: Summary,
}

/// With answers from whoever sits at the terminal.
pub(super) fn asking(client: &Client, wish: &Setup) -> Result<(), Failure> {
    if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        return Err(Failure::usage("there is no terminal to ask on").with_hint(Some(
            "`skep setup --example > answers.toml` writes a file to answer in; `skep setup --from answers.toml` takes it",
        )));
    }
    let view: SetupView = client.get("/api/v1/setup")?;
    let mut walk = Walk::new(client, wish);
    for step in &view.steps {
        if step.parts.is_empty() {
            continue;
        }
        walk.heading(step);
        if matches!(step.state.as_str(), "done")
            && !yes("It is done already. Go through it again?")?
        {
            continue;
        }
        for part in &step.parts {
            walk.found(&part.id)?;
            let given = ask::ask(client, &part.id, false)?;
            walk.part(&part.id, given)?;
        }
    }
    if wish.dry_run {
        return walk.end();
    }
    if yes("Is this machine to join a cluster that is there already?")? {
        let token = crate::cli::secret::ask("the token that `skep token new` shows there")?;
        walk.join(token.trim(), &[])?;
    } else {
        walk.ask_for_administrator()?;
    }
    if yes("Try whether all of it works?")? {
        walk.tests()?;
    }
    if view.state == "open" && yes("Finish the setup? Links into it then end, for good.")? {
        walk.finish()?;
    }
    walk.end()
}

impl<'a> Walk<'a> {
    pub(super) fn new(client: &'a Client, wish: &'a Setup) -> Self {
        Self {
            client,
            wish,
            paint: Paint::for_stderr(),
            summary: Summary::default(),
        }
    }

    pub(super) fn heading(&self, step: &SetupStep) {
        if self.wish.json || step.parts.is_empty() {
            return;
        }
        complain("");
        let title = format!("{} of 8  {}", step.number, printable(&step.title));
        complain(&self.paint.bold(title));
        complain(&self.paint.dim(printable(&step.purpose)));
    }

    /// What is right and wrong before anything is done.
    fn found(&self, part: &str) -> Result<(), Failure> {
        let waiting = Waiting::begin("looking at this machine");
        let found: Result<SetupPart, _> = self.client.get(&part_path(part, ""));
        drop(waiting);
        let found = found?;
        complain("");
        complain(&self.paint.bold(printable(&found.line.title)));
        complain(show::findings(&found.findings, self.paint).trim_end());
        Ok(())
    }

    /// Plans, shows, asks for leave, and does it.
    pub(super) fn part(&mut self, part: &str, given: ask::Given) -> Result<(), Failure> {
        let wish = SetupAnswers { answers: given };
        let waiting = Waiting::begin(format!("planning `{part}`"));
        let plan: Result<SetupPlan, _> = self.client.post(&part_path(part, "/plan"), &wish);
        drop(waiting);
        let plan = plan?;
        if !self.wish.json {
            complain(show::plan(&plan, self.paint).trim_end());
        }
        if self.wish.dry_run {
            self.told(part, "planned", None, Some(plan));
            return Ok(());
        }
        let open = show::open(&plan);
        if let Some(command) = plan.command.as_ref().filter(|_| open > 0) {
            let hint = format!(
                "type this in another terminal and leave it open, then try again: {command}"
            );
            return Err(Failure::new(format!("`{part}` needs root")).with_hint(Some(hint)));
        }
        if open > 0 && !self.wish.yes && !yes(&format!("Do {}?", figure(open)))? {
            return self.skip(part, true);
        }
        let _: SetupPart = self.client.put(&part_path(part, "/answers"), &wish)?;
        let agreed = SetupApply {
            digest: plan.digest,
        };
        let started: SetupStarted = self.client.post(&part_path(part, "/apply"), &agreed)?;
        let Some(run) = started.run else {
            self.told(part, "unchanged", None, None);
            return Ok(());
        };
        let paint = (!self.wish.json).then_some(self.paint);
        let run = follow(self.client, &run, None, paint)?;
        let failed = run.state != RunWord::Done;
        let (id, why) = (run.id.clone(), run.error().map(str::to_owned));
        self.told(
            part,
            if failed { "failed" } else { "applied" },
            Some(run),
            None,
        );
        if failed {
            if self.wish.json {
                print_json(&self.summary)?;
            }
            let why = why.unwrap_or_else(|| "it did not come to its end".to_owned());
            return Err(Failure::new(format!("`{part}`: {why}")).with_hint(Some(format!(
                "mend it and try again: what was done is left as it is; `skep setup undo {id}` undoes it"
            ))));
        }
        Ok(())
    }

    pub(super) fn skip(&mut self, part: &str, tell: bool) -> Result<(), Failure> {
        if !self.wish.dry_run && tell {
            self.client.post_nothing(&part_path(part, "/skip"))?;
        }
        self.told(part, "skipped", None, None);
        Ok(())
    }

    pub(super) fn join(&mut self, token: &str, at: &[String]) -> Result<(), Failure> {
        let mut addresses = Vec::new();
        for one in at {
            addresses.push(one.parse().map_err(|_| {
                Failure::usage(format!(
                    "`{one}` is no address with a port, as `10.0.0.1:7420`"
                ))
            })?);
        }
        let nodes: crate::wire::ClusterNodes = self.client.get("/api/v1/cluster/nodes")?;
        let parsed: crate::pki::Token = token
            .parse()
            .map_err(|error: crate::pki::TokenError| Failure::chain(&error))?;
        if nodes.cluster == parsed.cluster.to_string() {
            if !self.wish.json {
                complain("  this machine is a member of that cluster already");
            }
            return Ok(());
        }
        let wish = JoinWish {
            token: token.to_owned(),
            at: addresses,
            name: None,
            leave: false,
        };
        let waiting = Waiting::begin("joining");
        let joined: Result<Joined, _> = self.client.post("/api/v1/cluster/join", &wish);
        drop(waiting);
        self.summary.joined = Some(joined?);
        if !self.wish.json {
            complain(&format!("  {} the cluster", self.paint.green("joined")));
        }
        Ok(())
    }

    pub(super) fn tests(&mut self) -> Result<(), Failure> {
        if !self.wish.json {
            complain("");
            complain(&self.paint.bold("8 of 8  Tests"));
        }
        let waiting = Waiting::begin("trying whether all of it works");
        let lines = self
            .client
            .lines(Method::POST, "/api/v1/setup/tests", None::<&()>)?;
        for line in lines {
            let line =
                line.map_err(|error| Failure::new(format!("the tests broke off: {error}")))?;
            let Some(test) = event::<SetupTest>(&line)? else {
                continue;
            };
            waiting.now(printable(&test.title));
            if let Some(text) = show::test(&test, self.paint).filter(|_| !self.wish.json) {
                waiting.aside(|| complain(&text));
            }
            if test.state != "running" {
                self.summary.tests.push(test);
            }
        }
        Ok(())
    }

    pub(super) fn finish(&mut self) -> Result<(), Failure> {
        if self.summary.tests.iter().any(|test| test.state == "failed") {
            return Ok(());
        }
        self.client.post_nothing("/api/v1/setup/finish")?;
        self.summary.finished = true;
        if !self.wish.json {
            complain(&format!(
                "\n{}: links into it have ended",
                self.paint.green("the setup is finished")
            ));
        }
        Ok(())
    }

    pub(super) fn end(mut self) -> Result<(), Failure> {
        let view: SetupView = self.client.get("/api/v1/setup")?;
        self.summary.restart_needed = view.restart_needed;
        if self.wish.json {
            print_json(&self.summary)?;
        } else if view.restart_needed {
            complain(
                &self
                    .paint
                    .yellow("start the agent again: some settings hold only from then on"),
            );
        }
        if self.summary.tests.iter().any(|test| test.state == "failed") {
            return Err(Failure::silent(Exit::Failed));
        }
        Ok(())
    }

    fn told(
        &mut self,
        part: &str,
        outcome: &'static str,
        run: Option<RunView>,
        plan: Option<SetupPlan>,
    ) {
        self.summary.parts.push(PartSummary {
            part: part.to_owned(),
            outcome,
            run,
            plan,
        });
    }
}

pub(super) fn parts(view: &SetupView) -> impl Iterator<Item = &str> {
    let parts = view.steps.iter().flat_map(|step| &step.parts);
    parts.map(|part| part.id.as_str())
}

pub(super) fn part_path(part: &str, rest: &str) -> String {
    format!("/api/v1/setup/parts/{}{rest}", segment(part))
}

fn figure(count: usize) -> String {
    if count == 1 {
        "this".to_owned()
    } else {
        format!("these {count} things")
    }
}

/// A question on the terminal; anything but a clear yes is a no.
pub(super) fn yes(question: &str) -> Result<bool, Failure> {
    complain(&format!("{question} [y/N]"));
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    let answer = answer.trim();
    Ok(answer.eq_ignore_ascii_case("y") || answer.eq_ignore_ascii_case("yes"))
}
