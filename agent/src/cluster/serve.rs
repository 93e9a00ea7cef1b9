//! What this node does for other members: each stream is one question.

use std::sync::{Arc, Weak};

use skep_core::state::{Action, Command, PluginAction, Role};
use tokio::sync::mpsc;

use super::adopt;
use super::components;
use super::door;
use super::facts;
use super::follow;
use super::life::Life;
use crate::limits::{FACTS_TEXT_BYTES_MAX, LOAD_ASK_TIMEOUT};
use crate::net::{Answers, Ask, Asked, Call, FrameError, Visitor};
use crate::pki::Authority;
use crate::protocol::{Error, Event, Work};

/// Answers until the network ends. One task for each question: QUIC bounds how many there are.
pub(super) async fn serve(life: Weak<Life>, mut visitors: mpsc::Receiver<Visitor>) {
    while let Some(visitor) = visitors.recv().await {
        let Some(life) = life.upgrade() else {
            return;
        };
        match visitor {
            Visitor::Joiner(door) => drop(tokio::spawn(door::answer(life, door))),
            Visitor::Adopter(door) => drop(tokio::spawn(adopt::answer(life, door))),
            Visitor::Asker(door) => {
                if let Some(said) = life.said() {
                    drop(tokio::spawn(async move { door.answer(&said).await }));
                }
            }
            Visitor::Member(call) => drop(tokio::spawn(async move {
                let node = call.link.node();
                if let Err(why) = answer(life, *call).await {
                    tracing::debug!(%node, %why, "could not answer");
                }
            })),
        }
    }
}

async fn answer(life: Arc<Life>, call: Call) -> Result<(), FrameError> {
    let Call {
        link,
        ask,
        asked,
        mut answers,
    } = call;
    let from = link.node();
    // It may have been removed while its connection was still open.
    if !life.gate.admits(from) {
        return Ok(());
    }
    match ask {
        Ask::Submit { replica, work } => return run(&life, replica, work, asked, answers).await,
        Ask::Follow { after } => return follow::lead(life, after, asked, answers).await,
        Ask::Facts => {
            let newest = life.facts.clone();
            drop(life);
            return facts::tell(newest, asked, answers).await;
        }
        Ask::Propose(bytes) => answers.send(&propose(&life, from, &bytes).await).await?,
        Ask::Renew(request) => answers.send(&renew(&life, from, &request)).await?,
        Ask::Load(model) if model.len() > FACTS_TEXT_BYTES_MAX => {
            let refused: Result<(), String> = Err("no model has such a long name".into());
            answers.send(&refused).await?;
        }
        Ask::Load(model) => {
            let loading = life.parts.router.load_for_other(&model);
            let loaded = tokio::time::timeout(LOAD_ASK_TIMEOUT, loading).await;
            let loaded = loaded.unwrap_or_else(|_| Err("it takes too long to load".into()));
            answers.send(&loaded).await?;
        }
        Ask::Component(digest) => return components::give(&life, digest, answers).await,
        Ask::Readings => answers.send(&life.parts.readings.now()).await?,
    }
    answers.end();
    Ok(())
}

/// Runs a request here and sends what comes of it. It is cancelled as soon as nobody wants it.
async fn run(
    life: &Arc<Life>,
    replica: u64,
    work: Arc<Work>,
    mut asked: Asked,
    mut answers: Answers,
) -> Result<(), FrameError> {
    let submitted = life.parts.router.lend(replica, work);
    asked.taken_up();
    let (mut exchange, _lent) = match submitted {
        Ok(lent) => lent,
        // It may have moved or died since the asker heard of it: there it can try another.
        Err(error) => {
            let failed = Event::Failed(Error::Lost(error.to_string()));
            answers.send(&failed).await?;
            answers.end();
            return Ok(());
        }
    };
    let mut gone = std::pin::pin!(asked.ended());
    loop {
        let event = tokio::select! {
            event = exchange.recv() => event,
            () = &mut gone => return Ok(()),
            () = answers.unwanted() => return Ok(()),
        };
        let Some(event) = event else {
            break;
        };
        answers.add(&event)?;
        // What came at the same time goes at the same time.
        while let Some(Some(event)) = futures_now(&mut exchange) {
            answers.add(&event)?;
        }
        answers.flush().await?;
    }
    answers.end();
    Ok(())
}

/// The next event if there is one already.
fn futures_now(exchange: &mut crate::fleet::Exchange) -> Option<Option<Event>> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match exchange.poll_recv(&mut context) {
        std::task::Poll::Ready(event) => Some(event),
        std::task::Poll::Pending => None,
    }
}

/// A member wants the cluster to decide something. Voters may; others only about themselves.
/// The log's end afterwards is the answer.
async fn propose(life: &Arc<Life>, from: skep_core::NodeId, bytes: &[u8]) -> Result<u64, String> {
    let command = Command::decode(bytes).map_err(|error| error.to_string())?;
    let view = life.keeper.view();
    let voter = view
        .member(from)
        .is_some_and(|member| member.role == Role::Voter);
    let own = match &command.action {
        Action::Move { node, .. } => *node == from,
        // It only ever leads to what operators agreed to before.
        Action::Plugins(PluginAction::GiveUp { .. }) => true,
        _ => false,
    };
    if !voter && !own {
        return Err(format!(
            "a worker does not decide for the cluster: run this on `{}`, or on another voter",
            life.leader_name()
        ));
    }
    if !life.leads() {
        return Err("this node does not lead".into());
    }
    let decided = life.decide(command.action).await;
    decided.map_err(|error| error.to_string())?;
    Ok(life.keeper.index())
}

/// A member wants a new certificate for its own key.
fn renew(
    life: &Life,
    from: skep_core::NodeId,
    request: &[u8],
) -> Result<(Vec<u8>, Vec<u8>), String> {
    let (node, _) = Authority::requester(request).map_err(|error| error.to_string())?;
    if node != from {
        return Err("the signing request is for another node".into());
    }
    let papers = life.sign(request).map_err(|error| error.to_string())?;
    tracing::info!(%node, "renewed a certificate");
    Ok((papers.certificate, papers.authority))
}
