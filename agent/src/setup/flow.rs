//! The way through a part of a step: facts, questions, answers, plan, and leave to carry it out.
//!
//! Decides when a plan may be carried out: once every question is answered, by whoever saw that very plan. Refuses to know how.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use skep_core::install::{Action, Actor, Plan};
use tokio::sync::OwnedSemaphorePermit;

use super::form::{self, Answers, Filled};
use super::hands::Hands;
use super::state::Part;
use super::steps::STEPS;
use super::{SetupError, convert, drawer::Drawer, facts, runs, steps};
use crate::act::{self, Preview, PreviewState, RootHands};
use crate::agent::Agent;
use crate::host::installer::{Facts, Finding, Installer, Question, Severity};
use crate::limits::{SETUP_FACTS_FRESH, SETUP_FACTS_KEPT, SETUP_LOOKS_WAIT};
use crate::wire::{self, SetupValue};

/// A plan, and what it would do here.
pub(super) struct Prepared {
    pub(super) plan: Plan,
    pub(super) digest: String,
    pub(super) previews: Vec<Preview>,
}

/// A step that can be asked about this machine.
struct Asked {
    installer: Arc<Installer>,
    facts: Arc<Facts>,
    /// As long as it is asked, it is one of few.
    _place: OwnedSemaphorePermit,
}

impl Asked {
    fn ask(&self, answers: &[crate::host::installer::Answer]) -> Result<Vec<Question>, SetupError> {
        Ok(self.installer.ask(&self.facts, answers)?)
    }
}

/// A part with what was found and what it asks.
///
/// # Errors
/// When there is no such part, or its plugin fails.
pub async fn part(agent: &Arc<Agent>, id: &str) -> Result<wire::SetupPart, SetupError> {
    let line = super::overview::line(agent, id).await?;
    let asked = asked(agent, id, true).await?;
    let answers = agent.setup.part(id).answers;
    let told = blocking(move || {
        let findings = asked.installer.check(&asked.facts)?;
        let questions = asked.ask(&form::for_step(&answers))?;
        Ok((findings, shown(&questions, &answers)))
    });
    let (findings, questions) = told.await?;
    Ok(wire::SetupPart {
        line,
        findings: findings.into_iter().map(finding).collect(),
        questions,
    })
}

/// The questions as they would be with these answers, which are not kept.
///
/// # Errors
/// When an answer is of another kind than its question, or the plugin fails.
pub async fn ask(
    agent: &Arc<Agent>,
    id: &str,
    new: BTreeMap<String, Option<SetupValue>>,
) -> Result<wire::SetupQuestions, SetupError> {
    let asked = asked(agent, id, false).await?;
    let answers = agent.setup.part(id).answers;
    let told = blocking(move || {
        let filled = form::fill(answers, new, |answers| asked.ask(answers))?;
        Ok(wire::SetupQuestions {
            questions: shown(&filled.questions, &filled.answers),
            unasked: filled.unasked,
        })
    });
    told.await
}

/// Keeps answers, right or wrong; texts of secrets go among this node's secrets.
///
/// # Errors
/// When an answer is of another kind than its question, or to none, or it cannot be kept.
pub async fn answer(
    agent: &Arc<Agent>,
    id: &str,
    new: BTreeMap<String, Option<SetupValue>>,
) -> Result<(), SetupError> {
    let asked = asked(agent, id, false).await?;
    let (agent, id) = (agent.clone(), id.to_owned());
    blocking(move || {
        let before = agent.setup.part(&id).answers;
        let Filled {
            answers,
            secrets,
            unasked,
            ..
        } = form::fill(before.clone(), new, |answers| asked.ask(answers))?;
        if let Some(question) = unasked.into_iter().next() {
            return Err(SetupError::Unasked { part: id, question });
        }
        let drawer = Drawer::of(agent.services.secrets(), &id);
        for (question, text) in &secrets {
            drawer.put(question, text)?;
        }
        for (question, value) in &before {
            let was_secret = matches!(value, SetupValue::Secret { .. });
            if was_secret && !answers.contains_key(question) {
                drawer.empty(question)?;
            }
        }
        agent.setup.change_part(&id, |part| {
            if part.answers != answers || !secrets.is_empty() {
                // What was done was done for other answers.
                *part = Part {
                    answers,
                    ..Part::default()
                };
            }
            part.skipped = false;
        })
    })
    .await
}

/// Leaves a part, or a step of the agent's own, as it is.
///
/// # Errors
/// When there is none of this name, or that cannot be kept.
pub async fn skip(agent: &Arc<Agent>, id: &str) -> Result<(), SetupError> {
    let built_in = STEPS.iter().any(|step| step.built_in && step.id == id);
    if !built_in {
        steps::find(agent, id)?;
    }
    let (agent, id) = (agent.clone(), id.to_owned());
    blocking(move || {
        agent.setup.change_part(&id, |part| {
            part.skipped = true;
            part.failed = false;
        })
    })
    .await
}

/// What would be done for the answers that are kept, with these laid over them.
///
/// # Errors
/// When a question is open, or the plugin fails or refuses.
pub async fn plan(
    agent: &Arc<Agent>,
    id: &str,
    new: BTreeMap<String, Option<SetupValue>>,
) -> Result<wire::SetupPlan, SetupError> {
    let prepared = prepare(agent, id, new).await?;
    let executor = agent.setup.executor()?;
    let root = tokio::task::spawn_blocking(move || executor.root_hands()).await;
    let root = root.unwrap_or(RootHands::Missing);
    let needs_root = prepared.needs_root();
    let missing = needs_root && root == RootHands::Missing;
    Ok(wire::SetupPlan {
        digest: prepared.digest,
        actions: prepared.previews,
        notes: prepared.plan.notes,
        needs_root,
        root: if root == RootHands::Missing {
            "missing"
        } else {
            "available"
        }
        .to_owned(),
        command: missing.then(|| agent.setup.helper_command()),
    })
}

/// Carries out the plan of this digest. `Ok(None)`: nothing was to be done.
///
/// # Errors
/// When the plan is another by now, something stands in its way, or another run is under way.
pub async fn apply(
    agent: &Arc<Agent>,
    id: &str,
    digest: &str,
    by: String,
    leave: Leave,
) -> Result<Option<String>, SetupError> {
    let prepared = prepare(agent, id, BTreeMap::new()).await?;
    if prepared.digest != digest {
        return Err(SetupError::PlanChanged);
    }
    let open = |preview: &&Preview| preview.state != PreviewState::Already;
    if leave == Leave::OwnThingsOnly
        && prepared
            .previews
            .iter()
            .filter(open)
            .any(|preview| preview.actor != Actor::Agent)
    {
        return Err(SetupError::OnlyHere);
    }
    prepared.tidy(agent, id).await?;
    if let Some(in_the_way) = prepared
        .previews
        .iter()
        .find_map(|one| one.conflict.as_ref())
    {
        return Err(SetupError::InTheWay(in_the_way.clone()));
    }
    if !prepared
        .previews
        .iter()
        .any(|preview| preview.state == PreviewState::Needed)
    {
        let (agent, id) = (agent.clone(), id.to_owned());
        blocking(move || {
            agent.setup.change_part(&id, |part| {
                part.passed = true;
                part.skipped = false;
            })
        })
        .await?;
        return Ok(None);
    }
    if prepared.needs_root() {
        let executor = agent.setup.executor()?;
        let root = tokio::task::spawn_blocking(move || executor.root_hands()).await;
        if matches!(root, Ok(RootHands::Missing)) {
            return Err(SetupError::NoRoot(agent.setup.helper_command()));
        }
    }
    let run = runs::begin(agent, id, &by, runs::Way::Apply(Box::new(prepared.plan))).await?;
    Ok(Some(run.to_string()))
}

/// How much somebody may have done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// Whatever a plan says.
    Everything,
    /// What the agent changes of itself.
    OwnThingsOnly,
}

impl Prepared {
    /// Whether anything that is still to be done needs root.
    fn needs_root(&self) -> bool {
        let open = |preview: &Preview| {
            preview.actor == Actor::Root && preview.state != PreviewState::Already
        };
        self.previews.iter().any(open)
    }

    /// Forgets texts of answers that are kept under their own names already.
    async fn tidy(&self, agent: &Arc<Agent>, id: &str) -> Result<(), SetupError> {
        let actions = self.plan.actions.iter().zip(&self.previews);
        let kept = actions.filter_map(|(planned, preview)| match &planned.action {
            Action::KeepSecret { question, .. } if preview.state == PreviewState::Already => {
                Some(question.clone())
            }
            _ => None,
        });
        let kept: Vec<String> = kept.collect();
        let drawer = Drawer::of(agent.services.secrets(), id);
        blocking(move || {
            Ok(kept
                .iter()
                .try_for_each(|question| drawer.empty(question))?)
        })
        .await
    }
}

/// The plan for the answers that are kept and for these, and how this machine stands to it.
async fn prepare(
    agent: &Arc<Agent>,
    id: &str,
    new: BTreeMap<String, Option<SetupValue>>,
) -> Result<Prepared, SetupError> {
    let asked = asked(agent, id, true).await?;
    let answers = agent.setup.part(id).answers;
    let executor = agent.setup.executor()?;
    let hands = Hands::new(agent, id, "");
    blocking(move || {
        let filled = form::fill(answers, new, |answers| asked.ask(answers))?;
        let plan = planned(&asked, &filled)?;
        let previews = executor.preview(&plan, &hands)?;
        Ok(Prepared {
            digest: act::digest(&plan),
            plan,
            previews,
        })
    })
    .await
}

fn planned(asked: &Asked, filled: &Filled) -> Result<Plan, SetupError> {
    let problems = form::problems(&filled.questions, &filled.answers);
    if !problems.is_empty() {
        return Err(SetupError::Open(problems));
    }
    let complete = form::complete(&filled.questions, &filled.answers);
    let proposal = asked
        .installer
        .plan(&asked.facts, &form::for_step(&complete))?
        .map_err(SetupError::Refused)?;
    convert::plan(proposal).map_err(|error| SetupError::Nonsense(error.to_string()))
}

/// A step and the facts that it is told. New facts are gathered for a part that is looked at or planned; while somebody types,
/// those from before do.
async fn asked(agent: &Arc<Agent>, id: &str, anew: bool) -> Result<Asked, SetupError> {
    let plugin = steps::find(agent, id)?;
    let room = agent.setup.room.clone().acquire_owned();
    let Ok(Ok(place)) = tokio::time::timeout(SETUP_LOOKS_WAIT, room).await else {
        return Err(SetupError::Crowded);
    };
    let installer = agent.setup.loaded.get(agent, &plugin).await?;
    let most = if anew {
        SETUP_FACTS_FRESH
    } else {
        SETUP_FACTS_KEPT
    };
    if let Some((since, facts)) = agent.setup.facts().get(id)
        && since.elapsed() < most
    {
        return Ok(Asked {
            installer,
            facts: facts.clone(),
            _place: place,
        });
    }
    let described = installer.clone();
    let description = blocking(move || Ok(described.describe()?)).await?;
    let facts = Arc::new(facts::gather(agent.as_ref(), &description.needs).await);
    let mut kept = agent.setup.facts();
    kept.retain(|_, (since, _)| since.elapsed() < SETUP_FACTS_KEPT);
    kept.insert(id.to_owned(), (Instant::now(), facts.clone()));
    Ok(Asked {
        installer,
        facts,
        _place: place,
    })
}

fn shown(questions: &[Question], answers: &Answers) -> Vec<wire::SetupQuestion> {
    let shown = questions.iter().map(|one| form::question(one, answers));
    shown.collect()
}

fn finding(finding: Finding) -> wire::SetupFinding {
    let severity = match finding.severity {
        Severity::Fine => "fine",
        Severity::Notice => "notice",
        Severity::Warning => "warning",
        Severity::Failure => "failure",
    };
    wire::SetupFinding {
        severity: severity.to_owned(),
        what: finding.what,
        evidence: finding.evidence,
        remedy: finding.remedy,
    }
}

/// Plugins compute, and files are looked at, where that keeps nobody waiting.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SetupError> + Send + 'static,
) -> Result<T, SetupError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| SetupError::BrokenOff)?
}
