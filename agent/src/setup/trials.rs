//! The last step: whether all of it works, tried for real.
//!
//! Decides what is tried, in which order, and what is told of it. Nothing is changed by it, but for what a model needs to be
//! loaded. Refuses to know how each trial goes about it.

mod answers;
mod certified;
mod knock;
mod speed;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::SetupError;
use crate::act::ActError;
use crate::agent::Agent;
use crate::cluster::{NodeState, NodeStatus};
use crate::limits::SETUP_SETTLE_TIMEOUT;
use crate::wire::SetupTest;

/// How one trial went.
#[derive(Debug)]
pub(super) enum Outcome {
    /// As it should, with what was seen.
    Passed(Vec<String>),
    /// Not so; what was seen, and what mends it.
    Failed(Vec<String>, String),
    /// It does not apply here, and why.
    Skipped(String),
}

/// Whoever listens has gone.
struct Unheard;

/// Tries everything and tells each change. When nobody listens any more, it stops.
///
/// # Errors
/// When somebody else is at it.
pub fn begin(agent: &Arc<Agent>, tell: mpsc::Sender<SetupTest>) -> Result<(), SetupError> {
    if agent.setup.testing.swap(true, Ordering::SeqCst) {
        return Err(ActError::Busy.into());
    }
    let agent = agent.clone();
    tokio::spawn(async move {
        let mut bench = Bench {
            tell,
            failed: false,
        };
        let heard = all(&agent, &mut bench).await.is_ok();
        agent.setup.testing.store(false, Ordering::SeqCst);
        if !heard {
            return;
        }
        let failed = bench.failed;
        let kept = super::flow::blocking(move || {
            agent.setup.change_part("tests", |part| {
                part.passed = !failed;
                part.failed = failed;
                part.skipped = false;
            })
        });
        if let Err(error) = kept.await {
            tracing::warn!(%error, "how the tests went is not kept");
        }
    });
    Ok(())
}

async fn all(agent: &Arc<Agent>, bench: &mut Bench) -> Result<(), Unheard> {
    let deadline = Instant::now() + SETUP_SETTLE_TIMEOUT;
    let here = |node: &NodeStatus| node.here;
    settled(agent, deadline, here).await;
    let title = "People reach this node";
    bench.run("reached", title, knock::reached(agent)).await?;
    if agent.certificates.is_some() {
        let title = "The authority has given a certificate";
        bench
            .run("certificate", title, certified::came(agent))
            .await?;
    }
    for node in agent.cluster.nodes() {
        let is_known =
            |other: &NodeStatus| other.id == node.id && other.state != NodeState::Joining;
        let node = settled(agent, deadline, is_known).await.unwrap_or(node);
        if !node.here {
            let title = format!("`{}` is reached", node.name);
            let id = format!("connected-{}", node.name);
            bench
                .run(&id, &title, async { knock::connected(&node) })
                .await?;
        }
        let title = format!("`{}` answers", node.name);
        let id = format!("answer-{}", node.name);
        bench
            .run(&id, &title, answers::answer(agent, &node))
            .await?;
    }
    let title = "A name that was pointed here is refused";
    bench.run("host", title, knock::rebinding(agent)).await?;
    let title = "A page of another origin is refused";
    bench
        .run("origin", title, knock::foreign_origin(agent))
        .await?;
    let title = "Nothing is changed without a key";
    bench.run("key", title, knock::no_key(agent)).await?;
    let title = "Nobody guesses their way into the setup";
    bench.run("link", title, knock::no_link(agent)).await?;
    bench
        .run("processor", "Speed of the processor", speed::processor())
        .await?;
    let title = "Speed of the disk";
    bench
        .run("disk", title, speed::disk(agent.paths.data.clone()))
        .await?;
    for card in speed::cards(agent) {
        let name = card.name();
        let title = format!("Speed of {name}");
        let id = format!("card-{}", card.id());
        bench.run(&id, &title, speed::card(agent, card)).await?;
    }
    Ok(())
}

/// Right after a node has joined a cluster it takes a moment until it knows who else is there, and how they are.
async fn settled(
    agent: &Agent,
    deadline: Instant,
    is: impl Fn(&NodeStatus) -> bool,
) -> Option<NodeStatus> {
    loop {
        let found = agent.cluster.nodes().into_iter().find(&is);
        if found.is_some() || Instant::now() >= deadline {
            return found;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Where trials are run, one after the other.
struct Bench {
    tell: mpsc::Sender<SetupTest>,
    failed: bool,
}

impl Bench {
    async fn run(
        &mut self,
        id: &str,
        title: &str,
        trial: impl Future<Output = Outcome>,
    ) -> Result<(), Unheard> {
        let mut test = SetupTest {
            id: id.to_owned(),
            title: title.to_owned(),
            state: "running".to_owned(),
            evidence: Vec::new(),
            remedy: None,
            took_ms: None,
        };
        self.say(&test).await?;
        let started = Instant::now();
        let outcome = tokio::select! {
            outcome = trial => outcome,
            () = self.tell.closed() => return Err(Unheard),
        };
        let (state, evidence, remedy) = match outcome {
            Outcome::Passed(evidence) => ("passed", evidence, None),
            Outcome::Failed(evidence, remedy) => ("failed", evidence, Some(remedy)),
            Outcome::Skipped(why) => ("skipped", vec![why], None),
        };
        self.failed |= state == "failed";
        test.state = state.to_owned();
        test.evidence = evidence;
        test.remedy = remedy;
        test.took_ms = u64::try_from(started.elapsed().as_millis()).ok();
        self.say(&test).await
    }

    async fn say(&self, test: &SetupTest) -> Result<(), Unheard> {
        self.tell.send(test.clone()).await.map_err(|_| Unheard)
    }
}
