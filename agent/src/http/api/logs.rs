//! What was logged lately; with `follow`, what is logged from then on, one entry a line.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::mpsc;

use super::lines::{Lines, line};
use crate::agent::Agent;
use crate::logs::LogRing;
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

pub(super) async fn logs(State(agent): State<Arc<Agent>>, Query(wish): Query<Wish>) -> Response {
    if !wish.follow {
        return Json(wire::Logs {
            entries: agent.logs.tail(wish.lines),
        })
        .into_response();
    }
    let (tell, lines) = mpsc::channel(1);
    tokio::spawn(follow(agent.logs.clone(), wish.lines, tell));
    Lines::new(lines, ()).into_response()
}

/// Tells entries until nobody listens. A slow listener misses what the ring forgets meanwhile.
async fn follow(ring: LogRing, lines: usize, tell: mpsc::Sender<Bytes>) {
    let mut newest = ring.watch();
    let mut last = *newest.borrow_and_update();
    let mut entries = ring.tail(lines);
    loop {
        for entry in &entries {
            last = last.max(entry.number);
            if tell.send(line(entry)).await.is_err() {
                return;
            }
        }
        match tokio::time::timeout(KEEP_ALIVE, newest.changed()).await {
            Ok(Ok(())) => entries = ring.after(last),
            // The agent is going.
            Ok(Err(_)) => return,
            // An empty line finds out whether anybody is still there.
            Err(_) => {
                entries.clear();
                if tell.send(Bytes::from_static(b"\n")).await.is_err() {
                    return;
                }
            }
        }
    }
}

const KEEP_ALIVE: Duration = Duration::from_secs(15);
