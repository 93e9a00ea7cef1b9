//! The two questions that a scheduler answers, alike in all that is done with them.

use std::sync::Arc;
use std::time::Duration;

use super::builtin;
use super::check::{self, Nonsense};
use super::shadow::{Kind, Live, Told};
use crate::host::scheduler::{Choice, Job, Placement, Refusal, Request};
use crate::host::{Fault, Known, Scheduler};

/// What was decided, and by whom.
#[derive(Clone, Debug)]
pub struct Decision<A> {
    pub answer: Result<A, Refusal>,
    /// The policy's name.
    pub by: Arc<str>,
    /// What the policy did wrong, where the built-in rule decided in its stead.
    pub fault: Option<String>,
    pub took: Duration,
}

/// The first of a ranking, for comparing; none where the answer is a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    pub replica: Option<u64>,
    pub node: Option<String>,
    pub devices: Vec<String>,
    /// The policy's own words.
    pub why: String,
}

impl Chosen {
    /// A refusal's sentence.
    #[must_use]
    pub fn words(refusal: &Refusal) -> &str {
        let (Refusal::Impossible(why) | Refusal::Busy(why) | Refusal::Unknown(why)) = refusal;
        why
    }

    /// Whether both name the same place, for whatever reason.
    #[must_use]
    pub fn is_same_place(&self, other: &Self) -> bool {
        (self.replica, &self.node, &self.devices) == (other.replica, &other.node, &other.devices)
    }
}

/// A request that needs a replica, or a model that needs a place.
pub(super) trait Question: Clone + Send + 'static {
    type Answer;
    const KIND: Kind;

    fn model(&self) -> &str;
    fn ask(
        &self,
        scheduler: &mut Scheduler,
        known: &Known,
    ) -> Result<Result<Self::Answer, Refusal>, Fault>;
    fn by_rule(&self, known: &Known) -> Result<Self::Answer, Refusal>;
    fn check(&self, known: &Known, answer: &Result<Self::Answer, Refusal>) -> Result<(), Nonsense>;
    fn chosen(known: &Known, answer: &Self::Answer) -> Chosen;
    /// The question for the policy in shadow, with what was decided.
    fn told(self, live: Live) -> Told;

    /// What is compared and shown of an answer.
    fn summary(known: &Known, answer: &Result<Self::Answer, Refusal>) -> Chosen {
        match answer {
            Ok(answer) => Self::chosen(known, answer),
            Err(refusal) => Chosen {
                replica: None,
                node: None,
                devices: Vec::new(),
                why: Chosen::words(refusal).to_owned(),
            },
        }
    }
}

impl Question for Request {
    type Answer = Choice;
    const KIND: Kind = Kind::Route;

    fn model(&self) -> &str {
        &self.model
    }

    fn ask(
        &self,
        scheduler: &mut Scheduler,
        known: &Known,
    ) -> Result<Result<Choice, Refusal>, Fault> {
        scheduler.route(self, known)
    }

    fn by_rule(&self, known: &Known) -> Result<Choice, Refusal> {
        builtin::route(known, self)
    }

    fn check(&self, known: &Known, answer: &Result<Choice, Refusal>) -> Result<(), Nonsense> {
        match answer {
            Ok(choice) => check::choice(known, self, choice),
            Err(refusal) => check::refusal(known, self, refusal),
        }
    }

    fn told(self, live: Live) -> Told {
        Told::Route(self, live)
    }

    fn chosen(known: &Known, choice: &Choice) -> Chosen {
        let replica = choice.ranked.first().map(|first| first.replica);
        let node = replica
            .and_then(|id| known.replica(id))
            .map(|replica| replica.node.clone());
        Chosen {
            replica,
            node,
            devices: Vec::new(),
            why: choice.why.clone(),
        }
    }
}

impl Question for Job {
    type Answer = Placement;
    const KIND: Kind = Kind::Place;

    fn model(&self) -> &str {
        &self.model
    }

    fn ask(
        &self,
        scheduler: &mut Scheduler,
        known: &Known,
    ) -> Result<Result<Placement, Refusal>, Fault> {
        scheduler.place(self, known)
    }

    fn by_rule(&self, known: &Known) -> Result<Placement, Refusal> {
        builtin::place(known, self)
    }

    fn check(&self, known: &Known, answer: &Result<Placement, Refusal>) -> Result<(), Nonsense> {
        match answer {
            Ok(placement) => check::placement(known, self, placement),
            // Where a model may be tried is the policy's to say.
            Err(_) => Ok(()),
        }
    }

    fn told(self, live: Live) -> Told {
        Told::Place(self, live)
    }

    fn chosen(_: &Known, placement: &Placement) -> Chosen {
        let first = placement.ranked.first();
        Chosen {
            replica: None,
            node: first.map(|spot| spot.node.clone()),
            devices: first.map(|spot| spot.devices.clone()).unwrap_or_default(),
            why: placement.why.clone(),
        }
    }
}
