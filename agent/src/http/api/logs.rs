//! What was logged lately; with `follow`, what is logged from then on, one entry a line.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::lines::{Lines, line};
use super::refusal::Refusal;
use crate::agent::Agent;
use crate::http::Caller;
use crate::wire;

/// Which entries.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Wish {
    /// So many of the newest.
    lines: usize,
    follow: bool,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            lines: 100,
            follow: false,
        }
    }
}

pub(super) async fn logs(
    State(agent): State<Arc<Agent>>,
    Extension(caller): Extension<Caller>,
    wish: Result<Query<Wish>, QueryRejection>,
) -> Result<Response, Refusal> {
    if caller == Caller::Anonymous {
        return Err(Refusal::unknown_caller());
    }
    let Query(wish) = wish?;
    if !wish.follow {
        let entries = agent.logs.tail(wish.lines);
        return Ok(Json(wire::Logs { entries }).into_response());
    }
    let (tell, lines) = mpsc::channel(1);
    tokio::spawn(follow(agent, wish.lines, tell));
    Ok(Lines::new(lines, ()).into_response())
}

/// Tells entries until nobody listens or the agent stops. A slow listener misses what the ring
/// forgets meanwhile.
async fn follow(agent: Arc<Agent>, lines: usize, tell: mpsc::Sender<Bytes>) {
    let ring = &agent.logs;
    let mut newest = ring.watch();
    let mut last = *newest.borrow_and_update();
    let mut entries = ring.tail(lines);
    let mut quiet = Duration::ZERO;
    loop {
        for entry in &entries {
            last = last.max(entry.number);
            if tell.send(line(entry)).await.is_err() {
                return;
            }
        }
        if agent.router.is_draining() {
            return;
        }
        if timeout(LOOK_INTERVAL, newest.changed()).await.is_ok() {
            quiet = Duration::ZERO;
            entries = ring.after(last);
            continue;
        }
        entries.clear();
        quiet += LOOK_INTERVAL;
        if quiet >= KEEP_ALIVE {
            quiet = Duration::ZERO;
            // An empty line finds out whether anybody is still there.
            if tell.send(Bytes::from_static(b"\n")).await.is_err() {
                return;
            }
        }
    }
}

/// How often it is looked whether the agent stops, while somebody follows.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

const KEEP_ALIVE: Duration = Duration::from_secs(15);
