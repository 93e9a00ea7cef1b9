//! A node that does not lead follows: it takes the log in as the leader decides, and keeps its own copy.

use std::sync::{Arc, Weak};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::life::Life;
use crate::keeper::{Feed, FollowError, Snapshot};
use crate::limits::{LOG_BATCH_BYTES, SNAPSHOT_TIMEOUT};
use crate::net::{Answers, Ask, Asked, FrameError, Priority};

/// What a leader sends.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Piece {
    /// More of the log, or what it came to.
    More(Feed),
    /// Everything anew: what the follower has is not what the leader has.
    Anew(Snapshot),
    /// Nothing new; the leader is there.
    Nothing,
}

/// Follows the leader, over one connection after the other.
pub(super) async fn follow(life: Weak<Life>) {
    let mut anew = false;
    loop {
        let Some(now) = life.upgrade() else {
            return;
        };
        if let Err(why) = take_in(&now, &mut anew).await {
            tracing::debug!(%why, "does not follow the leader for a moment");
        }
        drop(now);
        tokio::time::sleep(RETRY).await;
    }
}

async fn take_in(life: &Arc<Life>, anew: &mut bool) -> Result<(), String> {
    let link = life
        .leader_link()
        .await
        .map_err(|error| error.to_string())?;
    let after = life.keeper.index();
    let ask = Ask::Follow {
        after: (!*anew).then_some(after),
    };
    let asked = link.ask(&ask, Priority::Control).await;
    let (mut asked, _answers) = asked.map_err(|error| error.to_string())?;
    loop {
        let next = timeout(SILENCE, asked.next::<Piece>()).await;
        let next = next.map_err(|_| "the leader is silent".to_owned())?;
        match next.map_err(|error| error.to_string())? {
            Some(Piece::More(feed)) => match life.keeper.follow(feed).await {
                Ok(_) => {}
                Err(error @ (FollowError::Diverged { .. } | FollowError::Ahead { .. })) => {
                    *anew = true;
                    return Err(error.to_string());
                }
                Err(error) => return Err(error.to_string()),
            },
            Some(Piece::Anew(snapshot)) => {
                let replaced = life.keeper.replace(snapshot).await;
                replaced.map_err(|error| error.to_string())?;
                *anew = false;
                tracing::warn!("the cluster's log was taken anew from the node that leads");
            }
            Some(Piece::Nothing) => {}
            None => return Err("the leader ended it".into()),
        }
    }
}

/// Leads a follower that has the log up to `after`.
pub(super) async fn lead(
    life: Arc<Life>,
    after: Option<u64>,
    mut asked: Asked,
    mut answers: Answers,
) -> Result<(), FrameError> {
    let mut changes = life.keeper.changes();
    let (keeper, sending) = (life.keeper.clone(), life.sending.clone());
    drop(life);
    let failed = |error: FollowError| FrameError::Malformed(error.to_string());
    let mut after = match after {
        Some(after) if after <= keeper.index() => after,
        _ => {
            let _turn = sending.acquire().await;
            let snapshot = keeper.snapshot().await.map_err(failed)?;
            let reached = snapshot.base.index;
            let sent = timeout(SNAPSHOT_TIMEOUT, answers.send(&Piece::Anew(snapshot))).await;
            sent.unwrap_or(Err(FrameError::Lost))?;
            reached
        }
    };
    loop {
        changes.borrow_and_update();
        loop {
            let feed = keeper.entries_after(after, LOG_BATCH_BYTES).await;
            let feed = feed.map_err(failed)?;
            let reached = match &feed {
                Feed::Entries(entries) => {
                    let records = &entries.records;
                    let sent = u64::try_from(records.payloads.len()).unwrap_or(0);
                    records.first.saturating_add(sent).saturating_sub(1)
                }
                Feed::Snapshot(snapshot) => snapshot.base.index,
            };
            if reached <= after {
                break;
            }
            answers.send(&Piece::More(feed)).await?;
            after = reached;
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() {
                return Ok(());
            },
            () = asked.ended() => return Ok(()),
            () = tokio::time::sleep(SIGN_OF_LIFE) => answers.send(&Piece::Nothing).await?,
        }
    }
}

/// After the leader was lost.
const RETRY: Duration = Duration::from_millis(500);

/// How often a leader says that there is nothing new.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

/// How long a follower waits for anything.
const SILENCE: Duration = Duration::from_secs(30);
