//! An adoption from the first call to the end, on either side.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use skep_core::state::{Action, Role};
use skep_core::{NodeId, TokenId};
use tokio::time::{sleep_until, timeout};

use super::ledger::{Decision, Record};
use super::{AdoptionRole, AdoptionState};
use crate::cluster::life::Life;
use crate::cluster::{Cluster, ClusterError};
use crate::limits::{ADOPT_COMPARE_TIME, ADOPT_JOIN_TIME, ADOPT_STEP_TIMEOUT};
use crate::net::{AdoptDoor, AdoptWord, FrameError, Line, Myself};
use crate::pki::Token;

/// How an adoption ended otherwise than by joining.
#[derive(Debug)]
enum End {
    RefusedHere,
    RefusedThere(String),
    Failed(String),
}

/// Somebody wants to adopt this node. Boxed, since where it leads to is another membership, in which others
/// are answered again.
pub(in crate::cluster) fn answer(
    life: Arc<Life>,
    door: AdoptDoor,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(hear(life, door))
}

async fn hear(life: Arc<Life>, door: AdoptDoor) {
    let from = door.address();
    let adopter = match door.open().await {
        Ok(adopter) => adopter,
        Err(why) => {
            tracing::info!(%from, %why, "somebody who wants to adopt this node said nothing that makes sense");
            return;
        }
    };
    let alone = life.leads() && life.is_alone();
    let meeting = match life.adoptions.meet(alone, Instant::now()) {
        Ok(meeting) => meeting,
        Err(why) => {
            tracing::info!(%from, why, "refused to be adopted");
            // That it waits no more may be new.
            life.announce_again();
            adopter.refuse(&why).await;
            return;
        }
    };
    let me = Myself {
        identity: &life.parts.identity,
        name: &life.parts.name,
    };
    let compared = match adopter.compare(me).await {
        Ok(compared) => compared,
        Err(why) => {
            tracing::warn!(%from, %why, "an adoption broke off before there were digits to compare");
            return;
        }
    };
    let taken = life
        .adoptions
        .take_up(AdoptionRole::Adopted, &compared.stranger, &compared.code);
    let talking = life.adoptions.talk();
    drop(meeting);
    drop(life);
    let Some((adoption, record)) = taken else {
        compared.line.refuse("it cannot now; try again").await;
        return;
    };
    tracing::info!(%from, node = %adoption.node, name = adoption.name, "digits are compared with a node that wants to adopt this one");
    let adoptions = record.adoptions().clone();
    adopted(record, compared.line).await;
    drop(talking);
    if let Some(inner) = adoptions.cluster() {
        Cluster(inner).settle_offer().await;
    }
}

/// The side that becomes a member.
async fn adopted(mut record: Record, mut line: Line) {
    let token = match take_token(&mut record, &mut line).await {
        Ok(token) => token,
        Err(end) => return give_up(&record, line, end).await,
    };
    // The port is needed to join from: nothing of this connection may stay.
    line.finish().await;
    let Some(inner) = record.adoptions().cluster() else {
        return;
    };
    let joined = Cluster(inner).join(token, &[], None, false).await;
    match joined {
        Ok(joined) => {
            record.adoptions().close(None);
            tracing::info!(cluster = joined.cluster, "was adopted");
            record.end(AdoptionState::Joined, None);
        }
        Err(error) => {
            tracing::warn!(%error, "was to be adopted, and was not let in");
            record.end(AdoptionState::Failed, Some(chain(&error)));
        }
    }
}

async fn take_token(record: &mut Record, line: &mut Line) -> Result<Token, End> {
    agree(record, line).await?;
    let word = timeout(TOKEN_WAIT, line.next()).await;
    let token = match word.unwrap_or(Err(FrameError::Lost)) {
        Ok(AdoptWord::Token(text)) => text.parse().map_err(|error| {
            End::Failed(format!("the other node sent what is no token: {error}"))
        })?,
        Ok(AdoptWord::Refuse(why)) => return Err(refused_there(&why)),
        Ok(_) => return Err(out_of_turn()),
        Err(error) => return Err(lost(&error)),
    };
    // Whether the other side hears it or not, the token tells it whether this node came.
    let _ = line.say(&AdoptWord::Taken).await;
    Ok(token)
}

/// The side that lets the other in.
pub(super) async fn adopter(cluster: Cluster, mut record: Record, mut line: Line, node: NodeId) {
    let token = match give_token(&cluster, &mut record, &mut line).await {
        Ok(token) => token,
        Err(end) => return give_up(&record, line, end).await,
    };
    line.close();
    match timeout(ADOPT_JOIN_TIME, user(&cluster, token)).await {
        Ok(Some(user)) if user == node => {
            tracing::info!(%node, "adopted a node");
            record.end(AdoptionState::Joined, None);
        }
        Ok(Some(user)) => {
            tracing::error!(%node, %user, "another node came with the token of one that was to be adopted");
            let why = format!(
                "another node came in its place; look at `skep nodes`, and `skep node remove {user}` if you do not know it"
            );
            record.end(AdoptionState::Failed, Some(why));
        }
        Ok(None) | Err(_) => {
            if let Err(error) = cluster.decide(Action::RevokeToken(token)).await {
                tracing::debug!(%error, "the token of an adoption could not be revoked; it ends by itself");
            }
            let why = "it did not come in time; its page, or `skep logs` there, says why";
            record.end(AdoptionState::Failed, Some(why.to_owned()));
        }
    }
}

async fn give_token(
    cluster: &Cluster,
    record: &mut Record,
    line: &mut Line,
) -> Result<TokenId, End> {
    agree(record, line).await?;
    let invited = cluster.invite(Role::Worker, None, ADOPT_JOIN_TIME).await;
    let failed = |why: String| End::Failed(format!("no token could be made for it: {why}"));
    let invited = invited.map_err(|error| failed(chain(&error)))?;
    let token: Token = invited
        .token
        .parse()
        .map_err(|_| failed("it is damaged".to_owned()))?;
    let said = line.say(&AdoptWord::Token(invited.token)).await;
    said.map_err(|error| lost(&error))?;
    let answer = timeout(ADOPT_STEP_TIMEOUT, line.next()).await;
    if !matches!(answer, Ok(Ok(AdoptWord::Taken))) {
        tracing::debug!(
            ?answer,
            "a node that was adopted did not say that it has its token"
        );
    }
    Ok(token.id)
}

/// Waits until somebody has come with that token; none when it is gone.
async fn user(cluster: &Cluster, token: TokenId) -> Option<NodeId> {
    let mut changes = cluster.changes();
    loop {
        changes.borrow_and_update();
        let view = cluster.view();
        if let Some(used) = view.token(token)?.used {
            return Some(used.by);
        }
        changes.changed().await.ok()?;
    }
}

/// Waits until a person has confirmed on both sides.
async fn agree(record: &mut Record, line: &mut Line) -> Result<(), End> {
    let deadline = tokio::time::Instant::now() + ADOPT_COMPARE_TIME;
    let (mut here, mut there) = (false, false);
    while !(here && there) {
        tokio::select! {
            changed = record.decision.changed() => {
                let decision = *record.decision.borrow_and_update();
                match decision {
                    _ if changed.is_err() => return Err(End::RefusedHere),
                    Decision::No => return Err(End::RefusedHere),
                    Decision::Yes if !here => {
                        line.say(&AdoptWord::Confirm).await.map_err(|error| lost(&error))?;
                        here = true;
                    }
                    Decision::Yes | Decision::None => {}
                }
            }
            word = line.next() => match word.map_err(|error| lost(&error))? {
                AdoptWord::Confirm if !there => {
                    record.confirmed_there();
                    there = true;
                }
                AdoptWord::Refuse(why) => return Err(refused_there(&why)),
                _ => return Err(out_of_turn()),
            },
            () = sleep_until(deadline) => {
                return Err(End::Failed("nobody confirmed in time; begin again".to_owned()));
            }
        }
    }
    Ok(())
}

async fn give_up(record: &Record, line: Line, end: End) {
    let there = matches!(end, End::RefusedThere(_));
    let (state, why) = match end {
        End::RefusedHere => (AdoptionState::Refused, "refused on this machine".to_owned()),
        End::RefusedThere(why) => (AdoptionState::Refused, why),
        End::Failed(why) => (AdoptionState::Failed, why),
    };
    tracing::info!(why, "an adoption came to nothing");
    record.end(state, Some(why));
    if there {
        return line.close();
    }
    // Why is for the person here; there it is enough that it is over.
    line.refuse("the person at the other machine did not confirm, or not in time")
        .await;
}

fn refused_there(why: &str) -> End {
    let shown: String = why.escape_debug().take(WHY_LETTERS).collect();
    End::RefusedThere(format!("refused on the other machine: {shown}"))
}

fn lost(error: &FrameError) -> End {
    End::Failed(format!("{error}; begin again"))
}

fn out_of_turn() -> End {
    End::Failed("the other node said what does not come next; begin again".to_owned())
}

fn chain(error: &ClusterError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// The other node has to write down that it made a token.
const TOKEN_WAIT: Duration = Duration::from_secs(15);

/// How much of a reason from elsewhere is shown.
const WHY_LETTERS: usize = 128;
